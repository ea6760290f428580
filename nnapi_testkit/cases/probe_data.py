"""Data that tell: integers beyond 2^24 and at the limits, as far as their sums and products fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnapi_testkit.cases.derive import Base, shape_of
from nnapi_testkit.op.declare import Codes, Reals, Sample, Tensor
from nnapi_testkit.spec.codes import OperandCode

INT32 = OperandCode.TENSOR_INT32
# How far data may go where they are not only moved or compared.
REACH = {"ADD": "half", "SUB": "half", "MUL": "root", "ABS": "signed", "NEG": "signed"}
# A float holds no such integer, and a sum of many products leaves the type.
WITHOUT = {"CAST", "BATCH_MATMUL", "DIV", "LSH_PROJECTION"}


def data_probes(base: Base) -> Iterator[Sample]:
    """Two samples of an INT32 cell with numbers that float32 does not hold."""
    if base.cell.main != INT32 or base.op.name in WITHOUT:
        return
    where = REACH.get(base.op.name, "wide")
    for sample in base.samples[:2]:
        names = [
            spec.name
            for spec in base.signature(sample)
            if isinstance(spec, Tensor) and spec.type == "T" and sample.operands.get(spec.name)
        ]
        changed: dict[str, Any] = {}
        for name in names:
            value = sample.operands[name]
            shape = shape_of(value)
            if shape is not None:
                changed[name] = Codes(shape, where)
            elif isinstance(value, (list, tuple)) and all(shape_of(v) is not None for v in value):
                changed[name] = [Codes(shape_of(v) or (), where) for v in value]
        if changed:
            operands = {**sample.operands, **changed}
            yield sample.derived(f"{where}-numbers-{sample.name}", operands, variations=())


RECURRENT = {
    "LSTM",
    "RNN",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "BIDIRECTIONAL_SEQUENCE_RNN",
}
# How far operands of a cell reach in turn: every gate saturates on either side, or some do.
FAR = {"saturated": 6.0, "half-saturated": 2.0}


def saturated_probes(base: Base) -> Iterator[Sample]:
    """Recurrent cells whose gates, cells and projections saturate, in two samples."""
    if base.op.name not in RECURRENT or not base.samples:
        return
    fullest = max(base.samples, key=lambda s: sum(v is not None for v in s.operands.values()))
    chosen = base.samples[:1] if fullest is base.samples[0] else [base.samples[0], fullest]
    for word, reach in FAR.items():
        for sample in chosen:
            changed = {
                spec.name: Reals(shape, -reach, reach)
                for spec in base.signature(sample)
                if isinstance(spec, Tensor)
                and (shape := shape_of(sample.operands.get(spec.name))) is not None
            }
            operands = {**sample.operands, **changed}
            yield sample.derived(f"{word}-{sample.name}", operands, variations=())
