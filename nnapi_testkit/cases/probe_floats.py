"""Ill-conditioned floats: data where a naive formula leaves the bound that a sound one keeps.

Large means with small spreads, sums that cancel, operands that nearly agree, subnormal numbers, for
every operation; and for functions the places where their usual formulas break.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnapi_testkit.cases.derive import Base, Plan, shape_of
from nnapi_testkit.op.declare import Floats, Given, Sample, Tensor
from nnapi_testkit.spec.codes import OperandCode

HALF, SINGLE = OperandCode.TENSOR_FLOAT16, OperandCode.TENSOR_FLOAT32
REGIMES = ("offset", "cancel", "equal", "subnormal")
MOST_WRITTEN = 600
RECURRENT = (
    "LSTM",
    "RNN",
    "SVDF",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "BIDIRECTIONAL_SEQUENCE_RNN",
)
# Sums of squares of such numbers leave the type on the way; products of many do in the end.
WITHOUT = {
    "REDUCE_PROD": REGIMES,
    "POW": ("offset", "cancel"),
    "EXP": ("offset", "cancel"),
    "LSH_PROJECTION": REGIMES,
    # The order of equal elements is open, and drawn classes have no order.
    "ARGMAX": ("subnormal",),
    "ARGMIN": ("subnormal",),
    "RANDOM_MULTINOMIAL": REGIMES,
    # Gates saturate on both sides; what they hold is `saturated` in the data that tell.
    **dict.fromkeys(RECURRENT, ("offset", "cancel", "subnormal")),
}
EPS, TINY = 2.0**-23, 2.0**-126
# Operands by operation, each a row of numbers; those that float16 does not hold are left out there.
ROWS: dict[str, dict[str, dict[str, list[float]]]] = {
    "SOFTMAX": {
        "far-apart": {"input": [80.0, -80.0, 0.0, 79.0]},
        "far-out": {"input": [1000.0, 999.0, 998.0, 990.0]},
        "far-below": {"input": [-1000.0, -1001.0, -1003.0, -1000.0]},
    },
    "LOG_SOFTMAX": {
        "far-apart": {"input": [80.0, -80.0, 0.0, 79.0]},
        "far-out": {"input": [1000.0, 999.0, 998.0, 990.0]},
        "far-below": {"input": [-1000.0, -1001.0, -1003.0, -1000.0]},
    },
    "LOGISTIC": {"ends": {"input": [80.0, -80.0, 17.0, -17.0, 89.0, -89.0, 1e-4, -1e-4, 12.0]}},
    "TANH": {"ends": {"input": [1e-3, -1e-3, 1e-2, 80.0, -80.0, 9.0, -9.0, 0.25, 4e-4]}},
    "EXP": {"ends": {"input": [-87.0, -11.0, 11.0, 1e-4, -1e-4, 0.0, 10.5, -9.5]}},
    "LOG": {"near-one": {"input": [1 + EPS, 1 - EPS / 2, 1 + 64 * EPS, 0.999, 1.001, 1e-4, 6e4]}},
    "SQRT": {"ends": {"input": [TINY, 1e-30, 1e30, 3e38, 6e-5, 6e4, 1 + EPS, 2.0]}},
    "RSQRT": {"ends": {"input": [TINY, 1e-30, 1e30, 3e38, 6.2e-5, 6e4, 1 + EPS, 2.0]}},
    "SIN": {"far-out": {"input": [100.0, -1000.0, 3.14159274, 6.2831855, 1e4, 355.0, 22.0]}},
    "ELU": {"near-zero": {"input": [-1e-3, -1e-2, -1e-4, -80.0, -9.0, 0.0, 1e-4]}},
    "POW": {
        "poles": {
            "base": [1.001, 0.999, 2.0, 0.5, -2.0, -2.0, 1e-3, 1.0, 3.0],
            "exponent": [1000.0, 1000.0, -14.0, 14.0, 3.0, -3.0, -1.25, 1e4, 0.0],
        },
        "near-one": {
            "base": [1 + EPS, 1 - EPS, 1 + 64 * EPS, 1 - 64 * EPS],
            "exponent": [1e6, 1e6, -1e6, 1e5],
        },
    },
    "DIV": {
        "ends": {
            "a": [1.0, 1e-30, 3e38, 1e30, 6e4, 1.0, -1.0, TINY],
            "b": [3.0, 1e-8, 1.5, 1e-6, 0.75, 6e4, 1 + EPS, 0.5],
        },
        # Whose reciprocals are subnormal.
        "large-divisors": {
            "a": [3e38, 2e38, -3e38, 6e4, 4e4],
            "b": [1.5e38, 3e38, 2e38, 5e4, -6.4e4],
        },
    },
    "SUB": {
        "near": {
            "a": [1 + EPS, 1e7, 4096.0, 0.1, 1.0, 2048.0],
            "b": [1.0, 1e7 - 1, 4095.0, 0.1000001, 0.99951, 2047.0],
        }
    },
    "INSTANCE_NORMALIZATION": {"large-mean": {"input": [10000.0, 10001.0, 10002.0, 10003.0]}},
    "L2_NORMALIZATION": {
        "large-mean": {"input": [10000.0, 10001.0, 10002.0, 10003.0]},
        "small": {"input": [2e-5, -4e-5, 1e-5, 3e-5]},
    },
    "REDUCE_SUM": {"cancel-in-the-end": {"input": [4096.0, 1.0, -4096.0, 512.0, 1.0, -512.0]}},
    "MEAN": {"cancel-in-the-end": {"input": [4096.0, 1.0, -4096.0, 512.0, 1.0, -512.0]}},
}
MORE: dict[str, dict[str, Any]] = {
    "INSTANCE_NORMALIZATION": {"epsilon": 1e-4, "gamma": 1.0, "beta": 0.0},
    "SOFTMAX": {"beta": 1.0},
    "LOG_SOFTMAX": {"beta": 1.0, "axis": -1},
    "REDUCE_SUM": {"axes": [0], "keep_dims": True},
    "MEAN": {"axes": [0], "keep_dims": 1},
    "ELU": {"alpha": 1.0},
}
# [1, 2, 2, 1], and [1, n] where an operation works along the last dimension.
SHAPES = {"INSTANCE_NORMALIZATION": (1, 2, 2, 1), "L2_NORMALIZATION": (1, 1, 1, 4)}
MATRICES = {"SOFTMAX", "LOG_SOFTMAX"}


def float_probes(base: Base) -> Iterator[Sample]:
    """The probes of a float cell."""
    if base.cell.main not in (HALF, SINGLE):
        return
    yield from _rows(base)
    without = set(WITHOUT.get(base.op.name, ()))
    if base.cell.main == HALF:  # a few units in the last place are what float16 rounds away
        without.add("equal")
    found = [
        (sample, plan)
        for sample in base.samples
        if (plan := base.plan(sample)) is not None and plan.written <= MOST_WRITTEN and _data(plan)
    ]
    if not found:
        return
    deepest = max(found, key=lambda item: item[1].read / max(1, item[1].written))
    for regime in REGIMES:
        if regime in without:
            continue
        # Numbers that may be flushed are asked for once.
        alone = regime == "subnormal" or deepest[0] is found[0][0]
        for sample, plan in found[:1] if alone else (found[0], deepest):
            filled = {name: Floats(plan.facts.shape(name), regime) for name in _data(plan)}
            operands = {**sample.operands, **filled}
            yield sample.derived(f"{regime}-{sample.name}", operands, variations=())


def _data(plan: Plan) -> list[str]:
    """Inputs of floats whose data are free."""
    return [
        slot.key
        for slot in plan.slots
        if isinstance(slot.spec, Tensor)
        and slot.code in (HALF, SINGLE)
        and not slot.spec.weight
        and slot.spec.domain is None
        and not slot.omitted
        and "[" not in slot.key
        and (slot.value is None or shape_of(slot.value) is not None)
    ]


def _rows(base: Base) -> Iterator[Sample]:
    rows = ROWS.get(base.op.name)
    if not rows or not base.samples:
        return
    for word, operands in rows.items():
        kept = [
            numbers
            for numbers in zip(*operands.values(), strict=True)
            if base.cell.main == SINGLE or all(map(_held, numbers))
        ]
        if not kept:
            continue
        columns = dict(zip(operands, map(list, zip(*kept, strict=True)), strict=True))
        shape: tuple[int, ...] = SHAPES.get(base.op.name, (len(kept),))
        if base.op.name in MATRICES:
            shape = (1, len(kept))
        given = {name: Given(column, shape) for name, column in columns.items()}
        sample = base.samples[0]
        names = {spec.name for spec in base.signature(sample)}
        more = {k: v for k, v in MORE.get(base.op.name, {}).items() if k in names}
        if base.op.name == "LOG_SOFTMAX":
            more["axis"] = -1
        yield sample.derived(word, {**sample.operands, **more, **given}, variations=())


def _held(number: float) -> bool:
    """Whether float16 holds the number, or one that is as telling."""
    return number == 0 or 2.0**-14 <= abs(number) <= 65504
