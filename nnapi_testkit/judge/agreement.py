"""Outputs of two execution paths, compared with each other: no oracle is needed for that."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import Answer, Case, Expected, Result
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE

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

        Only what passed is compared: what is wrong already says so. Elements that the
        documentation leaves open count neither way.
        """
        if not ref.answer_id or answer is None or record.verdict is not Verdict.PASS:
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
    if expected.kind:
        return b""  # rows in any order, random draws: bits are no promise
    size = DTYPE[code].itemsize * expected.value.size
    if expected.exempt is None:
        return data[:size]
    array = np.frombuffer(data[:size], dtype=DTYPE[code]).copy()
    array[expected.exempt.reshape(-1)] = 0
    return array.tobytes()
