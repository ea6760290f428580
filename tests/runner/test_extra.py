"""What few cases ask for: executions at once, freed models, paddings, folders, endurance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.leaks import leak
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import (
    Answer,
    Case,
    Ending,
    Execution,
    ExecutionPath,
    Expected,
    Extra,
    Folder,
    Held,
    MemoryKind,
    Resources,
    Result,
    SetResult,
    Stage,
)
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.model.wire import encode_batch
from nnapi_testkit.model.wire_codes import MAX_REPETITIONS
from nnapi_testkit.repro.read import read_case
from nnapi_testkit.targets import parse_target

SETS = 4


def case(
    path: ExecutionPath = ExecutionPath.COMPUTE,
    memory: MemoryKind = MemoryKind.POINTER,
    **extra: int,
) -> Case:
    """x + 1 for four sets of numbers."""
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (6,))
    one = builder.constant("TENSOR_FLOAT32", np.ones(6, np.float32))
    out = builder.output("TENSOR_FLOAT32", (6,))
    builder.operation("ADD", (x, one, builder.constant("INT32", 0)), (out,))
    sets = tuple(Execution((np.arange(6, dtype=np.float32) * n + n,), ((6,),)) for n in range(SETS))
    return Case("EXTRA", builder.build(), sets, path, memory, extra=Extra(**extra))  # type: ignore[arg-type]


def run(one: Case) -> Result:
    with parse_target("host").open() as runner:
        return next(iter(runner.run([one])))


def right(result: Result) -> bool:
    """Whether each set has its own sums, everything written and nothing else."""
    assert result.ending is Ending.COMPLETED, result
    assert len(result.executions) == SETS
    for n, execution in enumerate(result.executions):
        (output,) = execution.outputs
        want = np.arange(6, dtype=np.float32) * n + n + 1
        same = np.array_equal(np.frombuffer(output.data, np.float32), want)
        if execution.code or not same or output.unwritten or output.overrun:
            return False
    return True


@pytest.mark.parametrize("memory", [MemoryKind.POINTER, MemoryKind.SHARED, MemoryKind.DEVICE])
@pytest.mark.parametrize("path", ExecutionPath)
def test_all_sets_at_once(path: ExecutionPath, memory: MemoryKind) -> None:
    assert right(run(case(path, memory, together=True)))


@pytest.mark.parametrize("path", ExecutionPath)
def test_without_its_model(path: ExecutionPath) -> None:
    assert right(run(case(path, orphan=True)))


@pytest.mark.parametrize("padding", [1, 64])
@pytest.mark.parametrize("path", ExecutionPath)
def test_longer_paddings(path: ExecutionPath, padding: int) -> None:
    assert right(run(replace(case(path, padding=padding), padding=True)))


@pytest.mark.parametrize("folder", Folder)
def test_folders_of_caches(folder: Folder) -> None:
    one = replace(case(folder=folder), cache_token=bytes(range(32)))
    with parse_target("host").open() as runner:
        assert all(right(result) for result in runner.run([one, one]))


@pytest.mark.parametrize("path", ExecutionPath)
def test_timeouts_of_0_are_none(path: ExecutionPath) -> None:
    assert right(run(case(path, no_timeout=True)))


@pytest.mark.parametrize("large", [False, True])
# Hardware buffers are asked for where a target has them.
@pytest.mark.parametrize("memory", sorted({*MemoryKind} - {MemoryKind.AHARDWARE_BUFFER}))
@pytest.mark.parametrize("path", [ExecutionPath.COMPUTE, ExecutionPath.FENCED])
def test_odd_addresses(path: ExecutionPath, memory: MemoryKind, large: bool) -> None:
    """Of arguments, and of constants that are copied at once or stay where they are."""
    count = 60 if large else 6
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (count,))
    steps = builder.constant("TENSOR_FLOAT32", np.arange(count, dtype=np.float32))
    out = builder.output("TENSOR_FLOAT32", (count,))
    builder.operation("ADD", (x, steps, builder.constant("INT32", 0)), (out,))
    data = np.linspace(-1, 1, count, dtype=np.float32)
    sets = (Execution((data,), ((count,),)),)
    odd = Case("ODD", builder.build(), sets, path, memory, extra=Extra(unaligned=True))
    (execution,) = run(odd).executions
    (output,) = execution.outputs
    assert not execution.code and not output.unwritten and not output.overrun
    assert np.array_equal(
        np.frombuffer(output.data, np.float32), data + np.arange(count, dtype=np.float32)
    )


def test_compiled_for_all_devices() -> None:
    assert right(run(case(devices=True)))


def test_everything_at_once() -> None:
    assert right(run(case(ExecutionPath.FENCED, together=True, orphan=True, devices=True)))


# ---- endurance ----


@pytest.mark.parametrize("path", [ExecutionPath.COMPUTE, ExecutionPath.FENCED, ExecutionPath.BURST])
def test_what_is_held_is_counted(path: ExecutionPath) -> None:
    """The runner itself loses nothing: what it counts is the driver's."""
    result = run(case(path, MemoryKind.SHARED, executions=200, lives=20))
    assert right(result)
    executions, lives = result.resources
    assert (executions.lives, executions.rounds) == (False, 200)
    assert (lives.lives, lives.rounds) == (True, 20)
    for one in result.resources:
        for held in (one.before, one.after):
            # Standard streams, its pipes, and the folder that is being counted.
            assert held.descriptors >= 4 and held.threads >= 1
            assert held.mappings > 8 and held.resident_kib > 500
        assert one.after.descriptors == one.before.descriptors
        assert one.after.threads == one.before.threads
    assert not leak(result)
    assert not run(case(path)).resources


def test_an_execution_that_fails_while_it_is_repeated() -> None:
    """A loop of the runner's own does not hide what the driver says."""
    one = case(executions=5)
    wrong = replace(one.sets[0], output_bytes=(8,))
    result = run(replace(one, sets=(*one.sets, wrong), expect=Stage.EXECUTION))
    assert result.ending is Ending.STOPPED and not result.resources


HELD = Held(10, 3, 100, 5000)


@pytest.mark.parametrize(
    ("grown", "rounds", "what"),
    [
        ({"descriptors": 1010}, 1000, "1000 file descriptors"),
        ({"descriptors": 39}, 1000, "29 file descriptors"),
        ({"descriptors": 38}, 1000, ""),
        ({"threads": 253}, 1000, "250 threads"),
        ({"mappings": 600}, 1000, "500 mappings"),
        ({"mappings": 182}, 1000, ""),
        ({"resident_kib": 5000 + 33_000}, 1000, "33000 KiB"),
        ({"resident_kib": 5000 + 32_000}, 1000, ""),
        ({"resident_kib": 5000 + 40_000}, 100, "40000 KiB"),
        ({"descriptors": 9, "threads": 1, "mappings": 10, "resident_kib": 1}, 1000, ""),
    ],
)
def test_what_grows_with_the_rounds(grown: dict[str, int], rounds: int, what: str) -> None:
    told = Resources(False, rounds, HELD, replace(HELD, **grown))
    result = Result(0, Ending.COMPLETED, Stage.DONE, resources=(told,))
    assert leak(result) == "" if not what else what in leak(result)
    if what:
        again = replace(result, resources=(replace(told, before=HELD, after=HELD), told))
        assert what in leak(again)
    # A system that tells nothing: all is 0.
    silent = Held(0, 0, 0, 0)
    assert not leak(replace(result, resources=(Resources(True, rounds, silent, silent),)))


def test_a_leak_is_a_failure_where_the_numbers_are_right() -> None:
    one = case(executions=1000)
    ref = CaseRef("ADD[x]", "ADD", "float32", 1, Kind.ENDURE, lambda: one)
    result = replace(run(replace(one, extra=Extra())), resources=())
    value = [np.arange(6.0) * n + n + 1 for n in range(SETS)]
    answer = Answer(tuple((Expected(v, np.zeros(6)),) for v in value))
    lost = Resources(False, 1000, HELD, replace(HELD, descriptors=1010))
    assert judge(ref, one, answer, result).verdict is Verdict.PASS
    record = judge(ref, one, answer, replace(result, resources=(lost,)))
    assert record.verdict is Verdict.LEAK
    assert "1000 file descriptors" in record.message
    # What is wrong as well says so first.
    zero = Answer(tuple((Expected(np.zeros(6), np.zeros(6)),) for _ in value))
    wrong = judge(ref, one, zero, replace(result, resources=(lost,)))
    assert wrong.verdict is Verdict.MISMATCH


def test_a_runtime_that_needs_the_model_is_no_driver() -> None:
    one = case(orphan=True)
    ref = CaseRef("ADD[x]", "ADD", "float32", 1, Kind.STATE, lambda: one)
    died = Result(0, Ending.CRASHED, Stage.EXECUTION, 11, device="d")
    assert judge(ref, one, None, died).verdict is Verdict.CRASH_RUNNER
    assert judge(ref, one, None, died, between=True).verdict is Verdict.PLATFORM
    plain = replace(one, extra=Extra())
    assert judge(ref, plain, None, died, between=True).verdict is Verdict.CRASH_RUNNER


def test_a_refusable_quality() -> None:
    one = case(folder=Folder.MISSING)
    ref = CaseRef("ADD[x]", "ADD", "float32", 1, Kind.QUALITY, lambda: one, refusable="open")
    stopped = Result(0, Ending.STOPPED, Stage.COMPILATION, 4, device="d")
    assert judge(ref, one, None, stopped).verdict is Verdict.OBSERVED
    assert judge(replace(ref, refusable=""), one, None, stopped).verdict is Verdict.REFUSED
    failed = SetResult(4, ())
    assert failed.code


# ---- the wire ----


@pytest.mark.parametrize(
    "extra",
    [
        Extra(executions=MAX_REPETITIONS, lives=7, padding=64),
        Extra(orphan=True),
        Extra(together=True, folder=Folder.SEALED),
        Extra(devices=True, folder=Folder.MISSING, no_timeout=True),
        Extra(unaligned=True),
    ],
)
def test_a_saved_case_keeps_it(extra: Extra, tmp_path: FilePath) -> None:
    file = tmp_path / "case.nntk"
    file.write_bytes(encode_batch([replace(case(), extra=extra)]))
    assert read_case(file, "EXTRA").extra == extra


@pytest.mark.parametrize(
    "extra", [Extra(executions=MAX_REPETITIONS + 1), Extra(lives=10**6), Extra(padding=65)]
)
def test_too_much_is_a_bad_case(extra: Extra) -> None:
    result = run(replace(case(), extra=extra))
    assert result.ending is Ending.BAD_CASE and "too many" in result.text
