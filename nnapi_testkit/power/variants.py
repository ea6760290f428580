"""The reverse of a fault: correct drivers that compute otherwise must raise no alarm.

A variant takes the place of what the sound driver left, element by element, wherever the answer
says what an element has to be. What the documentation leaves open stays the sound driver's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.judge.agreement import Agreement
from nnapi_testkit.model.case import Answer, Case, Ending, Expected, OutputResult, Result
from nnapi_testkit.model.types import Operand
from nnapi_testkit.oracle.bind import bind
from nnapi_testkit.power.bench import Bench, Prepared
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import DTYPE, FLOATS

__all__ = ["VARIANTS", "Tally", "try_variants"]

Reals = NDArray[np.float64]
Array = NDArray[Any]
# Real values that a correct implementation may have before it rounds to the output's type.
Before = Callable[[Case, int, int, Expected, Operand], "Reals | None"]
Round = Callable[[Reals], Reals]


@dataclass(frozen=True, slots=True)
class Variant:
    """A correct implementation.

    Args:
        name: what it is called in a report.
        before: the values before they are rounded; None leaves an output as it is.
        round: how real codes become integers.
    """

    name: str
    before: Before
    round: Round


def _away(x: Reals) -> Reals:
    return np.copysign(np.floor(np.abs(x) + 0.5), x)


def _even(x: Reals) -> Reals:
    return np.rint(x)


def _up(x: Reals) -> Reals:
    return np.floor(x + 0.5)


def _twice(x: Reals) -> Reals:
    """A doubling high product and a rounding shift: two roundings, halves up."""
    return np.floor((np.floor(x * 2.0**8 + 0.5) / 2.0**8) + 0.5)


def _value(case: Case, number: int, position: int, told: Expected, operand: Operand) -> Reals:
    return told.value


def _float32(case: Case, number: int, position: int, told: Expected, operand: Operand) -> Reals:
    """The last step in float32, before a code is made of it."""
    if operand.type in FLOATS:
        return told.value
    return told.value.astype(np.float32).astype(np.float64)


def _within(sign: int) -> Before:
    def before(
        case: Case, number: int, position: int, told: Expected, operand: Operand
    ) -> Reals | None:
        """Off by nearly half of what the certificate allows, one element up and the next down."""
        if operand.type not in FLOATS or not np.isfinite(told.bound).all():
            return None
        turns = np.where(np.arange(told.value.size) % 2, sign, -sign).reshape(told.value.shape)
        return told.value + 0.45 * turns * told.bound

    return before


def _multiplier(case: Case, number: int, position: int, told: Expected, operand: Operand) -> Reals:
    """Scales as a multiplier of 31 bits: everything off by 2^-31 of itself."""
    return told.value * (1 + 2.0**-31) if operand.scale else told.value


def _products(order: str) -> Before:
    """FULLY_CONNECTED and BATCH_MATMUL of float32 with sums in another order."""

    def before(
        case: Case, number: int, position: int, told: Expected, operand: Operand
    ) -> Reals | None:
        graph = case.model.main
        if len(graph.operations) != 1 or operand.type != OperandCode.TENSOR_FLOAT32:
            return None
        operation = graph.operations[0]
        if operation.code != OperationCode.FULLY_CONNECTED:
            return None
        binding = bind(
            operation.code,
            tuple(int(graph.operands[i].type) for i in operation.inputs),
            tuple(int(graph.operands[i].type) for i in operation.outputs),
        )
        given: dict[str, Array] = {}
        for spec, index in zip(binding.specs, operation.inputs, strict=True):
            one = graph.operands[index]
            if index in graph.inputs:
                data = case.sets[number].inputs[graph.inputs.index(index)]
            else:
                data = np.frombuffer(one.value, DTYPE[OperandCode(one.type)])
                data = data.reshape(one.dims) if math.prod(one.dims) == data.size else data
            if data is None:
                return None
            given[spec.name] = data
        if int(given["activation"].reshape(-1)[0]) or given["filter"].ndim != 2:
            return None
        x = given["input"].reshape(-1, given["filter"].shape[1]).astype(np.float32)
        with np.errstate(all="ignore"):
            sums = _summed(x, given["filter"].astype(np.float32), order)
            result = (sums + given["bias"].astype(np.float32)).astype(np.float64)
        return result.reshape(told.value.shape) if np.isfinite(result).all() else None

    return before


def _summed(x: Array, w: Array, order: str) -> Array:
    """x w^T in float32. Orders: forward, backward, pairs, lanes of 8, fused."""
    terms = x.shape[1]
    places = range(terms - 1, -1, -1) if order == "backward" else range(terms)
    if order in ("forward", "backward"):
        sums = np.zeros((x.shape[0], w.shape[0]), np.float32)
        for k in places:
            sums = sums + x[:, k : k + 1] * w[:, k][None]
        return sums
    if order == "fused":
        sums = np.zeros((x.shape[0], w.shape[0]), np.float32)
        for k in places:
            exact = x[:, k : k + 1].astype(np.float64) * w[:, k][None] + sums
            sums = exact.astype(np.float32)
        return sums
    products = x[:, None, :] * w[None]
    if order == "lanes":
        pad = -terms % 8
        products = np.pad(products, ((0, 0), (0, 0), (0, pad)))
        products = products.reshape(*products.shape[:2], -1, 8).sum(axis=2, dtype=np.float32)
    while products.shape[-1] > 1:
        if products.shape[-1] % 2:
            products = np.pad(products, ((0, 0), (0, 0), (0, 1)))
        products = products[..., ::2] + products[..., 1::2]
    return products[..., 0] if products.shape[-1] else np.zeros(products.shape[:2], np.float32)


VARIANTS: tuple[Variant, ...] = (
    Variant("float64, halves away from zero", _value, _away),
    Variant("float64, halves to even", _value, _even),
    Variant("float64, halves up", _value, _up),
    Variant("last step in float32, halves to even", _float32, _even),
    Variant("fixed-point multiplier, rounded twice", _multiplier, _twice),
    Variant("fixed-point multiplier, halves away", _multiplier, _away),
    Variant("above and below, within the bound", _within(1), _even),
    Variant("below and above, within the bound", _within(-1), _even),
    Variant("sums forward", _products("forward"), _even),
    Variant("sums backward", _products("backward"), _even),
    Variant("sums in pairs", _products("pairs"), _even),
    Variant("sums in 8 lanes", _products("lanes"), _even),
    Variant("fused multiply-add", _products("fused"), _even),
)


@dataclass(frozen=True, slots=True)
class Tally:
    """What the variants of an operation came to.

    Args:
        judged: cases that some variant changed or could have changed. alarms: a line for each.
    """

    judged: int
    alarms: tuple[str, ...]


def try_variants(bench: Bench, operation: str, variants: Sequence[Variant] = VARIANTS) -> Tally:
    """Judge every variant on the operation's cases that compute."""
    judged = 0
    alarms: list[str] = []
    for variant in variants:
        agreement = Agreement()
        for one in bench.cases(operation):
            # Paths must agree bit by bit, which is a question to one implementation alone.
            if one.answer is None or one.ref.answer_id or not bench.counts(operation, one):
                continue
            result = _instead(one, bench.sound(operation)[one.ref.id][0], variant)
            if result is None:
                continue
            judged += 1
            record = bench.judge(one, result, agreement)
            if record.verdict.is_failure:
                alarms.append(
                    f"{one.ref.id}: {variant.name}: {record.verdict.value}: {record.message}"
                )
    return Tally(judged, tuple(alarms))


def _instead(one: Prepared, sound: Result, variant: Variant) -> Result | None:
    assert one.answer is not None
    if sound.ending is not Ending.COMPLETED:
        return None
    executions = list(sound.executions)
    told_any = False
    for number, execution in enumerate(executions):
        at = number // one.case.repetitions
        outputs = list(execution.outputs)
        for position, output in enumerate(outputs):
            new = _output(one.case, one.answer, at, position, output, variant)
            if new is not None:
                told_any = True
                outputs[position] = new
        executions[number] = replace(execution, outputs=tuple(outputs))
    return replace(sound, executions=tuple(executions)) if told_any else None


def _output(
    case: Case, answer: Answer, number: int, position: int, output: OutputResult, variant: Variant
) -> OutputResult | None:
    told = answer.sets[number][position]
    graph = case.model.main
    operand = graph.operands[graph.outputs[position]]
    dtype = np.dtype(DTYPE[OperandCode(operand.type)])
    size = told.value.size * dtype.itemsize
    if (
        told.kind != OutputKind.EACH
        or not told.value.size
        or len(output.data) < size
        or dtype.kind not in "fiu"
    ):
        return None
    with np.errstate(all="ignore"):
        real = variant.before(case, number, position, told, operand)
        if real is None:
            return None
        new: Array
        if dtype.kind == "f":
            new = real.astype(dtype)
        elif operand.scale:
            limits: Any = np.iinfo(dtype.name)
            codes = variant.round(real / operand.scale) + operand.zero_point
            new = np.clip(np.nan_to_num(codes), limits.min, limits.max).astype(dtype)
        else:
            return None  # integers have one right value
    old = np.frombuffer(output.data[:size], dtype).reshape(told.value.shape)
    keep = ~np.isfinite(told.value) | ~np.isfinite(told.bound) | (told.bound == 0)
    if dtype.kind == "f":
        keep |= ~np.isfinite(new)
    if told.exempt is not None:
        keep |= told.exempt
    if keep.all():
        return None
    raw = np.where(keep, old, new).astype(dtype).tobytes()
    return replace(output, data=raw + output.data[size:])
