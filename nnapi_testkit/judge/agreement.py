"""Outputs that must agree with each other: of two execution paths, of the two ways of a pair."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.readings import agreeing
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import Answer, Case, Expected, Result
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.model.types import Operand
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import DTYPE, FLOATS, is_quantized

Reals = NDArray[np.float64]
Mask = NDArray[np.bool_] | None

REMEMBERED = 64  # groups; the paths of a cell follow one another


@dataclass(frozen=True, slots=True)
class _First:
    """What the first path of a group computed: its id, and the settled bytes of each set."""

    id: str
    bits: tuple[tuple[bytes, ...], ...]


class Agreement:
    """Remembers what each base case gave by its first path, and compares the others with it."""

    def __init__(self) -> None:
        self._first: OrderedDict[tuple[str, str], _First] = OrderedDict()

    def check(
        self, ref: CaseRef, case: Case, answer: Answer | None, result: Result, record: Record
    ) -> Record:
        """The record, or NONDETERMINISTIC if another path gave other bits.

        A pair whose two ways differ by more than the bounds of both allow is a MISMATCH.

        Only what passed is compared: what is wrong already says so. Elements that the
        documentation leaves open count neither way.
        """
        if answer is None or not _right(record):
            return record
        if record.reading:
            sets = dict(answer.readings)[agreeing(record.reading)[0]]
            if sets is None:
                return record  # it was refused, as that reading has it
            answer = replace(answer, sets=sets)
        if ref.kind == Kind.PAIR:
            return _halves(case, answer, result, record)
        # What is asked of a driver's service may be answered by another processor of the device.
        if not ref.answer_id or ref.kind == Kind.QUALITY:
            return record
        bits = _settled(case, answer, result)
        key = (result.device, ref.answer_id)
        first = self._first.setdefault(key, _First(ref.id, bits))
        while len(self._first) > REMEMBERED:
            self._first.popitem(last=False)
        if first.bits == bits:
            return record
        places = [
            f"set {number}, output {position}"
            for number, (old, new) in enumerate(zip(first.bits, bits, strict=True))
            for position, (one, other) in enumerate(zip(old, new, strict=True))
            if one != other
        ]
        text = f"other bits than by {first.id}: {'; '.join(places[:3])}"
        return replace(record, verdict=Verdict.NONDETERMINISTIC, message=text)


def _right(record: Record) -> bool:
    """Whether what was computed is right, by one reading at least."""
    followed = record.verdict is Verdict.OBSERVED and bool(record.reading)
    return record.verdict.is_pass or followed


def _halves(case: Case, answer: Answer, result: Result, record: Record) -> Record:
    """Compares the first half of the outputs with the second."""
    operands = [case.model.main.operands[index] for index in case.model.main.outputs]
    half = len(operands) // 2
    for number, (told, run) in enumerate(zip(answer.sets, result.executions, strict=True)):
        for position in range(half):
            one, other = told[position], told[position + half]
            if one.kind != OutputKind.EACH:
                continue
            open_ = _either(one.exempt, other.exempt)
            a, b = (
                _reals(operands[i], run.outputs[i].data, told[i].value.shape)
                for i in (position, position + half)
            )
            with np.errstate(invalid="ignore"):
                apart = np.abs(a - b)
                allowed = one.bound + other.bound + _rounding(operands[position], a)
                wrong = ~((apart <= allowed) | (a == b) | (np.isnan(a) & np.isnan(b))) & ~open_
            if wrong.any():
                text = (
                    f"set {number}: outputs {position} and {position + half} are one thing computed"
                    f" in two ways, and differ by {float(np.nanmax(apart[wrong])):.6g}"
                )
                return replace(
                    record,
                    verdict=Verdict.MISMATCH,
                    message=text,
                    mismatched=int(wrong.sum()),
                )
    return record


def _either(a: Mask, b: Mask) -> NDArray[np.bool_] | np.bool_:
    """Elements that are open in one of two outputs."""
    none = np.bool_(False)
    found: NDArray[np.bool_] | np.bool_ = (none if a is None else a) | (none if b is None else b)
    return found


def _reals(operand: Operand, data: bytes, shape: tuple[int, ...]) -> Reals:
    dtype = DTYPE[OperandCode(operand.type)]
    count = int(np.prod(shape))
    array = np.frombuffer(data, dtype=dtype, count=count).reshape(shape).astype(np.float64)
    if is_quantized(OperandCode(operand.type)):
        array = (array - operand.zero_point) * operand.scale
    return array


def _rounding(operand: Operand, value: Reals) -> Reals | float:
    """What rounding both results to the output's type adds: one code, or one unit in the last."""
    code = OperandCode(operand.type)
    if is_quantized(code):
        return operand.scale
    if code in FLOATS:
        epsilon = 2.0**-10 if DTYPE[code].itemsize == 2 else 2.0**-23
        grown: Reals = np.abs(np.nan_to_num(value)) * epsilon
        return grown
    return 0.0


def _settled(case: Case, answer: Answer, result: Result) -> tuple[tuple[bytes, ...], ...]:
    """The bytes of every output, those the documentation leaves open cleared."""
    operands = [case.model.main.operands[index] for index in case.model.main.outputs]
    step = max(1, case.repetitions)
    return tuple(
        tuple(
            _clear(OperandCode(operand.type), expected, output.data)
            for operand, expected, output in zip(operands, told, run.outputs, strict=True)
        )
        for told, run in zip(answer.sets, result.executions[::step], strict=True)
    )


def _clear(code: OperandCode, expected: Expected, data: bytes) -> bytes:
    if expected.kind != OutputKind.EACH:
        return b""  # rows in any order, random draws: bits are no promise
    size = DTYPE[code].itemsize * expected.value.size
    if expected.exempt is None:
        return data[:size]
    array = np.frombuffer(data[:size], dtype=DTYPE[code]).copy()
    array[expected.exempt.reshape(-1)] = 0
    return array.tobytes()
