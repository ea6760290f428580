"""`nnapi-testkit model runtime`, `convert`, `sample`: PyTorch's own NNAPI runtime on a driver."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nnapi_testkit.commands.parser import add_shared
from nnapi_testkit.errors import KitError

if TYPE_CHECKING:
    from nnapi_testkit.mobile.check import CheckSettings
    from nnapi_testkit.mobile.files import InputSets, Loaded

__all__ = ["add_actions", "source_options"]

# PyTorch's C++ side announces on stderr, at every quantized tensor, that these will be removed.
# Read when torch is loaded, which happens in the functions below.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the actions of `nnapi-testkit model` that use PyTorch's own converter and runtime."""
    runtime = actions.add_parser(
        "runtime", help="run a TorchScript model through PyTorch's own NNAPI runtime"
    )
    convert = actions.add_parser("convert", help="convert a saved model, with inputs and answers")
    for action, function in ((runtime, _runtime), (convert, _convert)):
        action.set_defaults(action=function)
        action.add_argument("file", type=Path, metavar="FILE", help="a TorchScript file")
        source_options(action)
        action.add_argument(
            "--lite", action="store_true", help="the file format of PyTorch's lite interpreter"
        )
    add_shared(runtime, "target")
    runtime.add_argument(
        "--eager", type=Path, metavar="FILE", help="what a converted FILE was made from"
    )
    runtime.add_argument(
        "--runs", type=int, default=5, metavar="N", help="timed runs; 0 takes no time (default 5)"
    )
    runtime.add_argument(
        "--timeout", type=float, default=300.0, metavar="SECONDS", help="default 300"
    )
    convert.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    sample = actions.add_parser("sample", help="write one of the kit's own models, to try these")
    sample.set_defaults(action=_sample)
    sample.add_argument("name", metavar="NAME", help="mobilenet_v2, convnet, mlp, ...")
    sample.add_argument("file", type=Path, metavar="FILE")


def source_options(action: argparse.ArgumentParser) -> None:
    """Add what says how a TorchScript model is converted, and with which inputs."""
    action.add_argument(
        "-i",
        "--input",
        action="append",
        default=[],
        metavar="SHAPE[:TYPE]",
        help="random data for the next input, as in 1,3,224,224:float32, instead of the inputs"
        " that the file carries",
    )
    action.add_argument("--layout", choices=("nchw", "nhwc"), default="nchw")
    action.add_argument(
        "--flexible",
        type=int,
        nargs="+",
        metavar="DIM",
        help="dimensions of every input that are left open until the first run",
    )
    action.add_argument("--relaxed", action="store_true", help="float32 may be computed as float16")


def _runtime(options: argparse.Namespace) -> int:
    """Compare a saved model on the driver with eager PyTorch; print the report."""
    from nnapi_testkit.mobile import check as checking
    from nnapi_testkit.mobile import files

    loaded = files.load(options.file)
    original = files.load(options.eager) if options.eager else None
    inputs = _inputs(options.input)
    report = checking.check_loaded(
        options.file, loaded, inputs, _settings(options, loaded, inputs), original
    )
    print(report.text())
    if report.verdict.is_failure:
        return 1
    return 0 if report.passed else 2


def _convert(options: argparse.Namespace) -> int:
    """Convert a saved model; the new file carries its inputs and answers."""
    from nnapi_testkit.mobile import check as checking
    from nnapi_testkit.mobile import convert as converting
    from nnapi_testkit.mobile import files

    loaded = files.load(options.file)
    if loaded.converted:
        raise KitError(f"{options.file} is converted already")
    inputs = _inputs(options.input) or loaded.inputs
    if not inputs:
        raise KitError(
            f"{options.file} carries no inputs: name their shapes, as in --input 1,3,224,224"
        )
    settings = _settings(options, loaded, inputs)
    converted = converting.convert(
        loaded.module,
        inputs[0],
        layout=settings.layout,
        flexible=settings.flexible,
        relaxed=settings.relaxed,
    )
    answers = checking.answers_for(loaded.module, converted, inputs, settings.relaxed)
    files.save(converted.module, options.output, inputs=inputs, answers=answers, lite=options.lite)
    count = sum(converted.operations.values())
    print(f"{options.output}: {count} operations, {len(inputs)} input set(s) with answers")
    return 0


def _sample(options: argparse.Namespace) -> int:
    """Write one of the kit's own models, with its inputs."""
    from nnapi_testkit.mobile import convert as converting
    from nnapi_testkit.mobile import files, samples

    model, given = samples.sample(options.name)
    files.save(converting.as_torchscript(model, given), options.file, inputs=[given])
    shapes = ", ".join(str(list(tensor.shape)) for tensor in given)
    print(f"{options.file}: {options.name}, input {shapes}")
    return 0


def _settings(options: argparse.Namespace, loaded: Loaded, inputs: InputSets) -> CheckSettings:
    from nnapi_testkit.mobile.check import CheckSettings

    sets = inputs or loaded.inputs
    count = len(sets[0]) if sets else 0
    return CheckSettings(
        target=getattr(options, "target", "host"),
        layout=options.layout,
        flexible=(tuple(options.flexible),) * count if options.flexible else (),
        relaxed=options.relaxed,
        lite=getattr(options, "lite", False),
        runs=getattr(options, "runs", 0),
        timeout=getattr(options, "timeout", 300.0),
    )


def _inputs(wanted: list[str]) -> InputSets:
    """One input set of random data for the shapes that the user named; empty for none."""
    from nnapi_testkit.mobile.inputs import random_inputs

    return (random_inputs(wanted),) if wanted else ()
