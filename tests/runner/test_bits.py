"""The digest of what a driver computed: the same for the same bits, another for any other bit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nnapi_testkit.judge.bits import bits_of
from nnapi_testkit.model.case import Ending, OutputResult, Result, SetResult, Stage

ONE = OutputResult((2,), bytes(range(8)), unwritten=0)
BOTH = Result(
    0, Ending.COMPLETED, Stage.DONE, device="npu", executions=(SetResult(0, (ONE, ONE)),) * 2
)


def _with(output: OutputResult) -> Result:
    first, second = BOTH.executions
    return replace(BOTH, executions=(first, replace(second, outputs=(ONE, output))))


def test_what_took_longer_is_the_same() -> None:
    slower = tuple(replace(run, nanoseconds=7, hardware_ns=3) for run in BOTH.executions)
    other = replace(BOTH, index=4, device="dsp", nanoseconds=99, executions=slower)
    assert bits_of(other) == bits_of(BOTH) != ""
    assert len(bits_of(BOTH)) == 16


@pytest.mark.parametrize(
    "other",
    [
        _with(replace(ONE, data=b"\0" * 8)),
        _with(replace(ONE, data=ONE.data[:-1] + b"\x08")),
        _with(replace(ONE, data=ONE.data[:-1])),
        _with(replace(ONE, dims=(1, 2))),
        _with(replace(ONE, dims=None)),
        replace(BOTH, executions=BOTH.executions[:1]),
        replace(BOTH, executions=(replace(BOTH.executions[0], code=4), BOTH.executions[1])),
        replace(BOTH, executions=(SetResult(0, (ONE,)), SetResult(0, (ONE, ONE, ONE)))),
    ],
    ids=["last output", "one bit", "shorter", "dims", "no dims", "once", "code", "cut elsewhere"],
)
def test_anything_else_differs(other: Result) -> None:
    assert bits_of(other) != bits_of(BOTH)


def test_where_nothing_ran_there_are_no_bits() -> None:
    assert bits_of(replace(BOTH, executions=())) == ""
    assert bits_of(replace(BOTH, executions=(SetResult(4, ()),))) == ""
