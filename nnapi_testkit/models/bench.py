"""How fast a device runs a model: preparation cold and cached, latencies by the way it is asked.

Every way runs on the same input set. The first execution is told apart from later ones, since a
driver may finish its work on it. Quantiles are of the later ones, each timed by the runner around
the execution alone; durations of driver and hardware are the device's own word.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import (
    Case,
    Ending,
    Execution,
    ExecutionPath,
    MemoryKind,
    Quality,
    Result,
)
from nnapi_testkit.model.program import InputSet, Program
from nnapi_testkit.models.check import DEADLINE_MS, given_inputs
from nnapi_testkit.models.drain import NOT_MEASURABLE, SECONDS, Draw, drawn
from nnapi_testkit.models.steps import in_order
from nnapi_testkit.oracle import follow
from nnapi_testkit.spec.codes import PreferenceCode, PriorityCode, ResultCode
from nnapi_testkit.targets.base import Runner

__all__ = ["Bench", "Timing", "bench"]

RUNS = 30
MOST_OUTPUT_BYTES = 1 << 28
MOST_RUNS = 10_000
HALF_A_SECOND = 500_000_000


@dataclass(frozen=True)
class Timing:
    """One way to run the model.

    Args:
        way: what was asked, in words. failed: why there are no figures.
        prepare_ns: model, compilation and freeing: everything but the executions.
        first_ns: the first execution. p50_ns, p90_ns, p99_ns: of the later ones.
        driver_ns, hardware_ns: medians of what the device says of the later ones; -1 where it
            says nothing.
        peak_kib: the most resident memory of the process, 0 if the system does not tell.
    """

    way: str
    failed: str = ""
    prepare_ns: int = 0
    first_ns: int = 0
    p50_ns: int = 0
    p90_ns: int = 0
    p99_ns: int = 0
    driver_ns: int = -1
    hardware_ns: int = -1
    peak_kib: int = 0


@dataclass(frozen=True)
class Bench:
    """One model on one device.

    Args:
        timings: one for each way. at_once: the median with this many copies of the model at work,
            each in a process of its own, by their number. power: what the device's battery says, in
        words. draw: the same in figures; None where it cannot be measured.
    """

    model: str
    target: str
    device: str
    runs: int
    timings: tuple[Timing, ...]
    at_once: tuple[tuple[int, int], ...] = ()
    power: str = NOT_MEASURABLE
    draw: Draw | None = None

    def json(self) -> dict[str, object]:
        """The figures as JSON values."""
        return asdict(self)


def bench(
    program: Program,
    open_runner: Callable[[], Runner],
    target: str,
    inputs: Sequence[InputSet] = (),
    *,
    runs: int = RUNS,
    at_once: Sequence[int] = (2, 4),
    power_seconds: float = SECONDS,
) -> Bench:
    """Time a model on its first input set.

    Args:
        open_runner: opens a runner on the target; called again for copies at once.
        runs: executions of each way. at_once: how many copies run at the same time.
        power_seconds: how long the battery is read while the model runs, where there is one.

    Raises KitError: there is no input, or the device does not run the model at all.
    """
    base = _case(program, given_inputs(program, inputs)[0], runs)
    ways = list(_ways(base))
    with open_runner() as runner:
        results = list(runner.run([case for _, case in ways]))
    timings = tuple(
        _timing(way, case, result) for (way, case), result in zip(ways, results, strict=True)
    )
    if timings[0].failed:
        raise KitError(f"{program.name} does not run on {target}: {timings[0].failed}")
    several = tuple((count, _several(base, open_runner, count)) for count in at_once)
    draw, power = drawn(_long(base, results[0]), open_runner, power_seconds)
    device = results[0].device
    return Bench(
        program.name, target, device, base.repetitions, timings, several, power=power, draw=draw
    )


def _case(program: Program, row: InputSet, runs: int) -> Case:
    model = program.model
    chain = follow(model, in_order(model.main), row, 0)
    dims = tuple(chain.values[at].shape for at in model.main.outputs)
    size = sum(chain.values[at].nbytes for at in model.main.outputs)
    runs = max(2, min(runs, MOST_OUTPUT_BYTES // max(1, size)))
    return Case(
        program.name,
        model,
        (Execution(row, dims),),
        repetitions=runs,
        deadline_ms=DEADLINE_MS,
        measure=True,
    )


def _long(base: Case, result: Result) -> Case:
    """The model as often in one batch as takes half a second and leaves the outputs handy."""
    run = result.executions[-1]
    wanted = HALF_A_SECOND // max(1, run.nanoseconds)
    size = sum(len(output.data) for output in run.outputs)
    most = MOST_OUTPUT_BYTES // max(1, size)
    return replace(base, id=base.id + "+power", repetitions=max(2, min(wanted, most, MOST_RUNS)))


def _ways(base: Case) -> Iterator[tuple[str, Case]]:
    yield "compute", base
    token = hashlib.sha256(os.urandom(32)).digest()
    yield "compilation cached, cold", replace(base, id=base.id + "+cold", cache_token=token)
    yield "compilation cached, warm", replace(base, id=base.id + "+warm", cache_token=token)
    for path in (
        ExecutionPath.START_WAIT,
        ExecutionPath.BURST,
        ExecutionPath.FENCED,
        ExecutionPath.REUSABLE,
    ):
        word = path.name.lower().replace("_", " and ")
        yield word, replace(base, id=f"{base.id}+{path.name}", path=path)
    for kind in (MemoryKind.SHARED, MemoryKind.DEVICE, MemoryKind.AHARDWARE_BUFFER):
        word = f"{kind.name.lower().replace('_', ' ')} memory"
        yield word, replace(base, id=f"{base.id}+{kind.name}", memory=kind)
    for preference in PreferenceCode:
        word = preference.name.lower().replace("_", " ")
        quality = Quality(preference=int(preference))
        yield word, replace(base, id=f"{base.id}+{preference.name}", quality=quality)
    for priority in PriorityCode:
        word = priority.name.lower().replace("_", " ")
        quality = Quality(priority=int(priority))
        yield word, replace(base, id=f"{base.id}+{priority.name}", quality=quality)


def _timing(way: str, case: Case, result: Result) -> Timing:
    if result.ending is not Ending.COMPLETED:
        if result.ending is Ending.BAD_CASE and result.text:
            return Timing(way, failed=result.text)  # what the runner itself cannot do here
        where = result.function or result.stage.name.lower()
        return Timing(way, failed=f"{result.ending.name.lower()} at {where}, code {result.code}")
    failed = next((run for run in result.executions if run.code != ResultCode.NO_ERROR), None)
    if failed is not None or len(result.executions) < case.repetitions:
        code = failed.code if failed is not None else 0
        return Timing(way, failed=f"an execution gave code {code}")
    times = [run.nanoseconds for run in result.executions]
    later = sorted(times[1:])
    return Timing(
        way,
        prepare_ns=max(0, result.nanoseconds - sum(times)),
        first_ns=times[0],
        p50_ns=_quantile(later, 0.5),
        p90_ns=_quantile(later, 0.9),
        p99_ns=_quantile(later, 0.99),
        driver_ns=_told([run.driver_ns for run in result.executions[1:]]),
        hardware_ns=_told([run.hardware_ns for run in result.executions[1:]]),
        peak_kib=result.peak_kib,
    )


def _quantile(values: Sequence[int], share: float) -> int:
    """The smallest value that at least this share of the sorted values does not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def _told(values: Sequence[int]) -> int:
    known = sorted(value for value in values if value >= 0)
    return _quantile(known, 0.5) if known else -1


def _several(base: Case, open_runner: Callable[[], Runner], count: int) -> int:
    """The median of an execution while `count` copies of the model are at work; 0 if one failed."""

    def one(_: int) -> Timing:
        with open_runner() as runner:
            return _timing("at once", base, next(iter(runner.run([base]))))

    with ThreadPoolExecutor(count) as pool:
        timings = list(pool.map(one, range(count)))
    if any(timing.failed for timing in timings):
        return 0
    return max(timing.p50_ns for timing in timings)
