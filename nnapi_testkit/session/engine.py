"""`Session`: case references in, records out; one engine behind command line and plugin."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.session.answering import resolve
from nnapi_testkit.session.fleet import run_fleet
from nnapi_testkit.session.lane import Lane
from nnapi_testkit.session.plan import blocks
from nnapi_testkit.session.pool import run_pool
from nnapi_testkit.session.services import Services, load, refs_of
from nnapi_testkit.session.settings import Settings
from nnapi_testkit.spec.levels import NEWEST

__all__ = ["Session"]


class Session:
    """A run on one target.

    Args:
        settings: what to do; travels to the lanes.
        jobs: lanes; 1 runs in this process, synchronously, and starts no thread.
        alone: use one device of a fleet only, the first that no other process has.

    Raises KitError for settings that cannot work here.
    """

    def __init__(self, settings: Settings, jobs: int = 1, *, alone: bool = False) -> None:
        if jobs < 1:
            raise KitError(f"{jobs} jobs cannot run anything: use 1 or more")
        self.settings = settings
        self.jobs = jobs
        self._one = alone
        self._services: Services = load(settings.services)
        self.oracle, self.notice = resolve(settings.oracle, self._services)
        self.first_verdict: float | None = None  # time.time() of it
        # What the driver did wrong outside any case; whole when `run` has ended.
        self.faults: list[str] = []

    def refs(self) -> Sequence[CaseRef]:
        """Return the case index of the settings."""
        return refs_of(self._services, self.settings)

    def every(self) -> Sequence[CaseRef]:
        """Return the index of all operations, of which `refs` may be a part."""
        settings = replace(self.settings, operations=None, seed=0)
        return refs_of(self._services, settings)

    @property
    def several(self) -> bool:
        """Whether the target stands for several devices."""
        return not self._one and len(self._services.fleet(self.settings.target)) > 1

    @property
    def older(self) -> bool:
        """Whether the target plays older devices, for the models that are too new for these."""
        return bool(self._services.older(self.settings.target, NEWEST))

    def describe(self, target: str = "") -> Mapping[str, object]:
        """Return facts about the device, or another target's. Raises KitError if it is lost."""
        return self._services.describe(target or self.settings.target)

    def run(self, refs: Sequence[CaseRef]) -> Generator[Record, None, None]:
        """Yield one record for each reference, in about their order.

        Close the iterator to stop early: the lanes end with it. Raises KitError if the target
        cannot be used at all, or if no reference is given.
        """
        if not refs:
            raise KitError("there is nothing to judge: no case was selected")
        fleet = () if self._one else self._services.fleet(self.settings.target)
        if self.jobs > 1 and self._services.traits(self.settings.target).one_lane:
            raise KitError("each device has one lane: leave --jobs out, or name several devices")
        if len(fleet) > 1:
            records = self._devices(fleet, refs)
        else:
            records = self._alone(refs) if self.jobs == 1 else self._together(refs)
        try:
            for record in records:
                if self.first_verdict is None:
                    self.first_verdict = time.time()
                yield record
        finally:
            records.close()

    def _alone(self, refs: Sequence[CaseRef]) -> Generator[Record, None, None]:
        lane = Lane(self.settings, self._services)
        try:
            parts = [refs[first:last] for first, last in blocks(len(refs))]
            for number, part in enumerate(parts, 1):
                # Not behind the first block: its verdicts are waited for.
                after = parts[number] if 1 < number < len(parts) else ()
                yield from lane.run(part, after)
        finally:
            lane.close()
            self.faults += [fault for fault in lane.faults if fault not in self.faults]

    def _together(self, refs: Sequence[CaseRef]) -> Generator[Record, None, None]:
        yield from run_pool(self.settings, self.jobs, refs, self.faults)

    def _devices(
        self, fleet: Sequence[str], refs: Sequence[CaseRef]
    ) -> Generator[Record, None, None]:
        if self.jobs > 1:
            raise KitError("each device has one lane: leave --jobs out")
        yield from run_fleet(self.settings, fleet, refs, self.faults)
