"""A graph on a device: the model as it is, and once more with every value as an output.

With all values visible each operation is judged alone, on what the device itself fed to it. Where
the model as it is gives the same bits, its end is proved by that; where it does not, because the
device computes otherwise when nobody looks, the end is judged by bounds carried through the whole
graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Evidence, Record, Sort, Verdict
from nnapi_testkit.model.case import Case, Execution, Result
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.model.program import Program, operation_name
from nnapi_testkit.model.types import Model
from nnapi_testkit.models.check import judged_steps, settle, stopped
from nnapi_testkit.models.report import StepReport
from nnapi_testkit.models.steps import array_of, exposed, in_order
from nnapi_testkit.oracle import OracleError, answer_alone
from nnapi_testkit.oracle.bind import bind
from nnapi_testkit.random_graphs.graph import RandomGraph
from nnapi_testkit.spec.codes import OperationCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import Array

__all__ = [
    "Outcome",
    "Trial",
    "group",
    "judged",
    "judged_whole",
    "trial",
    "visible_case",
]

DEADLINE_MS = 20_000


@dataclass(frozen=True)
class Trial:
    """The two cases of a graph; `shown` lists the operands behind the second one's outputs."""

    name: str
    graph: RandomGraph
    whole: Case
    visible: Case
    shown: tuple[int, ...]

    @property
    def cases(self) -> tuple[Case, Case]:
        """What is run, in one batch."""
        return self.whole, self.visible


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Args:
        record: the worst that was found, of an operation, of the end, or of the whole model.
        wrong: operations of the main graph that are wrong by themselves.
        hidden: it fails only while its values are not looked at.
        differs: without a look its end has other bits, and the whole is too much to judge: its
            parts have to tell.
        passed, open: operations judged right, and those with a bound too wide to judge.
        values: what the device computed, where it is known, else the reference's values.
    """

    trial: Trial
    record: Record
    values: Mapping[int, Array]
    wrong: tuple[int, ...] = ()
    hidden: bool = False
    differs: bool = False
    passed: int = 0
    open: int = 0

    @property
    def failed(self) -> bool:
        """Whether the driver broke a promise."""
        return self.record.verdict.is_failure


def trial(graph: RandomGraph, name: str) -> Trial:
    """The cases of a graph."""
    visible, shown = visible_case(graph.model, graph.values, f"{name}+values")
    whole = Case(name, graph.model, (graph.execution,), deadline_ms=DEADLINE_MS)
    return Trial(name, graph, whole, visible, shown)


def visible_case(
    model: Model, values: Mapping[int, Array], name: str
) -> tuple[Case, tuple[int, ...]]:
    """The case that shows every value of a model's main graph, and which operands it shows."""
    open_model, shown = exposed(model)
    fed = tuple(values[at] for at in model.main.inputs)
    dims = tuple(values[at].shape for at in shown)
    return Case(name, open_model, (Execution(fed, dims),), deadline_ms=DEADLINE_MS), shown


def judged(tried: Trial, results: Sequence[Result], profile: str) -> Outcome:
    """Judge a trial by the results of its two cases."""
    whole, visible = results
    known = tried.graph.values
    for case, result in zip(tried.cases, results, strict=True):
        record = stopped(case, result, profile)
        if record is not None:
            return Outcome(tried, record, known, hidden=result is whole)
    model, shown = tried.graph.model, tried.shown
    untold = _untold(tried, visible)
    if untold is not None:
        return untold
    steps = steps_of(model, tried.visible, shown, visible, profile)
    values = {**known, **shown_values(model, shown, tried.visible, visible)}
    wrong = tuple(step.index for step in steps if step.verdict.is_failure)
    found = Outcome(
        tried,
        _first([step.record for step in steps]),
        values,
        wrong,
        passed=sum(step.verdict.is_pass for step in steps),
        open=sum(step.verdict is Verdict.OBSERVED for step in steps),
    )
    if wrong or _same_end(model, whole, visible):
        return found
    end = judged_whole(tried.whole, whole, profile)
    if end.verdict.is_failure:
        return replace(found, record=end, hidden=True)
    return replace(found, differs=not end.verdict.is_pass)


def _untold(tried: Trial, visible: Result) -> Outcome | None:
    """The outcome of a run whose driver keeps the dimensions of an output to itself.

    Where a model leaves them open, nobody else can tell what it has computed.
    """
    graph = tried.graph.model.main
    for run in visible.executions:
        for at, output in zip(tried.shown, run.outputs, strict=True):
            dims = graph.operands[at].dims
            if output.dims is not None or (dims and all(dims)):
                continue
            writer = next(n for n, o in enumerate(graph.operations) if at in o.outputs)
            name = operation_name(graph.operations[writer].code)
            record = Record(
                tried.name,
                name,
                "",
                1,
                Verdict.DIMENSIONS,
                Evidence(),
                device=visible.device,
                message=f"no dimensions were reported of a result of {name}",
            )
            return Outcome(tried, record, tried.graph.values, (writer,))
    return None


def steps_of(
    model: Model, case: Case, shown: Sequence[int], result: Result, profile: str
) -> list[StepReport]:
    """Every operation judged on the device's own values."""
    order = in_order(model.main)
    program = Program(model, case.id)
    fed = [execution.inputs for execution in case.sets]
    return list(judged_steps(program, order, fed, shown, result, profile))


def judged_whole(case: Case, result: Result, profile: str) -> Record:
    """Judge the outputs of a graph by bounds carried through it; too wide ones are OBSERVED."""
    name = operation_name(case.model.main.operations[-1].code)
    ref = CaseRef(case.id, name, "", 1, Kind.GRAPH, lambda: case)
    record = stopped(case, result, profile)
    if record is not None:
        return record
    try:
        told = answer_alone(None, case)
    except OracleError as error:
        return Record(case.id, name, "", 1, Verdict.ORACLE_DISPUTE, Evidence(), message=str(error))
    record = judge(ref, case, told, result, profile=profile)
    return settle(case, told, record, profile) if record.verdict.is_pass else record


def shown_values(
    model: Model, shown: Sequence[int], case: Case, result: Result
) -> dict[int, Array]:
    """What a device left in the operands of a case that shows them."""
    found = {}
    dims = case.sets[0].output_dims
    outputs = result.executions[0].outputs
    for at, output, expected in zip(shown, outputs, dims, strict=True):
        found[at] = array_of(model.main.operands[at], output, expected)
    return found


def _same_end(model: Model, whole: Result, visible: Result) -> bool:
    """Whether both runs end in the same bits, but for draws and scratch buffers."""
    loose = _loose(model)
    return all(
        one == other
        for plain, open_ in zip(whole.executions, visible.executions, strict=True)
        for at, one, other in zip(model.main.outputs, plain.outputs, open_.outputs, strict=False)
        if at not in loose
    )


def _loose(model: Model) -> set[int]:
    """Operands whose contents need not be the same twice."""
    graph = model.main
    found = set()
    for operation in graph.operations:
        if operation.code in (OperationCode.IF, OperationCode.WHILE):
            continue
        types = [
            tuple(int(graph.operands[at].type) for at in row)
            for row in (operation.inputs, operation.outputs)
        ]
        specs = bind(operation.code, *types).op.outputs
        for position, at in enumerate(operation.outputs):
            spec = specs[min(position, len(specs) - 1)]
            if spec.opaque or spec.kind in (OutputKind.DRAWS, OutputKind.ROWS):
                found.add(at)
    return found


def _first(records: Sequence[Record]) -> Record:
    """The first failure, else the first that was not judged, else the last."""
    for wanted in (
        lambda record: record.verdict.is_failure,
        lambda record: record.verdict.is_error,
        lambda record: not record.verdict.is_pass,
    ):
        found = next((record for record in records if wanted(record)), None)
        if found is not None and found.verdict.is_bad:
            return found
    passed = [record for record in records if record.verdict.is_pass]
    return passed[-1] if passed else records[-1]


def group(verdict: Verdict) -> str:
    """What kind of failure it is: all wrong results are of one."""
    result = verdict.is_failure and verdict.meaning.sort is Sort.VALUES
    return "result" if result else verdict.value
