"""Random graphs on a device, many in each round trip, and every failure cut down and kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.model.case import Answer, Case, Ending, Result
from nnapi_testkit.model.program import operation_name
from nnapi_testkit.model.types import Model
from nnapi_testkit.oracle import OracleError, answer_alone
from nnapi_testkit.oracle.bind import bind
from nnapi_testkit.random_graphs.graph import MOST, Plan, RandomGraph, grown, sampled
from nnapi_testkit.random_graphs.parts import FLOW
from nnapi_testkit.random_graphs.shrink import Shrunk, Trips, shrink, suspicion
from nnapi_testkit.random_graphs.trial import Outcome, Trial, group, judged, trial
from nnapi_testkit.repro.save import save
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.levels import NEWEST, level_of
from nnapi_testkit.spec.operands import SHORT_NAME
from nnapi_testkit.targets.base import Runner

__all__ = ["Finding", "Hunt", "Report", "kept_case", "level_of_device"]

BATCH = 16  # graphs of one round trip
REGROWN = 4  # times that a graph is grown anew without what the device does not claim
MOST_SHRUNK = 20  # failures of a kind that was not seen before


@dataclass(frozen=True)
class Hunt:
    """What is asked for.

    Args:
        graphs: how many. seed: of all of them. most: operations of each.
        operations: what graphs are made of; by default all.
        level: of the device; profile: of the judge.
    """

    graphs: int = 200
    seed: int = 0
    most: int = MOST
    operations: tuple[str, ...] = ()
    level: int = NEWEST
    profile: str = "standard"

    def run(self, runner: Runner, told: Callable[[str], None] = lambda line: None) -> Report:
        """Grow, run and judge the graphs; cut failures down.

        Raises KitError if the device claims nothing that graphs are made of.
        """
        report = Report(self)
        trips = Trips(runner)
        for tries in _batches(self):
            for outcome in self._judged(report, trips, tries):
                report.count(outcome)
                if outcome.differs and not outcome.failed:
                    report.differing += 1
                    outcome = suspicion(outcome, trips, self.profile) or outcome
                if outcome.failed:
                    self._failed(report, trips, outcome, told)
            told(f"{report.graphs} graphs, {report.operations} operations")
        report.trips = trips.count
        return report

    def _judged(self, report: Report, trips: Trips, tries: Sequence[Trial]) -> Iterator[Outcome]:
        """Outcomes of a batch; what the device does not claim is learned and left out."""
        for _ in range(REGROWN + 1):
            if not tries:
                return
            results = trips.run([case for one in tries for case in one.cases])
            again = []
            for at, one in enumerate(tries):
                pair = results[2 * at : 2 * at + 2]
                refused = next((r for r in pair if r.ending is Ending.UNSUPPORTED), None)
                if refused is None or refused.function:
                    yield judged(one, pair, self.profile)
                else:
                    report.unclaimed |= unclaimed(one.graph.model, refused)
                    again.append(one)
            tries = [
                made
                for one in again
                if (made := _trial(_without(one.graph, report.unclaimed), one.name)) is not None
            ]
        report.left_out += len(tries)

    def _failed(
        self, report: Report, trips: Trips, outcome: Outcome, told: Callable[[str], None]
    ) -> None:
        report.failed += 1
        kind = (what(outcome), group(outcome.record.verdict))
        if (outcome.wrong and kind in report.known) or len(report.findings) >= MOST_SHRUNK:
            return
        told(f"{outcome.trial.name}: {outcome.record.verdict.value}, looking for the smallest")
        found = shrink(outcome, trips, self.profile)
        cause = (what(found.outcome), group(found.record.verdict))
        if cause not in report.known:
            report.findings.append(Finding(found))
        report.known |= {kind, cause} if outcome.wrong else {cause}


@dataclass(frozen=True)
class Finding:
    """A failure of a kind of its own, cut down."""

    shrunk: Shrunk

    @property
    def name(self) -> str:
        """What the graph is called that showed it."""
        return self.shrunk.first.trial.name

    @property
    def record(self) -> Record:
        """The verdict on what is left."""
        return self.shrunk.record

    @property
    def where(self) -> str:
        """The operation that is wrong, with its cell; all that are left if none is known."""
        return what(self.shrunk.outcome)

    def save(self, folder: Path, profile: str) -> None:
        """Write what is left as a folder that `nnapi-testkit replay` reads. Raises KitError."""
        case, answer = kept_case(self.shrunk.outcome)
        record = replace(self.record, id=case.id)
        save(folder, case, answer, record, profile=profile)


@dataclass
class Report:
    """What a hunt came to.

    Args:
        graphs, operations: that ran. right, open: operations that were judged right, and those
            whose bound was too wide. kinds: operations with the type of their first result.
        differing: graphs whose end has other bits while nobody looks at their values, and is too
            much to judge as a whole.
        failed: graphs that failed; findings: failures of a kind of their own.
        unclaimed: what the device does not claim; left_out: graphs of which nothing was left.
    """

    hunt: Hunt
    graphs: int = 0
    operations: int = 0
    right: int = 0
    open: int = 0
    failed: int = 0
    left_out: int = 0
    differing: int = 0
    errors: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    unclaimed: frozenset[str] = frozenset()
    findings: list[Finding] = field(default_factory=list)
    known: set[tuple[str, str]] = field(default_factory=set)
    trips: int = 0
    device: str = ""

    def count(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.graphs += 1
        self.right += outcome.passed
        self.open += outcome.open
        self.operations += outcome.trial.graph.operations
        self.device = outcome.record.device or self.device
        self.verdicts[outcome.record.verdict.value] += 1
        if outcome.record.verdict.is_error:
            self.errors.append(f"{outcome.trial.name}: {outcome.record.message}")
        for graph in (outcome.trial.graph.model.main, *outcome.trial.graph.model.subgraphs):
            for operation in graph.operations:
                first = OperandCode(graph.operands[operation.outputs[0]].type)
                self.kinds[f"{operation_name(operation.code)} {SHORT_NAME[first]}"] += 1


def level_of_device(runner: Runner) -> int:
    """The feature level of the device that a runner asks; the newest where it is not told."""
    told = runner.describe().get("feature_level")
    return level_of(told) if isinstance(told, int) and told > 0 else NEWEST


def what(outcome: Outcome) -> str:
    """The first wrong operation with its cell, or all operations of the graph."""
    model = outcome.trial.graph.model
    at = outcome.wrong[:1] or tuple(range(len(model.main.operations)))
    return ", ".join(dict.fromkeys(_cell_name(model, number) for number in at))


def _cell_name(model: Model, number: int) -> str:
    operation = model.main.operations[number]
    name = operation_name(operation.code)
    if name in FLOW:
        return name
    types = [
        tuple(int(model.main.operands[at].type) for at in row)
        for row in (operation.inputs, operation.outputs)
    ]
    return f"{name}[{bind(operation.code, *types).cell.name}]"


def unclaimed(model: Model, result: Result) -> frozenset[str]:
    """What of a model the device does not claim."""
    if result.support:
        flags = enumerate(result.support)
        return frozenset(_cell_name(model, number) for number, claimed in flags if not claimed)
    return frozenset((operation_name(result.code),))


def kept_case(outcome: Outcome) -> tuple[Case, Answer | None]:
    """The case to keep of a failure, with the expected result where it has one."""
    one = outcome.trial
    alone = one.graph.operations == 1 or outcome.hidden
    case = replace(one.whole if alone else one.visible, id=one.name)
    try:
        return case, answer_alone(None, case)
    except OracleError:
        return case, None


def _batches(hunt: Hunt) -> Iterator[list[Trial]]:
    batch: list[Trial] = []
    for number in range(hunt.graphs):
        plan = sampled(number, hunt.seed, hunt.most, hunt.level, hunt.operations)
        made = _trial(grown(plan), f"random-{hunt.seed}-{number}")
        if made is not None:
            batch.append(made)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _trial(graph: RandomGraph, name: str) -> Trial | None:
    return trial(graph, name) if graph.operations else None


def _without(graph: RandomGraph, names: frozenset[str]) -> RandomGraph:
    plan = graph.plan
    assert plan is not None
    made: Plan = replace(plan, without=names)
    return grown(made)


def nothing_judged(report: Report) -> None:
    """Raise KitError if no operation of no graph was judged."""
    if report.right or report.failed:
        return
    claims = ", ".join(sorted(report.unclaimed)[:5])
    raise KitError(
        "nothing was judged: the device runs no graph"
        + (f" (it does not claim {claims}, ...)" if claims else "")
    )
