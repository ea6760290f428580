"""What stays on the CPU of a `.tflite` file: each reason, by a model that has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends import load
from tests.frontends.flat import Flat
from tests.frontends.tflite_cases import I8, U8, ints

Make = Callable[[Flat], list[int]]
REFUSED: dict[str, tuple[str, Make]] = {}


def refused(words: str) -> Callable[[Make], Make]:
    """Register a model of one operator, and what its reason says."""

    def register(make: Make) -> Make:
        REFUSED[make.__name__.strip("_")] = words, make
        return make

    return register


@refused("scale 0.01 and zero point 0, NNAPI has 0.00390625 and -128 alone")
def _fixed_scale(f: Flat) -> list[int]:
    x, y = f.input((3, 9), *I8), f.tensor((3, 9), "int8", 0.01, 0)
    f.op("SOFTMAX", [x], [y], "Softmax", beta=1.0)
    return [y]


@refused("another scale or zero point than input")
def _same_scale(f: Flat) -> list[int]:
    x, y = f.input((3, 8), *I8), f.tensor((24,), "int8", 0.01, 0)
    f.op("RESHAPE", [x, f.constant(ints(24))], [y], "Reshape")
    return [y]


@refused("zero points by channel: NNAPI has symmetric ones")
def _zero_points(f: Flat) -> list[int]:
    x, y = f.input((1, 4, 4, 2), *I8), f.tensor((1, 4, 4, 3), *I8)
    w = f.constant(np.ones((3, 1, 1, 2), np.int8), [0.1, 0.2, 0.3], [0, 1, 0])
    f.op("CONV_2D", [x, w, -1], [y], "Conv2D", version=3, strideW=1, strideH=1)
    return [y]


@refused("2 scales for another shape")
def _scales(f: Flat) -> list[int]:
    x, y = f.input((1, 4, 4, 2), *I8), f.tensor((1, 4, 4, 3), *I8)
    w = f.constant(np.ones((3, 1, 1, 2), np.int8), [0.1, 0.2])
    f.op("CONV_2D", [x, w, -1], [y], "Conv2D", version=3, strideW=1, strideH=1)
    return [y]


@refused("a has 5 dimensions, NNAPI has 1 to 4")
def _rank(f: Flat) -> list[int]:
    x, y = f.input((1, 2, 1, 2, 2)), f.tensor((1, 2, 1, 2, 2))
    f.op("ADD", [x, x], [y], "Add")
    return [y]


@refused("no documented signature of BATCH_MATMUL")
def _type(f: Flat) -> list[int]:
    x, y = f.input((2, 3, 3), *U8), f.tensor((2, 3, 3), *U8)
    f.op("BATCH_MATMUL", [x, x], [y], "BatchMatMul")
    return [y]


@refused("LiteRT rounds toward zero, NNAPI down")
def _division(f: Flat) -> list[int]:
    x, y = f.input((5,), "int32"), f.tensor((5,), "int32")
    f.op("DIV", [x, f.constant(ints(2, 3, 4, 5, 6))], [y], "Div")
    return [y]


@refused("newAxisMask: NNAPI has begin, end and shrink masks")
def _new_axis(f: Flat) -> list[int]:
    x, y = f.input((5,)), f.tensor((1, 5))
    one = [f.constant(ints(0, 0)), f.constant(ints(1, 5)), f.constant(ints(1, 1))]
    f.op("STRIDED_SLICE", [x, *one], [y], "StridedSlice", newAxisMask=1)
    return [y]


@refused("the permutation (t1) is computed, and has to be constant")
def _computed_order(f: Flat) -> list[int]:
    x, order, y = f.input((2, 3)), f.input((2,), "int32"), f.tensor((3, 2))
    f.op("TRANSPOSE", [x, order], [y], "Transpose")
    return [y]


@refused("takes one shape for all; t0 has another")
def _choice(f: Flat) -> list[int]:
    condition, x, y, z = f.input((3,), "bool"), f.input((2, 3)), f.input((2, 3)), f.tensor((2, 3))
    f.op("SELECT_V2", [condition, x, y], [z], "SelectV2")
    return [z]


@refused("RNN with activation 4: NNAPI's has ReLUs alone")
def _tanh_cell(f: Flat) -> list[int]:
    x, y, state = f.input((2, 3)), f.tensor((2, 4)), f.tensor((2, 4), variable=True)
    given = [x, *(f.constant(np.ones(shape)) for shape in ((4, 3), (4, 4), (4,))), state]
    f.op("RNN", given, [y], "RNN", fusedActivationFunction=4)
    return [y]


@refused("documentation and devices differ about the biases")
def _quantized_cell(f: Flat) -> list[int]:
    x, y = f.input((2, 3), *I8), f.tensor((2, 4), *I8)
    f.op("LSTM", [x, *[-1] * 19], [y], "LSTM", fusedActivationFunction=4)
    return [y]


@refused("one axis for all")
def _batches(f: Flat) -> list[int]:
    x, at, y = f.input((2, 5)), f.input((2, 3), "int32"), f.tensor((2, 3))
    f.op("GATHER", [x, at], [y], "Gather", axis=1, batchDims=1)
    return [y]


@refused("shuffled for one processor")
def _shuffled(f: Flat) -> list[int]:
    x, y = f.input((2, 4)), f.tensor((2, 4))
    w = f.constant(np.ones((4, 4)))
    f.op("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnected", weightsFormat=1)
    return [y]


@refused("a custom operator: NNAPI has nothing for it")
def _custom(f: Flat) -> list[int]:
    x, y = f.input((2, 4)), f.tensor((2, 4))
    f.op("MyOperator", [x], [y], custom=b"")
    return [y]


@refused("convert the model to LiteRT's own operators")
def _stablehlo(f: Flat) -> list[int]:
    x, y = f.input((2, 4)), f.tensor((2, 4))
    f.op("STABLEHLO_ABS", [x], [y])
    return [y]


@refused("its custom options cannot be read")
def _detections(f: Flat) -> list[int]:
    x, y, z = f.input((1, 4, 4)), f.input((1, 4, 4)), f.constant(np.ones((4, 4)))
    made = [f.tensor(shape) for shape in ((1, 3, 4), (1, 3), (1, 3), (1,))]
    f.op("TFLite_Detection_PostProcess", [x, y, z], made, custom=b"\1")
    return made


@refused("fused activation 4")
def _signs(f: Flat) -> list[int]:
    x, w, y = f.input((2, 2, 4)), f.constant(np.ones((3, 4))), f.tensor((2, 2, 3))
    how = {"keepNumDims": True, "fusedActivationFunction": 4}
    f.op("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnected", **how)
    return [y]


@refused("a sparse projection with weights")
def _sparse_projection(f: Flat) -> list[int]:
    x, y = f.input((5, 2), "int32"), f.tensor((3,), "int32")
    given = [f.constant(np.ones((3, 4))), x, f.constant(np.ones(5))]
    f.op("LSH_PROJECTION", given, [y], "LSHProjection", type=1)
    return [y]


@pytest.mark.parametrize("name", REFUSED)
def test_each_reason(name: str, tmp_path: Path) -> None:
    words, make = REFUSED[name]
    flat = Flat()
    path = flat.write(tmp_path / "model.tflite", make(flat))
    with pytest.raises(KitError) as found:
        load(path)
    assert "NNAPI cannot express 1 operator: " in str(found.value)
    assert words in str(found.value) and "\n" not in str(found.value)
