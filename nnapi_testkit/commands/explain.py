"""`nnapi-testkit explain CASE`: what a person needs to believe a verdict."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.commands.parser import add_shared
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.compare import Comparison, compare
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.profiles import profile as profile_called
from nnapi_testkit.judge.rows import in_expected_order
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.judge.whole import missing, shape_fault
from nnapi_testkit.model.case import Answer, Case, Expected, Result, Stage
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.text import counted, details
from nnapi_testkit.repro.bound import Worst, bound_lines, worst_element
from nnapi_testkit.repro.drawing import drawing
from nnapi_testkit.repro.promises import promises, readings, refusal_promise
from nnapi_testkit.session.answering import Dispute, answering
from nnapi_testkit.session.plan import Selection, select
from nnapi_testkit.session.services import Services, load
from nnapi_testkit.session.settings import PROFILES, STANDARD, OracleMode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.targets.base import DEFAULT_MEMORY_LIMIT_MB

if TYPE_CHECKING:
    from nnapi_testkit.oracle.terms import BoundTerms

__all__ = ["add", "main"]

# Elements of these are not judged each by itself, so none of them has a bound to explain.
_WHOLE = {
    OutputKind.ROWS: "rows are judged together, in any order",
    OutputKind.GROUPS: "rows change places where a value repeats",
    OutputKind.DRAWS: "draws are judged by the share of each class",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Runs one case and explains its verdict: the model as a drawing, what the"
        " operation promises with the section of the header, the bound of the worst element term by"
        " term, legal codes, and which readings apply."
    )
    parser.epilog = "exit codes: 0 explained, whatever the verdict; 2 error"
    parser.add_argument("case", metavar="CASE", help="the id of one case")
    parser.add_argument(
        "--profile",
        "--nnapi-profile",
        choices=PROFILES,
        default="standard",
        help="what counts as equal (default standard)",
    )
    parser.add_argument(
        "--oracle",
        "--nnapi-oracle",
        choices=("auto", "live", "golden"),
        default="auto",
        help="who answers; terms of the bound need the live one (default: live if torch is there)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the case's data")
    parser.add_argument("--services", default=None, help=argparse.SUPPRESS)
    add_shared(parser, "target")


def main(options: argparse.Namespace) -> int:
    """Explain one verdict; 0 whatever it is. Raises KitError where no answer can be had."""
    services = load(options.services or STANDARD)
    ref = _one(services, options.case, options.seed)
    case = ref.make()
    mode = OracleMode(options.oracle)
    try:
        answer = answering(mode, services, options.seed)(ref, case)
    except Dispute as dispute:
        raise KitError(f"{ref.id} has no answer to explain: {dispute}") from dispute
    runner = services.open_runner(
        options.target, isolate=True, memory_limit_mb=DEFAULT_MEMORY_LIMIT_MB
    )
    try:
        result = next(iter(runner.run([case])))
    finally:
        runner.close()
    between = services.traits(options.target).between
    how = {"profile": options.profile, "target": options.target, "between": between}
    record = judge(ref, case, answer, result, **how)
    live = mode is not OracleMode.GOLDEN and services.has_live()
    for title, lines in _sections(ref, case, answer, result, record, options.profile, live):
        print(f"{title}\n" + "\n".join(f"  {plain(line)}" for line in lines))
    return 0


def _one(services: Services, name: str, seed: int) -> CaseRef:
    """The case of that id. Raises KitError for any other number of cases than one."""
    operation = name.partition("[")[0]
    refs = services.index([operation] if "[" in name else None, seed)
    found = [ref for ref in refs if ref.id == name]
    if found:
        return found[0]
    chosen = select(refs, Selection(names=(name,)))
    if len(chosen) != 1:
        raise KitError(
            f"explain takes one case, {name} names {len(chosen)}: see nnapi-testkit ops {operation}"
            " --cases"
        )
    return chosen[0]


def _sections(
    ref: CaseRef,
    case: Case,
    answer: Answer | None,
    result: Result,
    record: Record,
    profile: str,
    live: bool,
) -> Iterator[tuple[str, list[str]]]:
    yield "Verdict", list(details(record))
    yield "Model", drawing(case)
    sets = counted(len(case.sets), "input set")
    run = f"path {case.path.name}, memory {case.memory.name}, {sets}"
    yield "Run", [run + (", relaxed: float32 may be float16" if case.model.relaxed else "")]
    yield "Promised", list(promises(ref))
    if ref.broken is not None:
        yield "Refused", list(refusal_promise(ref))
    yield "Readings", [*readings(ref), *_followed(record)]
    if answer is not None and case.expect is Stage.DONE:
        yield "Bound of the worst element", _bounds(ref, case, answer, result, profile, live)


def _followed(record: Record) -> list[str]:
    return [f"the device follows: {record.reading}"] if record.reading else []


def _bounds(
    ref: CaseRef, case: Case, answer: Answer, result: Result, profile: str, live: bool
) -> list[str]:
    """The worst element of all outputs, by the last reading that computes."""
    absent = missing(case, len(answer.sets), result)
    if absent is not None:
        return [f"nothing was computed: {absent[1]}"]
    found = _worst(case, answer, result, profile)
    if isinstance(found, str):
        return [found]
    number, position, worst, comparison, expected = found
    operand = case.model.main.operands[case.model.main.outputs[position]]
    terms = _terms(ref, case, number, position) if live else None
    lines = [f"set {number} output {position}, element {list(worst.at)}:"]
    how = profile_called(profile)
    lines += bound_lines(operand, expected, comparison, worst, how, terms)
    if terms is None:
        lines.append("term by term: needs torch and an output that an operation computes directly")
    return lines


_Found = tuple[int, int, Worst, Comparison, Expected]


def _worst(case: Case, answer: Answer, result: Result, profile: str) -> _Found | str:
    operands = [case.model.main.operands[index] for index in case.model.main.outputs]
    best: _Found | None = None
    why = "every element is left open by the documentation"
    for number, row in enumerate(answer.sets):
        run = result.executions[number * max(1, case.repetitions)]
        if run.code:
            why = f"set {number} was not computed: code {run.code}"
            continue
        outputs = in_expected_order(operands, row, run.outputs)
        for position, (operand, want, got) in enumerate(zip(operands, row, outputs, strict=True)):
            if want.kind in _WHOLE:
                why = f"output {position}: {_WHOLE[want.kind]}"
                continue
            fault = shape_fault(operand, want, got, named=bool(result.device))
            if fault is not None:
                why = f"set {number}, output {position}: {fault[1]}"
                continue
            how = profile_called(profile)
            found = compare(operand, want, got.data, how, case.model.relaxed)
            worst = worst_element(operand, want, found)
            if worst is not None and (best is None or _beyond(worst, found) > _beyond(*best[2:4])):
                best = number, position, worst, found, want
    return why if best is None else best


def _beyond(worst: Worst, found: Comparison) -> tuple[bool, float]:
    return bool(found.wrong[worst.at]), worst.margin


def _terms(ref: CaseRef, case: Case, number: int, position: int) -> BoundTerms | None:
    from nnapi_testkit.oracle.terms import bound_terms
    from nnapi_testkit.spec.codes import OperationCode

    read = None
    if ref.contest is not None:
        computing = [one for one in ref.contest.readings if not one.refuses]
        read = OperationCode[ref.operation], computing[-1]
    return bound_terms(case, number, ref.level, read).get(position)
