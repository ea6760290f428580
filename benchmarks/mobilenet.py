#!/usr/bin/env python3
"""MobileNetV2 224 float32 through PyTorch's NNAPI runtime against eager PyTorch, one thread.

    python benchmarks/mobilenet.py [--rounds N] [--json FILE]

The reference driver may take at most 3 times what eager PyTorch takes (an nn.Module in inference
mode, batch 1). Both run in turns in one process, so that a noisy machine is noisy to both; the
ratio is that of the fastest calls. Also printed: a frozen TorchScript module, which folds the
normalizations into the convolutions. Exits 1 when the ratio of either layout is above the limit.
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

import torch

from nnapi_testkit import paths
from nnapi_testkit.mobile import samples
from nnapi_testkit.mobile.convert import Layout, convert

LIMIT = 3.0
LAYOUTS: tuple[Layout, ...] = ("nchw", "nhwc")


def measure(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of the fastest call of each kind, taken in turns after two to warm up."""
    best = dict.fromkeys(calls, float("inf"))
    for turn in range(rounds + 2):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= 2:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="MobileNetV2 on the driver against eager PyTorch")
    parser.add_argument("--rounds", type=int, default=12, help="timed calls of each (default 12)")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    # PyTorch looks for libneuralnetworks.so by name; a library of that SONAME is there already.
    ctypes.CDLL(str(paths.driver_library()), mode=ctypes.RTLD_GLOBAL)
    model, inputs = samples.sample("mobilenet_v2")
    calls: dict[str, Callable[[], object]] = {"eager": lambda: model(*inputs)}
    with torch.inference_mode():
        for layout in LAYOUTS:
            converted = convert(model, inputs, layout=layout)
            with tempfile.NamedTemporaryFile(suffix=".pt") as file:
                torch.jit.save(converted.module, file.name)
                module = torch.jit.load(file.name)
            given = inputs
            if layout == "nhwc":
                given = [inputs[0].contiguous(memory_format=torch.channels_last)]
            calls[layout] = lambda module=module, given=given: module(*given)
            frozen = converted.source
        calls["frozen"] = lambda: frozen(*inputs)
        times = measure(calls, options.rounds)

    ratios = {layout: times[layout] / times["eager"] for layout in LAYOUTS}
    for name, seconds in times.items():
        print(f"{name:<7} {seconds * 1e3:8.2f} ms")
    for layout, ratio in ratios.items():
        verdict = "ok" if ratio <= LIMIT else "TOO SLOW"
        print(f"driver ({layout}) / eager = {ratio:.2f}, at most {LIMIT:g}: {verdict}")
    if options.json:
        facts = {"milliseconds": {k: v * 1e3 for k, v in times.items()}, "ratios": ratios}
        options.json.write_text(json.dumps({**facts, "limit": LIMIT}, indent=2) + "\n")
    return 0 if max(ratios.values()) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
