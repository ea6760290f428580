"""TorchScript files, converted by PyTorch's own NNAPI converter or converted already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends.pytorch_nnapi import decode
from nnapi_testkit.mobile import files
from nnapi_testkit.mobile.convert import Layout, convert, run
from nnapi_testkit.model.program import Program
from nnapi_testkit.oracle.threads import one_thread

__all__ = ["from_module", "load"]

Tensors = Sequence[torch.Tensor]


def load(
    path: Path,
    inputs: Sequence[Tensors] = (),
    *,
    layout: Layout = "nchw",
    flexible: Sequence[int] = (),
    relaxed: bool = False,
) -> Program:
    """Read a TorchScript file; one that is not converted is converted.

    Args:
        inputs: input sets; by default those that the file carries.
        layout, flexible, relaxed: see `nnapi_testkit.mobile.convert.convert`; `flexible` holds
            for every input that has the dimensions.

    Raises KitError: the file holds no model, carries no inputs, or cannot be converted.
    """
    loaded = files.load(path)
    given = tuple(inputs) or loaded.inputs
    if not given:
        raise KitError(f"{path} carries no inputs: name their shapes, as in --input 1,3,224,224")
    if loaded.converted:
        program = decode(loaded.module, given, name=path.stem)
        if loaded.answers is None or inputs:
            return program
        formats = _formats(loaded.module)
        rows = tuple(
            tuple(_real(e.value, f) for e, f in zip(row, formats, strict=True))
            for row in loaded.answers
        )
        return replace(program, expected=rows)
    return from_module(
        loaded.module, given, layout=layout, flexible=flexible, relaxed=relaxed, name=path.stem
    )


def from_module(
    module: torch.nn.Module,
    inputs: Sequence[Tensors],
    *,
    layout: Layout = "nchw",
    flexible: Sequence[int] = (),
    relaxed: bool = False,
    name: str = "",
) -> Program:
    """Convert a module by PyTorch's converter into a model of the kit's own.

    Args:
        module: an nn.Module or TorchScript module in evaluation mode.
        inputs: one or more input sets in PyTorch's shapes; a single tensor in the place of a set
            is a set of one.
        layout, flexible, relaxed, name: see `load`.

    Raises ConversionError: the converter cannot express the model.
    """
    files.use_qnnpack()
    if isinstance(inputs, torch.Tensor):
        raise KitError("inputs are a list of input sets, and this is a tensor: write [[x]]")
    sets = [(row,) if isinstance(row, torch.Tensor) else tuple(row) for row in inputs]
    if not sets:
        raise KitError("there is no input to convert the model with")
    open_ = tuple(tuple(d for d in flexible if d < t.dim()) for t in sets[0]) if flexible else ()
    with one_thread():
        if isinstance(module, torch.jit.ScriptModule):
            run(module, sets[0])  # else it is traced, which says the same
        converted = convert(module, sets[0], layout=layout, flexible=open_, relaxed=relaxed)
        program = decode(
            converted.module,
            sets,
            origins=converted.origins,
            name=name or type(module).__name__,
        )
        formats = _formats(converted.module)
        rows = [run(converted.source, row) for row in sets]
    expected = tuple(
        tuple(_real(value, form) for value, form in zip(row, formats, strict=True)) for row in rows
    )
    return replace(program, expected=expected)


def _formats(module: Any) -> list[int]:
    return list(module.mod.out_mem_fmts)


def _real(value: torch.Tensor, form: int) -> NDArray[np.float64]:
    plain = value.dequantize() if value.is_quantized else value
    plain = plain.to(torch.float64)
    # A scalar of PyTorch's is a tensor of one element in NNAPI.
    array = (plain.permute(0, 2, 3, 1) if form == 1 else plain).contiguous().numpy()
    return np.asarray(array)
