"""One small `.tflite` model for each builtin operator and way to use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.frontends.flat import Flat

Make = Callable[[Flat, np.random.Generator], Sequence[int]]
CASES: dict[str, Make] = {}
U8, I8 = ("uint8", 0.02, 120), ("int8", 0.02, -7)
PLAIN = ("float32",)
KINDS = {"": PLAIN, "/uint8": U8, "/int8": I8}


def case(name: str) -> Callable[[Make], Make]:
    """Register a model as `KIND` or `KIND/what is special`."""

    def register(make: Make) -> Make:
        assert name not in CASES, name
        CASES[name] = make
        return make

    return register


def simple(
    name: str,
    shapes: Sequence[Sequence[int]],
    out: Sequence[int],
    options: str = "",
    *,
    type: tuple[Any, ...] = PLAIN,
    made: tuple[Any, ...] = (),
    constants: Sequence[Any] = (),
    before: Sequence[Any] = (),
    version: int = 1,
    **fields: Any,
) -> None:
    """A model of one operator: fed tensors, then constants; `before` them, other constants."""

    def make(f: Flat, r: np.random.Generator) -> Sequence[int]:
        first = [f.constant(value) for value in before]
        fed = [f.input(shape, *type) for shape in shapes]
        rest = [f.constant(value) for value in constants]
        result = f.tensor(out, *(made or type))
        kind = name.partition("/")[0]
        f.op(kind, [*first, *fed, *rest], [result], options, version=version, **fields)
        return [result]

    case(name)(make)


def ints(*values: Any) -> np.ndarray:
    """An int32 constant."""
    return np.array(values, np.int32)


# Elementwise
for kind, options in (("ADD", "Add"), ("SUB", "Sub"), ("MUL", "Mul")):
    for suffix, type in KINDS.items():
        simple(f"{kind}{suffix}", [(2, 3, 4), (3, 1)], (2, 3, 4), options, type=type)
    simple(f"{kind}/relu6", [(2, 5), (2, 5)], (2, 5), options, fusedActivationFunction=3)
    simple(f"{kind}/int32", [(2, 5), (2, 5)], (2, 5), options, type=("int32",))
simple("DIV", [(2, 5)], (2, 5), "Div", constants=[np.linspace(0.5, 2, 5)])
simple("POW", [(2, 5)], (2, 5), "Pow", constants=[np.array([2.0])])
for kind in ("MAXIMUM", "MINIMUM"):
    for suffix, type in (*KINDS.items(), ("/int32", ("int32",))):
        simple(f"{kind}{suffix}", [(2, 5), (5,)], (2, 5), "MaximumMinimum", type=type)
for kind, options in (
    ("EQUAL", "Equal"),
    ("NOT_EQUAL", "NotEqual"),
    ("GREATER", "Greater"),
    ("GREATER_EQUAL", "GreaterEqual"),
    ("LESS", "Less"),
    ("LESS_EQUAL", "LessEqual"),
):
    for suffix, type in (*KINDS.items(), ("/int32", ("int32",))):
        simple(f"{kind}{suffix}", [(2, 50), (50,)], (2, 50), options, type=type, made=("bool",))
for kind, options in (("LOGICAL_AND", "LogicalAnd"), ("LOGICAL_OR", "LogicalOr")):
    simple(kind, [(2, 5), (2, 5)], (2, 5), options, type=("bool",))
simple("LOGICAL_NOT", [(2, 5)], (2, 5), "LogicalNot", type=("bool",))
for kind, options in (
    ("ABS", "Abs"),
    ("EXP", "Exp"),
    ("NEG", "Neg"),
    ("SIN", ""),
    ("FLOOR", ""),
    ("CEIL", ""),
    ("SQUARE", "Square"),
    ("ELU", ""),
    ("TANH", ""),
    ("LOGISTIC", ""),
    ("RELU", ""),
    ("RELU6", ""),
    ("RELU_N1_TO_1", ""),
    ("RELU_0_TO_1", ""),
    ("HARD_SWISH", "HardSwish"),
):
    simple(kind, [(2, 3, 5)], (2, 3, 5), options)
simple("ABS/int32", [(2, 5)], (2, 5), "Abs", type=("int32",))
simple("NEG/int32", [(2, 5)], (2, 5), "Neg", type=("int32",))
for suffix, type in (("/uint8", U8), ("/int8", I8)):
    low = 0 if type is U8 else -128
    simple(f"TANH{suffix}", [(2, 9)], (2, 9), type=type, made=(type[0], 1 / 128, low + 128))
    simple(f"LOGISTIC{suffix}", [(2, 9)], (2, 9), type=type, made=(type[0], 1 / 256, low))
    simple(f"HARD_SWISH{suffix}", [(2, 9)], (2, 9), "HardSwish", type=type)
    simple(f"LEAKY_RELU{suffix}", [(2, 9)], (2, 9), "LeakyRelu", type=type, alpha=0.25)
    for kind in ("RELU", "RELU6", "RELU_N1_TO_1"):
        simple(f"{kind}{suffix}", [(2, 9)], (2, 9), type=type)
        simple(f"{kind}{suffix}-rescaled", [(2, 9)], (2, 9), type=type, made=(type[0], 0.01, low))
simple("LEAKY_RELU", [(2, 9)], (2, 9), "LeakyRelu", alpha=0.25)
simple("LEAKY_RELU/rising", [(2, 9)], (2, 9), "LeakyRelu", type=U8, alpha=-0.5)


def positive(kind: str) -> None:
    """Roots and logarithms, of exponentials so that they exist."""

    def make(f: Flat, r: np.random.Generator) -> Sequence[int]:
        x, y, z = f.input((2, 5)), f.tensor((2, 5)), f.tensor((2, 5))
        f.op("EXP", [x], [y], "Exp")
        f.op(kind, [y], [z])
        return [z]

    case(kind)(make)


for kind in ("LOG", "SQRT", "RSQRT"):
    positive(kind)
simple("FLOOR_DIV", [(2, 5)], (2, 5), "FloorDiv", constants=[np.linspace(0.1, 0.4, 5)])
simple(
    "FLOOR_DIV/int32",
    [(2, 5)],
    (2, 5),
    "FloorDiv",
    type=("int32",),
    constants=[ints(2, -3, 1, 4, -2)],
)
for suffix, type in KINDS.items():
    simple(f"PRELU{suffix}", [(1, 3, 4, 2), (1, 1, 2)], (1, 3, 4, 2), type=type)
    if type is not U8:  # LiteRT has it in float and int8
        simple(
            f"SQUARED_DIFFERENCE{suffix}",
            [(2, 4), (4,)],
            (2, 4),
            "SquaredDifference",
            type=type,
            made=("int8", 0.1, -128) if suffix else (),
        )


def select(kind: str, shape: tuple[int, ...], how: str = "") -> None:
    def make(f: Flat, r: np.random.Generator) -> Sequence[int]:
        x, y = f.input((3, 4)), f.constant(np.ones(4)) if how else f.input((3, 4))
        condition = f.input(shape, "bool")
        z = f.tensor((3, 4))
        f.op(kind, [condition, x, y], [z], "Select" if kind == "SELECT" else "SelectV2")
        return [z]

    case(kind + how)(make)


select("SELECT", (3, 4))
select("SELECT_V2", (3, 4))
select("SELECT_V2", (3, 4), "/constant")
for name, source, made in (
    ("", "float32", "int32"),
    ("/from-int32", "int32", "float32"),
    ("/to-bool", "float32", "bool"),
    ("/from-bool", "bool", "float32"),
    ("/from-uint8", "uint8", "float32"),
):
    simple(f"CAST{name}", [(2, 5)], (2, 5), "Cast", type=(source,), made=(made,))
simple("QUANTIZE", [(2, 9)], (2, 9), "Quantize", made=U8)
simple("QUANTIZE/signed", [(2, 9)], (2, 9), "Quantize", made=I8)
simple("QUANTIZE/other-scale", [(2, 9)], (2, 9), "Quantize", type=I8, made=("int8", 0.031, 5))
simple("QUANTIZE/other-sign", [(2, 9)], (2, 9), "Quantize", type=U8, made=("int8", 0.02, -8))
simple("DEQUANTIZE", [(2, 9)], (2, 9), "Dequantize", type=U8, made=PLAIN)
simple("DEQUANTIZE/signed", [(2, 9)], (2, 9), "Dequantize", type=I8, made=PLAIN, version=2)


@case("DEQUANTIZE/half")
def _half(f: Flat, r: np.random.Generator) -> Sequence[int]:
    x, w = f.input((2, 4)), f.constant(r.normal(size=(3, 4)).astype(np.float16))
    real, y = f.tensor((3, 4)), f.tensor((2, 3))
    f.op("DEQUANTIZE", [w], [real], "Dequantize", version=3)
    f.op("FULLY_CONNECTED", [x, real, -1], [y], "FullyConnected")
    return [y]


# Convolutions and products
def products(
    kind: str,
    shape: tuple[int, ...],
    weights: tuple[int, ...],
    out: tuple[int, ...],
    options: str,
    *,
    axis: int = 0,
    how: Sequence[str] = ("", "uint8", "int8", "channels", "hybrid", "hybrid-channels"),
    name: str = "",
    bias: bool = True,
    before: Any = None,
    **fields: Any,
) -> None:
    """A layer of weights and bias: float, quantized, by channel, and 8-bit weights alone."""

    def make(way: str) -> Make:
        def build(f: Flat, r: np.random.Generator) -> Sequence[int]:
            units = weights[axis]
            first = [] if before is None else [f.constant(before)]
            real = r.normal(size=weights)
            if way in ("", "hybrid", "hybrid-channels"):
                x, y = f.input(shape), f.tensor(out)
                w = f.constant(real)
                if way == "hybrid":
                    w = f.constant(np.clip(real * 30, -127, 127).astype(np.int8), 0.03)
                elif way:
                    codes = np.clip(real * 30, -127, 127).astype(np.int8)
                    w = f.constant(codes, r.uniform(0.01, 0.05, units), 0, axis=axis)
                b = f.constant(r.normal(size=units))
            else:
                type = U8 if way == "uint8" else I8
                x, y = f.input(shape, *type), f.tensor(out, type[0], 0.08, type[2])
                codes = np.clip(real * 30, -127, 127).astype(np.int8)
                scales: Any = 0.03
                if way == "channels":
                    scales = r.uniform(0.01, 0.05, units).astype(np.float32)
                    w = f.constant(codes, scales, 0, axis=axis)
                elif way == "uint8":
                    w = f.constant(
                        (codes.astype(int) + 130).clip(0, 255).astype(np.uint8), 0.03, 130
                    )
                else:
                    w = f.constant(codes, 0.03)
                whole = r.integers(-2000, 2000, units).astype(np.int32)
                product = np.float32(type[1]) * np.asarray(scales, np.float32)
                b = f.constant(whole, product)
            b = b if bias else -1
            given = [*first, w, x, b] if first else [x, w, b]
            version = 1 if way in ("", "uint8") else 3
            f.op(kind, given, [y], options, version=version, **fields)
            return [y]

        return build

    for way in how:
        label = "/".join(part for part in (kind, name, way) if part)
        case(label)(make(way))


ONE = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
products("CONV_2D", (2, 6, 7, 3), (5, 3, 2, 3), (2, 6, 7, 5), "Conv2D", **ONE)
products(
    "CONV_2D",
    (1, 6, 7, 3),
    (5, 3, 2, 3),
    (1, 2, 3, 5),
    "Conv2D",
    name="valid",
    how=("", "int8"),
    **{**ONE, "padding": 1, "strideW": 2, "strideH": 2, "fusedActivationFunction": 1},
)
products(
    "CONV_2D",
    (1, 7, 8, 2),
    (3, 3, 2, 2),
    (1, 7, 8, 3),
    "Conv2D",
    name="dilated",
    how=("", "uint8"),
    **{**ONE, "dilationWFactor": 3, "dilationHFactor": 2},
)
products(
    "CONV_2D", (1, 5, 5, 4), (6, 3, 3, 2), (1, 5, 5, 6), "Conv2D", name="groups", how=("",), **ONE
)
products(
    "DEPTHWISE_CONV_2D",
    (1, 6, 7, 3),
    (1, 3, 2, 6),
    (1, 6, 7, 6),
    "DepthwiseConv2D",
    axis=3,
    **{**ONE, "depthMultiplier": 2},
)
products(
    "DEPTHWISE_CONV_2D",
    (1, 7, 8, 3),
    (1, 3, 2, 3),
    (1, 3, 5, 3),
    "DepthwiseConv2D",
    name="dilated",
    axis=3,
    how=("", "int8"),
    **{
        **ONE,
        "padding": 1,
        "depthMultiplier": 1,
        "dilationWFactor": 3,
        "dilationHFactor": 2,
        "fusedActivationFunction": 3,
    },
)
for stride, scheme, size in (((2, 2), 0, (6, 8)), ((2, 1), 1, (5, 9)), ((3, 3), 0, (8, 12))):
    products(
        "TRANSPOSE_CONV",
        (1, 3, 4, 2),
        (3, 3, 3, 2),
        (1, *size, 3),
        "TransposeConv",
        name=f"stride-{stride[0]}-{stride[1]}",
        how=("", "uint8", "int8", "channels") if scheme == 0 and stride[0] == 2 else ("",),
        before=ints(1, *size, 3),
        strideW=stride[0],
        strideH=stride[1],
        padding=scheme,
    )
products("FULLY_CONNECTED", (3, 7), (5, 7), (3, 5), "FullyConnected")
products(
    "FULLY_CONNECTED", (3, 7), (5, 7), (3, 5), "FullyConnected", name="plain", how=("",), bias=False
)
products(
    "FULLY_CONNECTED",
    (2, 3, 7),
    (5, 7),
    (2, 3, 5),
    "FullyConnected",
    name="kept",
    how=("", "int8", "channels"),
    keepNumDims=True,
    fusedActivationFunction=1,
)
for suffix, type in (("", PLAIN), ("/int8", I8)):
    simple(
        f"BATCH_MATMUL{suffix}",
        [(2, 3, 4), (2, 5, 4)],
        (2, 3, 5),
        "BatchMatMul",
        type=type,
        made=("int8", 0.05, 3) if suffix else (),
        adjY=True,
    )
simple(
    "BATCH_MATMUL/matrix", [(2, 3, 4)], (2, 3, 5), "BatchMatMul", constants=[np.ones((4, 5)) / 4]
)
for kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"):
    for suffix, type in KINDS.items():
        if kind == "L2_POOL_2D" and suffix:
            continue
        simple(
            f"{kind}{suffix}",
            [(1, 6, 7, 2)],
            (1, 3, 4, 2),
            "Pool2D",
            type=type,
            filterWidth=2,
            filterHeight=3,
            strideW=2,
            strideH=2,
            fusedActivationFunction=1,
        )
