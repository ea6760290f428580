"""Signed weights beside unsigned data are the same numbers with unsigned codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx.reference import ReferenceEvaluator  # noqa: E402

from nnapi_testkit.frontends.onnx.unsigned import unsigned_weights  # noqa: E402
from tests.frontends.test_onnx_codes import I8, U8, Net, TensorProto, q_conv, q_matmul  # noqa: E402


def model_of(build: Any, type: Any) -> Any:
    net = Net()
    element = TensorProto.UINT8 if type == U8 else TensorProto.INT8
    return net.model(build(net, type), types=(element,))


def weight_types(model: Any) -> set[int]:
    items = {item.name: item.data_type for item in model.graph.initializer}
    (node,) = (node for node in model.graph.node if node.op_type.startswith("QLinear"))
    return {items[node.input[3]], items[node.input[5]]}


def test_codes_move_and_values_stay() -> None:
    model = model_of(q_conv, U8)
    moved = unsigned_weights(model)
    assert weight_types(model) == {TensorProto.INT8}
    assert weight_types(moved) == {TensorProto.UINT8}
    dims = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    feeds = {"x": np.random.default_rng(1).integers(0, 256, dims).astype(np.uint8)}
    (before,) = ReferenceEvaluator(model).run(None, feeds)
    (after,) = ReferenceEvaluator(moved).run(None, feeds)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(("build", "type"), [(q_conv, I8), (q_matmul, U8), (q_matmul, I8)])
def test_others_are_left_alone(build: Any, type: Any) -> None:
    model = model_of(build, type)
    assert unsigned_weights(model) is model
