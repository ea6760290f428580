"""Several lanes, each in a process of its own; blocks are handed out as lanes become free.

A lane process serializes, runs and judges; what comes back is the finished line of
`results.jsonl` for each case. Processes are started by name and not forked, so no state of the
parent (threads, torch, a test session) reaches them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.session.plan import blocks as ranges
from nnapi_testkit.session.record import decode
from nnapi_testkit.session.settings import Settings

__all__ = ["run_pool"]

LEAVE_SECONDS = 45.0  # what a lane may take to end its runner: a driver may be slow to unload
STOP_SECONDS = 5.0  # the same, when it has been told to end at once
CASE_STARTS = 2  # how often a case that takes its lane down is tried alone
SPARE_STARTS = 40  # lanes that are replaced before the pool gives up


@dataclass
class _Process:
    """A lane process: what it was given and has not answered yet."""

    process: subprocess.Popen[bytes]
    connection: Connection
    queue: deque[_Block] = field(default_factory=deque)

    def stop(self, patience: float) -> None:
        """End the lane: at the end of its connection, when it is told to, or else killed."""
        self.connection.close()
        for seconds, end in ((patience, self.process.terminate), (STOP_SECONDS, self.process.kill)):
            try:
                self.process.wait(seconds)
                return
            except subprocess.TimeoutExpired:
                end()
        self.process.wait()

    def leave(self, faults: list[str]) -> None:
        """Let the lane end its runner in peace, and hear what became of the driver's process."""
        with contextlib.suppress(EOFError, OSError):
            self.connection.send([])
            while self.connection.poll(LEAVE_SECONDS):
                kind, payload = self.connection.recv()
                if kind == "left":
                    faults += [fault for fault in payload if fault not in faults]
                    return


@dataclass
class _Block:
    """Cases that one lane runs; answered ones are taken out.

    `starts` counts the lanes that a block of a single case has taken down.
    """

    open: dict[str, CaseRef]
    starts: int = 0


def run_pool(
    settings: Settings,
    jobs: int,
    refs: Sequence[CaseRef],
    faults: list[str] | None = None,
) -> Iterator[Record]:
    """Yield a record for each reference as lanes finish them; ends all lanes when closed.

    What the driver did wrong outside any case is added to `faults` at the end.

    Raises KitError if a lane cannot work at all (no driver, unreadable goldens).
    """
    blocks = _cut(refs, jobs)
    pool = _Pool(settings, deque(blocks), SPARE_STARTS)
    patience = STOP_SECONDS
    try:
        for _ in range(min(jobs, len(blocks))):
            pool.lanes.append(_start(settings))
        for lane in pool.lanes:
            _feed(lane, pool.waiting)
        while any(lane.queue for lane in pool.lanes):
            ready = wait([lane.connection for lane in pool.lanes])
            for lane in [lane for lane in pool.lanes if lane.connection in ready]:
                yield from pool.hear(lane)
        pool.leave([] if faults is None else faults)
    except BaseException:
        patience = 0.5
        raise
    finally:
        for lane in pool.lanes:
            lane.stop(patience)


@dataclass
class _Pool:
    """The lanes at work, the blocks that none has yet, and how many lanes may still end."""

    settings: Settings
    waiting: deque[_Block]
    spare: int
    lanes: list[_Process] = field(default_factory=list)

    def hear(self, lane: _Process) -> Iterator[Record]:
        """Yield what a lane has to say, and give it more to do; one that is gone is replaced."""
        try:
            kind, payload = lane.connection.recv()
        except (EOFError, OSError):
            yield from self._lost(lane)
            return
        if kind == "error":
            raise KitError(payload)
        if kind == "done":
            lane.queue.popleft()
            _feed(lane, self.waiting)
            return
        for line in payload:
            record = decode(line)
            lane.queue[0].open.pop(record.id, None)
            yield record

    def _lost(self, lane: _Process) -> Iterator[Record]:
        self.lanes.remove(lane)
        yield from _lost(self.settings, lane, self.waiting)
        self.spare -= 1
        if self.spare < 0:
            raise KitError(
                f"lane processes keep ending (last exit status"
                f" {lane.process.returncode}): run with --jobs 1 to see why"
            ) from None
        if self.waiting:
            self.lanes.append(_start(self.settings))
            _feed(self.lanes[-1], self.waiting)

    def leave(self, faults: list[str]) -> None:
        """Let all lanes end in peace, side by side, and hear what became of their drivers."""
        leaving = [threading.Thread(target=lane.leave, args=(faults,)) for lane in self.lanes]
        for thread in leaving:
            thread.start()
        for thread in leaving:
            thread.join()


def _cut(refs: Sequence[CaseRef], jobs: int) -> list[_Block]:
    return [
        _Block({ref.id: ref for ref in refs[first:last]}) for first, last in ranges(len(refs), jobs)
    ]


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
