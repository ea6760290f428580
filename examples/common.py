"""What the examples share: make a model, lower it, judge it on a target, write its files."""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # PyTorch's C++ side, about its own future

import numpy as np
import torch
from torch import nn

from nnapi_testkit.errors import KitError, first_line
from nnapi_testkit.frontends.export import from_module
from nnapi_testkit.models.check import check
from nnapi_testkit.models.work import needed_level
from nnapi_testkit.targets import parse_target

if TYPE_CHECKING:
    from nnapi_testkit.model.program import Program

__all__ = ["Example", "Made", "image", "lowered", "main", "quantized", "save", "seeded"]

Made = tuple[nn.Module, list[torch.Tensor]]
# Why a model has no file of a format.
_NO_TFLITE = (
    "PyTorch writes none; with litert-torch in an environment beside the kit's it is written"
)
_NOTHING_TO_EXPORT = "the model has operations that are no PyTorch operators"


@dataclass(frozen=True)
class Example:
    """One model of this folder.

    Args:
        name: as in a heading. make: the module and an input set; weights from torch's generator.
        finish: puts operations behind the lowered model that PyTorch does not have.
        program: makes the model without PyTorch, instead of `make`.
        quantized: whether `quantized` takes it.
        onnx: why PyTorch's ONNX exporter does not; empty if it does.
    """

    name: str
    make: Callable[[], Made] | None = None
    finish: Callable[[Program], Program] | None = None
    program: Callable[[], Program] | None = None
    quantized: bool = False
    onnx: str = ""


def image(size: int, batch: int = 1) -> torch.Tensor:
    """A random picture, NCHW, from 0 to 1."""
    return torch.rand(batch, 3, size, size)


def seeded(make: Callable[[], Made], seed: int = 0) -> Made:
    """A model in evaluation mode with an input set; both follow from the seed."""
    torch.manual_seed(seed)
    model, inputs = make()
    return model.eval(), inputs


def lowered(example: Example, seed: int = 0) -> Program:
    """The example as a model of NNAPI's operations, float."""
    if example.program is not None:
        return example.program()
    assert example.make is not None
    module, inputs = seeded(example.make, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = from_module(module, [inputs], name=example.name)
    return example.finish(program) if example.finish else program


def quantized(example: Example, seed: int = 0) -> Program:
    """The example with 8-bit codes from end to end, as ONNX Runtime quantizes it after training.

    Raises KitError: it is not among those that can be, or a package is missing.
    """
    if not example.quantized or example.make is None:
        raise KitError(f"{example.name} has no quantized form: leave --quantized out")
    try:
        import onnx
        from onnxruntime import quantization
    except ImportError as error:
        raise KitError(
            "--quantized needs ONNX and its runtime: pip install onnx onnxruntime"
        ) from error
    from nnapi_testkit.frontends.onnx import from_model

    module, inputs = seeded(example.make, seed)
    model = onnx.load_from_string(_onnx(module, inputs))
    names = [item.name for item in model.graph.input]
    random = np.random.default_rng(seed)
    rows = [[_alike(random, tensor) for tensor in inputs] for _ in range(4)]

    class Data(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rows = iter([dict(zip(names, row, strict=True)) for row in rows])

        def get_next(self) -> Any:
            return next(self.rows, None)

    logging.disable(logging.WARNING)  # it recommends other steps at each call
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantized.onnx"
        quantization.quantize_static(
            model,
            str(path),
            Data(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QUInt8,
        )
        found = onnx.load(path)
    logging.disable(logging.NOTSET)
    program = from_model(found, last=True, name=f"{example.name}, quantized")
    return example.finish(program) if example.finish else program


def save(example: Example, folder: Path, seed: int = 0) -> list[str]:
    """Write the model in each format that a tool at hand writes; returns a line for each.

    What is not written has its reason in its line: `.tflite` needs litert-torch.

    Raises KitError: the folder cannot be written.
    """
    if example.make is None:
        return [f"no .pt2, .onnx or .tflite: {_NOTHING_TO_EXPORT}"]
    module, inputs = seeded(example.make, seed)
    name = example.name.lower().replace(" ", "_").replace("-", "_")
    told = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = folder / f"{name}.pt2"
            torch.export.save(torch.export.export(module, tuple(inputs)), path)
        told.append(f"wrote {path}")
        if example.onnx:
            told.append(f"no .onnx: {example.onnx}")
        else:
            path = folder / f"{name}.onnx"
            path.write_bytes(_onnx(module, inputs))
            told.append(f"wrote {path}")
        told.append(_tflite(module, inputs, folder / f"{name}.tflite"))
    except OSError as error:
        raise KitError(f"{folder} cannot be written: {error.strerror}") from error
    return told


def _tflite(module: nn.Module, inputs: Sequence[torch.Tensor], path: Path) -> str:
    """Write a `.tflite` file where litert-torch is installed; returns what became of it."""
    try:
        litert_torch: Any = importlib.import_module("litert_torch")
    except ImportError:
        return f"no .tflite: {_NO_TFLITE}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converted = litert_torch.convert(module, tuple(inputs))
    except Exception as error:  # of a compiler: anything
        return f"no .tflite: litert-torch says {first_line(error)}"
    converted.export(str(path))
    return f"wrote {path}"


def main(example: Example, arguments: Sequence[str] | None = None) -> int:
    """Judge the example on a target; 0 if every operation and the end are right."""
    parser = argparse.ArgumentParser(description=f"{example.name} on a driver")
    options_of(parser)
    options = parser.parse_args(arguments)
    try:
        program = (quantized if options.quantized else lowered)(example, options.seed)
        print(summary(program))
        with parse_target(options.target).open() as runner:
            report = check(program, runner)
        print(report.text() if not report.passed else f"PASS: {_worst(report)}")
        if options.save is not None:
            print("\n".join(save(example, options.save, options.seed)))
    except KitError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if report.passed else 1


def options_of(parser: argparse.ArgumentParser) -> None:
    """The options that every example has."""
    parser.add_argument("--target", default="host", help="host (default), lib:PATH, adb:SERIAL ...")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (default 0)")
    parser.add_argument("--quantized", action="store_true", help="with 8-bit codes")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write the model's files here")


def summary(program: Program) -> str:
    """One line about a lowered model."""
    count = len(program.model.main.operations)
    level = max(needed_level(program.model, index) for index in range(count))
    several = "s" if count > 1 else ""
    return f"{program.name}: {count} operation{several}, feature level {level}"


def _worst(report: Any) -> str:
    ends = [end for end in report.ends if end.range]
    share = max((end.error / end.range for end in ends), default=0.0)
    return f"each operation is right, the end is off by {share:.1e} of its range"


def _onnx(module: nn.Module, inputs: Sequence[torch.Tensor]) -> bytes:
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                *(module, tuple(inputs), stream),  # type: ignore[arg-type]
                opset_version=17,
                dynamo=False,
            )
    except ImportError as error:
        raise KitError("PyTorch's exporter needs the onnx package: pip install onnx") from error
    return stream.getvalue()


def _alike(random: np.random.Generator, tensor: torch.Tensor) -> Any:
    """Other data of an input's shape and range."""
    low, high = float(tensor.min()), float(tensor.max())
    return random.uniform(low, high, tuple(tensor.shape)).astype(np.float32)
