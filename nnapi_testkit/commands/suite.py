"""The suite inside pytest: custom items, one report each, records streamed from the engine."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.commands.prepare import before_run
from nnapi_testkit.commands.screen import closing_line, summary_lines
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.report.store import Store
from nnapi_testkit.report.summary import RunFacts, process_start, summarize
from nnapi_testkit.report.text import details, matrix_lines, one_line
from nnapi_testkit.session.engine import Session
from nnapi_testkit.session.floors import Floors
from nnapi_testkit.session.ledger import Exit, Ledger
from nnapi_testkit.session.plan import Selection, block_sizes, select, within
from nnapi_testkit.session.record import decode, encode
from nnapi_testkit.session.settings import STANDARD, OracleMode, Settings, Shard
from nnapi_testkit.session.waivers import Waivers
from nnapi_testkit.targets import fleet, kept

__all__ = ["CaseItem", "SuiteCollector", "SuitePlugin", "blocks", "settings_of"]

NAME = "nnapi"


def settings_of(config: pytest.Config, operations: tuple[str, ...] | None = None) -> Settings:
    """Return the settings that pytest's options ask for."""
    option = config.getoption
    return Settings(
        target=option("nnapi_target"),
        oracle=OracleMode(option("nnapi_oracle")),
        profile=option("nnapi_profile"),
        isolate=option("nnapi_isolate"),
        memory_limit_mb=option("nnapi_memory_limit"),
        operations=operations,
        seed=option("nnapi_seed"),
        driver_log=option("nnapi_driver_log"),
        services=option("nnapi_services") or STANDARD,
    )


def blocks(count: int, lanes: int) -> Iterator[tuple[int, int]]:
    """Yield the half-open ranges that are dealt out whole to xdist workers."""
    at = 0
    for size in block_sizes(count, lanes):
        yield at, at + size
        at += size


class CaseItem(pytest.Item):
    """One case. It is run by `SuitePlugin`, not by the protocol of functions."""

    ref: CaseRef

    def runtest(self) -> None:
        """Never called: the plugin's protocol reports the record."""
        raise NotImplementedError

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where reports say the case is: nowhere in a file."""
        return self.path, None, self.name


class SuiteCollector(pytest.Collector):
    """Yields an item for each selected case; building none of them."""

    plugin: SuitePlugin

    def collect(self) -> Iterator[CaseItem]:
        """Yield the items."""
        for ref in self.plugin.refs:
            # Given as text, so that every pytest reads the same id out of it as out of a file.
            item = CaseItem.from_parent(self, name=ref.id, nodeid=f"{NAME}::{ref.id}")
            item.ref = ref
            yield item


class SuitePlugin:
    """Registered when the suite is asked for; in xdist's controller and its workers too."""

    def __init__(self, config: pytest.Config, names: Sequence[str]) -> None:
        if config.args_source is not pytest.Config.ArgsSource.ARGS or (names and not config.args):
            config.args[:] = []  # the suite alone, unless files or folders are named as well
        self._config = config
        option = config.getoption
        self._worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        controller = self._worker is None and bool(option("numprocesses", 0) or option("tx", []))
        # Other processes lease for themselves, perhaps the device that this one has described.
        self._keeps = not controller and option("nnapi_jobs") == 1
        self._selection = Selection(
            names=tuple(names),
            operations=tuple(option("nnapi_operation")),
            level=option("nnapi_level"),
        )
        try:
            if option("nnapi_shard"):
                self._shard: Shard | None = Shard.parse(option("nnapi_shard"))
            else:
                self._shard = None
            waivers, floor = option("nnapi_waivers"), option("nnapi_floor")
            self._waivers = Waivers.read(Path(waivers)) if waivers else Waivers()
            self._floors = Floors.read(Path(floor)) if floor else None
            settings = settings_of(config, self._selection.wanted_operations())
            in_workers = controller or self._worker is not None
            self.session = Session(
                settings,
                1 if in_workers else option("nnapi_jobs"),
                alone=self._worker is not None,
            )
            if in_workers and option("nnapi_jobs") > 1:
                raise KitError("use either -n of pytest-xdist or --nnapi-jobs, not both")
            workers = option("numprocesses", 0) or 0
            if controller and settings.target.startswith("adb:"):
                devices = len(fleet(settings.target))
                if workers > devices:
                    raise KitError(f"-n {workers} for {devices} devices: use -n {devices}")
            report = None if self._worker is not None else option("nnapi_report")
            self._store = Store(Path(report)) if report else None
        except KitError as error:
            raise pytest.UsageError(f"nnapi-testkit: {error}") from error
        self._ledger = Ledger()
        self.refs: list[CaseRef] = []
        self._index: set[str] = set()
        self._planned = 0
        self._process_started = process_start()
        self._started = time.time()
        self._first: float | None = None
        self._records: dict[str, Record] = {}
        self._stream: Generator[Record, None, None] | None = None
        self._blocks: dict[str, list[CaseRef]] = {}
        self._summary: dict[str, Any] = {}
        self._device: dict[str, object] = {}
        self._facts: dict[str, object] | None = None
        self._waiting: list[CaseRef] = []
        self._left_out: Counter[str] = Counter()

    # Collection.

    def pytest_sessionstart(self) -> None:
        """Ask the device for its facts, so that a useless target is one line and no traceback."""
        if self._keeps and not self._config.getoption("collectonly"):
            keeping = contextlib.ExitStack()
            keeping.enter_context(kept())
            self._config.add_cleanup(keeping.close)
        if self._worker is not None or self._config.getoption("collectonly"):
            return
        try:
            if self._config.getoption("nnapi_before_run"):
                before_run(self._config.getoption("nnapi_before_run"), self.session.settings.target)
            self._device = dict(self.session.describe())
        except KitError as error:
            raise pytest.UsageError(f"nnapi-testkit: {error}") from error

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Choose the cases; a selection that matches nothing is a usage error."""
        self.refs = self.select()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, None]:
        """Add the suite to what the session collects."""
        outcome = yield
        if isinstance(collector, pytest.Session):
            report = outcome.get_result()
            suite = SuiteCollector.from_parent(
                collector, name=NAME, nodeid=NAME, path=self._config.rootpath
            )
            suite.plugin = self
            report.result = [*report.result, suite]

    def select(self) -> list[CaseRef]:
        """Return the cases of names, operations, level and shard."""
        try:
            index = self.session.refs()
            self._index = {ref.id for ref in index}
            selection = self._selection
            if self._shard:
                selection = Selection(
                    selection.names, "", selection.operations, selection.level, (), self._shard
                )
            return select(index, selection, neighbours=True)
        except KitError as error:
            raise pytest.UsageError(f"nnapi-testkit: {error}") from error

    @pytest.hookimpl(hookwrapper=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, Any, None]:
        """Let refusals that -k chooses bring their unbroken neighbours, as in every selection."""
        every = list(items)
        yield
        if not config.getoption("keyword"):
            return
        refs = [item.ref for item in items if isinstance(item, CaseItem)]
        wanted = {ref.broken.neighbour for ref in refs if ref.broken}
        wanted -= {ref.id for ref in refs}
        items[:0] = [i for i in every if isinstance(i, CaseItem) and i.ref.id in wanted]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Plan what is left after -k, --lf and the like."""
        refs = [item.ref for item in session.items if isinstance(item, CaseItem)]
        self._planned = len(refs)
        if self._worker is not None:
            for first, last in blocks(len(refs), int(self._worker["workercount"])):
                block = refs[first:last]
                self._blocks.update((ref.id, block) for ref in block)
        else:
            self._waiting = refs

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Deal cases out in whole blocks, unless another distribution is asked for."""
        if config.getoption("dist") not in ("no", "load"):
            return None
        from nnapi_testkit.commands.scheduler import BlockScheduling

        return BlockScheduling(config, log)

    # Execution.

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Report a case's record: one report instead of setup, call and teardown."""
        if not isinstance(item, CaseItem):
            return None
        hook = item.ihook
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        try:
            if self._promised([item.ref]):
                report = _report(item, self._waivers.apply(self._record(item.ref)))
            else:
                report = _left_out(item)
        except KitError as error:
            if self._worker is None:
                pytest.exit(f"nnapi-testkit: {error}", returncode=int(Exit.ERROR))
            report = _report(item, _lost(item.ref, str(error), self.session.settings.target))
        hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _promised(self, refs: Sequence[CaseRef]) -> list[CaseRef]:
        """Leave out what needs more than the device has: a newer feature level, or buffers."""
        if self._facts is None:
            self._facts = dict(self.session.describe())
        refs = [ref for ref in refs if not ref.needs or self._facts.get(ref.needs) is True]
        forced, older = self._selection.level is not None, self.session.older
        return within(refs, self._facts, forced=forced, older=older, empty=True)

    def _record(self, ref: CaseRef) -> Record:
        if self._waiting:
            self._stream = self.session.run(self._promised(self._waiting))
            self._waiting = []
        while ref.id not in self._records:
            if self._worker is not None:
                self._stream = self.session.run(self._promised(self._blocks[ref.id]))
                for record in self._stream:
                    self._records[record.id] = record
                continue
            streamed = next(self._stream, None) if self._stream is not None else None
            if streamed is None:  # run before, or given up
                self._stream = self.session.run([ref])
                continue
            self._records[streamed.id] = streamed
        return self._records.pop(ref.id)

    # Books and report.

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Enter the record that a report carries; xdist's controller sees its workers' here."""
        if self._worker is not None:
            return
        absent = getattr(report, "nnapi_left_out", None)
        if absent is not None:
            self._left_out[absent] += 1
            self._planned -= bool(self._planned)
        line = getattr(report, "nnapi_record", None)
        if line is None:
            return
        if self._first is None:
            self._first = time.time()
        record = decode(line)
        self._ledger.add(record)
        if self._store:
            self._store.add(record)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Close the books: floors, waivers, files; problems turn a pass into a failure."""
        if self._stream is not None:
            with contextlib.suppress(KitError):
                self._stream.close()
        if self._worker is not None or self._config.getoption("collectonly"):
            return
        ledger = self._ledger
        whole = self._selection.whole and not self._shard and self._whole(session)
        try:
            if self._floors and not whole:
                ledger.problems.append("floors belong to a whole run: leave the selection out")
            ledger.close(
                waivers=self._waivers,
                floors=self._floors if whole else None,
                index=self._index if whole else None,
                planned=self._planned or len(ledger.records),
            )
            facts = RunFacts(
                settings=self.session.settings,
                jobs=self.session.jobs,
                oracle=self.session.oracle.value,
                started=self._started,
                first_verdict=self._first,
                ended=time.time(),
                process_started=self._process_started,
                device=self._device,
                selection=""
                if whole
                else "pytest " + " ".join(map(str, self._config.invocation_params.args)),
                planned=self._planned,
            )
            self._summary = summarize(ledger, facts)
            if self._store:
                self._store.finish(ledger.records, self._summary)
        except KitError as error:
            ledger.problems.append(str(error))
        if ledger.problems and session.exitstatus in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _whole(self, session: pytest.Session) -> bool:
        option = session.config.getoption
        return not (option("keyword") or option("markexpr") or option("lf", False))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print what `nnapi-testkit run` prints at its end."""
        if self._worker is not None or not self._summary:
            return
        terminalreporter.section("NNAPI conformance")
        if self.session.notice:
            terminalreporter.line(f"note: {self.session.notice}")
        for absent, count in self._left_out.items():
            terminalreporter.line(f"note: {count} cases {absent}")
        if self._config.getoption("nnapi_matrix"):
            for line in matrix_lines(self._ledger.cells.values()):
                terminalreporter.line(line)
        for line in summary_lines(self._ledger, self._summary):
            terminalreporter.line(line)
        if self._store:
            terminalreporter.line(f"report: {self._store.folder / 'index.html'}")
        code = self._ledger.exit_code()
        terminalreporter.line(
            closing_line(self._ledger, self._summary),
            bold=True,
            green=code is Exit.PASS,
            red=code is not Exit.PASS,
        )


def _lost(ref: CaseRef, message: str, target: str) -> Record:
    return Record(
        ref.id,
        ref.operation,
        ref.cell,
        ref.level,
        Verdict.INFRA,
        Evidence(),
        target=target,
        kind=ref.kind,
        message=message,
    )


def _left_out(item: CaseItem) -> pytest.TestReport:
    """Return the report of a case that the device was never asked: a skip without a record."""
    ref = item.ref
    if ref.broken and ref.broken.newer:
        absent = "ask devices below a feature level, which this is not"
    elif ref.needs:
        absent = f"need {ref.needs.replace('_', ' ')}, which the target has not"
    else:
        absent = "need a newer feature level than the device has"
    now = time.time()
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="skipped",
        longrepr=(str(item.path), 0, f"of those that {absent}"),
        when="call",
        duration=0.0,
        start=now,
        stop=now,
        nnapi_left_out=absent,
    )


def _report(item: CaseItem, record: Record) -> pytest.TestReport:
    """Return the one report of a case: errors count as errors of pytest, not as failures."""
    verdict = record.verdict
    seconds = record.nanoseconds / 1e9
    now = time.time()
    longrepr: Any = None
    outcome: Any = "passed"
    when: Any = "call"
    if verdict is Verdict.UNSUPPORTED or verdict is Verdict.WAIVED:
        outcome = "skipped"
        longrepr = (str(item.path), 0, one_line(record) if record.waiver else record.message)
    elif verdict.is_failure or verdict.is_error:
        outcome = "failed"
        longrepr = "\n".join(details(record))
        when = "call" if verdict.is_failure else "setup"
    report = pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome=outcome,
        longrepr=longrepr,
        when=when,
        duration=seconds,
        start=now - seconds,
        stop=now,
        nnapi_record=encode(record),
    )
    if verdict is Verdict.WAIVED:
        report.wasxfail = record.message
    return report
