#!/usr/bin/env python3
"""MobileNetV2 224 through PyTorch's NNAPI runtime, one thread: float32 against eager PyTorch,
quantized against float32.

    python -m benchmarks.mobilenet [--rounds N] [--json FILE]

The reference driver may take at most 0.6 of what eager PyTorch takes (an nn.Module in inference
mode, batch 1), and for the quantized model (which has the one layout, NHWC) at most as long as for
the float one. All run in turns in one process, so that a noisy machine is noisy to all; the ratios
are those of the least processor time. Also printed: a frozen TorchScript module, which folds the
normalizations into the convolutions. Exits 1 when a ratio is above its limit.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from nnapi_testkit import paths
from nnapi_testkit.mobile import samples
from nnapi_testkit.mobile.convert import Layout, convert

LIMIT = 0.6  # float to eager
QUANTIZED_LIMIT = 1.0  # quantized to float
LAYOUTS: tuple[Layout, ...] = ("nchw", "nhwc")


def measure(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Processor seconds of the cheapest call of each kind, in turns after two to warm up."""
    best = dict.fromkeys(calls, float("inf"))
    for turn in range(rounds + 2):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if turn >= 2:
                best[name] = min(best[name], time.process_time() - start)
    return best


def through_nnapi(
    model: torch.nn.Module, inputs: Sequence[torch.Tensor], layout: Layout
) -> tuple[Callable[[], object], Callable[..., object]]:
    """A call of a model by PyTorch's NNAPI runtime, and the frozen module it was made from."""
    converted = convert(model, inputs, layout=layout)
    with tempfile.NamedTemporaryFile(suffix=".pt") as file:
        jit: Any = torch.jit
        jit.save(converted.module, file.name)
        module = jit.load(file.name)
    given = list(inputs)
    if layout == "nhwc":
        given = [inputs[0].contiguous(memory_format=torch.channels_last)]
    return lambda: module(*given), converted.source


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="MobileNetV2 on the driver against eager PyTorch")
    parser.add_argument("--rounds", type=int, default=12, help="timed calls of each (default 12)")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    # PyTorch looks for libneuralnetworks.so by name; a library of that SONAME is there already.
    ctypes.CDLL(str(paths.driver_library()), mode=ctypes.RTLD_GLOBAL)
    model, inputs = samples.sample("mobilenet_v2")
    quantized, images = samples.sample("mobilenet_v2_quantized")
    calls: dict[str, Callable[[], object]] = {"eager": lambda: model(*inputs)}
    with torch.inference_mode():
        for layout in LAYOUTS:
            calls[layout], frozen = through_nnapi(model, inputs, layout)
        calls["quantized"], _ = through_nnapi(quantized, images, "nhwc")
        calls["frozen"] = lambda: frozen(*inputs)
        times = measure(calls, options.rounds)

    ratios = {f"{layout} / eager": times[layout] / times["eager"] for layout in LAYOUTS}
    limits = dict.fromkeys(ratios, LIMIT)
    ratios["quantized / nhwc"] = times["quantized"] / times["nhwc"]
    limits["quantized / nhwc"] = QUANTIZED_LIMIT
    for name, seconds in times.items():
        print(f"{name:<10} {seconds * 1e3:8.2f} ms")
    for name, ratio in ratios.items():
        verdict = "ok" if ratio <= limits[name] else "TOO SLOW"
        print(f"{name} = {ratio:.2f}, at most {limits[name]:g}: {verdict}")
    if options.json:
        facts = {"milliseconds": {k: v * 1e3 for k, v in times.items()}, "ratios": ratios}
        options.json.write_text(json.dumps({**facts, "limits": limits}, indent=2) + "\n")
    return 0 if all(ratio <= limits[name] for name, ratio in ratios.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
