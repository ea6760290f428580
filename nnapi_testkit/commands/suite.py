"""The suite inside pytest: custom items, one report each, records streamed from the engine."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.commands.accounting import Accounted, close_accounts, write_report
from nnapi_testkit.commands.chosen import selection_of, settings_of
from nnapi_testkit.commands.continued import Report
from nnapi_testkit.commands.items import NAME, CaseItem, Deselected, left_out, lost, report_of
from nnapi_testkit.commands.prepare import before_run
from nnapi_testkit.commands.screen import closing_line, summary_lines
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.process import collecting_rarely, process_start
from nnapi_testkit.report.files import write_whole
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.text import matrix_lines
from nnapi_testkit.session.floors import Floors
from nnapi_testkit.session.ledger import Exit
from nnapi_testkit.session.plan import available, blocks, expression, within
from nnapi_testkit.session.record import How, decode
from nnapi_testkit.session.run import Run, keyword_note
from nnapi_testkit.session.waivers import Waivers
from nnapi_testkit.session.write_waivers import draft
from nnapi_testkit.targets import fleet, kept, spokesman, traits

__all__ = ["CaseItem", "SuiteCollector", "SuitePlugin", "settings_of"]


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
        self._controller = controller
        self._useless = False  # nothing was run: an error has said why
        # Other processes lease for themselves, perhaps the device that this one has described.
        self._keeps = not controller and option("nnapi_jobs") == 1
        try:
            self._selection = selection_of(self._option, names)
            # pytest's own ways to choose are not known to the end: floors of a part are refused.
            self._whole = self._selection.whole and not any(
                option(name, None) for name in ("keyword", "markexpr", "lf", "deselect")
            )
            self.run = self._new_run()
            self.session = self.run.session
            self._check_workers()
            self._report = self._open_report() if self._worker is None else None
            self._store = self._report.store if self._report else None
        except KitError as error:
            raise _usage(error) from error
        self.refs: list[CaseRef] = []
        self._earlier: dict[str, Record] = {}  # of the run that is continued
        self._keyword_left = 0
        self._process_started = process_start()
        self._records: dict[str, Record] = {}
        self._stream: Generator[Record, None, None] | None = None
        self._blocks: dict[str, list[CaseRef]] = {}
        self._summary: dict[str, Any] = {}
        self._device: dict[str, object] = {}
        self._facts: dict[str, object] | None = None
        self._waiting: list[CaseRef] = []

    def _option(self, name: str) -> Any:
        return self._config.getoption(f"nnapi_{name}")

    def _new_run(self) -> Run:
        waivers, floor = self._option("waivers"), self._option("floor")
        floors = Floors.read(Path(floor)) if floor else None
        in_workers = self._controller or self._worker is not None
        run = Run(
            settings_of(self._option, self._selection.wanted_operations()),
            1 if in_workers else self._option("jobs"),
            selection=self._selection,
            waivers=Waivers.read(Path(waivers)) if waivers else None,
            floors=floors if self._whole else None,
            stop_after=self._config.getoption("maxfail") or 0,
            alone=self._worker is not None,
        )
        if floors and not self._whole:
            problem = "floors belong to a whole run: leave the selection out"
            run.ledger.problems.append(problem)
        return run

    def _check_workers(self) -> None:
        """Raise KitError if there are lanes in two ways, or more workers than devices."""
        in_workers = self._controller or self._worker is not None
        if in_workers and self._option("jobs") > 1:
            raise KitError("use either -n of pytest-xdist or --nnapi-jobs, not both")
        if not self._controller:
            return
        workers = self._config.getoption("numprocesses", 0) or 0
        target = self.run.settings.target
        places = fleet(target)
        if traits(spokesman(target)).one_lane and workers > len(places):
            raise KitError(f"-n {workers} for {len(places)} devices: use -n {len(places)}")

    def _open_report(self) -> Report | None:
        option = self._config.getoption
        names = ("nnapi_report", "nnapi_resume", "nnapi_retry")
        report, resume, retry = (Path(option(name)) if option(name) else None for name in names)
        if option("collectonly"):
            return None
        if self._controller and (resume or retry):
            raise KitError("a run is continued without -n: use --nnapi-jobs N instead")
        found = Report.open(report, resume, retry, overwrite=option("nnapi_overwrite"))
        if found:
            self._config.add_cleanup(found.store.close)
        return found

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
            self._facts = self._device
        except KitError as error:
            raise _usage(error) from error

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
        """Return the cases of names, operations, level and shard, and of those what -k allows.

        What -k leaves out is never made an item: there are tens of thousands of cases.
        """
        try:
            with collecting_rarely():
                chosen = self.run.select()
        except KitError as error:
            raise _usage(error) from error
        keyword = self._config.getoption("keyword")
        if not keyword:
            return chosen
        try:
            matches = expression(keyword)
        except KitError:
            return chosen  # pytest says itself what is wrong with it
        # As pytest does: the names of the case and of the collector above it.
        kept = [ref for ref in chosen if matches(f"{NAME}\n{ref.id}")]
        wanted = {ref.broken.control for ref in kept if ref.broken} | {ref.id for ref in kept}
        refs = [ref for ref in chosen if ref.id in wanted]
        self._keyword_left = len(chosen) - len(refs)
        self.run.notes.append(keyword_note(keyword, kept))
        return refs

    @pytest.hookimpl(hookwrapper=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, Any, None]:
        """Let refusals that -k chooses bring their control cases, as in every selection."""
        every = list(items)
        yield
        if not config.getoption("keyword"):
            return
        refs = [item.ref for item in items if isinstance(item, CaseItem)]
        wanted = {ref.broken.control for ref in refs if ref.broken}
        wanted -= {ref.id for ref in refs}
        items[:0] = [i for i in every if isinstance(i, CaseItem) and i.ref.id in wanted]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Plan what is left after -k, --lf and the like."""
        refs = [item.ref for item in session.items if isinstance(item, CaseItem)]
        if self._keyword_left and self._worker is None:
            left = [Deselected(self._config)] * self._keyword_left
            self._config.hook.pytest_deselected(items=left)
        if self._worker is None and refs:
            self._begin(refs)
        if self._worker is not None:
            for first, last in blocks(len(refs), int(self._worker["workercount"])):
                block = refs[first:last]
                self._blocks.update((ref.id, block) for ref in block)
        else:
            self._waiting = [ref for ref in refs if ref.id not in self._earlier]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """Plan what the workers have collected: the controller has no items of its own."""
        if not self.run.planned:
            known = {f"{NAME}::{ref.id}": ref for ref in self.refs}
            self._begin([known[name] for name in ids if name in known])

    def _begin(self, refs: Sequence[CaseRef]) -> None:
        """Say in the report what is planned, before anything runs."""
        if self._config.getoption("collectonly"):
            return
        try:
            self.run.plan(refs, self._known_facts(), empty=True)
            if self._report:
                kept_ = self._report.begin(self.run, self._words())
                self._earlier = {record.id: record for record in kept_}
        except KitError as error:
            self._useless = True
            if self._controller:  # it is in the middle of its workers' talk
                text = f"nnapi-testkit: {plain(str(error))}"
                pytest.exit(text, returncode=int(pytest.ExitCode.USAGE_ERROR))
            raise _usage(error) from error

    def _words(self) -> str:
        """How cases were chosen, "" for all; what only formats the output is no part of it."""
        option = self._config.getoption
        words = [self._selection.words()]
        words += [f"-k {option('keyword')}"] if option("keyword") else []
        words += [f"-m {option('markexpr')}"] if option("markexpr") else []
        words += ["--lf"] if option("lf", False) else []
        words += [f"--deselect {name}" for name in option("deselect", None) or ()]
        return " ".join(filter(None, words))

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
                report = report_of(item, self.run.waive(self._record(item.ref)))
            else:
                report = left_out(item)
        except KitError as error:
            if self._worker is None:
                pytest.exit(f"nnapi-testkit: {plain(str(error))}", returncode=int(Exit.ERROR))
            report = report_of(item, lost(item.ref, str(error), self.session.settings.target))
        hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _promised(self, refs: Sequence[CaseRef]) -> list[CaseRef]:
        """Leave out what needs more than the device has: a newer feature level, or buffers."""
        facts = self._known_facts()
        refs = available(refs, facts, empty=True)
        forced, older = self._selection.level is not None, self.session.older
        return within(refs, facts, forced=forced, older=older, empty=True)

    def _known_facts(self) -> dict[str, object]:
        if self._facts is None:
            self._facts = dict(self.session.describe())
        return self._facts

    def _record(self, ref: CaseRef) -> Record:
        if ref.id in self._earlier:
            return self._earlier[ref.id]
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

    # Accounts and report.

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Enter the record that a report carries; xdist's controller sees its workers' here."""
        if self._worker is not None:
            return
        line = getattr(report, "nnapi_record", None)
        if line is None:
            return
        record = decode(line)
        if record.id in self._earlier:
            return  # the accounts have it already
        record = self.run.enter(record, waived=True)
        if self._store:
            try:
                self._store.add(record)
            except KitError as error:
                self._store = None  # once: the run itself goes on
                self.run.ledger.problems.append(str(error))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Close the accounts: floors, waivers, files; problems turn a pass into an error."""
        if self._stream is not None:
            with contextlib.suppress(KitError):
                self._stream.close()
        if self._worker is not None or self._config.getoption("collectonly") or self._useless:
            return
        run, ledger = self.run, self.run.ledger
        option = self._config.getoption
        try:
            accounts = close_accounts(
                run,
                self._how(session),
                process_started=self._process_started,
                device=self._device,
                selection=self._words(),
            )
            self._summary = accounts.summary
            self._write(accounts)
            if option("nnapi_write_waivers"):
                write_whole(Path(option("nnapi_write_waivers")), draft(ledger.records))
        except KitError as error:
            ledger.problems.append(str(error))
        calm = (0, pytest.ExitCode.NO_TESTS_COLLECTED, pytest.ExitCode.TESTS_FAILED)
        if session.exitstatus in calm and ledger.exit_code() is Exit.ERROR:
            # 1 says that the driver, or a test beside the suite, has failed, and nothing else.
            session.exitstatus = int(Exit.ERROR)
        elif session.exitstatus in calm and ledger.faults:
            session.exitstatus = int(Exit.FAIL)

    def _write(self, accounts: Accounted) -> None:
        """Write the report; what became notes is told although it cannot be written."""
        try:
            if self._store and self._store.begun:
                write_report(self.run, accounts, self._store)
        finally:
            self.run.notes += accounts.notes

    def _how(self, session: pytest.Session) -> How:
        if session.exitstatus == pytest.ExitCode.INTERRUPTED and not self.run.stopped:
            return How.INTERRUPTED
        return self.run.how

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print what `nnapi-testkit run` prints at its end."""
        if self._worker is not None or not self._summary:
            return
        terminalreporter.section("NNAPI conformance")
        ledger = self.run.ledger
        for note in self.run.notes:
            terminalreporter.line(f"note: {plain(note)}")
        if self._config.getoption("nnapi_matrix"):
            for line in matrix_lines(ledger.cells.values()):
                terminalreporter.line(plain(line))
        for line in summary_lines(ledger, self._summary):
            terminalreporter.line(line)
        if self._store:
            terminalreporter.line(f"report: {plain(str(self._store.folder / 'index.html'))}")
        code = ledger.exit_code()
        terminalreporter.line(
            closing_line(ledger, self._summary),
            bold=True,
            green=code is Exit.PASS,
            red=code is not Exit.PASS,
        )


def _usage(error: KitError) -> pytest.UsageError:
    return pytest.UsageError(f"nnapi-testkit: {plain(str(error))}")
