#!/usr/bin/env python3
"""What the way to a device costs, over loopback devices behind a real adb.

`python benchmarks/adb.py [--only NAME]` prints each number with the least it must be:

* streams: adb streams opened after the start of a session for 500 cases, results included;
* rate: cases a second through the whole engine (goldens as the oracle), over adb and on `host`;
* first: seconds to the first verdict on a device that takes 200 ms for each command, against those
  of the 19 commands, one after another, that a run once waited for (most of them asked and set up
  twice, for facts and for cases);
* fleet: 8 devices against 1, each of which sleeps 20 ms for a case, after the start.

Devices are processes of their own, as real ones are.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.loopback import LoopbackDevice
from nnapi_testkit.session.engine import Session
from nnapi_testkit.session.plan import available, within
from nnapi_testkit.session.settings import OracleMode, Settings
from nnapi_testkit.targets import fleet as fleet_of
from nnapi_testkit.targets import kept, parse_target

OPERATIONS = ("ADD", "MUL", "CONV_2D", "SOFTMAX", "RELU", "MAX_POOL_2D")
CASES = 500
DEVICES = 8
SLEEP = 0.02
COMMAND = 0.2
ONCE = (
    19  # commands one after another: 9 to set up and start a runner, twice, and cleaning up between
)
REPEATS = 3


@contextmanager
def device(*faults: str) -> Iterator[str]:
    """A loopback device in a process of its own; yields its serial."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nnapi_testkit.loopback", *faults],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def settings(target: str) -> Settings:
    return Settings(target=target, oracle=OracleMode.GOLDEN, operations=OPERATIONS)


def chosen(count: int) -> list[CaseRef]:
    """Cases of all operations in turn, as a whole run of a device of the newest level has them."""
    session = Session(settings("host"))
    facts = session.describe()
    refs = available(within(session.refs(), facts), facts)
    step = max(1, len(refs) // count)
    return list(refs[::step])[:count]


def timed(target: str, refs: Sequence[CaseRef]) -> float:
    """Seconds of an engine's run on devices that are leased already, runners' start included."""
    with ExitStack() as stack:
        for name in fleet_of(target):
            stack.enter_context(parse_target(name).open())
        started = time.perf_counter()
        records = list(Session(settings(target)).run(refs))
        seconds = time.perf_counter() - started
    bad = [record for record in records if record.verdict in (Verdict.INFRA, Verdict.NOT_RUN)]
    if bad or len(records) != len(refs):
        raise SystemExit(f"not a measurement: {len(records)} records, {bad[:1]}")
    return seconds


def streams() -> None:
    cases = [ref.make() for ref in chosen(CASES)]
    with LoopbackDevice() as loopback:
        with parse_target(f"adb:{loopback.serial}").open() as runner:
            ready = len(loopback.opened)
            count = sum(1 for _ in runner.run(cases))
        used = len(loopback.opened) - ready
        print(f"streams: {used} for {count} cases, cleaning up included (at most 3)")


def rate() -> None:
    refs = chosen(2000)
    with device() as serial:
        here, there = [], []
        for _ in range(REPEATS):
            here.append(len(refs) / timed("host", refs))
            there.append(len(refs) / timed(f"adb:{serial}", refs))
    best_here, best_there = max(here), max(there)
    print(f"rate: host {best_here:.0f} cases/s, adb {best_there:.0f} cases/s (at least 500)")
    print(f"rate: adb over host {best_there / best_here:.2f} (at least 0.7)")


def first_verdict(serial: str) -> float:
    """Seconds of a run until its first verdict, the question for facts included."""
    refs = chosen(20)
    started = time.perf_counter()
    with kept():
        session = Session(settings(f"adb:{serial}"))
        session.describe()
        with closing(session.run(refs)) as records:
            next(records)
            return time.perf_counter() - started


def first() -> None:
    with device(f"command_seconds={COMMAND}") as serial:
        with parse_target(f"adb:{serial}").open():
            pass  # adb's own server has found it
        took = first_verdict(serial)
    print(
        f"first: {took:.1f} s to the first verdict, of which it waits for commands of {COMMAND} s"
    )
    print(f"first: {took / (ONCE * COMMAND):.2f} of {ONCE} such commands (at most 0.5)")


def fleet() -> None:
    refs = chosen(CASES)
    with ExitStack() as stack:
        serials = [stack.enter_context(device(f"case_seconds={SLEEP}")) for _ in range(DEVICES)]
        one = timed(f"adb:{serials[0]}", refs)
        many = timed("adb:" + ",".join(serials), refs)
    print(f"fleet: 1 device {one:.2f} s, {DEVICES} devices {many:.2f} s for {len(refs)} cases")
    print(f"fleet: {one / many:.1f} times (at least 6)")


def main(arguments: Sequence[str] | None = None) -> None:
    # The rate first: an adb server tries for a while to reach a device that has gone.
    parts = {"rate": rate, "streams": streams, "first": first, "fleet": fleet}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=sorted(parts))
    only = parser.parse_args(arguments).only
    for name, part in parts.items():
        if only in (None, name):
            part()


if __name__ == "__main__":
    main()
