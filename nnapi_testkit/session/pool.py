"""Several lanes, each in a process of its own; blocks are handed out as lanes become free.

A lane process serializes, runs and judges; what comes back is the finished line of
`results.jsonl` for each case. Processes are started by name and not forked, so no state of the
parent (threads, torch, a test session) reaches them.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.session.plan import block_sizes
from nnapi_testkit.session.record import decode
from nnapi_testkit.session.settings import Settings

__all__ = ["run_pool"]

STOP_SECONDS = 3.0  # what a lane may take to end its runner
CASE_STARTS = 2  # how often a case that takes its lane down is tried alone
SPARE_STARTS = 40  # lanes that are replaced before the pool gives up


@dataclass
class _Process:
    """A lane process: what it was given and has not answered yet."""

    process: subprocess.Popen[bytes]
    connection: Connection
    queue: deque[_Block] = field(default_factory=deque)

    def stop(self, patience: float) -> None:
        self.connection.close()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class _Block:
    """Cases that one lane runs; answered ones are taken out.

    `starts` counts the lanes that a block of a single case has taken down.
    """

    open: dict[str, CaseRef]
    starts: int = 0


def run_pool(settings: Settings, jobs: int, refs: Sequence[CaseRef]) -> Iterator[Record]:
    """Yield a record for each reference as lanes finish them; ends all lanes when closed.

    Raises KitError if a lane cannot work at all (no driver, unreadable goldens).
    """
    blocks = _cut(refs, jobs)
    waiting = deque(blocks)
    lanes: list[_Process] = []
    patience = STOP_SECONDS
    spare = SPARE_STARTS
    try:
        lanes = [_start(settings) for _ in range(min(jobs, len(blocks)))]
        for lane in lanes:
            _feed(lane, waiting)
        while any(lane.queue for lane in lanes):
            ready = wait([lane.connection for lane in lanes])
            for lane in [lane for lane in lanes if lane.connection in ready]:
                try:
                    kind, payload = lane.connection.recv()
                except (EOFError, OSError):
                    lanes.remove(lane)
                    yield from _lost(settings, lane, waiting)
                    spare -= 1
                    if spare < 0:
                        raise KitError(
                            f"lane processes keep ending (last exit status"
                            f" {lane.process.returncode}): run with --jobs 1 to see why"
                        ) from None
                    if waiting:
                        lanes.append(_start(settings))
                        _feed(lanes[-1], waiting)
                    continue
                if kind == "error":
                    raise KitError(payload)
                if kind == "done":
                    lane.queue.popleft()
                    _feed(lane, waiting)
                    continue
                for line in payload:
                    record = decode(line)
                    lane.queue[0].open.pop(record.id, None)
                    yield record
    except BaseException:
        patience = 0.5
        raise
    finally:
        for lane in lanes:
            lane.stop(patience)


def _cut(refs: Sequence[CaseRef], jobs: int) -> list[_Block]:
    blocks = []
    at = 0
    for size in block_sizes(len(refs), jobs):
        blocks.append(_Block({ref.id: ref for ref in refs[at : at + size]}))
        at += size
    return blocks


def _start(settings: Settings) -> _Process:
    ours, theirs = socket.socketpair()
    with theirs:
        environment = dict(os.environ)
        # One case is small work: several threads in each lane would only fight for the cores.
        environment.setdefault("OMP_NUM_THREADS", "1")
        environment["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
        process = subprocess.Popen(
            [sys.executable, "-m", "nnapi_testkit.session.lane_process", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=environment,
        )
    connection: Connection = Connection(ours.detach())
    connection.send(settings)
    return _Process(process, connection)


def _feed(lane: _Process, waiting: deque[_Block]) -> None:
    """Keep one block at work and one behind it, so that a lane never waits for its parent."""
    while waiting and len(lane.queue) < 2:
        block = waiting.popleft()
        lane.queue.append(block)
        try:
            lane.connection.send(list(block.open))
        except OSError:
            return  # the lane is gone: its end of file is read next


def _lost(settings: Settings, lane: _Process, waiting: deque[_Block]) -> Iterator[Record]:
    """Put the blocks of a dead lane back, the one it was at in halves.

    So the case that takes lanes down ends up alone, and only its own record says so.
    """
    lane.stop(0.5)
    status = lane.process.returncode
    if lane.queue:
        lost = lane.queue.popleft()
        for block in lane.queue:
            waiting.appendleft(block)
        cases = list(lost.open.items())
        if len(cases) > 1:
            middle = len(cases) // 2
            waiting.appendleft(_Block(dict(cases[middle:])))
            waiting.appendleft(_Block(dict(cases[:middle])))
        elif lost.starts + 1 < CASE_STARTS:
            waiting.appendleft(_Block(lost.open, lost.starts + 1))
        else:
            for ref in lost.open.values():
                yield Record(
                    id=ref.id,
                    operation=ref.operation,
                    cell=ref.cell,
                    level=ref.level,
                    verdict=Verdict.INFRA,
                    evidence=Evidence(),
                    target=settings.target,
                    kind=ref.kind,
                    message=f"the lane process ended in this case (exit status {status}), twice",
                )
