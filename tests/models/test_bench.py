"""`model bench`: figures add up, every way is asked for, a battery is read where there is one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from nnapi_testkit.loopback import LoopbackDevice
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Ending, Execution, Result, SetResult, Stage
from nnapi_testkit.model.program import Program
from nnapi_testkit.models.bench import Bench, Timing, _quantile, _timing, bench
from nnapi_testkit.models.bench_text import markdown, text
from nnapi_testkit.models.drain import drawn
from nnapi_testkit.targets import parse_target
from nnapi_testkit.targets.adb.battery import parse
from nnapi_testkit.targets.base import PowerReading, Runner


def tiny() -> Program:
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (64, 64))
    out = builder.output("TENSOR_FLOAT32", (64, 64))
    builder.operation("TANH", (x,), (out,))
    data = np.linspace(-1, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    return Program(builder.build(), "tiny", inputs=((data,),))


def test_quantiles_are_of_the_values_themselves() -> None:
    values = list(range(1, 31))
    assert [_quantile(values, share) for share in (0.5, 0.9, 0.99)] == [15, 27, 30]
    assert _quantile([7], 0.5) == 7


def test_every_way_is_asked_for() -> None:
    found = bench(tiny(), lambda: parse_target("host").open(), "host", runs=4, at_once=(2,))
    ways = {timing.way: timing for timing in found.timings}
    assert set(ways) >= {
        *("compute", "start and wait", "burst", "fenced", "reusable"),
        *("compilation cached, cold", "compilation cached, warm"),
        *("shared memory", "device memory", "ahardware buffer memory"),
        *("prefer low power", "prefer fast single answer", "prefer sustained speed"),
        *("priority low", "priority medium", "priority high"),
    }
    assert all(timing.prepare_ns > 0 for timing in found.timings if not timing.failed)
    assert found.power == "not measurable here" and found.draw is None


def test_bars_stand_beside_both_tables() -> None:
    timings = Timing("compute", p50_ns=2000), Timing("burst", p50_ns=1000), Timing("fenced", "no")
    found = Bench("m", "host", "d", 3, timings)
    for shown in (text(found), markdown(found)):
        bars = [line.count("█") for line in shown.splitlines()]
        assert [count for count in bars if count] == [30, 15]


def test_a_way_that_fails_leaves_the_columns_alone() -> None:
    """Its reason is as long as it is, and the figures stand together."""
    timings = Timing("compute", p50_ns=2000), Timing("fenced", "x" * 200)
    figures = text(Bench("m", "host", "d", 3, timings)).splitlines()[2]
    assert len(figures) < 120


def test_the_device_is_asked_of_the_later_executions() -> None:
    case = Case("c", tiny().model, (), repetitions=3)
    runs = tuple(SetResult(0, (), 10, driver_ns=ns, hardware_ns=ns - 1) for ns in (900, 8, 7))
    found = _timing("compute", case, Result(0, Ending.COMPLETED, Stage.DONE, executions=runs))
    assert (found.driver_ns, found.hardware_ns) == (7, 6)


class Battery:
    """A runner whose device draws more while it works."""

    def __init__(self, rest: float, work: float, status: str = "Discharging") -> None:
        self.rest, self.work, self.status = rest, work, status
        self.busy = False

    def run(self, cases: Sequence[Case]) -> Iterator[Result]:
        self.busy = True
        time.sleep(0.05)
        for index, case in enumerate(cases):
            runs = (SetResult(0, ()),) * case.repetitions
            yield Result(index, Ending.COMPLETED, Stage.DONE, executions=runs)
        self.busy = False

    def power(self) -> PowerReading | None:
        return PowerReading(self.work if self.busy else self.rest, self.status)

    def __enter__(self) -> Battery:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def battery(*args: object) -> Callable[[], Runner]:
    return lambda: Battery(*args)  # type: ignore[arg-type, return-value]


def test_power_is_work_against_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnapi_testkit.models.drain.INTERVAL", 0.01)
    program = tiny()
    case = Case("tiny", program.model, (Execution(program.inputs[0], ((64, 64),)),), repetitions=10)
    draw, words = drawn(case, battery(0.5, 2.5), 0.5)
    assert draw is not None and draw.rest_watts == 0.5
    assert 2.0 < draw.busy_watts <= 2.5
    # 10 executions in 50 ms, 2 W more than at rest: 10 mJ each.
    assert 0.007 < draw.joules < 0.03
    assert "mJ an execution" in words
    for status, why in (("Charging", "over Wi-Fi"), ("Full", "Full")):
        draw, words = drawn(case, battery(0.5, 2.5, status), 0.1)
        assert draw is None and "not measurable here" in words and why in words
    draw, words = drawn(case, battery(1.0, 1.0), 0.1)
    assert draw is None and "gauge did not change" in words


def test_what_phones_say_of_their_battery() -> None:
    files = "status=Discharging\ncurrent_now=-412000\nvoltage_now=3850000\n"
    found = parse(files)
    assert found is not None and found.status == "Discharging"
    assert found.watts == pytest.approx(0.412 * 3.85)
    assert parse(files.replace("-412000", "412")) == found  # a maker's milliamperes
    # Files that a shell may not read, and the battery service of the same phone.
    service = (
        "Current Battery Service state:\n  AC powered: false\n  status: 3\n  voltage: 3850\n"
        "  current now: -412000\n"
    )
    assert parse(service) == found
    assert parse(service.replace("  current now: -412000\n", "")) is None
    assert parse("status=Discharging\npower_now=1500000\n") == PowerReading(1.5, "Discharging")
    assert parse("") is None
    assert parse("status=Discharging\ncurrent_now=\nvoltage_now=?\n") is None


def test_a_device_over_adb_tells_its_power(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnapi_testkit.models.drain.INTERVAL", 0.05)
    with LoopbackDevice() as device:
        target = parse_target(f"adb:{device.serial}")
        run = {"runs": 2, "at_once": (), "power_seconds": 1.0}
        found = bench(tiny(), target.open, target.name, **run)  # type: ignore[arg-type]
        assert "does not tell its battery's current" in found.power
        device.set_battery("Charging", 0.9, 4.2)
        found = bench(tiny(), target.open, target.name, **run)  # type: ignore[arg-type]
        assert "Charging" in found.power and found.draw is None
        device.set_battery("Discharging", -0.2, 4.0)
        before = device.results + len(found.timings)

        def gauge() -> None:
            """More current as soon as the runner has given the first results of the long run."""
            busy = device.results > before
            device.set_battery("Discharging", -0.6 if busy else -0.2, 4.0)

        with Watched(device, gauge):
            found = bench(tiny(), target.open, target.name, **run | {"power_seconds": 3.0})  # type: ignore[arg-type]
        assert found.draw is not None, found.power
        assert 0.7 < found.draw.rest_watts < found.draw.busy_watts < 2.5
        assert found.json()["draw"] is not None and found.draw.executions > 0


class Watched:
    """Calls a function of a device again and again."""

    def __init__(self, device: LoopbackDevice, function: Callable[[], None]) -> None:
        self.done = threading.Event()

        def work() -> None:
            while not self.done.wait(0.01):
                function()

        self.thread = threading.Thread(target=work, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()
