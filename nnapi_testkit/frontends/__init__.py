"""Models from outside into the kit's own: one front end for each format, names of origin kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.program import Program

if TYPE_CHECKING:
    from nnapi_testkit.mobile.convert import Layout

__all__ = ["load"]


def load(
    path: Path,
    inputs: Sequence[str] = (),
    *,
    layout: Layout = "nchw",
    flexible: Sequence[int] = (),
    relaxed: bool = False,
) -> Program:
    """Read a model file of any format that the kit knows, by its name's ending.

    Args:
        path: `.pt2`: torch.export; `.onnx`: ONNX; `.tflite`: TensorFlow Lite (LiteRT); `.pt`,
            `.ptl`, `.pth` and others: TorchScript.
        inputs: `SHAPE[:TYPE]` of random data for each input, in place of what the file carries.
        layout: order in which 4-dimensional data reach the driver; of PyTorch's models.
        relaxed: float32 may be computed as float16.
        flexible: of PyTorch's converter, for TorchScript files.

    Raises KitError in one line: no such file, another format, or a model that cannot be had.
    """
    if not path.exists():
        raise KitError(f"there is no model file {path}: check the path")
    if path.suffix == ".tflite":
        from nnapi_testkit.frontends import tflite

        if flexible:
            raise KitError("--flexible is of TorchScript files: a .tflite file says what is open")
        return tflite.load(path, inputs, relaxed=relaxed)
    if path.suffix == ".onnx":
        from nnapi_testkit.frontends import onnx

        if flexible:
            raise KitError("--flexible is of TorchScript files: an .onnx file says what is open")
        return onnx.load(path, inputs, last=layout == "nhwc", relaxed=relaxed)
    from nnapi_testkit.mobile.inputs import random_inputs

    given = (random_inputs(inputs),) if inputs else ()
    if path.suffix == ".pt2":
        from nnapi_testkit.frontends import export

        if flexible:
            raise KitError(
                "--flexible is of TorchScript files: a .pt2 file says itself what is open"
            )
        return export.load(path, given, last=layout == "nhwc", relaxed=relaxed, rest=True)
    from nnapi_testkit.frontends import torchscript

    return torchscript.load(path, given, layout=layout, flexible=flexible, relaxed=relaxed)
