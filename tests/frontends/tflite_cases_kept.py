"""The same for operators that keep a state, look up, or thin out boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from tests.frontends.flat import Flat
from tests.frontends.tflite_cases import U8, case, ints

HALF = 0.5


def small(f: Flat, r: np.random.Generator, *shape: int, hybrid: bool = False) -> int:
    """A weight; 8 bits of it where it is hybrid."""
    real = r.normal(size=shape) * HALF
    if hybrid and len(shape) > 1:
        return f.constant(np.clip(real * 50, -127, 127).astype(np.int8), 0.02)
    return f.constant(real)


def cell(
    f: Flat,
    r: np.random.Generator,
    size: int,
    units: int,
    out: int,
    how: frozenset[str],
) -> list[int]:
    """Weights and biases of an LSTM cell, in the order of its operands."""
    hybrid = "hybrid" in how
    gates = [-1 if "cifg" in how and gate == 0 else gate for gate in range(4)]
    made = [-1 if g < 0 else small(f, r, units, size, hybrid=hybrid) for g in gates]
    made += [-1 if g < 0 else small(f, r, units, out, hybrid=hybrid) for g in gates]
    peepholes = "peephole" in how
    made += [small(f, r, units) if peepholes and gates[g] >= 0 else -1 for g in (0, 1, 3)]
    made += [-1 if g < 0 else small(f, r, units) for g in gates]
    project = "projection" in how
    made += [small(f, r, out, units) if project else -1, small(f, r, out) if project else -1]
    return made


def states(f: Flat, batch: int, *sizes: int) -> list[int]:
    return [f.tensor((batch, size), variable=True) for size in sizes]


def norms(f: Flat, r: np.random.Generator, units: int, how: frozenset[str]) -> list[int]:
    if "norm" not in how:
        return []
    first = -1 if "cifg" in how else f.constant(r.uniform(0.2, 0.8, units))
    return [first, *(f.constant(r.uniform(0.2, 0.8, units)) for _ in range(3))]


def lstm(name: str, *ways: str, **fields: Any) -> None:
    how = frozenset(ways)
    kind = name.partition("/")[0]
    sequence = kind != "LSTM"
    fields = {"fusedActivationFunction": 4, **fields}

    def make(f: Flat, r: np.random.Generator) -> Sequence[int]:
        batch, size, units = 2, 3, 4
        out = 2 if "projection" in how else units
        major = fields.get("timeMajor")
        steps = ((5, batch) if major else (batch, 5)) if sequence else (batch,)
        x, y = f.input((*steps, size)), f.tensor((*steps, out))
        given = [x, *cell(f, r, size, units, out, how), *states(f, batch, out, units)]
        options = "UnidirectionalSequenceLSTM" if sequence else "LSTM"
        f.op(kind, [*given, *norms(f, r, units, how)], [y], options, version=1, **fields)
        return [y]

    case(name)(make)


for kind in ("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"):
    lstm(kind)
    lstm(f"{kind}/cifg", "cifg")
    lstm(f"{kind}/peephole", "peephole", cellClip=0.4)
    lstm(f"{kind}/projection", "projection", projClip=0.3)
    lstm(f"{kind}/norm", "norm")
    lstm(f"{kind}/norm-cifg", "norm", "cifg", "peephole")
    lstm(f"{kind}/hybrid", "hybrid")
    lstm(f"{kind}/relu", fusedActivationFunction=1)
lstm("UNIDIRECTIONAL_SEQUENCE_LSTM/time-major", timeMajor=True)


def both_ways(name: str, merge: bool, major: bool, aux: bool = False) -> None:
    def make(f: Flat, r: np.random.Generator) -> Sequence[int]:
        batch, size, units, how = 2, 3, 4, frozenset[str]()
        steps = (5, batch) if major else (batch, 5)
        x = f.input((*steps, size))
        given = [x, *cell(f, r, size, units, units, how), *cell(f, r, size, units, units, how)]
        given += states(f, batch, units, units, units, units)
        if aux:
            given += [f.input((*steps, 2)), *(small(f, r, units, 2) for _ in range(8))]
        else:
            given += [-1] * 9
        ys = [f.tensor((*steps, units * 2))] if merge else [f.tensor((*steps, units))] * 2
        if not merge:
            ys = [f.tensor((*steps, units)) for _ in range(2)]
        f.op(
            "BIDIRECTIONAL_SEQUENCE_LSTM",
            given,
            ys,
            "BidirectionalSequenceLSTM",
            fusedActivationFunction=4,
            mergeOutputs=merge,
            timeMajor=major,
        )
        return ys

    case(name)(make)


both_ways("BIDIRECTIONAL_SEQUENCE_LSTM", False, True)
both_ways("BIDIRECTIONAL_SEQUENCE_LSTM/merged", True, True)
both_ways("BIDIRECTIONAL_SEQUENCE_LSTM/merged-batches", True, False)
both_ways("BIDIRECTIONAL_SEQUENCE_LSTM/batches", False, False)
both_ways("BIDIRECTIONAL_SEQUENCE_LSTM/auxiliary", False, True, True)


def rnn(name: str, hybrid: bool = False, **fields: Any) -> None:
    kind = name.partition("/")[0]
    sequence = kind != "RNN"

    def make(f: Flat, r: np.random.Generator) -> Sequence[int]:
        batch, size, units = 2, 3, 4
        steps = ((5, batch) if fields.get("timeMajor") else (batch, 5)) if sequence else (batch,)
        x, y = f.input((*steps, size)), f.tensor((*steps, units))
        w = small(f, r, units, size, hybrid=hybrid)
        again = small(f, r, units, units, hybrid=hybrid)
        given = [x, w, again, small(f, r, units), *states(f, batch, units)]
        f.op(
            kind,
            given,
            [y],
            "SequenceRNN" if sequence else "RNN",
            **{"fusedActivationFunction": 1, **fields},
        )
        return [y]

    case(name)(make)


for kind in ("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN"):
    rnn(kind)
    rnn(f"{kind}/hybrid", hybrid=True)
rnn("UNIDIRECTIONAL_SEQUENCE_RNN/time-major", timeMajor=True, fusedActivationFunction=3)


def rnn_both_ways(name: str, merge: bool) -> None:
    def make(f: Flat, r: np.random.Generator) -> Sequence[int]:
        batch, size, units = 2, 3, 4
        given = [f.input((5, batch, size))]
        for _ in range(2):
            given += [small(f, r, units, size), small(f, r, units, units), small(f, r, units)]
            given += states(f, batch, units)
        given += [-1, -1, -1]
        ys = [f.tensor((5, batch, units * 2))]
        if not merge:
            ys = [f.tensor((5, batch, units)) for _ in range(2)]
        f.op(
            "BIDIRECTIONAL_SEQUENCE_RNN",
            given,
            ys,
            "BidirectionalSequenceRNN",
            timeMajor=True,
            fusedActivationFunction=1,
            mergeOutputs=merge,
        )
        return ys

    case(name)(make)


rnn_both_ways("BIDIRECTIONAL_SEQUENCE_RNN", False)
rnn_both_ways("BIDIRECTIONAL_SEQUENCE_RNN/merged", True)


def svdf(name: str, rank: int, bias: bool, hybrid: bool = False) -> None:
    def make(f: Flat, r: np.random.Generator) -> Sequence[int]:
        batch, size, units, memory = 2, 3, 4, 5
        x, y = f.input((batch, size)), f.tensor((batch, units))
        given = [
            x,
            small(f, r, units * rank, size, hybrid=hybrid),
            small(f, r, units * rank, memory),
            small(f, r, units) if bias else -1,
            *states(f, batch, memory * units * rank),
        ]
        f.op("SVDF", given, [y], "SVDF", rank=rank, fusedActivationFunction=1 if bias else 0)
        return [y]

    case(name)(make)


svdf("SVDF", 1, True)
svdf("SVDF/rank2", 2, False)


@case("LSTM/basic-uint8")
def _basic(f: Flat, r: np.random.Generator) -> Sequence[int]:
    batch, size, units = 2, 5, 8
    unit, state = ("uint8", 1 / 128, 128), ("int16", 1 / 2048, 0)
    x, before = f.input((batch, size), *unit), f.input((batch, units), *unit)
    codes = r.integers(60, 180, (4 * units, size + units)).astype(np.uint8)
    bias = r.integers(-4000, 4000, 4 * units).astype(np.int32)
    kept = f.input((batch, units), *state)
    given = [x, before, f.constant(codes, 0.0045, 117), f.constant(bias, 0.0045 / 128), kept]
    made = [f.tensor((batch, units), *unit), f.tensor((batch, units), *state)]
    scratch = [f.tensor((batch, size + units), *unit), f.tensor((batch, 4 * units), *state)]
    f.op(
        "LSTM", given, [*made, *scratch], "LSTM", version=2, kernelType=1, fusedActivationFunction=4
    )
    return made


@case("EMBEDDING_LOOKUP")
def _embedding(f: Flat, r: np.random.Generator) -> Sequence[int]:
    x, y = f.input((4,), "int32"), f.tensor((4, 3))
    f.op("EMBEDDING_LOOKUP", [x, f.constant(r.normal(size=(10, 3)))], [y])
    return [y]


@case("EMBEDDING_LOOKUP/hybrid")
def _embedding_hybrid(f: Flat, r: np.random.Generator) -> Sequence[int]:
    x, y = f.input((4,), "int32"), f.tensor((4, 3))
    codes = r.integers(-127, 128, (10, 3)).astype(np.int8)
    f.op("EMBEDDING_LOOKUP", [x, f.constant(codes, 0.02)], [y])
    return [y]


@case("HASHTABLE_LOOKUP")
def _hashtable(f: Flat, r: np.random.Generator) -> Sequence[int]:
    x, y, hits = f.input((6,), "int32"), f.tensor((6, 3)), f.tensor((6,), "uint8")
    table = f.constant(r.normal(size=(4, 3)))
    f.op("HASHTABLE_LOOKUP", [x, f.constant(ints(1, 3, 4, 8)), table], [y, hits])
    return [y, hits]


for name, number in (("", 2), ("/sparse", 1)):

    def lsh(f: Flat, r: np.random.Generator, number: int = number) -> Sequence[int]:
        x, y = f.input((5, 2), "int32"), f.tensor((3,) if number == 1 else (12,), "int32")
        seeds = f.constant(r.normal(size=(3, 4)))
        weights = [] if number == 1 else [f.constant(r.uniform(0.1, 1, 5))]
        f.op("LSH_PROJECTION", [seeds, x, *weights], [y], "LSHProjection", type=number)
        return [y]

    case(f"LSH_PROJECTION{name}")(lsh)


@case("DENSIFY")
def _densify(f: Flat, r: np.random.Generator) -> Sequence[int]:
    # Two blocks of rows by two of columns, of which the second row has one.
    x, y = f.input((2, 4)), f.tensor((2, 4))
    blocks = r.normal(size=(3, 2, 2)).astype(np.float32)
    w, dense = f.constant(blocks), f.tensor((4, 4))
    tensor = f.graph.tensors[w]
    tensor.shape = [4, 4]
    sparse = tensor.sparsity = schema.SparsityParametersT()
    sparse.traversalOrder, sparse.blockMap = [0, 1, 2, 3], [0, 1]
    sparse.dimMetadata = []
    for size, segments, indices in (
        (2, None, None),
        (0, [0, 2, 3], [0, 1, 1]),
        (2, None, None),
        (2, None, None),
    ):
        meta = schema.DimensionMetadataT()
        meta.format, meta.denseSize = int(segments is not None), size
        if segments is not None:
            for field, values in (("Segments", segments), ("Indices", indices)):
                vector = schema.Int32VectorT()
                vector.values = values
                setattr(meta, f"array{field}", vector)
                setattr(meta, f"array{field}Type", schema.SparseIndexVector.Int32Vector)
        sparse.dimMetadata.append(meta)
    f.op("DENSIFY", [w], [dense], "Densify")
    f.op("FULLY_CONNECTED", [x, dense, -1], [y], "FullyConnected")
    return [y]


def detection(
    name: str, regular: bool, type: tuple[Any, ...] = ("float32",), told: bool = True
) -> None:
    def make(f: Flat, r: np.random.Generator) -> Sequence[int]:
        anchors, classes, most = 12, 3, 4
        boxes = f.input((1, anchors, 4), *type)
        # No two scores come near each other, or rounding would decide.
        logits = f.tensor((1, anchors, classes + 1), *type)
        little = f.input((1, anchors, classes + 1), *((type[0], 2e-5, 128) if type[1:] else type))
        apart = r.permutation(np.linspace(-2, 2, anchors * (classes + 1)))
        apart = apart.reshape(1, anchors, classes + 1).astype(np.float32)
        if type[1:]:
            wide = f.constant(np.round(apart / 0.02 + 120).astype(np.uint8), 0.02, 120)
            f.op("ADD", [little, wide], [logits], "Add")
        else:
            scaled = f.tensor((1, anchors, classes + 1))
            f.op("MUL", [little, f.constant(np.float32(0.01))], [scaled], "Mul")
            f.op("ADD", [scaled, f.constant(apart)], [logits], "Add")
        scores = f.tensor((1, anchors, classes + 1), *((type[0], 1 / 256, 0) if type[1:] else ()))
        f.op("LOGISTIC", [logits], [scores])
        # Boxes that lie apart, so that none of them hides another one.
        grid = np.array([(y, x) for y in range(3) for x in range(4)]) / 4 + 0.1
        fixed = np.concatenate([grid, np.full((anchors, 2), 0.12)], 1).astype(np.float32)
        if type[1:]:
            codes = np.round(fixed / 0.004).astype(np.uint8)
            table = f.constant(codes, 0.004)
        else:
            table = f.constant(fixed)
        options = {
            "max_detections": most,
            "max_classes_per_detection": 1,
            "detections_per_class": 4,
            "nms_score_threshold": 0.1,
            "nms_iou_threshold": 0.5,
            "num_classes": classes,
            "y_scale": 10.0,
            "x_scale": 10.0,
            "h_scale": 5.0,
            "w_scale": 5.0,
            "use_regular_nms": regular,
        }
        shapes = ((1, most, 4), (1, most), (1, most), (1,))
        made = [f.tensor(shape if told else ()) for shape in shapes]
        kind = "TFLite_Detection_PostProcess"
        f.op(kind, [boxes, scores, table], made, custom=bytes(flexbuffers.Dumps(options)))
        return made

    case(name)(make)


detection("TFLite_Detection_PostProcess", False)
detection("TFLite_Detection_PostProcess/regular", True)
detection("TFLite_Detection_PostProcess/untold", False, told=False)
detection("TFLite_Detection_PostProcess/uint8", False, U8)
