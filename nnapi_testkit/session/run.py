"""`Run`: selects cases, executes them, waives, counts and closes the accounts.

Command line and pytest plugin feed it and show what it says; neither keeps accounts of its own.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace

import nnapi_testkit
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.session.closing import Terms, close, lacking, settled
from nnapi_testkit.session.engine import Session
from nnapi_testkit.session.floors import Floors
from nnapi_testkit.session.ledger import Ledger
from nnapi_testkit.session.plan import Selection, available, select, within
from nnapi_testkit.session.record import Beginning, End, How, utc
from nnapi_testkit.session.settings import Settings
from nnapi_testkit.session.tiers import power_line
from nnapi_testkit.session.waivers import Known, Waivers

__all__ = ["Run"]


class Run:
    """One run of selected cases on one target.

    Args:
        settings, jobs: as of `Session`.
        selection: which cases.
        waivers, floors: what it is held to.
        stop_after: failures after which it stops; 0 goes to the end.
        alone: use one device of a fleet only.

    Raises KitError for settings that cannot work here.
    """

    def __init__(
        self,
        settings: Settings,
        jobs: int = 1,
        *,
        selection: Selection | None = None,
        waivers: Waivers | None = None,
        floors: Floors | None = None,
        stop_after: int = 0,
        alone: bool = False,
    ) -> None:
        self.started = time.time()
        self.first_verdict: float | None = None
        self.session = Session(settings, jobs, alone=alone)
        self.selection = selection or Selection()
        self.ledger = Ledger()
        self.planned: list[CaseRef] = []
        self.selected = 0  # before what the device does not have was left out
        self.notes: list[str] = [self.session.notice] if self.session.notice else []
        self._waivers = waivers or Waivers()
        self._floors = floors
        self._stop_after = stop_after
        self._index: Sequence[CaseRef] = ()
        self._left_out: set[str] = set()
        self._suite = 0
        self.kept = 0  # records of an earlier part of this run
        self._earlier_faults: list[str] = []
        self._retried: Mapping[str, Verdict] = {}
        self._build = ""

    @property
    def settings(self) -> Settings:
        """Of the run."""
        return self.session.settings

    def select(self) -> list[CaseRef]:
        """Return the chosen cases, refusals with their control cases. Raises KitError."""
        self._index = self.session.refs()
        chosen = select(self._index, self.selection, controls=True)
        self.selected = len(chosen)
        if self.selection.tier:
            self.notes.append(power_line(self.selection.tier, chosen))
        if self.selection.keyword:
            self.notes.append(keyword_note(self.selection.keyword, chosen))
        return chosen

    def plan(
        self, chosen: Sequence[CaseRef], device: Mapping[str, object], *, empty: bool = False
    ) -> list[CaseRef]:
        """Return the cases that the device is asked, and note how many it is not.

        Args:
            chosen: by `select`, or what is left of it.
            device: facts about the device.
            empty: none may be left; else that raises KitError.
        """
        self.selected = len(chosen)
        self._build = "" if self.session.several else identity(device)
        there = available(chosen, device, empty=empty)
        absent = Counter(ref.needs for ref in chosen) - Counter(ref.needs for ref in there)
        forced, older = self.selection.level is not None, self.session.older
        self.planned = within(there, device, forced=forced, older=older, empty=empty)
        kept = {ref.id for ref in self.planned}
        self._left_out = {ref.id for ref in chosen if ref.id not in kept}
        above = sum(not (ref.broken and ref.broken.newer) for ref in there if ref.id not in kept)
        if above:
            self.notes.append(f"{above} cases need a newer feature level than the device has")
        for needs, count in absent.items():
            what = needs.replace("_", " ")
            why = str(device.get(f"no_{needs}", ""))
            told = f"{count} cases need {what}, which the target has not"
            self.notes.append(f"{told}: {why}" if why else told)
        return self.planned

    def beginning(self, words: str) -> Beginning:
        """Return the first line of the results. `words` say how cases were chosen."""
        shard = self.selection.shard
        return Beginning(
            planned=len(self.planned),
            version=nnapi_testkit.__version__,
            selection=words,
            shard=f"{shard.index}/{shard.count}" if shard else "",
            selected=self.selected,
            target=self.settings.target,
            profile=self.settings.profile,
            oracle=self.session.oracle.value,
            seed=self.settings.seed,
            started=utc(self.started),
            judged="" if self.settings.judged == "driver" else self.settings.judged,
            build=self._build,
        )

    def resume(
        self, records: Iterable[Record], retried: Mapping[str, Verdict], faults: Iterable[str]
    ) -> list[Record]:
        """Enter what an earlier part of this run has said; returns it as the waivers let it stand.

        Args:
            records: that stay; their cases are not run again.
            retried: what is run again although it has a verdict, a failure or an error.
            faults: of the driver outside any case.
        """
        kept = []
        for record in records:
            if record.waived is not None:  # the waivers of now decide
                record = replace(
                    record,
                    verdict=record.waived,
                    waived=None,
                    waiver="",
                    message=record.told,
                    told="",
                )
            kept.append(self.waive(record))
            self.ledger.add(kept[-1])
        self.kept = len(kept)
        self._retried = retried
        self._earlier_faults = list(faults)
        return kept

    @property
    def left(self) -> list[CaseRef]:
        """The planned cases without those that an earlier part has a record of."""
        done = {record.id for record in self.ledger.records}
        return [ref for ref in self.planned if ref.id not in done]

    def records(self) -> Generator[Record, None, None]:
        """Execute what is planned; yield each record, waived and counted. Close it to stop."""
        bad = 0
        left = self.left if self.kept else self.planned
        if self.kept and not left:
            return
        with contextlib.closing(self.session.run(left)) as records:
            for record in records:
                entered = self.enter(record)
                yield entered
                bad += entered.verdict.is_bad
                if self._stop_after and bad >= self._stop_after:
                    return

    def waive(self, record: Record) -> Record:
        """Return the record as the waivers let it stand."""
        return self._waivers.apply(record)

    def enter(self, record: Record, *, waived: bool = False) -> Record:
        """Count a record; returns it as the waivers let it stand."""
        if self.first_verdict is None:
            self.first_verdict = time.time()
        entered = record if waived else self.waive(record)
        if record.id in self._retried:
            entered = replace(entered, earlier=self._retried[record.id])
        self.ledger.add(entered)
        return entered

    @property
    def stopped(self) -> bool:
        """Whether it has as many failures as it was to stop after."""
        return 0 < self._stop_after <= self.ledger.bad

    @property
    def how(self) -> How:
        """How the run ends that nobody has interrupted."""
        short = len(self.ledger.records) < len(self.planned)
        return How.STOPPED if self._stop_after and short else How.FINISHED

    def close(self, how: How) -> End:
        """Check what the run is held to, and return the last line of the results."""
        ledger = self.ledger
        ledger.faults = list(dict.fromkeys([*self._earlier_faults, *self.session.faults]))
        how = settled(how, ledger)
        count, planned = len(ledger.records), len(self.planned)
        terms = Terms(
            waivers=self._waivers,
            # A part does not reach the floors of a whole.
            floors=self._floors if how is How.FINISHED else None,
            known=Known({ref.id for ref in self._index}, self.settings.operations, self._left_out),
            lacking=lacking(how, count, planned),
            unjudged=f"nothing was judged: {count} of {planned} cases have a record, none of them"
            " was computed or refused by the device",
        )
        return close(ledger, how, terms, stop_after=self._stop_after, suite=self.suite)

    @property
    def suite(self) -> int:
        """How many cases there are, chosen or not."""
        if not self._suite:
            whole = self.settings.operations is None and self._index
            self._suite = len(self._index if whole else self.session.every())
        return self._suite


def identity(device: Mapping[str, object]) -> str:
    """Return what tells a device, its driver and its system from others, in words."""
    names = ("device", "device_version", "feature_level", "fingerprint")
    return ", ".join(str(device[name]) for name in names if device.get(name))


def keyword_note(keyword: str, chosen: Iterable[CaseRef]) -> str:
    """Say how far a keyword went: it is found inside words too, as `ADD` is in `padding`."""
    counts = Counter(ref.operation for ref in chosen)
    cases, operations = counts.total(), len(counts)
    told = f"{operations} operations" if operations != 1 else "1 operation"
    hint = " (-o NAME takes one operation)" if operations > 1 else ""
    return f"-k {keyword!r} took {cases} cases of {told}{hint}"
