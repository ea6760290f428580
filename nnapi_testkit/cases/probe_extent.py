"""Extents that other samples seldom reach: long sequences, indexes beyond 16 bits, dimensions
beyond the fourth, signatures beyond 16 bits, batches of large blocks, rows of one sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnapi_testkit.cases.derive import Base, shape_of
from nnapi_testkit.op.declare import Given, Reals, Sample
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import FLOATS

INT32 = OperandCode.TENSOR_INT32
STEPS, RELU6 = 20, 3
# Sequences: the input, the biases whose sums reach the limit of RELU6, the activation.
SEQUENCES = {
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ("x", ("b_c",), "activation_g"),
    "BIDIRECTIONAL_SEQUENCE_LSTM": ("x", ("fw_b_c", "bw_b_c"), "activation_g"),
    "UNIDIRECTIONAL_SEQUENCE_RNN": ("input", ("bias",), "activation"),
    "BIDIRECTIONAL_SEQUENCE_RNN": ("input", ("fw_bias", "bw_bias"), "activation"),
    "RNN": ("", ("bias",), "activation"),
}
FAR, PLACES = 70_001, [32_768, 65_536, 70_000, 5]
RANKED = {"ARGMAX": 1, "ARGMIN": -1, "TOPK_V2": 1}
# What an operation does along the last of five dimensions, or in the second of batches.
LAST: dict[str, dict[str, Any]] = {
    "GATHER": {"input": (2, 1, 2, 1, 3), "axis": 4, "indices": Given([2, 0, 2, 1])},
    "MIRROR_PAD": {
        "input": (1, 2, 1, 2, 3),
        "paddings": [[0, 0], [0, 0], [0, 0], [1, 0], [2, 1]],
        "mode": 1,
    },
    "PACK": {"axis": 3, "inputs": [(2, 1, 2, 3)] * 2},
    "SPACE_TO_DEPTH": {"input": (2, 3, 6, 1), "block": 3},
    "DEPTH_TO_SPACE": {"input": (2, 1, 2, 9), "block": 3},
}
BELOW = [[-3, -1, -2, -4], [-7, -9, -5, -6]]


def extent_probes(base: Base) -> Iterator[Sample]:
    """The probes of a cell, each of one case."""
    if not base.samples:
        return
    for probes in (_sequences, _far, _last, _signs):
        yield from probes(base, base.samples[0])


def _probe(sample: Sample, name: str, **operands: Any) -> Sample:
    return sample.derived(name, {**sample.operands, **operands}, variations=())


def _sequences(base: Base, sample: Sample) -> Iterator[Sample]:
    """Many steps of cells that meet RELU6, and a clip of a projection that is not there."""
    if base.op.name == "LSTM":
        yield _probe(sample, "unprojected-clip", proj_clip=0.125)
    if base.op.name not in SEQUENCES:
        return
    name, biases, activation = SEQUENCES[base.op.name]
    changed: dict[str, Any] = {activation: RELU6}
    changed |= {bias: Reals(shape_of(sample.operands[bias]) or (), 4.0, 8.0) for bias in biases}
    if name:
        first, second, size = sample.operands[name]
        major = sample.operands["time_major"]
        changed[name] = (STEPS, second, size) if major else (first, STEPS, size)
    if activation == "activation_g":
        changed["proj_clip"] = 0.125
    yield _probe(sample, "many-steps" if name else "beyond-relu6", **changed)


def _far(base: Base, sample: Sample) -> Iterator[Sample]:
    """Places that 16 bits do not count."""
    op, name = base.op.name, "beyond-16-bits"
    if op == "GATHER":
        yield _probe(sample, name, input=(FAR,), axis=0, indices=Given(PLACES))
    if op == "EMBEDDING_LOOKUP":
        yield _probe(sample, name, lookups=PLACES, values=(FAR, 1))
    if op in RANKED and base.cell.main in (*FLOATS, INT32):
        more = {"k": 1} if op == "TOPK_V2" else {"axis": 1}
        row = [0] * FAR
        row[66_000] = RANKED[op]
        yield _probe(sample, name, input=Given([row]), **more)
    if op == "LSH_PROJECTION":
        sparse = next(one for one in base.samples if one.name == "sparse-unweighted")
        yield _probe(sparse, name, hash=(5, 24), input=(3, 2))


def _last(base: Base, sample: Sample) -> Iterator[Sample]:
    if base.op.name in LAST:
        yield _probe(sample, "far-dimension", **LAST[base.op.name])


def _signs(base: Base, sample: Sample) -> Iterator[Sample]:
    """Rows on one side of zero, where an extreme that is begun at zero is none of them."""
    op = base.op.name
    if op in ("ARGMAX", "ARGMIN") and base.cell.main in (*FLOATS, INT32):
        rows = [[RANKED[op] * value for value in row] for row in BELOW]
        yield _probe(sample, "beside-zero", input=Given(rows), axis=1)
