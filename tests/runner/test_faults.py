"""Whatever a driver does costs exactly the case it does it in."""

from __future__ import annotations

import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from nnapi_testkit.model.case import Case, Ending, Result, Stage
from nnapi_testkit.spec.codes import ResultCode
from nnapi_testkit.targets import LocalTarget, RunnerSession

# Places of a fault in the toy driver: number, stage, function.
PLACES = {
    "finish": (0, Stage.MODEL, "ANeuralNetworksModel_finish"),
    "support": (1, Stage.SUPPORT, "ANeuralNetworksModel_getSupportedOperationsForDevices"),
    "compile": (2, Stage.COMPILATION, "ANeuralNetworksCompilation_finish"),
    "input": (3, Stage.EXECUTION, "ANeuralNetworksExecution_setInput"),
    "compute": (4, Stage.EXECUTION, "ANeuralNetworksExecution_compute"),
    "rank": (5, Stage.EXECUTION, "ANeuralNetworksExecution_getOutputOperandRank"),
    "free": (6, Stage.DONE, "ANeuralNetworksModel_free"),
}
FAULTS = {
    "segv": (0, Ending.CRASHED, signal.SIGSEGV),
    "abort": (1, Ending.CRASHED, signal.SIGABRT),
    "hang": (2, Ending.TIMED_OUT, 0),
    "balloon": (3, Ending.OUT_OF_MEMORY, 0),
    "exit": (4, Ending.EXITED, 3),
    "fork": (7, Ending.CRASHED, signal.SIGABRT),
}


def fault_code(fault: int, place: int) -> int:
    return 9000 + 10 * fault + place


def assert_right(case: Case, result: Result) -> None:
    assert result.ending is Ending.COMPLETED, result
    assert result.stage is Stage.DONE
    first, second = case.sets[0].inputs
    assert first is not None and second is not None
    for execution in result.executions:
        got = np.frombuffer(execution.outputs[0].data, np.float32)
        np.testing.assert_array_equal(got, (first + second).reshape(-1))
        assert execution.outputs[0].unwritten == 0
        assert execution.outputs[0].overrun == 0
        assert execution.modified_inputs == 0


def run_between(session: RunnerSession, make_case, bad: Case) -> Result:
    """Run `bad` among good cases; all the others must be right."""
    good = make_case()
    cases = [good, good, bad, good, good]
    results = list(session.run(cases))
    assert [result.index for result in results] == [0, 1, 2, 3, 4]
    for index in (0, 1, 3, 4):
        assert_right(good, results[index])
    return results[2]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_dying_worker_costs_one_case(
    session: RunnerSession, make_case, fault: str, place: str
) -> None:
    number, ending, status = FAULTS[fault]
    where, stage, function = PLACES[place]
    deadline = 300 if fault == "hang" else 10_000
    began = time.monotonic()
    result = run_between(
        session, make_case, make_case(fault_code(number, where), deadline_ms=deadline)
    )
    assert (result.ending, result.code) == (ending, status)
    assert (result.stage, result.function) == (stage, function)
    assert result.device == "toy-0"
    assert session.last_end is not None
    assert session.last_end.deaths == 1
    assert session.last_end.workers == 2
    # Far from any deadline but the case's own, also while a child keeps the pipes open.
    assert time.monotonic() - began < 8


def test_the_last_words_of_a_crash_are_kept(session: RunnerSession, make_case) -> None:
    result = run_between(session, make_case, make_case(9004))
    assert "about to crash" in result.text


def test_every_second_case_crashes(session: RunnerSession, make_case) -> None:
    cases = [make_case(9004 if i % 2 else 0) for i in range(100)]
    results = list(session.run(cases))
    for i, (case, result) in enumerate(zip(cases, results, strict=True)):
        if i % 2:
            assert result.ending is Ending.CRASHED
        else:
            assert_right(case, result)


@pytest.mark.parametrize("place", PLACES)
def test_printing_does_not_reach_the_results(session: RunnerSession, make_case, place: str) -> None:
    bad = make_case(fault_code(5, PLACES[place][0]))
    assert_right(bad, run_between(session, make_case, bad))
    assert session.last_end is not None
    assert session.last_end.deaths == 0


def test_writing_into_every_descriptor_costs_one_case(session: RunnerSession, make_case) -> None:
    result = run_between(session, make_case, make_case(9105))
    assert result.ending is Ending.CRASHED
    assert "pipe" in result.text


@pytest.mark.parametrize("place", ["finish", "support", "compile", "input", "compute"])
def test_an_error_code_stops_the_case(session: RunnerSession, make_case, place: str) -> None:
    where, stage, function = PLACES[place]
    result = run_between(session, make_case, make_case(fault_code(6, where)))
    assert result.ending is Ending.STOPPED
    assert (result.stage, result.function) == (stage, function)
    assert result.code == ResultCode.OP_FAILED
    codes = [execution.code for execution in result.executions]
    assert codes == ([ResultCode.OP_FAILED] if stage is Stage.EXECUTION else [])


def test_unclaimed_operations_are_not_run(session: RunnerSession, make_case) -> None:
    result = run_between(session, make_case, make_case(9106))
    assert (result.ending, result.stage, result.code) == (Ending.UNSUPPORTED, Stage.SUPPORT, 9106)


@pytest.mark.parametrize(("code", "unwritten"), [(9100, 24), (9101, 12)])
def test_unwritten_bytes_are_counted(
    session: RunnerSession, make_case, code: int, unwritten: int
) -> None:
    result = run_between(session, make_case, make_case(code))
    assert result.ending is Ending.COMPLETED
    assert result.executions[0].outputs[0].unwritten == unwritten


def test_values_equal_to_the_sentinel_count_as_written(session: RunnerSession, make_case) -> None:
    (untouched,) = session.run([make_case(9100)])
    sentinel = np.frombuffer(untouched.executions[0].outputs[0].data, np.float32)
    (result,) = session.run([make_case(first=sentinel, second=np.full(6, -0.0, np.float32))])
    output = result.executions[0].outputs[0]
    assert output.data == sentinel.tobytes()
    assert output.unwritten == 0


@pytest.mark.parametrize("code", [9102, 9109])
def test_writing_outside_the_buffer_is_counted(session: RunnerSession, make_case, code) -> None:
    result = run_between(session, make_case, make_case(code))
    assert result.executions[0].outputs[0].overrun == 8


def test_changed_inputs_are_counted(session: RunnerSession, make_case) -> None:
    result = run_between(session, make_case, make_case(9104))
    assert result.executions[0].modified_inputs == 1


def test_all_repetitions_come_back(session: RunnerSession, make_case) -> None:
    steady = make_case(repetitions=3)
    restless = make_case(9103, repetitions=3)
    same, other = session.run([steady, restless])
    assert_right(steady, same)
    assert len(same.executions) == len(other.executions) == 3
    assert len({e.outputs[0].data for e in same.executions}) == 1
    assert len({e.outputs[0].data for e in other.executions}) == 3


def test_an_absurd_rank_is_no_dimensions(session: RunnerSession, make_case) -> None:
    result = run_between(session, make_case, make_case(9107))
    output = result.executions[0].outputs[0]
    assert (output.dims, output.dims_code) == (None, ResultCode.BAD_DATA)


def test_insufficient_size_reports_dimensions(session: RunnerSession, make_case) -> None:
    result = run_between(session, make_case, make_case(9108))
    assert (result.ending, result.code) == (Ending.STOPPED, ResultCode.OUTPUT_INSUFFICIENT_SIZE)
    execution = result.executions[0]
    assert execution.code == ResultCode.OUTPUT_INSUFFICIENT_SIZE
    assert execution.outputs[0].dims == (6,)
    assert execution.outputs[0].data == b""


def test_isolation_tells_a_state_leak_from_a_wrong_kernel(toy: LocalTarget, make_case) -> None:
    leaking = make_case(9111)
    with toy.open() as together:
        results = list(together.run([make_case(), leaking]))
        assert results[1].ending is Ending.CRASHED
        (alone,) = together.run([leaking], isolate=True)
        assert_right(leaking, alone)
    with toy.open(isolate=True) as apart:
        for case, result in zip([leaking] * 3, apart.run([leaking] * 3), strict=True):
            assert_right(case, result)


def test_a_bad_exit_is_the_isolated_cases_ending(toy: LocalTarget, make_case) -> None:
    with toy.open(isolate=True) as apart:
        good, bad, after = apart.run([make_case(), make_case(9110), make_case()])
        assert_right(make_case(), good)
        assert (bad.ending, bad.code) == (Ending.CRASHED, signal.SIGABRT)
        assert bad.executions[0].outputs[0].data == good.executions[0].outputs[0].data
        assert_right(make_case(), after)


def test_the_farewell_tells_how_the_last_worker_left(toy: LocalTarget, make_case) -> None:
    with toy.open() as clean:
        list(clean.run([make_case()]))
    assert clean.farewell is not None
    assert clean.farewell.ending is Ending.COMPLETED
    with toy.open() as unclean:
        list(unclean.run([make_case(9110)]))
    assert unclean.farewell is not None
    assert (unclean.farewell.ending, unclean.farewell.code) == (Ending.CRASHED, signal.SIGABRT)


def test_large_batches_and_results_do_not_wait_for_each_other(
    session: RunnerSession, make_case
) -> None:
    case = make_case(size=50_000)
    cases = [case] * 150  # 60 MB out, 30 MB back
    for result in session.run(cases):
        assert_right(case, result)


def test_a_batch_that_nobody_waits_for_is_dropped(session: RunnerSession, make_case) -> None:
    case = make_case()
    results = session.run([case] * 50)
    next(results)
    results.close()
    for result in session.run([replace(case, id="other")] * 3):
        assert_right(case, result)
