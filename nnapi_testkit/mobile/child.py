"""The process that loads a driver and lets PyTorch's NNAPI runtime run models on it.

`python -m nnapi_testkit.mobile.child REPLY_FD LIBRARY THREADS`: requests come as JSON lines on
standard input, replies leave as JSON lines on the given descriptor, tensors travel in files. What
a driver prints goes elsewhere and cannot be mistaken for a reply. `runtime` is the other end.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from nnapi_testkit.mobile.files import use_qnnpack

__all__ = ["main"]

_A_SYMBOL = "ANeuralNetworksModel_create"


def main(arguments: Sequence[str]) -> int:
    """Serve requests until standard input ends."""
    replies = os.fdopen(int(arguments[0]), "w", buffering=1)
    library, threads = arguments[1], int(arguments[2])

    def reply(**facts: object) -> None:
        print(json.dumps(facts), file=replies, flush=True)

    torch.set_num_threads(threads)
    use_qnnpack()
    try:
        # Its name is libneuralnetworks.so (a link, see `runtime`), so PyTorch's own dlopen of
        # that name finds this very library.
        loaded = ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
        if not hasattr(loaded, _A_SYMBOL):
            raise OSError(f"it has no {_A_SYMBOL}: not an NNAPI driver")
    except OSError as error:
        reply(error=str(error))
        return 1
    reply(ready=True)
    for line in sys.stdin:
        request = json.loads(line)
        stage = "load"

        def enter(name: str) -> None:
            nonlocal stage
            stage = name

        try:
            reply(ok=True, **_serve(request, enter))
        except Exception as error:  # the parent must hear of everything, and by its stage
            reply(ok=False, stage=stage, error=_first_line(error))
    return 0


def _serve(request: dict[str, Any], enter: Callable[[str], None]) -> dict[str, object]:
    """Run every input set of a request; each shape gets a compilation of its own."""
    sets = torch.load(request["inputs"], weights_only=True)
    compiled: dict[object, Any] = {}
    outputs = []
    for given in sets:
        shapes = tuple(tuple(tensor.shape) for tensor in given)
        if shapes not in compiled:
            enter("load")
            module = _load(request["model"], request["lite"])
            enter("compile")
            if not request["lite"] and hasattr(module, "mod"):
                module.mod.init(list(given))
            compiled[shapes] = module
        enter("execute")
        with torch.inference_mode():
            result = compiled[shapes](*given)
        parts = tuple(result) if isinstance(result, list | tuple) else (result,)
        outputs.append([part.clone() for part in parts])
    torch.save(outputs, request["outputs"])
    facts: dict[str, object] = {}
    if request["runs"]:
        first = sets[0]
        module = compiled[tuple(tuple(tensor.shape) for tensor in first)]
        enter("execute")
        facts["seconds"] = _best(module, first, request["runs"])
        if request["eager"]:
            enter("eager")
            facts["eager_seconds"] = _best(_load(request["eager"], False), first, request["runs"])
    return facts


def _load(path: str, lite: bool) -> Any:
    if lite:
        mobile: Any = importlib.import_module("torch.jit.mobile")
        return mobile._load_for_lite_interpreter(path)
    return torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]


def _best(module: Any, given: Sequence[torch.Tensor], runs: int) -> float:
    """Seconds of the fastest of `runs` calls, after two that warm up (TorchScript optimizes)."""
    times = []
    with torch.inference_mode():
        for _ in range(runs + 2):
            start = time.perf_counter()
            module(*given)
            times.append(time.perf_counter() - start)
    return min(times[2:])


def _first_line(error: BaseException) -> str:
    """The line of an error that says most: TorchScript puts a stack trace before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "NNAPI" in line or line.startswith("RuntimeError")]
    return (told or lines or [type(error).__name__])[-1 if told else 0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
