"""ONNX, quantized: QDQ and QLinear operators become one operation on codes, and stay right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto

from nnapi_testkit.frontends.onnx import from_model
from nnapi_testkit.frontends.onnx.rewrite import REWRITES
from nnapi_testkit.model.program import Program, operation_name
from nnapi_testkit.models.check import check
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.targets.base import Runner
from tests.frontends.graphs import Net

IMAGE = (1, 4, 6, 8)
U8, I8 = np.uint8, np.int8
IN, OUT = 1 / 128, 0.05
ZERO = {U8: 128, I8: 3}


def names(program: Program) -> str:
    return " ".join(operation_name(o.code) for o in program.model.main.operations)


def rand(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


Build = Callable[[Net, Any], str]


def qdq(
    kind: str,
    *,
    shape: Any = IMAGE,
    scale: float = OUT,
    zero: int | None = None,
    inputs: int = 1,
    kept: bool = False,
    **how: Any,
) -> Build:
    """A node between DequantizeLinear and QuantizeLinear; `kept`: the input's scale at the end."""

    def build(net: Net, type: Any) -> str:
        given = [
            net.rounded(net.input(f"x{at}", shape), IN * (1 + at / 2), ZERO[type], type)
            for at in range(inputs)
        ]
        made = net.node(kind, *given, **how)
        if kept:
            return net.rounded(made, IN, ZERO[type], type)
        return net.rounded(made, scale, ZERO[type] if zero is None else zero, type)

    return build


def conv(
    out: int, size: int, groups: int = 1, axis: int | None = None, bias: bool = True, **how: Any
) -> Build:
    def build(net: Net, type: Any) -> str:
        x = net.rounded(net.input("x", IMAGE), IN, ZERO[type], type)
        weight = rand(out, 4 // groups, size, size)
        made = net.weights(weight, I8 if axis is not None else type, axis)
        given = [x, made]
        if bias:
            scale = net_scale(weight, axis) * np.float32(IN)
            given.append(net.bias(rand(out), scale))
        return net.rounded(net.node("Conv", *given, group=groups, **how), 0.1, ZERO[type], type)

    return build


def net_scale(weight: Any, axis: int | None) -> Any:
    """The scales that `Net.weights` gives."""
    if axis is None:
        return np.float32(np.abs(weight).max() / 127)
    others = tuple(i for i in range(weight.ndim) if i != axis)
    return (np.abs(weight).max(axis=others) / 127).astype(np.float32)


def mixed_conv(net: Net, type: Any) -> str:
    """Weights of the other sign than the data, a bias of real numbers, and a ReLU6 behind."""
    x = net.rounded(net.input("x", IMAGE), IN, ZERO[type], type)
    weight = net.weights(rand(6, 4, 3, 3), I8 if type == U8 else U8)
    made = net.node("Conv", x, weight, net.real(6))
    made = net.node("Clip", made, net.constant(np.float32(0)), net.constant(np.float32(6)))
    return net.rounded(made, 6 / 255, 0 if type == U8 else -128, type)


def transposed(net: Net, type: Any) -> str:
    x = net.rounded(net.input("x", IMAGE), IN, ZERO[type], type)
    weight = net.weights(rand(4, 3, 3, 3), type)
    made = net.node("ConvTranspose", x, weight, net.real(3), strides=[2, 2], pads=[1, 1, 1, 1])
    return net.rounded(made, 0.1, ZERO[type], type)


def matmul(axis: int | None) -> Build:
    def build(net: Net, type: Any) -> str:
        x = net.rounded(net.input("x", (2, 3, 6)), IN, ZERO[type], type)
        weight = net.weights(rand(6, 5), type if axis is None else I8, axis)
        return net.rounded(net.node("MatMul", x, weight), OUT, ZERO[type], type)

    return build


def gemm(net: Net, type: Any) -> str:
    x = net.rounded(net.input("x", (3, 6)), IN, ZERO[type], type)
    made = net.node("Gemm", x, net.weights(rand(5, 6), type), net.real(5), transB=1)
    return net.rounded(net.node("Relu", made), OUT, ZERO[type], type)


def batched(net: Net, type: Any) -> str:
    x = net.rounded(net.input("x", (2, 3, 6)), IN, ZERO[type], type)
    y = net.rounded(net.input("y", (2, 6, 4)), IN, ZERO[type], type)
    return net.rounded(net.node("MatMul", x, y), OUT, ZERO[type], type)


def moved(net: Net, type: Any) -> str:
    """Codes that only move between one QuantizeLinear and one DequantizeLinear."""
    x = net.quantize(net.input("x", IMAGE), IN, ZERO[type], type)
    x = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.node("Transpose", x, perm=[0, 2, 3, 1])
    x = net.node("Reshape", x, net.constant(np.array([3, -1])))
    return net.dequantize(x, IN, ZERO[type], type)


def constant_operand(net: Net, type: Any) -> str:
    x = net.rounded(net.input("x", IMAGE), IN, ZERO[type], type)
    return net.rounded(net.node("Mul", x, net.weights(rand(4, 1, 1), type)), 0.05, ZERO[type], type)


LOW = {U8: 0, I8: -128}
# What it becomes between QUANTIZE and DEQUANTIZE, channels last.
CODES: dict[str, tuple[Build, str]] = {
    "Conv": (conv(6, 3, pads=[1, 1, 1, 1]), "CONV_2D"),
    "Conv, by channel": (conv(6, 3, axis=0), "CONV_2D"),
    "Conv, depthwise by channel": (conv(8, 3, 4, axis=0, strides=[2, 2]), "DEPTHWISE_CONV_2D"),
    "Conv, in groups": (conv(6, 3, 2, axis=0), "GROUPED_CONV_2D"),
    "Conv, no bias": (conv(6, 1, bias=False), "CONV_2D"),
    "Conv, mixed signs": (mixed_conv, "CONV_2D"),
    "ConvTranspose": (transposed, "TRANSPOSE_CONV_2D"),
    "Gemm": (gemm, "FULLY_CONNECTED"),
    "MatMul": (matmul(None), "RESHAPE FULLY_CONNECTED RESHAPE"),
    "MatMul, by channel": (matmul(1), "RESHAPE RESHAPE CONV_2D RESHAPE"),
    "Add": (qdq("Add", inputs=2), "ADD"),
    "Sub": (qdq("Sub", inputs=2), "SUB"),
    "Mul": (qdq("Mul", inputs=2), "MUL"),
    "Mul, constant": (constant_operand, "MUL"),
    "Max": (qdq("Max", inputs=2), "MAXIMUM"),
    "Min": (qdq("Min", inputs=2), "MINIMUM"),
    "Concat": (qdq("Concat", inputs=2, axis=1), "CONCATENATION"),
    "LeakyRelu": (qdq("LeakyRelu", alpha=0.1), "PRELU"),
    "HardSwish": (qdq("HardSwish"), "HARD_SWISH"),
    "Relu": (qdq("Relu", kept=True), "RELU"),
    "AveragePool": (qdq("AveragePool", kernel_shape=[2, 2], kept=True), "AVERAGE_POOL_2D"),
    "GlobalAveragePool": (qdq("GlobalAveragePool", kept=True), "AVERAGE_POOL_2D"),
    "ReduceMean": (qdq("ReduceMean", axes=[2, 3], kept=True), "MEAN"),
    "moved": (moved, "MAX_POOL_2D RESHAPE"),
}
FIXED: dict[str, tuple[str, float, dict[Any, int]]] = {
    "Sigmoid": ("LOGISTIC", 1 / 256, LOW),
    "Tanh": ("TANH", 1 / 128, {U8: 128, I8: 0}),
    "Softmax": ("SOFTMAX", 1 / 256, LOW),
}


def right(program: Program, runner: Runner) -> None:
    report = check(program, runner)
    assert not program.left and len(program.expected) == 1
    assert report.passed and not report.conversion, report.text()


@pytest.mark.parametrize("type", [U8, I8], ids=["uint8", "int8"])
@pytest.mark.parametrize("name", CODES)
def test_an_operator_between_codes_is_one_operation(name: str, type: Any, runner: Runner) -> None:
    build, expected = CODES[name]
    net = Net()
    model = net.model(build(net, type))
    for last in (True, False):
        program = from_model(model, last=last)
        count = len(program.model.main.inputs)
        if last:
            assert names(program) == f"{'QUANTIZE ' * count}{expected} DEQUANTIZE"
        right(program, runner)


@pytest.mark.parametrize("type", [U8, I8], ids=["uint8", "int8"])
@pytest.mark.parametrize("name", FIXED)
def test_a_scale_that_nnapi_fixes_is_met_or_real_numbers_are_used(
    name: str, type: Any, runner: Runner
) -> None:
    code, scale, zeros = FIXED[name]
    for given, middle in ((scale, code), (0.01, f"DEQUANTIZE {code} QUANTIZE")):
        net = Net()
        build = qdq(name, shape=(3, 8), scale=given, zero=zeros[type])
        program = from_model(net.model(build(net, type)))
        assert names(program) == f"QUANTIZE {middle} DEQUANTIZE"
        right(program, runner)


def test_types_that_nnapi_has_not_go_by_real_numbers(runner: Runner) -> None:
    """BATCH_MATMUL is documented for signed codes alone."""
    real = "DEQUANTIZE DEQUANTIZE BATCH_MATMUL QUANTIZE"
    for type, middle in ((I8, "BATCH_MATMUL"), (U8, real)):
        net = Net()
        program = from_model(net.model(batched(net, type)))
        assert names(program) == f"QUANTIZE QUANTIZE {middle} DEQUANTIZE"
        right(program, runner)


def test_a_scale_that_nnapi_keeps_and_the_graph_changes_goes_by_real_numbers(
    runner: Runner,
) -> None:
    net = Net()
    program = from_model(
        net.model(qdq("AveragePool", kernel_shape=[2, 2], scale=IN * 0.9)(net, U8)), last=True
    )
    assert names(program) == "QUANTIZE DEQUANTIZE AVERAGE_POOL_2D QUANTIZE DEQUANTIZE"
    right(program, runner)


def _parameters(net: Net, scale: float, zero: int, type: Any) -> tuple[str, str]:
    return net.constant(np.float32(scale)), net.constant(np.asarray(zero, type))


def q_conv(net: Net, type: Any) -> str:
    x = net.input("x", IMAGE, TensorProto.UINT8 if type == U8 else TensorProto.INT8)
    codes = net.random.integers(-127, 128, (6, 4, 3, 3)).astype(I8)
    scales = net.constant(np.linspace(0.002, 0.004, 6).astype(np.float32))
    bias = net.constant(net.random.integers(-9000, 9000, 6).astype(np.int32))
    zeros = net.constant(np.zeros(6, I8))
    return str(
        net.node(
            "QLinearConv",
            x,
            *_parameters(net, IN, ZERO[type], type),
            net.constant(codes),
            scales,
            zeros,
            *_parameters(net, 0.02, ZERO[type], type),
            bias,
            pads=[1, 1, 1, 1],
        )
    )


def q_matmul(net: Net, type: Any) -> str:
    x = net.input("x", (3, 6), TensorProto.UINT8 if type == U8 else TensorProto.INT8)
    info = np.iinfo(type)
    codes = net.random.integers(info.min, info.max, (6, 5)).astype(type)
    return str(
        net.node(
            "QLinearMatMul",
            x,
            *_parameters(net, IN, ZERO[type], type),
            net.constant(codes),
            *_parameters(net, 0.01, ZERO[type], type),
            *_parameters(net, 0.02, ZERO[type], type),
        )
    )


def q_binary(kind: str) -> Build:
    def build(net: Net, type: Any) -> str:
        element = TensorProto.UINT8 if type == U8 else TensorProto.INT8
        given = []
        for at in range(2):
            given += [net.input(f"x{at}", IMAGE, element)]
            given += _parameters(net, IN * (1 + at), ZERO[type], type)
        return str(net.node(kind, *given, *_parameters(net, 0.03, ZERO[type], type)))

    return build


def q_unary(kind: str, scale: float, zeros: dict[Any, int], **how: Any) -> Build:
    def build(net: Net, type: Any) -> str:
        x = net.input("x", IMAGE, TensorProto.UINT8 if type == U8 else TensorProto.INT8)
        ends = _parameters(net, scale, zeros[type], type)
        return str(net.node(kind, x, *_parameters(net, IN, ZERO[type], type), *ends, **how))

    return build


def q_concat(net: Net, type: Any) -> str:
    element = TensorProto.UINT8 if type == U8 else TensorProto.INT8
    given = [*_parameters(net, 0.02, ZERO[type], type)]
    for at in range(2):
        given += [net.input(f"x{at}", IMAGE, element)]
        given += _parameters(net, IN * (1 + at), ZERO[type], type)
    return str(net.node("com.microsoft.QLinearConcat", *given, axis=1))


def q_gemm(net: Net, type: Any) -> str:
    x = net.input("x", (3, 6), TensorProto.UINT8 if type == U8 else TensorProto.INT8)
    codes = net.random.integers(-127, 128, (5, 6)).astype(type)
    return str(
        net.node(
            "com.microsoft.QGemm",
            x,
            *_parameters(net, IN, ZERO[type], type),
            net.constant(codes),
            *_parameters(net, 0.01, ZERO[type], type),
            net.constant(net.random.integers(-900, 900, 5).astype(np.int32)),
            *_parameters(net, 0.02, ZERO[type], type),
            transB=1,
        )
    )


LINEAR: dict[str, tuple[Build, str]] = {
    "QLinearConv": (q_conv, "CONV_2D"),
    "QLinearMatMul": (q_matmul, "FULLY_CONNECTED"),
    "com.microsoft.QGemm": (q_gemm, "FULLY_CONNECTED"),
    "com.microsoft.QLinearAdd": (q_binary("com.microsoft.QLinearAdd"), "ADD"),
    "com.microsoft.QLinearMul": (q_binary("com.microsoft.QLinearMul"), "MUL"),
    "com.microsoft.QLinearConcat": (q_concat, "CONCATENATION"),
    "com.microsoft.QLinearSigmoid": (
        q_unary("com.microsoft.QLinearSigmoid", 1 / 256, LOW),
        "LOGISTIC",
    ),
    "com.microsoft.QLinearSoftmax": (
        q_unary("com.microsoft.QLinearSoftmax", 1 / 256, LOW, axis=-1, opset=13),
        "SOFTMAX",
    ),
    "com.microsoft.QLinearLeakyRelu": (
        q_unary("com.microsoft.QLinearLeakyRelu", 0.01, ZERO, alpha=0.1),
        "PRELU",
    ),
    "com.microsoft.QLinearAveragePool": (
        q_unary("com.microsoft.QLinearAveragePool", IN, ZERO, kernel_shape=[2, 2]),
        "AVERAGE_POOL_2D",
    ),
    "com.microsoft.QLinearGlobalAveragePool": (
        q_unary("com.microsoft.QLinearGlobalAveragePool", IN, ZERO),
        "AVERAGE_POOL_2D",
    ),
}


@pytest.mark.parametrize("type", [U8, I8], ids=["uint8", "int8"])
@pytest.mark.parametrize("name", LINEAR)
def test_each_qlinear_operator_is_one_operation(name: str, type: Any, runner: Runner) -> None:
    build, expected = LINEAR[name]
    net = Net()
    element = TensorProto.UINT8 if type == U8 else TensorProto.INT8
    model = net.model(build(net, type), types=(element,))
    program = from_model(model, last=True)
    assert names(program) == expected
    right(program, runner)


def test_input_and_filter_have_the_graphs_scales() -> None:
    net = Net()
    model = net.model(q_conv(net, U8), types=(TensorProto.UINT8,))
    main = from_model(model, last=True).model.main
    first = main.operands[main.inputs[0]]
    assert (first.type, first.zero_point) == (OperandCode.TENSOR_QUANT8_ASYMM, 128)
    assert first.scale == np.float32(IN)
    weights = main.operands[main.operations[0].inputs[1]]
    assert weights.channel_quant is not None and weights.channel_quant.dim == 0
    assert weights.channel_quant.scales == tuple(
        float(scale) for scale in np.linspace(0.002, 0.004, 6).astype(np.float32)
    )


def test_each_rewritten_operator_has_a_case() -> None:
    assert set(REWRITES) == set(LINEAR)
