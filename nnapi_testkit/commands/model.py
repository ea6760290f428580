"""`nnapi-testkit model check`, `convert`, `sample`: PyTorch's NNAPI runtime on a driver."""

from __future__ import annotations

import argparse
import os
import warnings
from typing import TYPE_CHECKING

from nnapi_testkit.errors import KitError

if TYPE_CHECKING:
    from nnapi_testkit.mobile.check import Settings
    from nnapi_testkit.mobile.files import InputSets, Loaded

__all__ = ["model"]

# PyTorch's C++ side announces on stderr, at every quantized tensor, that these will be removed.
# Read when torch is loaded, which happens in the functions below.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def model(options: argparse.Namespace) -> int:
    """Do what `options.action` says: check, convert or sample; returns the exit code."""
    actions = {"check": _check, "convert": _convert, "sample": _sample}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, about parts of it that will be removed.
        return actions[options.action](options)


def _check(options: argparse.Namespace) -> int:
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


def _settings(options: argparse.Namespace, loaded: Loaded, inputs: InputSets) -> Settings:
    from nnapi_testkit.mobile.check import Settings

    sets = inputs or loaded.inputs
    count = len(sets[0]) if sets else 0
    return Settings(
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
