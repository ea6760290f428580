"""Executions in circumstances: chains, outputs that do not fit, shared buffers, cut caches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import (
    Case,
    Ending,
    Execution,
    ExecutionPath,
    Extra,
    MemoryKind,
    Result,
)
from nnapi_testkit.model.wire import encode_batch
from nnapi_testkit.repro.read import read_case
from nnapi_testkit.targets import parse_target

COUNT = 40  # elements: a constant of so many is not copied
ONES = np.ones(COUNT, "<f4")
FLAGS = (
    "chained",
    "short",
    "one_buffer",
    "compiled_twice",
    "read_only",
    "cut_cache",
    "packed",
    "more_roles",
)


def case(*starts: int, open_: bool = False, **extra: bool) -> Case:
    """x + 1, for a set of equal numbers each."""
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (COUNT,))
    out = builder.output("TENSOR_FLOAT32", (0 if open_ else COUNT,))
    one = builder.constant("TENSOR_FLOAT32", ONES)
    builder.operation("ADD", (x, one, builder.constant("INT32", 0)), (out,))
    sets = tuple(Execution((ONES * start,), ((COUNT,),)) for start in starts)
    return Case("WAY", builder.build(), sets, extra=Extra(**extra))


def run(one: Case) -> Result:
    with parse_target("host").open() as runner:
        return next(iter(runner.run([one])))


def outputs(result: Result) -> list[float]:
    """The number that each set's output holds throughout."""
    assert result.ending is Ending.COMPLETED, result
    found = []
    for execution in result.executions:
        (output,) = execution.outputs
        assert not execution.code and not output.unwritten and not output.overrun
        data = np.frombuffer(output.data, "<f4")
        assert (data == data[0]).all()
        found.append(float(data[0]))
    return found


def test_a_chain_reads_what_was_written_before() -> None:
    """The second set says 100, and gets what the first wrote instead."""
    one = case(1, 100, 100, 100, together=True, chained=True)
    one = replace(one, path=ExecutionPath.FENCED, memory=MemoryKind.SHARED)
    assert outputs(run(one)) == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("path", "memory"),
    [
        (ExecutionPath.FENCED, MemoryKind.POINTER),
        (ExecutionPath.START_WAIT, MemoryKind.SHARED),
    ],
)
def test_a_chain_of_another_kind_is_a_bad_case(path: ExecutionPath, memory: MemoryKind) -> None:
    one = replace(case(1, 2, together=True, chained=True), path=path, memory=memory)
    result = run(one)
    assert result.ending is Ending.BAD_CASE and "chained" in result.text


@pytest.mark.parametrize("memory", [MemoryKind.POINTER, MemoryKind.SHARED])
@pytest.mark.parametrize(
    "path", [p for p in ExecutionPath if p is not ExecutionPath.FENCED], ids=lambda p: p.name
)
def test_an_output_that_does_not_fit_and_one_that_does(
    path: ExecutionPath, memory: MemoryKind
) -> None:
    one = replace(case(1, 2, 3, open_=True, short=True), path=path, memory=memory)
    assert outputs(run(one)) == [2, 3, 4]


def test_an_output_whose_size_is_known_cannot_be_short() -> None:
    """The driver refuses the length at once: the case ends with what it said."""
    result = run(case(1, short=True))
    assert result.ending is Ending.STOPPED
    assert result.function == "ANeuralNetworksExecution_setOutput"


@pytest.mark.parametrize("memory", [MemoryKind.POINTER, MemoryKind.SHARED])
def test_one_buffer_for_two_inputs(memory: MemoryKind) -> None:
    builder = Builder()
    x, y = (builder.input("TENSOR_FLOAT32", (COUNT,)) for _ in range(2))
    out = builder.output("TENSOR_FLOAT32", (COUNT,))
    builder.operation("ADD", (x, y, builder.constant("INT32", 0)), (out,))
    sets = (Execution((ONES * 3, ONES * 3), ((COUNT,),)),)
    one = Case("WAY", builder.build(), sets, memory=memory, extra=Extra(one_buffer=True))
    assert outputs(run(one)) == [6]


@pytest.mark.parametrize("flag", ["compiled_twice", "read_only", "packed", "more_roles"])
@pytest.mark.parametrize("memory", [MemoryKind.POINTER, MemoryKind.SHARED, MemoryKind.DEVICE])
def test_what_changes_nothing(flag: str, memory: MemoryKind) -> None:
    assert outputs(run(replace(case(1, 2, **{flag: True}), memory=memory))) == [2, 3]


def test_a_cache_that_was_cut() -> None:
    one = replace(case(1, cut_cache=True), cache_token=bytes(range(32)))
    assert outputs(run(one)) == [2]


@pytest.mark.parametrize("flag", FLAGS)
def test_a_saved_case_keeps_it(flag: str, tmp_path: FilePath) -> None:
    one = case(1, **{flag: True})
    path = tmp_path / "case.nntk"
    path.write_bytes(encode_batch([one]))
    assert read_case(path, "WAY").extra == one.extra


def test_what_the_suite_asks() -> None:
    """Each of them is in the suite."""
    cases = [ref.make() for ref in case_index(["ADD", "FULLY_CONNECTED"]) if "-state-" in ref.id]
    for flag in FLAGS:
        assert any(getattr(one.extra, flag) for one in cases), flag
