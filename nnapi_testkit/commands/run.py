"""`nnapi-testkit run`: judge a driver, show progress, write the report."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
from pathlib import Path
from urllib.parse import quote

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.commands.accounting import close_accounts, write_report
from nnapi_testkit.commands.chosen import selection_of, settings_of
from nnapi_testkit.commands.continued import Report
from nnapi_testkit.commands.parser import EXIT_CODES, add_shared
from nnapi_testkit.commands.prepare import before_run
from nnapi_testkit.commands.repro import one_case, save_case
from nnapi_testkit.commands.screen import Screen
from nnapi_testkit.errors import KitError
from nnapi_testkit.model.place import Place
from nnapi_testkit.process import collect_rarely, process_start
from nnapi_testkit.report.files import write_whole
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.store import Store
from nnapi_testkit.session.engine import Session
from nnapi_testkit.session.floors import Floors
from nnapi_testkit.session.plan import Selection
from nnapi_testkit.session.record import End, How
from nnapi_testkit.session.run import Run
from nnapi_testkit.session.waivers import Waivers
from nnapi_testkit.session.write_waivers import draft
from nnapi_testkit.targets import each_device, fleet, kept

__all__ = ["add", "folder_name", "main"]

_LONGEST = 120  # bytes of a folder's name


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.epilog = EXIT_CODES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    pick = parser.add_argument_group("selection (default: every case)")
    pick.add_argument(
        "names", nargs="*", metavar="CASE", help="case id, operation, or pattern with * and ?"
    )
    pick.add_argument(
        "-k",
        dest="keyword",
        default="",
        metavar="EXPR",
        help="words joined by and, or, not, as in pytest",
    )
    add_shared(pick, "pick")
    pick.add_argument(
        "--in-order", action="store_true", help="run the named cases in the order of their names"
    )
    how = parser.add_argument_group("how")
    add_shared(how, "how")
    how.add_argument(
        "-x",
        "--fail-fast",
        nargs="?",
        type=int,
        const=1,
        default=0,
        metavar="N",
        help="stop after N failures (1)",
    )
    how.add_argument("--services", default=None, help=argparse.SUPPRESS)
    out = parser.add_argument_group("what comes out")
    add_shared(out, "out")
    out.add_argument(
        "--show", type=int, default=10, metavar="N", help="failures to print in full (default 10)"
    )
    out.add_argument(
        "--write-floor",
        type=Path,
        metavar="FILE",
        help="store what this run reached as the floor of later ones",
    )
    out.add_argument(
        "--save",
        type=Path,
        metavar="DIR",
        help="write the one selected case as a folder: model, data, a C file, the evidence",
    )


def main(options: argparse.Namespace) -> int:
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
    folders = options.report, options.resume, options.retry
    for target in targets:
        print(f"==== {plain(target)} ====", flush=True)
        options.target = target
        name = folder_name(Place.of(target).device)
        options.report, options.resume, options.retry = (
            folder / name if folder else None for folder in folders
        )
        if options.resume and not options.resume.exists():  # its turn had not come
            options.report, options.resume = options.resume, None
        worst = max(worst, _run(options))
    return worst


def folder_name(device: str) -> str:
    """Return a folder's name for a device: another for each device, and inside its parent.

    Letters, digits, `_`, `-`, `~` and dots stay, the rest is percent-encoded, as are leading dots.
    """
    name = quote(device.encode("utf-8", "surrogateescape"), safe="")
    bare = name.lstrip(".")
    name = "%2E" * (len(name) - len(bare)) + bare
    if len(name) <= _LONGEST and name:
        return name
    # "%" is followed by hexadecimal digits in every other name.
    return (
        f"{name[:_LONGEST]}%{hashlib.sha256(device.encode('utf-8', 'surrogateescape')).hexdigest()}"
    )


def _run(options: argparse.Namespace) -> int:
    collect_rarely()
    process_started = process_start()
    with contextlib.ExitStack() as stack:
        screen = stack.enter_context(Screen(show=options.show))
        chosen = _selection(options)
        run = Run(
            settings_of(vars(options).__getitem__, chosen.wanted_operations()),
            options.jobs,
            selection=chosen,
            waivers=Waivers.read(options.waivers) if options.waivers else None,
            floors=_floors(options, chosen),
            stop_after=options.fail_fast,
        )
        report = Report.open(
            options.report, options.resume, options.retry, overwrite=options.overwrite
        )
        store = report.store if report else None
        if store:
            stack.callback(store.close)
        refs = run.select()
        saved = one_case(refs) if options.save else None
        device = _device(run.session)
        run.plan(refs, device)
        if report:
            report.begin(run, chosen.words())
        for note in run.notes:
            screen.notice(note)
        how = _executed(run, screen, store)
        accounts = close_accounts(
            run,
            how,
            process_started=process_started,
            device=device,
            selection=chosen.words(shard=True),
        )
        try:
            if store:
                write_report(run, accounts, store)
        finally:
            for note in accounts.notes:
                screen.notice(note)
        _write(options, run, accounts.end)
        if options.save:
            _save(options, run, saved)
    folder = report.folder if report else None
    screen.finish(run.ledger, accounts.summary, matrix=options.matrix, report=folder)
    return int(run.ledger.exit_code())


def _executed(run: Run, screen: Screen, store: Store | None) -> How | None:
    """Execute the run, its records on the screen and in the report; None unless interrupted."""
    screen.begin(len(run.planned) - run.kept)
    try:
        with contextlib.closing(run.records()) as records:
            for record in records:
                if store:
                    store.add(record)
                screen.add(record)
    except KeyboardInterrupt:
        return How.INTERRUPTED
    return None


def _write(options: argparse.Namespace, run: Run, end: End) -> None:
    """Write floors and waivers that were asked for."""
    if options.write_floor and end.how is How.FINISHED:
        write_whole(options.write_floor, Floors.of(run.ledger.records).dump())
    if options.write_waivers:
        write_whole(options.write_waivers, draft(run.ledger.records))


def _save(options: argparse.Namespace, run: Run, saved: CaseRef | None) -> None:
    """Write the folder of the one case that has run. Raises KitError if it has not."""
    found = next((r for r in run.ledger.records if saved and r.id == saved.id), None)
    if saved is None or found is None:
        raise KitError("the case to save did not run: see the notes above")
    save_case(saved, found, run.settings, options.save)


def _selection(options: argparse.Namespace) -> Selection:
    if options.in_order and (options.shuffle is not None or not options.names or options.jobs > 1):
        raise KitError("--in-order runs named cases in their order, by one job: name them")
    return selection_of(
        vars(options).__getitem__,
        options.names,
        keyword=options.keyword,
        in_order=options.in_order,
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
    """Return facts about the device, or about the first of a fleet that can be asked.

    Raises KitError if none can: without them nobody knows which cases it has promised.
    """
    targets = fleet(session.settings.target)
    problems: list[KitError] = []
    for target in ("", *(targets if len(targets) > 1 else ())):
        try:
            return dict(session.describe(target))
        except KitError as error:
            problems.append(error)
    raise problems[0]
