"""Whole nets as `.tflite` files, float and quantized, with weights from a seed.

A net is written once. Quantized, each tensor has the scale of what LiteRT computes for it in the
float net; filters have scales by channel with int8, one with uint8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from flatbuffers import flexbuffers

from tests.frontends.flat import Flat

Shape = tuple[int, ...]
# Results whose scale and zero point NNAPI and LiteRT fix.
FIXED = {"LOGISTIC": (1 / 256, 0), "SOFTMAX": (1 / 256, 0), "TANH": (1 / 128, 128)}
# Results that have their input's.
SAME = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION", "RESHAPE", "PAD", "RESIZE_BILINEAR")


@dataclass
class Net:
    """A net on its way into a file.

    Args:
        kind: `float32`, `int8` or `uint8`. ranges: lowest and highest value of each tensor, by
            its place in the order of these calls, for quantized nets. open: the batch is.
    """

    kind: str = "float32"
    open: bool = False
    ranges: Sequence[tuple[float, float]] = ()
    flat: Flat = field(default_factory=Flat)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    shapes: dict[int, Shape] = field(default_factory=dict)
    quants: dict[int, tuple[float, int]] = field(default_factory=dict)
    made: list[int] = field(default_factory=list)

    def tensor(
        self, shape: Shape, quant: tuple[float, int] | None = None, fed: bool = False
    ) -> int:
        """A tensor that is computed or fed."""
        type: tuple[Any, ...] = (self.kind,)
        if self.kind != "float32":
            low, high = -128 if self.kind == "int8" else 0, 127 if self.kind == "int8" else 255
            if quant is None:
                least, most = self.ranges[len(self.made)]
                least, most = min(least, 0.0), max(most, 1e-3)
                scale = float(np.float32((most - least) / 255))
                quant = scale, int(np.clip(round(low - least / scale), low, high))
            type = (self.kind, *quant)
        at = (self.flat.input if fed else self.flat.tensor)(shape, *type)
        self.shapes[at] = shape
        if self.open:
            self.flat.graph.tensors[at].shapeSignature = [-1, *shape[1:]]
        if quant is not None:
            self.quants[at] = quant
        self.made.append(at)
        return at

    def fixed(self, kind: str) -> tuple[float, int] | None:
        """The quantization that an operator's result must have."""
        if self.kind == "float32" or kind not in FIXED:
            return None
        scale, zero = FIXED[kind]
        return scale, zero - (128 if self.kind == "int8" else 0)

    def weights(self, shape: Shape, axis: int, x: int, units: int) -> tuple[int, int]:
        """A filter and a bias for data `x`."""
        count = int(np.prod(shape)) / shape[axis]
        real = self.random.normal(size=shape) * np.sqrt(2 / count)
        bias = self.random.normal(size=units) * 0.1
        if self.kind == "float32":
            return self.flat.constant(real), self.flat.constant(bias)
        others = tuple(i for i in range(len(shape)) if i != axis)
        if self.kind == "int8":
            scale = np.abs(real).max(others).astype(np.float32) / 127
            wide = np.expand_dims(scale, others)
            codes = np.round(real / wide).clip(-127, 127).astype(np.int8)
            filters = self.flat.constant(codes, scale, 0, axis=axis)
        else:
            scale = np.float32(np.abs(real).max() / 127)
            codes = (np.round(real / scale) + 128).clip(1, 255).astype(np.uint8)
            filters = self.flat.constant(codes, scale, 128)
        product = np.float32(self.quants[x][0]) * scale
        whole = np.round(bias / product).astype(np.int32)
        return filters, self.flat.constant(whole, product)

    def shared(self, scale: float) -> tuple[float, int] | None:
        """A quantization that several tensors have."""
        if self.kind == "float32":
            return None
        return scale, 0 if self.kind == "int8" else 128

    def conv(
        self,
        x: int,
        units: int,
        size: int,
        stride: int = 1,
        activation: int = 3,
        quant: tuple[float, int] | None = None,
    ) -> int:
        """A convolution; RELU6 behind it unless told otherwise."""
        batch, height, width, depth = self.shapes[x]
        w, b = self.weights((units, size, size, depth), 0, x, units)
        y = self.tensor((batch, -(-height // stride), -(-width // stride), units), quant)
        how = {"strideW": stride, "strideH": stride, "fusedActivationFunction": activation}
        self.flat.op("CONV_2D", [x, w, b], [y], "Conv2D", version=3, **how)
        return y

    def depthwise(self, x: int, stride: int = 1) -> int:
        """A window of three for each channel, RELU6 behind it."""
        batch, height, width, depth = self.shapes[x]
        w, b = self.weights((1, 3, 3, depth), 3, x, depth)
        y = self.tensor((batch, -(-height // stride), -(-width // stride), depth))
        how = {"strideW": stride, "strideH": stride, "fusedActivationFunction": 3}
        kind = "DEPTHWISE_CONV_2D"
        self.flat.op(kind, [x, w, b], [y], "DepthwiseConv2D", version=3, depthMultiplier=1, **how)
        return y

    def dense(self, x: int, units: int, activation: int = 0) -> int:
        """A fully connected layer."""
        rows, size = self.shapes[x]
        w, b = self.weights((units, size), 0, x, units)
        y = self.tensor((rows, units))
        how = {"fusedActivationFunction": activation}
        self.flat.op("FULLY_CONNECTED", [x, w, b], [y], "FullyConnected", version=4, **how)
        return y

    def op(
        self,
        kind: str,
        inputs: Sequence[int],
        shape: Shape,
        options: str = "",
        constants: Sequence[Any] = (),
        **fields: Any,
    ) -> int:
        """Any operator."""
        quant = self.quants.get(inputs[0]) if kind in SAME else self.fixed(kind)
        y = self.tensor(shape, quant)
        given = [*inputs, *(self.flat.constant(value) for value in constants)]
        version = 1 if kind == "RESHAPE" else 2
        self.flat.op(kind, given, [y], options, version=version, **fields)
        return y

    def add(self, x: int, y: int) -> int:
        """Two branches."""
        return self.op("ADD", [x, y], self.shapes[x], "Add")


Make = Callable[[Net], Sequence[int]]
NETS: dict[str, Make] = {}


def net(make: Make) -> Make:
    """Register a net by its function's name."""
    NETS[make.__name__] = make
    return make


def build(name: str, kind: str = "float32", open: bool = False) -> bytes:
    """The file of a net."""
    plain = Net(open=open)
    content = plain.flat.content(NETS[name](plain))
    if kind == "float32":
        return content
    quantized = Net(kind, open, _ranges(plain, content))
    return quantized.flat.content(NETS[name](quantized))


def _ranges(plain: Net, content: bytes) -> list[tuple[float, float]]:
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    random = np.random.default_rng(1)
    for at in plain.flat.graph.inputs:
        data = random.uniform(-1, 1, plain.shapes[at]).astype(np.float32)
        interpreter.set_tensor(at, data)
    interpreter.invoke()
    found = (interpreter.get_tensor(at) for at in plain.made)
    return [(float(array.min()), float(array.max())) for array in found]


@net
def perceptron(n: Net) -> Sequence[int]:
    x = n.tensor((3, 20), fed=True)
    x = n.dense(n.dense(x, 32, 1), 32, 1)
    x = n.dense(x, 10)
    return [n.op("SOFTMAX", [x], (3, 10), "Softmax", beta=1.0)]


@net
def mobilenet(n: Net) -> Sequence[int]:
    """Inverted bottlenecks with linear ends and branches around them, in the manner of V2."""
    x = n.conv(n.tensor((1, 48, 48, 3), fed=True), 8, 3, 2)
    for units, stride in ((8, 1), (12, 2), (12, 1), (16, 2), (16, 1)):
        depth = n.shapes[x][3]
        y = n.depthwise(n.conv(x, depth * 4, 1), stride)
        y = n.conv(y, units, 1, activation=0)
        x = n.add(x, y) if stride == 1 and units == depth else y
    x = n.conv(x, 64, 1)
    x = n.op("MEAN", [x], (1, 64), "Reducer", [np.array([1, 2])])
    x = n.dense(x, 10)
    return [n.op("SOFTMAX", [x], (1, 10), "Softmax", beta=1.0)]


@net
def keyword(n: Net) -> Sequence[int]:
    """A frame at a time: SVDF, an LSTM cell, scores. Both keep what they have heard."""
    assert n.kind == "float32"
    f, r = n.flat, n.random
    x = n.tensor((1, 8), fed=True)
    y = n.tensor((1, 6))

    def weight(*shape: int) -> int:
        return f.constant(r.normal(size=shape) * 0.5)

    memory = f.tensor((1, 6 * 4), variable=True)
    given = [x, weight(6, 8), weight(6, 4), weight(6), memory]
    f.op("SVDF", given, [y], "SVDF", rank=1, fusedActivationFunction=1)
    z, units = n.tensor((1, 5)), 5
    cell = [weight(units, 6) for _ in range(4)] + [weight(units, units) for _ in range(4)]
    cell += [-1, -1, -1, *(weight(units) for _ in range(4)), -1, -1]
    states = [f.tensor((1, units), variable=True) for _ in range(2)]
    f.op("LSTM", [y, *cell, *states], [z], "LSTM", fusedActivationFunction=4)
    scores = n.dense(z, 4)
    return [n.op("SOFTMAX", [scores], (1, 4), "Softmax", beta=1.0)]


@net
def detector(n: Net) -> Sequence[int]:
    """The end of an SSD: boxes and scores of two scales, joined, decoded and thinned out."""
    x = n.conv(n.tensor((1, 16, 16, 3), fed=True), 8, 3, 2)
    boxes, scores, sizes = [], [], []
    for stride in (2, 2):
        x = n.conv(x, 12, 3, stride)
        side = n.shapes[x][1]
        cells = side * side
        sizes += [1 / side] * cells
        box = n.conv(x, 4, 3, activation=0, quant=n.shared(0.04))
        boxes.append(n.op("RESHAPE", [box], (1, cells, 4), "Reshape", [np.array([1, cells, 4])]))
        score = n.conv(x, 4, 3, activation=0, quant=n.shared(0.05))
        shape = (1, cells, 4)
        scores.append(n.op("RESHAPE", [score], shape, "Reshape", [np.array(shape)]))
    count = len(sizes)
    box = n.op("CONCATENATION", boxes, (1, count, 4), "Concatenation", axis=1)
    score = n.op("CONCATENATION", scores, (1, count, 4), "Concatenation", axis=1)
    score = n.op("LOGISTIC", [score], (1, count, 4))
    centers = [
        ((i % round(1 / s) + 0.5) * s, (i // round(1 / s) + 0.5) * s, s, s)
        for i, s in enumerate(sizes)
    ]
    anchors = np.array(centers, np.float32)
    table = n.flat.constant(anchors)
    if n.kind != "float32":
        low = -128 if n.kind == "int8" else 0
        codes = np.round(anchors / 0.004) + low
        table = n.flat.constant(codes.astype(n.kind), 0.004, low)
    options = {
        "max_detections": 3,
        "max_classes_per_detection": 1,
        "detections_per_class": 3,
        "nms_score_threshold": 0.05,
        "nms_iou_threshold": 0.6,
        "num_classes": 3,
        "y_scale": 10.0,
        "x_scale": 10.0,
        "h_scale": 5.0,
        "w_scale": 5.0,
        "use_regular_nms": False,
    }
    made = [n.flat.tensor(shape) for shape in ((1, 3, 4), (1, 3), (1, 3), (1,))]
    custom = bytes(flexbuffers.Dumps(options))
    n.flat.op("TFLite_Detection_PostProcess", [box, score, table], made, custom=custom)
    return made
