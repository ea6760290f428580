"""Quantized graphs (PT2E of torchao): quantize and dequantize nodes, in both spellings.

`quantized_decomposed.*` name one scale or one for each slice of an axis; `torchao.*_affine` name
blocks, of which NNAPI has the whole tensor and the slices of one axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.fx import Node

from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends.coded import Codes
from nnapi_testkit.frontends.draft import Quant, Refusal
from nnapi_testkit.frontends.export.lower import DEQUANTIZES, QUANTIZES, QUANTS, Lowering, lowers
from nnapi_testkit.frontends.sketch import TYPES, Value
from nnapi_testkit.frontends.values import combined

__all__ = ["OPERATORS_HELP", "known_operators", "quant_of", "read_as"]

OPERATORS_HELP = "quantized graphs need torchao's operators: pip install 'nnapi-testkit[pt2e]'"
_BITS = {torch.int8: (-128, 127), torch.uint8: (0, 255), torch.int32: (-(2**31), 2**31 - 1)}
_DYNAMIC = "its scale is computed at run time, and NNAPI's are fixed: quantize statically"


@dataclass(frozen=True)
class _Described:
    """What a node says of its codes.

    Args:
        axis: whose slices have scales of their own; None for one scale.
        low, high: the codes that are used.
    """

    scale: NDArray[np.float64]
    zero: NDArray[np.int64]
    axis: int | None
    low: int
    high: int
    dtype: torch.dtype

    @property
    def whole(self) -> bool:
        """Whether all codes of the type are used."""
        return (self.low, self.high) == _BITS[self.dtype]

    @property
    def quant(self) -> Quant | None:
        """The quantization of an operand; None where NNAPI has none such for data."""
        if self.axis is not None or self.dtype not in (torch.int8, torch.uint8):
            return None
        return Quant(TYPES[self.dtype], float(self.scale), int(self.zero))


def known_operators(graphs: Sequence[bytes]) -> None:
    """Make quantization's operators known to PyTorch, which else reads no graph with them.

    Args:
        graphs: serialized.

    Raises KitError naming the extra that brings them, if nothing here does.
    """
    torchaos = any(b"torch.ops.torchao." in graph for graph in graphs)
    if not torchaos and not any(b"quantized_decomposed" in graph for graph in graphs):
        return
    try:
        if torchaos:
            import torchao.quantization.pt2e.quantize_pt2e
        else:
            import torch.ao.quantization.fx._decomposed  # noqa: F401 - registers
    except ImportError:
        try:
            import torchao.quantization.pt2e.quantize_pt2e  # noqa: F401 - registers
        except ImportError as error:
            raise KitError(OPERATORS_HELP) from error


def quant_of(lowering: Lowering, node: Node) -> Quant | None:
    """The quantization that a node rounds to, where every code of 8 bits is used."""
    try:
        found = _described(lowering, node)
    except Refusal:
        return None
    return found.quant if found.whole else None


def _described(lowering: Lowering, node: Node) -> _Described:
    name = str(node.target)
    given = _named(node)
    scale = _numbers(lowering, given["scale" if "affine" in name or "tensor" in name else "scales"])
    zeros = given.get("zero_point", given.get("zero_points"))
    zero = np.zeros(scale.shape) if zeros is None else _numbers(lowering, zeros)
    dtype: Any = given.get("dtype", given.get("output_dtype"))
    if "dequantize_affine" in name:
        dtype = given["input_dtype"]
    if dtype not in _BITS:
        raise Refusal(f"codes of {dtype}: NNAPI has 8 bits")
    axis = _axis(given, scale, node)
    low, high = (given.get(key) for key in ("quant_min", "quant_max"))
    if axis is None:
        scale, zero = scale.reshape(()), zero.reshape(())
    return _Described(
        scale.astype(np.float64),
        zero.astype(np.int64),
        axis,
        _BITS[dtype][0] if low is None else int(low),
        _BITS[dtype][1] if high is None else int(high),
        dtype,
    )


def _axis(given: dict[str, Any], scale: NDArray[Any], node: Node) -> int | None:
    """The axis whose slices have scales of their own."""
    if scale.size == 1:
        return None
    if "axis" in given:
        return int(given["axis"])
    shape = node.meta["val"].shape
    blocks = [int(size) for size in given.get("block_size", ())]
    cut = [at for at, block in enumerate(blocks) if block != int(shape[at])]
    if len(cut) != 1 or blocks[cut[0]] != 1:
        raise Refusal("codes with a scale for each block: NNAPI has one, or one a channel")
    return cut[0]


def _named(node: Node) -> dict[str, Any]:
    """The node's arguments by the names of its schema."""
    schema = node.target._schema.arguments  # type: ignore[union-attr]
    return {arg.name: value for arg, value in zip(schema, node.args, strict=False)} | node.kwargs


def _numbers(lowering: Lowering, given: Any) -> NDArray[Any]:
    if isinstance(given, Node):
        value = lowering.raw(given)
        if value.constant is None:
            raise Refusal(_DYNAMIC)
        # PyTorch computes with the float32 nearest to the number, as NNAPI does.
        found: NDArray[Any] = value.constant.numpy()
        return found
    return np.asarray(given)


QUANTS.update(dict.fromkeys(QUANTIZES, quant_of))


@lowers(*QUANTIZES)
def _quantize(lowering: Lowering, node: Node) -> Value:
    found = _described(lowering, node)
    value = lowering.raw(node.args[0])
    if value.constant is not None:
        return lowering.sketch.constant(_rounded(value.constant, found))
    if found.quant is None:
        raise Refusal("data quantized by channel, or to other than 8 bits")
    if not found.whole:  # fewer codes: cut off what lies beyond before
        value = lowering.real(value)
        for limit, code in ((found.low, "MAXIMUM"), (found.high, "MINIMUM")):
            real = (limit - int(found.zero)) * float(found.scale)
            other = lowering.sketch.constant(torch.tensor(real))
            value = combined(lowering, code, value, other, value.shape, value.type, False)
    return lowering.rounded(value, found.quant)


def _rounded(real: torch.Tensor, found: _Described) -> torch.Tensor:
    """Codes of constant real values, as the node computes them."""
    shape = [1] * real.dim()
    if found.axis is not None:
        shape[found.axis] = -1
    inverse = (1 / torch.from_numpy(found.scale).float()).reshape(shape)
    zero = torch.from_numpy(found.zero).reshape(shape)
    codes = torch.round(real * inverse).to(torch.int64) + zero
    return codes.clamp(found.low, found.high).to(found.dtype)


@lowers(*DEQUANTIZES)
def _dequantize(lowering: Lowering, node: Node) -> Value:
    found = _described(lowering, node)
    value = lowering.raw(node.args[0])
    if value.constant is not None:
        held = Codes(value.constant.numpy(), found.scale, found.zero, found.axis or 0)
        lowering.codes[node] = held
        return lowering.sketch.constant(held.real())
    if found.quant is None or value.quant is None:
        raise Refusal("data quantized by channel, or to other than 8 bits")
    if value.quant != found.quant:
        raise Refusal("its codes are read with another scale or zero point than they were made")
    return value  # real values are made where an operation needs them


def read_as(lowering: Lowering, node: Node) -> Quant | None:
    """How an input of codes is read: as the dequantize node behind it says."""
    for user in node.users:
        if str(user.target) in DEQUANTIZES:
            return quant_of(lowering, user)
        if lowering.moves(user) and (found := read_as(lowering, user)):
            return found
    return None
