"""Lanes as threads of one process, one for each device of a fleet.

A device computes elsewhere and its lane mostly waits, so threads are enough, and one adb server
and one oracle serve them all. Which device ran a case is in its record; what the record says does
not depend on it.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.session.lane import Lane
from nnapi_testkit.session.plan import block_sizes
from nnapi_testkit.session.services import load
from nnapi_testkit.session.settings import Settings

__all__ = ["run_fleet"]

CASE_DEVICES = 2  # devices that may be lost over one case before it is reported

_Block = Sequence[CaseRef]


class _Fleet:
    """Blocks that wait, and what the lanes have said."""

    def __init__(self, settings: Settings, targets: Sequence[str], refs: Sequence[CaseRef]) -> None:
        self.settings = settings
        self.records: queue.SimpleQueue[Record | KitError | None] = queue.SimpleQueue()
        self._waiting: deque[_Block] = deque()
        self._losses: Counter[str] = Counter()
        self._change = threading.Condition()
        self._working = 0  # lanes that hold a block, which they may yet put back
        self._alive = len(targets)
        self._stopped = False
        self._services = load(settings.services)
        at = 0
        for size in block_sizes(len(refs), len(targets)):
            self._waiting.append(refs[at : at + size])
            at += size
        self.faults: list[str] = []
        self.threads = [
            threading.Thread(target=self._lane, args=(target,), daemon=True) for target in targets
        ]

    def stop(self) -> None:
        """Hand out no more blocks."""
        with self._change:
            self._stopped = True
            self._change.notify_all()

    def left(self) -> list[CaseRef]:
        """Return the cases that no lane has taken to its end."""
        with self._change:
            return [ref for block in self._waiting for ref in block]

    def _take(self) -> _Block | None:
        """Return the next block; None when there will be none."""
        with self._change:
            while not self._stopped:
                if self._waiting:
                    self._working += 1
                    return self._waiting.popleft()
                if self._working == 0:
                    return None
                self._change.wait()  # another lane may lose its device and put its block back
            return None

    def _put_back(self, refs: Sequence[CaseRef]) -> None:
        with self._change:
            self._working -= 1
            if refs:
                self._waiting.appendleft(refs)
            self._change.notify_all()

    def _moves_on(self, record: Record) -> bool:
        """Whether a case that its lane could not run is given to another device."""
        if not record.verdict.meaning.silent:
            return False
        with self._change:
            # Not run at all, because the lane had given up: that costs the case nothing.
            self._losses[record.id] += record.verdict is Verdict.INFRA
            return self._alive > 1 and self._losses[record.id] < CASE_DEVICES

    def _lane(self, target: str) -> None:
        settings = replace(self.settings, target=target)
        try:
            with Lane(settings, self._services) as lane:
                while not lane.given_up and (block := self._take()) is not None:
                    self._run(lane, block)
            self.faults += [f"{target}: {fault}" for fault in lane.faults]
        except KitError as error:
            self.records.put(KitError(f"{target} is out: {error}"))
        except Exception as error:  # a thread must not end without a word
            self.records.put(KitError(f"{target} is out: {type(error).__name__}: {error}"))
        finally:
            with self._change:
                self._alive -= 1
                self._change.notify_all()
            self.records.put(None)

    def _run(self, lane: Lane, block: _Block) -> None:
        open_refs = {ref.id: ref for ref in block}
        try:
            for record in lane.run(block):
                if self._stopped:
                    return
                if self._moves_on(record):
                    continue
                open_refs.pop(record.id, None)
                self.records.put(record)
        finally:
            self._put_back(list(open_refs.values()))


def run_fleet(
    settings: Settings,
    targets: Sequence[str],
    refs: Sequence[CaseRef],
    faults: list[str] | None = None,
) -> Iterator[Record]:
    """Yield a record for each reference as the devices finish them.

    A device that is lost gives its cases to the others; a case over which two devices were lost
    is an INFRA record. Ends all lanes when closed.

    Args:
        targets: one for each device.
        faults: gets what drivers did wrong outside any case.

    Raises KitError if no device could be used at all.
    """
    fleet = _Fleet(settings, targets, refs)
    for thread in fleet.threads:
        thread.start()
    running = len(fleet.threads)
    yielded = 0
    problems: list[KitError] = []
    try:
        while running:
            item = fleet.records.get()
            if item is None:
                running -= 1
            elif isinstance(item, KitError):
                problems.append(item)
            else:
                yielded += 1
                yield item
        left = fleet.left()
        if left and not yielded and problems:
            raise problems[0]
        if left:
            lane = Lane(settings, load(settings.services))
            why = "; ".join(str(problem) for problem in problems) or "see the INFRA records"
            for ref in left:
                yield lane.not_run(ref, f"every device of the fleet was lost: {why}")
    finally:
        fleet.stop()
        for thread in fleet.threads:
            thread.join()
        if faults is not None:
            faults += fleet.faults
