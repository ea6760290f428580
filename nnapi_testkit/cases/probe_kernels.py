"""Places where kernels were seen to break: the end of a long row, the last of many indexes, an
operand of exactly four elements, an empty one between others, numbers that a float does not tell
apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from nnapi_testkit.cases.derive import Base, shape_of
from nnapi_testkit.op.declare import Given, Sample
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import FLOATS

INT32, BOOL8 = OperandCode.TENSOR_INT32, OperandCode.TENSOR_BOOL8
COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
PAIRS = {
    **dict.fromkeys(
        ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "LOGICAL_AND", "LOGICAL_OR"), ("a", "b")
    ),
    **dict.fromkeys(COMPARISONS, ("a", "b")),
    "POW": ("base", "exponent"),
    "PRELU": ("input", "alpha"),
}
# A vector's width is no sign of a scalar; a leading dimension of 1 is no sign of a stretched one.
# A vector of a square lies along the last dimension; each may be stretched between two others.
BROADCAST = {
    "of-four": ((3, 4), (4,)),
    "leading-one": ((1, 4, 5, 3), (4, 5, 3)),
    "of-square": ((3, 3), (3,)),
    "with-square": ((3,), (3, 3)),
    "both-between": ((2, 1, 3, 2), (2, 3, 1, 2)),
}
ROW = 263  # beyond 256, and no multiple of 2 or more
# What a row holds but at its end, and there: alone the end decides.
ENDS = {
    "REDUCE_SUM": (0.0, 1.0),
    "MEAN": (0.0, 1.0),
    "REDUCE_PROD": (1.0, 2.0),
    "REDUCE_MAX": (-1.5, -0.5),
    "REDUCE_MIN": (1.5, 0.5),
    "REDUCE_ANY": (0, 2),
    "REDUCE_ALL": (2, 0),
}
RANKED = {"ARGMAX": 1, "ARGMIN": -1, "TOPK_V2": 1}
SIDE, LONG = 88, 4099  # rows whose extreme is at each place; indexes that float16 does not hold
FAR = [2049, 3001, 4097, 0]
BIG = 2**24  # beyond it float32 does not hold every integer
NEAR = (
    [BIG, BIG + 1, -BIG, -BIG - 1, 2**30 + 1, 2**30, 5],
    [BIG + 1, BIG, -BIG - 1, -BIG, 2**30, 2**30 + 1, 5],
)
NEAR_ROWS = [[BIG, BIG + 1, BIG - 1], [-BIG, -BIG - 1, -BIG + 1], [2**30, 2**30 - 1, 2**30 + 1]]
PROJECTED = {
    "LSTM": "projection-bias",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "projection",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "projection",
}


def kernel_probes(base: Base) -> Iterator[Sample]:
    """The probes of a cell, each of one case."""
    for probes in (_broadcast, _rows, _ranked, _indexed, _near, _joined, _recurrent):
        yield from probes(base)


def _named(base: Base, name: str) -> Sample | None:
    return next((sample for sample in base.samples if sample.name == name), None)


def _probe(sample: Sample, name: str, **operands: Any) -> Sample:
    return sample.derived(name, {**sample.operands, **operands}, variations=())


def _broadcast(base: Base) -> Iterator[Sample]:
    names = PAIRS.get(base.op.name)
    if names is None:
        return
    free = (s for s in base.samples if not s.like and all(shape_of(s.operands[n]) for n in names))
    sample = next(free, None)
    if sample is None:
        return
    for word, wanted in BROADCAST.items():
        pair = zip(names, wanted, strict=True)
        operands = {name: _reshaped(sample.operands[name], shape) for name, shape in pair}
        yield _probe(sample, word, **operands)


def _reshaped(value: Any, shape: tuple[int, ...]) -> Any:
    return shape if isinstance(value, tuple) else replace(value, shape=shape)


def _rows(base: Base) -> Iterator[Sample]:
    """Rows along the last dimension, which their last element decides."""
    ends = ENDS.get(base.op.name)
    if ends is None or base.cell.main not in (*FLOATS, BOOL8):
        return
    common, last = ends
    for name, count in (("end-of-row", 1), ("end-of-rows", 3)):
        rows = [[common] * (ROW - 1) + [last] for _ in range(count)]
        yield _probe(base.samples[0], name, input=Given(rows), axes=[1])
    if base.op.name == "REDUCE_ANY":  # true, though a bit of each that is looked at alone is 0
        even = Given([[0, 2], [0, 0], [254, 0]])
        yield _probe(base.samples[0], "even-bytes", input=even, axes=[1])


def _ranked(base: Base) -> Iterator[Sample]:
    sign = RANKED.get(base.op.name)
    if sign is None or base.cell.main not in (*FLOATS, INT32):
        return
    more = {"k": 1} if base.op.name == "TOPK_V2" else {"axis": 1}
    sample = base.samples[0]
    rows = [[sign * (k == row) for k in range(SIDE)] for row in range(SIDE)]
    yield _probe(sample, "each-place", input=Given(rows), **more)
    rows = [[sign * (k == place) for k in range(LONG)] for place in FAR[:3]]
    yield _probe(sample, "far-place", input=Given(rows), **more)


def _indexed(base: Base) -> Iterator[Sample]:
    if base.op.name == "GATHER":
        sample = base.samples[0]
        yield _probe(sample, "far-index", input=(LONG,), axis=0, indices=Given(FAR))
    if base.op.name == "EMBEDDING_LOOKUP":
        yield _probe(base.samples[0], "far-index", lookups=FAR, values=(LONG, 1))


def _near(base: Base) -> Iterator[Sample]:
    """Integers that float32 does not tell apart, zeros of both signs."""
    sample = base.samples[0] if base.samples else None
    if sample is None:
        return
    if base.cell.main == INT32 and base.op.name in (*COMPARISONS, "MAXIMUM", "MINIMUM"):
        yield _probe(sample, "near-integers", a=Given(NEAR[0]), b=Given(NEAR[1]))
    if base.cell.main == INT32 and base.op.name in RANKED:
        more = {"k": 2} if base.op.name == "TOPK_V2" else {"axis": 1}
        yield _probe(sample, "near-integers", input=Given(NEAR_ROWS), **more)
    if base.cell.main in FLOATS and base.op.name in COMPARISONS:
        zeros = [0.0, -0.0, 0.0, -0.0], [-0.0, 0.0, 0.0, -0.0]
        yield _probe(sample, "signs-of-zero", a=Given(zeros[0]), b=Given(zeros[1]))


def _joined(base: Base) -> Iterator[Sample]:
    if base.op.name == "CONCATENATION":  # whose samples with empty inputs are no bases
        samples = base.op.samples_for(base.cell)
        sample = next(sample for sample in samples if sample.name == "some-empty")
        yield _probe(sample, "empty-between", inputs=((2, 3, 4), (2, 0, 4), (2, 1, 4)))
    rows = _named(base, "rank3") if base.op.name == "BATCH_MATMUL" else None
    if rows is not None:  # more rows than a block has, and no multiple of a tile
        yield _probe(rows, "rows-67", x=(2, 67, 3), y=(2, 3, 2))


def _recurrent(base: Base) -> Iterator[Sample]:
    sample = _named(base, PROJECTED.get(base.op.name, ""))
    if sample is not None:  # a clip of the sum, the bias included
        yield _probe(sample, "clipped-with-bias", proj_clip=0.01953125)
    sample = _named(base, "cross-linked")
    # As many steps as batches: the same shapes in the other order.
    if base.op.name == "BIDIRECTIONAL_SEQUENCE_LSTM" and sample is not None:
        yield _probe(sample, "cross-linked-batch-major", time_major=False)
