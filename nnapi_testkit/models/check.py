"""Is a model right on a device, and if not, which operation is wrong?

One run of the model as it is, and one with every intermediate value as an output. Each operation
is then judged alone, on the inputs that the device itself computed, with its certified bound: an
error is found where it is made, and not where it ends up. The model's end is judged by a sampled
tolerance (`nnapi_testkit/oracle/chain.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.profiles import profile as profile_called
from nnapi_testkit.judge.vacuous import FLOAT_SHARE, QUANTIZED_SHARE, vacuous
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.model.case import (
    Answer,
    Case,
    Ending,
    Execution,
    OutputResult,
    Result,
    SetResult,
    Stage,
)
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.model.program import InputSet, Program, operation_name
from nnapi_testkit.model.types import Operand, Operation
from nnapi_testkit.models.report import EndReport, ModelReport, StepReport
from nnapi_testkit.models.steps import array_of, exposed, in_order, single
from nnapi_testkit.oracle import OracleError, answer_alone, follow
from nnapi_testkit.oracle.chain import Chain
from nnapi_testkit.oracle.choices import beyond, largest
from nnapi_testkit.spec.codes import OperandCode, ResultCode
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, is_quantized
from nnapi_testkit.targets.base import Runner

__all__ = [
    "DEADLINE_MS",
    "check",
    "given_inputs",
    "judge_step",
    "judged_steps",
    "settle",
    "stopped",
]

DEADLINE_MS = 300_000
Answerer = Callable[[CaseRef | None, Case], Answer]


def check(
    program: Program,
    runner: Runner,
    inputs: Sequence[InputSet] = (),
    *,
    profile: str = "standard",
    samples: int | None = None,
) -> ModelReport:
    """Judge a model on an open runner: each operation alone, then its end.

    Args:
        program: the model. inputs: input sets; by default the program's own.
        profile: `strict`, `standard` or `cts`.
        samples: evaluations for the tolerance of the end; None for the usual number.

    Raises:
        KitError: there is no input to run the model with, or the oracle does not know it.
    """
    given = given_inputs(program, inputs)
    began = time.perf_counter()
    model = program.model
    order = in_order(model.main)
    shown, outputs = exposed(model)
    inner = not inputs and bool(program.inner)
    chains = [follow(shown if inner else model, order, row, samples) for row in given]
    ends = model.main.outputs
    whole = Case(
        f"{program.name}",
        model,
        tuple(Execution(row, _dims(chain, ends)) for row, chain in zip(given, chains, strict=True)),
        deadline_ms=DEADLINE_MS,
    )
    visible = Case(
        f"{program.name}+values",
        shown,
        tuple(
            Execution(row, _dims(chain, outputs)) for row, chain in zip(given, chains, strict=True)
        ),
        deadline_ms=DEADLINE_MS,
    )
    results = list(runner.run([whole, visible]))
    for case, result in zip((whole, visible), results, strict=True):
        record = stopped(case, result, profile)
        if record is not None:
            report = ModelReport(program.name, result.device, profile, record=record)
            return replace(report, notes=program.notes, seconds=time.perf_counter() - began)
    plain, open_ = results
    steps = tuple(judged_steps(program, order, given, outputs, open_, profile))
    return ModelReport(
        program.name,
        plain.device,
        profile,
        steps=steps,
        ends=tuple(_ends(program, chains, plain, open_, steps)),
        conversion=() if inputs else tuple(_conversion(program, order, chains, profile)),
        notes=program.notes,
        nanoseconds=min(run.nanoseconds for run in plain.executions),
        seconds=time.perf_counter() - began,
    )


def given_inputs(program: Program, inputs: Sequence[InputSet]) -> tuple[InputSet, ...]:
    """Return the input sets to run a model with. Raises KitError if there are none."""
    given = tuple(inputs) or program.inputs
    if not given:
        raise KitError(f"{program.name} brings no inputs: give some, or shapes of random ones")
    return given


def _dims(chain: Chain, operands: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    return tuple(chain.values[at].shape for at in operands)


def stopped(case: Case, result: Result, profile: str) -> Record | None:
    """The record of a model that did not run; None if every input set was computed."""
    ref = CaseRef(case.id, "MODEL", "", 1, Kind.GRAPH, lambda: case)
    if result.ending is Ending.COMPLETED:
        failed = next((run for run in result.executions if run.code != ResultCode.NO_ERROR), None)
        if failed is None and len(result.executions) == len(case.sets):
            return None
    record = judge(ref, case, Answer(()), result, profile=profile)
    if result.ending is Ending.UNSUPPORTED and not result.function:
        text = f"the device does not claim {operation_name(result.code)}: see model coverage"
        record = replace(record, message=text)
    return record


def judged_steps(
    program: Program,
    order: Sequence[int],
    given: Sequence[InputSet],
    outputs: Sequence[int],
    result: Result,
    profile: str,
) -> Iterator[StepReport]:
    """Yield each operation judged on the values that the device itself computed.

    Args:
        given: the input sets. outputs: the operands that `result` shows, in its order.
    """
    model = program.model
    rows = []
    for row, run in zip(given, result.executions, strict=True):
        values: dict[int, tuple[NDArray[np.generic] | None, OutputResult | None]] = {
            at: (array, None) for at, array in zip(model.main.inputs, row, strict=True)
        }
        for at, output in zip(outputs, run.outputs, strict=True):
            operand = model.main.operands[at]
            values[at] = (_array(operand, output), output)
        rows.append(values)
    for index in order:
        alone, taken = single(model, index)
        results = model.main.operations[index].outputs
        sets = tuple(
            Execution(
                tuple(values[at][0] for at in taken), tuple(_shape(values[at]) for at in results)
            )
            for values in rows
        )
        runs = tuple(
            SetResult(0, tuple(_known(values[at][1]) for at in results)) for values in rows
        )
        case = Case(f"{program.name}#{index}", alone, sets, deadline_ms=DEADLINE_MS)
        found = Result(index, Ending.COMPLETED, Stage.DONE, device=result.device, executions=runs)
        yield StepReport(index, program.label(index), judge_step(case, found, profile), case)


def _array(operand: Operand, output: OutputResult) -> NDArray[np.generic]:
    if output.dims is None and not all(operand.dims):
        raise KitError("the driver does not tell the dimensions of an output that the model leaves")
    return array_of(operand, output, operand.dims)


def _shape(value: tuple[NDArray[np.generic] | None, OutputResult | None]) -> tuple[int, ...]:
    assert value[0] is not None
    return value[0].shape


def _known(output: OutputResult | None) -> OutputResult:
    assert output is not None
    return output


def judge_step(
    case: Case, result: Result, profile: str, answers: Answerer = answer_alone
) -> Record:
    """Judge a model of one operation; a bound as wide as the data is OBSERVED, never a pass."""
    code = case.model.main.operations[0].code
    name = operation_name(code)
    ref = CaseRef(case.id, name, "", 1, Kind.GRAPH, lambda: case)
    try:
        told = answers(ref, case) if result.ending is Ending.COMPLETED else Answer(())
        record = judge(ref, case, told, result, profile=profile)
    except OracleError as error:
        return Record(case.id, name, "", 1, Verdict.ORACLE_DISPUTE, Evidence(), message=str(error))
    except ValueError as error:  # a reference's word on data for which rounding decides
        return Record(case.id, name, "", 1, Verdict.OBSERVED, Evidence(), message=str(error))
    if record.verdict.is_pass:
        return settle(case, told, record, profile)
    return record


def settle(case: Case, told: Answer, record: Record, profile: str) -> Record:
    """Return the record of a pass as OBSERVED if an output's bound is too wide to judge it."""
    how = profile_called(profile)
    operands = [case.model.main.operands[at] for at in case.model.main.outputs]
    for number, row in enumerate(told.sets):
        for position, (operand, expected) in enumerate(zip(operands, row, strict=True)):
            if vacuous(operand, expected, how):
                coarse = is_quantized(OperandCode(operand.type))
                limit = QUANTIZED_SHARE if coarse else FLOAT_SHARE
                text = (
                    f"set {number}, output {position}: the bound is wider than {limit:.0%} of the"
                    " output's range, so it was not judged"
                )
                return replace(record, verdict=Verdict.OBSERVED, message=text)
    return record


def _conversion(
    program: Program, order: Sequence[int], chains: Sequence[Chain], profile: str
) -> Iterator[str]:
    """Yield where the model's float64 values are not what its source gives.

    The first operation that was converted wrongly comes first, where the source tells its values.
    """
    yield from _converted_steps(program, order, profile)
    yield from _first_apart(program, chains)
    for number, (row, chain) in enumerate(zip(program.expected, chains, strict=False)):
        for position, (at, want) in enumerate(zip(program.model.main.outputs, row, strict=True)):
            found = _apart(program, at, position, chain, want)
            if found:
                yield f"set {number} output {position} {found}"


def _first_apart(program: Program, chains: Sequence[Chain]) -> Iterator[str]:
    """Yield the first operation, in the order in which they run, that is not the source's."""
    graph = program.model.main
    _, shown = exposed(program.model)
    for index in in_order(graph) if program.inner else ():
        for at in graph.operations[index].outputs:
            for number, (want, chain) in enumerate(
                zip(program.inner.get(at, ()), chains, strict=False)
            ):
                found = _apart(program, at, shown.index(at), chain, want)
                if found:
                    name = program.operand(at)
                    yield f"set {number} {program.label(index)}: {name} {found}"
                    return


def _apart(
    program: Program, at: int, position: int, chain: Chain, want: NDArray[np.float64]
) -> str:
    """How an operand differs from the source by more than rounding explains; empty if not."""
    have = chain.outputs[position]
    if want.shape != have.shape:
        return f"has shape {list(have.shape)}, the source's {list(want.shape)}"
    with np.errstate(invalid="ignore"):  # two infinities are no difference
        apart = np.nan_to_num(np.abs(want - have), nan=0.0)
    apart = np.where(chain.open[position], 0.0, apart)
    error = float(apart.max()) if want.size else 0.0
    allowed = chain.tolerances[position] + _half_code(program.model.main.operands[at])
    if error <= allowed:
        return ""
    return f"is up to {error:.6g} from the source, rounding explains {allowed:.6g}"


def _converted_steps(program: Program, order: Sequence[int], profile: str) -> Iterator[str]:
    """Yield the first operation that is not what the source computes there, on its own values.

    The end of a deep quantized model has a tolerance as wide as its data; here each operation has
    its certified bound. The source is judged as a driver would be. It is none, and its functions
    may be rougher than NNAPI's bounds: it fails where float16's precision does not explain it.
    """
    graph = program.model.main
    values = {at: _typed(graph.operands[at], rows[0]) for at, rows in program.inner.items()}
    values |= {
        at: array
        for at, array in zip(graph.inputs, program.inputs[0], strict=True)
        if array is not None
    }
    for index in order if program.stepwise else ():
        alone, taken = single(program.model, index)
        results = graph.operations[index].outputs
        if not all(at in values for at in (*taken, *results)):
            continue
        arrays = [values[at] for at in results]
        run = SetResult(0, tuple(OutputResult(array.shape, array.tobytes()) for array in arrays))
        fed = Execution(tuple(values[at] for at in taken), tuple(array.shape for array in arrays))
        result = Result(index, Ending.COMPLETED, Stage.DONE, executions=(run,))
        message = ""
        for model in (alone, replace(alone, relaxed=True)):
            case = Case(f"{program.name}#{index}", model, (fed,), deadline_ms=DEADLINE_MS)
            record = judge_step(case, result, profile)
            message = record.message if record.verdict.is_failure else ""
            if not message:
                break
        if message:
            yield f"{program.label(index)} is not what the source computes there: {message}"
            return


def _typed(operand: Operand, real: NDArray[np.float64]) -> NDArray[np.generic]:
    """Real values in an operand's own type: codes of quantized ones."""
    code = OperandCode(operand.type)
    kind = np.dtype(DTYPE[code])
    if not is_quantized(code):
        return real.astype(kind)
    low, high = CODE_RANGE[code]
    codes = np.rint(real / operand.scale) + operand.zero_point
    return codes.clip(low, high).astype(kind)


def _ends(
    program: Program,
    chains: Sequence[Chain],
    plain: Result,
    open_: Result,
    steps: Sequence[StepReport],
) -> Iterator[EndReport]:
    graph = program.model.main
    for number, (chain, run, shown) in enumerate(
        zip(chains, plain.executions, open_.executions, strict=True)
    ):
        for position, at in enumerate(graph.outputs):
            operand = graph.operands[at]
            array = array_of(operand, run.outputs[position], chain.outputs[position].shape)
            same = run.outputs[position] == shown.outputs[position]
            relaxed = program.model.relaxed
            end = _end(operand, array, chain, position, relaxed)
            if end.verdict is Verdict.MISMATCH:
                free = _open_places(steps, graph.operations, at, number)
                if free is not None and free.shape == array.shape:
                    # What the documentation leaves open may be anything.
                    end = _end(operand, array, chain, position, relaxed, free)
            yield replace(
                end,
                set=number,
                output=position,
                name=program.operand(at),
                same=same,
            )


def _open_places(
    steps: Sequence[StepReport], operations: Sequence[Operation], at: int, number: int
) -> NDArray[np.bool_] | None:
    """The elements of an output that its operation leaves open; None if there are none."""
    step = next((step for step in steps if at in operations[step.index].outputs), None)
    if step is None:
        return None
    try:
        told = answer_alone(None, step.case)
    except (OracleError, ValueError):  # not judged, which its own report says
        return None
    return told.sets[number][operations[step.index].outputs.index(at)].exempt


def _half_code(operand: Operand) -> float:
    """What the last rounding of a quantized output adds."""
    return operand.scale / 2 * (1 + 1e-9) if is_quantized(OperandCode(operand.type)) else 0.0


def _fits(told: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a shape is one that the model's own dimensions, 0 for unknown ones, allow."""
    pairs = zip(told, shape, strict=False)
    return not told or (len(told) == len(shape) and all(n in (0, m) for n, m in pairs))


def _end(
    operand: Operand,
    array: NDArray[np.generic],
    chain: Chain,
    position: int,
    relaxed: bool,
    free: NDArray[np.bool_] | None = None,
) -> EndReport:
    """One output against the chain's; `free`: elements that the device's own inputs leave open."""
    expected, tolerance = chain.outputs[position], chain.tolerances[position]
    blank = EndReport(0, 0, "", Verdict.PASS, 0.0, tolerance, 0.0)
    if array.shape != expected.shape:
        # How many rows there are may follow from a choice that rounding changes.
        chosen = tolerance == np.inf and _fits(operand.dims, array.shape)
        return replace(blank, verdict=Verdict.OBSERVED if chosen else Verdict.DIMENSIONS)
    if not expected.size:
        return blank
    coarse = is_quantized(OperandCode(operand.type))
    real = array.astype(np.float64)
    if coarse:
        real = (real - operand.zero_point) * operand.scale
    unsaid = chain.open[position] if free is None else chain.open[position] | free
    with np.errstate(all="ignore"):
        same = (real == expected) | (np.isnan(real) & np.isnan(expected)) | unsaid
        # What is too large may be infinite or the largest number: the reference leaves it open.
        large = np.abs(expected) + tolerance >= beyond(operand, relaxed)
        large &= np.abs(real) >= largest(operand)
        same |= large & (np.sign(real) == np.sign(expected))
        error = np.where(same, 0.0, np.abs(real - expected))
    error = np.nan_to_num(error, nan=np.inf)
    finite = expected[np.isfinite(expected)]
    size = float(finite.max() - finite.min()) if finite.size else 0.0
    worst = int(error.argmax())
    where = tuple(int(i) for i in np.unravel_index(worst, error.shape))
    found = replace(blank, error=float(error.flat[worst]), range=size, where=where)
    allowed = tolerance + _half_code(operand)
    vague = tolerance > (QUANTIZED_SHARE if coarse else FLOAT_SHARE) * size and tolerance
    if vague or unsaid.all():
        return replace(found, verdict=Verdict.OBSERVED)
    return found if found.error <= allowed else replace(found, verdict=Verdict.MISMATCH)
