"""ONNX: one model for each operator, in both orders of dimensions, against the source's values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto

from nnapi_testkit.frontends.onnx import RULES, from_model
from nnapi_testkit.frontends.onnx.rewrite import REWRITES
from nnapi_testkit.model.program import Program, operation_name
from nnapi_testkit.models.check import check
from nnapi_testkit.targets.base import Runner
from tests.frontends.graphs import Net

IMAGE = (1, 4, 6, 8)
INT, BOOL = TensorProto.INT64, TensorProto.BOOL


@dataclass
class Case:
    """An operator over inputs of random data.

    Args:
        kind: the operator. build: makes the graph, returns the names of its outputs.
        names: NNAPI's operations that it becomes, where channels are last.
        types: of the outputs. opset: the operator set.
    """

    kind: str
    build: Callable[[Net], Any]
    names: str
    types: tuple[int, ...] = ()
    opset: int = 17


def of(kind: str, *shape: int, low: float | None = None, **how: Any) -> Callable[[Net], Any]:
    """A node of one image; `low`: made positive before."""

    def build(net: Net) -> str:
        x = net.input("x", shape or IMAGE)
        if low is not None:
            x = net.node("Add", net.node("Abs", x), net.constant(np.float32(low)))
        return str(net.node(kind, x, **how))

    return build


def two(kind: str, first: Any = IMAGE, second: Any = IMAGE, **how: Any) -> Callable[[Net], Any]:
    return lambda net: net.node(kind, net.input("x", first), net.input("y", second), **how)


def with_constants(
    kind: str, *constants: Any, shape: Any = IMAGE, outputs: int = 1, **how: Any
) -> Callable[[Net], Any]:
    """A node of one image and constants; None leaves one out."""

    def build(net: Net) -> Any:
        given = ["" if item is None else net.constant(item) for item in constants]
        return net.node(kind, net.input("x", shape), *given, outputs=outputs, **how)

    return build


def rand(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


def conv(out: int, size: int, groups: int = 1, **how: Any) -> Callable[[Net], Any]:
    weight = rand(out, 4 // groups, size, size)
    return with_constants("Conv", weight, rand(out), group=groups, **how)


def resize(mode: str, sizes: Any = None, scales: Any = None, **how: Any) -> Callable[[Net], Any]:
    given: tuple[Any, ...] = (None, np.array(scales, np.float32)) if scales else (None, None)
    more = () if scales else (ints(1, 4, *sizes),)
    return with_constants("Resize", *given, *more, mode=mode, **how)


def chained(*kinds: str) -> Callable[[Net], Any]:
    def build(net: Net) -> str:
        x = net.input("x", IMAGE)
        for kind in kinds:
            x = net.node(kind, x)
        return x

    return build


def _where(net: Net) -> Any:
    x, y = net.input("x", (3, 4)), net.input("y", (4,))
    return net.node("Where", net.node("Greater", x, y), x, y)


def _logic(kind: str) -> Callable[[Net], Any]:
    def build(net: Net) -> Any:
        x, y = net.input("x", (3, 4)), net.input("y", (3, 4))
        return net.node(kind, net.node("Less", x, y), net.node("GreaterOrEqual", x, y))

    return build


def _shape_of(net: Net) -> Any:
    """Shape, Gather, Unsqueeze and Concat before a Reshape, as exporters write it."""
    x = net.input("x", (2, 3, 4))
    batch = net.node("Gather", net.node("Shape", x), net.constant(np.int64(0)), axis=0)
    batch = net.node("Unsqueeze", batch, net.constant(ints(0)))
    return net.node("Reshape", x, net.node("Concat", batch, net.constant(ints(-1)), axis=0))


def _folded(net: Net) -> Any:
    x = net.node("Conv", net.input("x", IMAGE), net.real(6, 4, 3, 3), pads=[1, 1, 1, 1])
    spread = net.constant(np.abs(rand(6)) + 0.5)
    norm = net.node("BatchNormalization", x, net.real(6), net.real(6), net.real(6), spread)
    return net.node("Clip", norm, net.constant(np.float32(0)), net.constant(np.float32(6)))


def _split(net: Net) -> Any:
    parts = net.node("Split", net.input("x", IMAGE), net.constant(ints(1, 3)), outputs=2, axis=1)
    return parts[1], parts[0]


def _gather(net: Net) -> Any:
    return net.node("Gather", net.constant(rand(10, 5)), net.input("x", (2, 3), INT))


def _equal_ones(net: Net) -> Any:
    """Of equal values ONNX names the first: whole numbers below 10, 40 of them in a row."""
    x = net.node("Cast", net.input("x", (3, 40), TensorProto.INT32), to=1)
    return net.node("TopK", x, net.constant(ints(12)), outputs=2)[1]


def _values_alone(net: Net) -> Any:
    return net.node("TopK", net.input("x", (3, 9)), net.constant(ints(4)), outputs=2)[0]


CASES = [
    *(
        Case(kind, of(kind), code)
        for kind, code in (
            ("Abs", "ABS"),
            ("Exp", "EXP"),
            ("Floor", "FLOOR"),
            ("Neg", "NEG"),
            ("Sin", "SIN"),
            ("Sigmoid", "LOGISTIC"),
            ("Tanh", "TANH"),
            ("Relu", "RELU"),
            ("Elu", "ELU"),
            ("LeakyRelu", "PRELU"),
            ("HardSwish", "HARD_SWISH"),
            ("HardSigmoid", "MUL ADD MUL"),
            ("GlobalAveragePool", "AVERAGE_POOL_2D"),
            ("GlobalMaxPool", "MAX_POOL_2D"),
        )
    ),
    Case("Reciprocal", of("Reciprocal", low=0.5), "ABS ADD DIV"),
    Case("Log", of("Log", low=0.1), "ABS ADD LOG"),
    Case("Sqrt", of("Sqrt", low=0.1), "ABS ADD SQRT"),
    *(
        Case(kind, two(kind, second=(4, 1, 1)), code)
        for kind, code in (
            ("Add", "RESHAPE ADD"),
            ("Sub", "RESHAPE SUB"),
            ("Mul", "RESHAPE MUL"),
            ("Max", "RESHAPE MAXIMUM"),
            ("Min", "RESHAPE MINIMUM"),
        )
    ),
    Case("Div", with_constants("Div", np.abs(rand(4, 1, 1)) + 0.5), "DIV"),
    Case("Sum", two("Sum"), "ADD"),
    Case("Pow", with_constants("Pow", np.float32(2)), "MUL"),
    Case("Pow", with_constants("Pow", np.float32(3)), "MUL MUL"),
    Case("Pow", lambda n: n.node("Pow", of("Abs")(n), n.constant(np.float32(1.5))), "ABS POW"),
    Case("PRelu", with_constants("PRelu", rand(4, 1, 1)), "PRELU"),
    Case("Clip", with_constants("Clip", np.float32(0), np.float32(6)), "RELU6"),
    Case("Clip", with_constants("Clip", np.float32(-0.3), np.float32(0.4)), "MAXIMUM MINIMUM"),
    Case("Clip", of("Clip", min=-1.0, max=1.0), "RELU1", opset=6),
    Case("Gelu", of("Gelu", approximate="tanh"), "MUL MUL ADD MUL MUL TANH ADD MUL MUL", opset=20),
    Case(
        "com.microsoft.FastGelu",
        of("com.microsoft.FastGelu"),
        "MUL MUL ADD MUL MUL TANH ADD MUL MUL",
    ),
    *(
        Case(kind, two(kind, (3, 4), (4,)), code, (BOOL,))
        for kind, code in (
            ("Equal", "EQUAL"),
            ("Less", "LESS"),
            ("LessOrEqual", "LESS_EQUAL"),
            ("Greater", "GREATER"),
            ("GreaterOrEqual", "GREATER_EQUAL"),
        )
    ),
    Case("And", _logic("And"), "LESS GREATER_EQUAL LOGICAL_AND", (BOOL,)),
    Case("Or", _logic("Or"), "LESS GREATER_EQUAL LOGICAL_OR", (BOOL,)),
    Case(
        "Not", lambda n: n.node("Not", two("Less", (3, 4), (3, 4))(n)), "LESS LOGICAL_NOT", (BOOL,)
    ),
    Case("Where", _where, "GREATER RESHAPE TILE SELECT"),
    Case("Expand", with_constants("Expand", ints(2, 3, 4), shape=(3, 1)), "RESHAPE TILE"),
    Case("Tile", with_constants("Tile", ints(2, 1, 3), shape=(1, 3, 4)), "TILE"),
    Case("Cast", of("Cast", to=TensorProto.INT32), "CAST", (TensorProto.INT32,)),
    Case("Cast", lambda n: n.node("Cast", two("Less")(n), to=1), "LESS SELECT"),
    Case("Conv", conv(6, 3, pads=[1, 1, 1, 1], strides=[2, 1]), "CONV_2D"),
    Case("Conv", conv(6, 3, dilations=[2, 1], auto_pad="SAME_UPPER"), "CONV_2D"),
    Case("Conv", conv(8, 3, 4, auto_pad="SAME_LOWER", strides=[2, 2]), "DEPTHWISE_CONV_2D"),
    Case("Conv", conv(4, 3, 4, dilations=[2, 2]), "DEPTHWISE_CONV_2D"),
    Case("Conv", conv(6, 3, 2), "GROUPED_CONV_2D"),
    Case(
        "ConvTranspose",
        with_constants(
            "ConvTranspose",
            rand(4, 3, 3, 3),
            rand(3),
            strides=[2, 2],
            pads=[1, 1, 1, 1],
            output_padding=[1, 1],
        ),
        "TRANSPOSE_CONV_2D",
    ),
    Case("Conv and BatchNormalization", _folded, "CONV_2D"),
    Case(
        "BatchNormalization",
        with_constants("BatchNormalization", rand(4), rand(4), rand(4), np.abs(rand(4)) + 0.5),
        "MUL ADD",
    ),
    Case(
        "InstanceNormalization",
        with_constants("InstanceNormalization", rand(4), rand(4)),
        "INSTANCE_NORMALIZATION MUL ADD",
    ),
    Case("LRN", of("LRN", size=3, alpha=0.5), "LOCAL_RESPONSE_NORMALIZATION"),
    Case(
        "MaxPool",
        of("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        "MAX_POOL_2D",
    ),
    Case("MaxPool", of("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), "MAX_POOL_2D"),
    Case(
        "AveragePool", of("AveragePool", kernel_shape=[3, 2], pads=[1, 0, 1, 0]), "AVERAGE_POOL_2D"
    ),
    Case(
        "AveragePool",
        of("AveragePool", kernel_shape=[3, 2], pads=[1, 0, 1, 0], count_include_pad=1),
        "PAD AVERAGE_POOL_2D",
    ),
    Case(
        "AveragePool",
        of("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        "AVERAGE_POOL_2D",
    ),
    Case("Resize", resize("linear", (9, 12)), "RESIZE_BILINEAR"),
    Case(
        "Resize",
        resize("linear", (9, 12), coordinate_transformation_mode="align_corners"),
        "RESIZE_BILINEAR",
    ),
    Case(
        "Resize",
        resize("linear", scales=[1, 1, 2, 2], coordinate_transformation_mode="asymmetric"),
        "RESIZE_BILINEAR",
    ),
    Case(
        "Resize",
        resize(
            "nearest",
            scales=[1, 1, 2, 3],
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        ),
        "RESIZE_NEAREST_NEIGHBOR",
    ),
    Case("Resize", resize("nearest", (12, 16)), "RESIZE_NEAREST_NEIGHBOR"),
    Case(
        "Upsample",
        with_constants("Upsample", np.array([1, 1, 2, 2], np.float32)),
        "RESIZE_NEAREST_NEIGHBOR",
        opset=9,
    ),
    Case("DepthToSpace", of("DepthToSpace", 1, 8, 2, 3, blocksize=2), "DEPTH_TO_SPACE"),
    Case(
        "DepthToSpace",
        of("DepthToSpace", 1, 8, 2, 3, blocksize=2, mode="CRD"),
        "TRANSPOSE RESHAPE TRANSPOSE RESHAPE TRANSPOSE DEPTH_TO_SPACE",
    ),
    Case("SpaceToDepth", of("SpaceToDepth", blocksize=2), "SPACE_TO_DEPTH"),
    Case("Pad", with_constants("Pad", ints(0, 0, 1, 2, 0, 0, 0, 1)), "PAD"),
    Case("Pad", with_constants("Pad", ints(0, 0, 1, 2, 0, 0, 0, 1), np.float32(3)), "PAD_V2"),
    Case("Pad", with_constants("Pad", ints(0, 0, 1, 2, 0, 0, 0, 1), mode="reflect"), "MIRROR_PAD"),
    Case("Reshape", with_constants("Reshape", ints(2, -1), shape=(4, 6)), "RESHAPE"),
    Case("Reshape", _shape_of, "RESHAPE"),
    Case("Flatten", of("Flatten", 3, 2, 4), "RESHAPE"),
    Case("Squeeze", with_constants("Squeeze", ints(1), shape=(3, 1, 4)), "RESHAPE"),
    Case("Unsqueeze", with_constants("Unsqueeze", ints(0), shape=(3, 4)), "RESHAPE"),
    Case("Identity", chained("Identity", "Relu", "Identity"), "RELU"),
    Case("Dropout", chained("Dropout", "Relu"), "RELU"),
    Case("Transpose", of("Transpose", 2, 3, 4, perm=[2, 0, 1]), "TRANSPOSE"),
    Case("Concat", two("Concat", second=(1, 3, 6, 8), axis=1), "CONCATENATION"),
    Case("Split", _split, "SLICE SLICE"),
    Case(
        "Slice",
        with_constants("Slice", ints(1, 0), ints(4, 7), ints(2, 3), ints(1, 2)),
        "SLICE STRIDED_SLICE",
    ),
    Case(
        "Slice",
        with_constants("Slice", ints(-1), ints(-9), ints(1), ints(-1), shape=(3, 4)),
        "REVERSE",
    ),
    Case("Gather", _gather, "GATHER"),
    Case("Gather", with_constants("Gather", np.int64(-1), axis=1, shape=(3, 4)), "SLICE RESHAPE"),
    Case("Gather", with_constants("Gather", ints(-1, 0), axis=1, shape=(3, 4)), "GATHER"),
    Case(
        "Gemm",
        with_constants("Gemm", rand(6, 5), rand(5), shape=(3, 6), alpha=0.5, beta=2.0),
        "FULLY_CONNECTED",
    ),
    Case(
        "Gemm",
        with_constants("Gemm", rand(5, 6), rand(3, 1), shape=(3, 6), transB=1),
        "FULLY_CONNECTED ADD",
    ),
    Case("Gemm", two("Gemm", (3, 6), (5, 6), transB=1), "FULLY_CONNECTED"),
    Case("Gemm", two("Gemm", (6, 3), (6, 5), transA=1), "TRANSPOSE TRANSPOSE FULLY_CONNECTED"),
    Case(
        "MatMul",
        with_constants("MatMul", rand(6, 5), shape=(2, 3, 6)),
        "RESHAPE FULLY_CONNECTED RESHAPE",
    ),
    Case("MatMul", two("MatMul", (6,), (2, 6, 5)), "RESHAPE RESHAPE TILE BATCH_MATMUL RESHAPE"),
    Case("MatMul", two("MatMul", (3, 6), (6,)), "RESHAPE BATCH_MATMUL RESHAPE"),
    Case("MatMul", two("MatMul", (2, 3, 6), (2, 6, 5)), "BATCH_MATMUL"),
    Case("MatMul", two("MatMul", (2, 3, 6), (6, 5)), "RESHAPE TILE BATCH_MATMUL"),
    Case("Softmax", of("Softmax", 3, 5), "SOFTMAX"),
    Case("Softmax", of("Softmax", axis=1), "SOFTMAX"),
    Case("Softmax", of("Softmax", 2, 3, 4, axis=1), "RESHAPE SOFTMAX RESHAPE", opset=11),
    Case("LogSoftmax", of("LogSoftmax", 3, 5), "LOG_SOFTMAX"),
    Case("ReduceMean", of("ReduceMean", axes=[2, 3]), "MEAN"),
    Case("ReduceMean", of("ReduceMean", 3, 4, 5, axes=[1], keepdims=0), "MEAN"),
    Case("ReduceSum", with_constants("ReduceSum", ints(1)), "REDUCE_SUM"),
    Case("ReduceMax", of("ReduceMax", axes=[1]), "REDUCE_MAX"),
    Case("ReduceMin", of("ReduceMin", axes=[1]), "REDUCE_MIN"),
    Case("ReduceProd", of("ReduceProd", axes=[1]), "REDUCE_PROD"),
    Case("ReduceL2", of("ReduceL2", axes=[1]), "MUL REDUCE_SUM SQRT"),
    Case("ArgMax", of("ArgMax", 3, 5, axis=1, keepdims=0), "ARGMAX", (INT,)),
    Case("ArgMin", of("ArgMin", 3, 5, axis=1), "ARGMIN RESHAPE", (INT,)),
    Case(
        "TopK",
        with_constants("TopK", ints(3), shape=(2, 7), outputs=2),
        "REVERSE TOPK_V2 SUB",
        (TensorProto.FLOAT, INT),
    ),
    Case("TopK", _equal_ones, "CAST REVERSE TOPK_V2 SUB", (INT,)),
    Case("TopK", _values_alone, "TOPK_V2"),
    Case(
        "LayerNormalization",
        with_constants("LayerNormalization", rand(6), rand(6), shape=(2, 3, 6)),
        "MEAN SUB MUL MEAN ADD RSQRT MUL MUL ADD",
    ),
]


# What ONNX Runtime's documentation of its NNAPI execution provider lists.
PROVIDER = """
Abs Add AveragePool Cast Clip Concat Conv DepthToSpace DequantizeLinear Div Elu Exp Flatten Floor
Gather Gemm GlobalAveragePool GlobalMaxPool Identity Log MatMul MaxPool Max Min Mul Neg Pad Pow
PRelu QLinearConv QLinearMatMul QuantizeLinear Relu Reshape Resize Sigmoid Sin Slice Softmax Sqrt
Squeeze Sub Tanh Transpose Unsqueeze com.microsoft.QLinearAdd com.microsoft.QLinearAveragePool
com.microsoft.QLinearSigmoid BatchNormalization LRN LeakyRelu ReduceMean Split Dropout
"""


def names(program: Program) -> str:
    return " ".join(operation_name(o.code) for o in program.model.main.operations)


def build(case: Case) -> Any:
    net = Net(case.opset)
    made = case.build(net)
    outputs = [made] if isinstance(made, str) else list(made)
    return net.model(*outputs, types=case.types)


def identity(case: Case) -> str:
    return f"{case.kind}-{CASES.index(case)}"


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_each_operator_is_lowered_and_right(case: Case, runner: Runner) -> None:
    model = build(case)
    for last in (True, False):
        program = from_model(model, last=last, name=case.kind)
        assert not program.left, program.left
        if last:
            assert names(program) == case.names
        report = check(program, runner)
        assert len(program.expected) == 1 and not program.notes
        assert report.passed and not report.conversion, report.text()


def test_all_that_the_provider_maps_is_taken_and_each_rule_has_a_case() -> None:
    assert set(PROVIDER.split()) <= {*RULES, *REWRITES}
    quantized = {"QuantizeLinear", "DequantizeLinear"}  # tests/frontends/test_onnx_codes.py
    assert set(RULES) - {case.kind for case in CASES} == quantized
