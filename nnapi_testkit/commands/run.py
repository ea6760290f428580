"""`nnapi-testkit run`: judge a driver, show progress, write the report."""

from __future__ import annotations

import argparse
import contextlib
import re
import time
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.commands.prepare import before_run
from nnapi_testkit.commands.screen import Screen
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.report.files import write_whole
from nnapi_testkit.report.store import Store
from nnapi_testkit.report.summary import RunFacts, process_start, summarize
from nnapi_testkit.session.engine import Session
from nnapi_testkit.session.floors import Floors
from nnapi_testkit.session.ledger import Ledger
from nnapi_testkit.session.memory import collect_rarely
from nnapi_testkit.session.plan import Selection, available, select, within
from nnapi_testkit.session.settings import STANDARD, OracleMode, Settings, Shard
from nnapi_testkit.session.waivers import Waivers
from nnapi_testkit.targets import TargetError, each_device, fleet, kept

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Execute the command; returns its exit code. Raises KitError.

    `TARGET#*` is a run for each NNAPI device, with a report each; the worst exit code counts.
    """
    # Lanes in processes of their own lease for themselves.
    with kept() if options.jobs == 1 else contextlib.nullcontext():
        return _run_each(options)


def _run_each(options: argparse.Namespace) -> int:
    if options.before_run:
        before_run(options.before_run, options.target)
    targets = each_device(options.target)
    if len(targets) == 1:
        options.target = targets[0]
        return _run(options)
    worst = 0
    report: Path | None = options.report
    for target in targets:
        device = target.partition("#")[2]
        print(f"==== {target} ====", flush=True)
        options.target = target
        options.report = report / re.sub(r"[^A-Za-z0-9._-]", "_", device) if report else None
        worst = max(worst, _run(options))
    return worst


def _run(options: argparse.Namespace) -> int:
    collect_rarely()
    process_started = process_start()
    started = time.time()
    selection = _selection(options)
    waivers = Waivers.read(options.waivers) if options.waivers else Waivers()
    floors = _floors(options, selection)
    settings = Settings(
        target=options.target,
        oracle=OracleMode(options.oracle),
        profile=options.profile,
        isolate=options.isolate,
        memory_limit_mb=options.memory_limit,
        operations=selection.wanted_operations(),
        seed=options.seed,
        driver_log=options.driver_log,
        services=options.services or STANDARD,
    )
    session = Session(settings, options.jobs)
    index = session.refs()
    refs = select(index, selection, neighbours=True)
    device = _device(session)
    there = available(refs, device)
    absent, refs = Counter(ref.needs for ref in refs) - Counter(ref.needs for ref in there), there
    forced = selection.level is not None
    promised = within(refs, device, forced=forced, older=session.older)
    above = sum(not (ref.broken and ref.broken.newer) for ref in set(refs) - set(promised))
    refs = promised
    screen = Screen(len(refs), show=options.show)
    if session.notice:
        screen.notice(session.notice)
    if above:
        screen.notice(f"{above} cases need a newer feature level than the device has")
    for needs, count in absent.items():
        screen.notice(f"{count} cases need {needs.replace('_', ' ')}, which the target has not")
    store = Store(options.report) if options.report else None
    ledger = Ledger()
    interrupted = False
    try:
        with screen, contextlib.closing(_records(session, refs, options.fail_fast)) as records:
            for record in records:
                entered = waivers.apply(record)
                ledger.add(entered)
                if store:
                    store.add(entered)
                screen.add(entered)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        if store:
            store.close()
    ended = time.time()
    if interrupted:
        ledger.problems.append("the run was interrupted")
    ledger.close(
        waivers=waivers,
        floors=None if interrupted else floors,
        index={ref.id for ref in index} if settings.operations is None else None,
        planned=len(refs),
    )
    facts = RunFacts(
        settings=settings,
        jobs=options.jobs,
        oracle=session.oracle.value,
        started=started,
        first_verdict=session.first_verdict,
        ended=ended,
        process_started=process_started,
        device=device,
        selection=_words(options),
        planned=len(refs),
    )
    summary = summarize(ledger, facts)
    if store:
        store.finish(ledger.records, summary)
    if options.write_floor:
        write_whole(options.write_floor, Floors.of(ledger.records).dump())
    screen.finish(ledger, summary, matrix=options.matrix, report=options.report)
    return int(ledger.exit_code())


def _records(
    session: Session, refs: Sequence[CaseRef], fail_fast: int
) -> Generator[Record, None, None]:
    failures = 0
    with contextlib.closing(session.run(refs)) as records:
        for record in records:
            yield record
            failures += record.verdict.is_failure or record.verdict.is_error
            if fail_fast and failures >= fail_fast:
                return


def _selection(options: argparse.Namespace) -> Selection:
    return Selection(
        names=tuple(options.names),
        keyword=options.keyword,
        operations=tuple(options.operation),
        level=options.level,
        kinds=tuple(options.kind),
        shard=Shard.parse(options.shard) if options.shard else None,
    )


def _floors(options: argparse.Namespace, selection: Selection) -> Floors | None:
    if not (options.floor or options.write_floor):
        return None
    if not selection.whole:
        raise KitError(
            "floors belong to a whole run: leave the selection out, or leave out"
            " --floor and --write-floor"
        )
    return Floors.read(options.floor) if options.floor else None


def _device(session: Session) -> dict[str, object]:
    try:
        return dict(session.describe())
    except KitError as error:
        # What one device lacks for good another one of a fleet may have; alone it is the end.
        if isinstance(error, TargetError) and len(fleet(session.settings.target)) == 1:
            raise
        return {"error": str(error)}


def _words(options: argparse.Namespace) -> str:
    words = list(options.names)
    words += [f"-k {options.keyword}"] if options.keyword else []
    words += [f"--operation {name}" for name in options.operation]
    words += [f"--level {options.level}"] if options.level is not None else []
    words += [f"--kind {name}" for name in options.kind]
    words += [f"--shard {options.shard}"] if options.shard else []
    return " ".join(words)
