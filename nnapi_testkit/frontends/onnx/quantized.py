"""QuantizeLinear and DequantizeLinear, and the constants of operations on codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.frontends.coded import Codes
from nnapi_testkit.frontends.draft import Quant, Refusal
from nnapi_testkit.frontends.onnx.lower import Lowering, lowers
from nnapi_testkit.frontends.onnx.source import Node
from nnapi_testkit.frontends.sketch import Value

__all__ = ["given_bias"]


@lowers("QuantizeLinear")
def _quantize(lowering: Lowering, node: Node) -> Value:
    quant = _per_tensor(lowering, node)
    return lowering.rounded(lowering.raw(node, 0), quant)


@lowers("DequantizeLinear")
def _dequantize(lowering: Lowering, node: Node) -> Value:
    name = node.inputs[0]
    if name in lowering.source.constants:
        return _constant(lowering, node)
    quant = _per_tensor(lowering, node)
    value = lowering.raw(node, 0)
    if value.quant is None:
        raise Refusal("it reads codes of other than 8 bits")
    if value.quant != quant:
        raise Refusal("its codes are read with another scale or zero point than they were made")
    return value  # real values are made where an operation needs them


def _per_tensor(lowering: Lowering, node: Node) -> Quant:
    quant = lowering.quant(node)
    if quant is None:
        raise Refusal("scale and zero point have to be constant, one each, of 8-bit codes")
    return quant


def _constant(lowering: Lowering, node: Node) -> Value:
    """A constant of codes: its real values, and the codes for operations that take them."""
    codes = lowering.source.constants[node.inputs[0]]
    scale = lowering.constant(node, 1).astype(np.float32)
    if node.attributes.get("block_size") or scale.ndim > 1:
        raise Refusal("codes with a scale for each block: NNAPI has one, or one a channel")
    zero = np.zeros(scale.shape, np.int64)
    if node.input(2):
        zero = lowering.constant(node, 2).astype(np.int64)
    axis = int(node.attributes.get("axis", 1)) % max(1, codes.ndim)
    if scale.size == 1:
        scale, zero = scale.reshape(()), zero.reshape(())
    held = Codes(codes, scale.astype(np.float64), zero, axis)
    lowering.codes[node.outputs[0]] = held
    return lowering.sketch.constant(held.real())


def given_bias(lowering: Lowering, node: Node, position: int) -> Codes | NDArray[Any] | None:
    """What a node brings as bias: codes, real values, or nothing."""
    name = node.input(position)
    if not name:
        return None
    return lowering.codes.get(name) or lowering.constant(node, position)
