"""Signed weights beside unsigned data, written as unsigned ones: products that no processor clips.

ONNX Runtime multiplies uint8 by int8 with instructions that add pairs of products in 16 bits and
clip them, where a processor has no others (x86-64 without VNNI). Its optimizer would write such
weights as uint8 with a zero point that is 128 more, which is the same number; but nothing is
optimized here, so it is done before. Source: ONNX Runtime's documentation of quantization, "S8S8
and U8S8 on x86-64"; the values of a graph must not depend on the machine that asks for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["unsigned_weights"]

SHIFT = 128
# Of each operator: the inputs that are the data's zero point, the weights, and their zero point.
_PLACES = {"QLinearConv": (2, 3, 5), "QLinearMatMul": (2, 3, 5), "QGemm": (2, 3, 5)}


def unsigned_weights(model: Any) -> Any:
    """The model with uint8 weights where uint8 data meet int8 ones; the model itself if none do."""
    import onnx
    from onnx import numpy_helper

    found = type(model)()
    found.CopyFrom(model)
    constants = {item.name: item for item in found.graph.initializer}
    changed = False
    for at, node in enumerate(found.graph.node):
        places = _PLACES.get(node.op_type)
        if places is None or len(node.input) <= max(places):
            continue
        data_zero, weights, zero = (constants.get(node.input[place]) for place in places)
        if data_zero is None or weights is None or zero is None:
            continue
        kinds = (data_zero.data_type, weights.data_type, zero.data_type)
        if kinds != (onnx.TensorProto.UINT8, onnx.TensorProto.INT8, onnx.TensorProto.INT8):
            continue
        for place, item in zip(places[1:], (weights, zero), strict=True):
            codes = numpy_helper.to_array(item).astype(np.int16) + SHIFT
            name = f"{item.name}.unsigned.{at}"
            found.graph.initializer.append(numpy_helper.from_array(codes.astype(np.uint8), name))
            node.input[place] = name
        changed = True
    return found if changed else model
