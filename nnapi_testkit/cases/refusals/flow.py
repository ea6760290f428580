"""Refusals of IF and WHILE: their operands are models, so op files declare them as graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np

from nnapi_testkit.cases.edits import (
    Base,
    Edit,
    add_operand,
    replaced,
    retyped,
    scalar,
    with_main,
    with_operand,
    with_operation,
    without_output_shapes,
)
from nnapi_testkit.cases.graphs import build_graph
from nnapi_testkit.cases.ref import Broken, CaseRef, Constraint
from nnapi_testkit.cases.refusals.fed import fed
from nnapi_testkit.cases.refusals.mutations import MUTATIONS, due_of
from nnapi_testkit.catalog import operation
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import (
    Case,
    Execution,
    ExecutionPath,
    Extra,
    MemoryKind,
    Stage,
)
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.model.types import Lifetime, Model
from nnapi_testkit.op.declare import Cell, Op
from nnapi_testkit.op.graph import GraphSample
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import is_quantized

# The positions of the operands that are models.
MODELS = {"IF": (1, 2), "WHILE": (0, 1)}
CELLS_EACH = 2
LOOP_TIMEOUT_NS = 20_000_000  # of a loop that never ends
FLOAT32, INT32, BOOL8 = (
    OperandCode.TENSOR_FLOAT32,
    OperandCode.TENSOR_INT32,
    OperandCode.TENSOR_BOOL8,
)


def flow_refusal_refs(op: Op) -> Iterator[CaseRef]:
    """The refusals of a control flow operation."""
    cells = [cell for cell in op.cells if cell.main != BOOL8]
    mutations = ((c, e) for c, e in MUTATIONS.items() if not hasattr(e, "needs"))
    edits = [*_edits(op), *mutations, *_fed_models(op)]
    for number, (constraint, edit) in enumerate(edits):
        for step in range(CELLS_EACH):
            cell = cells[(number + step * (len(cells) // CELLS_EACH)) % len(cells)]
            make = partial(_make, op.name, cell.name, edit, _due(constraint))
            yield _refusal(op, cell, constraint, make)
    quantized = [cell for cell in cells if is_quantized(cell.main)]
    for constraint, edit in DISAGREEMENTS.items():
        for cell in (cells if constraint in _LATE else quantized)[:CELLS_EACH]:
            make = partial(_make, op.name, cell.name, edit, _due(constraint))
            yield _refusal(op, cell, constraint, make)
    if op.name == "WHILE":
        yield from _endless(op, next(cell for cell in cells if cell.main == FLOAT32))


# Values and shapes, for which the header names no time.
_LATE = frozenset(
    {
        Constraint("argument-dimension"),
        Constraint("argument-shape"),
        Constraint("condition-missing"),
        Constraint("condition-shape", "rank"),
        Constraint("condition-shape", "two"),
        Constraint("result-dimension"),
        Constraint("result-shape"),
    }
)


def _due(constraint: Constraint) -> Stage:
    return Stage.EXECUTION if constraint in _LATE else due_of(constraint)


def _refusal(op: Op, cell: Cell, constraint: Constraint, make: Callable[[str], Case]) -> CaseRef:
    """The reference of a refusal; `make` is handed its id."""
    case_id = f"{op.name}[{cell.name}-refused-{constraint}]"
    level = max(op.since, cell.since)
    broken = Broken(constraint, graph_id(op, cell))
    kind, build = Kind.REFUSAL, partial(make, case_id)
    return CaseRef(case_id, op.name, cell.name, level, kind, build, broken=broken)


@lru_cache(maxsize=8)
def flow_base(op_name: str, cell_name: str) -> Base:
    """The first graph of the cell."""
    op = operation(op_name)
    cell = next(cell for cell in op.cells if cell.name == cell_name)
    case = build_graph(first_graph(op, cell), False, graph_id(op, cell), 0)
    count = len(case.model.main.operations[-1].inputs)
    names = tuple(f"input{number}" for number in range(count))
    return Base(case, names, names)


def graph_id(op: Op, cell: Cell) -> str:
    """The id of the case that is broken, in the suite too."""
    return f"{op.name}[{cell.name}-{first_graph(op, cell).name}]"


def first_graph(op: Op, cell: Cell) -> GraphSample:
    """The graph that refusals of the cell begin with."""
    assert op.graphs is not None
    sample: GraphSample = next(iter(op.graphs(cell)))
    return sample


def _make(op_name: str, cell_name: str, edit: Edit, expect: Stage, case_id: str) -> Case:
    base = flow_base(op_name, cell_name)
    model = edit(base)
    sets = fed(base.case, model) if expect == Stage.EXECUTION else ()
    return replace(base.case, id=case_id, model=model, sets=sets, expect=expect)


def _endless(op: Op, cell: Cell) -> Iterator[CaseRef]:
    """A loop that never ends has to be aborted, by each way to execute it."""
    for path in (
        ExecutionPath.COMPUTE,
        ExecutionPath.START_WAIT,
        ExecutionPath.BURST,
        ExecutionPath.FENCED,
    ):
        constraint = Constraint("loop-timeout", path.name.lower().replace("_", "-"))
        yield _refusal(op, cell, constraint, partial(_loop, path))
    yield _refusal(op, cell, Constraint("loop-timeout", "chained"), _failed_dependency)


def _failed_dependency(case_id: str) -> Case:
    """WHILE x equals 1, x := RELU(x), which never ends; what waits for it fails with it.

    The second begins with what the first was to write. It would end at once, for no output was
    written, so that it fails for no other reason than that the first has failed.
    """
    builder = Builder()
    condition, body = builder.subgraph(), builder.subgraph()
    x = condition.input(FLOAT32, (1,))
    one = condition.constant(FLOAT32, np.ones(1))
    condition.operation("EQUAL", (x, one), (condition.output(BOOL8, (1,)),))
    body.operation("RELU", (body.input(FLOAT32, (1,)),), (body.output(FLOAT32, (1,)),))
    operands = (builder.refer(condition), builder.refer(body), builder.input(FLOAT32, (1,)))
    builder.operation("WHILE", operands, (builder.output(FLOAT32, (1,)),))
    return Case(
        case_id,
        builder.build(),
        tuple(Execution((np.ones(1, "<f4"),), ((1,),)) for _ in range(2)),
        path=ExecutionPath.FENCED,
        memory=MemoryKind.SHARED,
        expect=Stage.EXECUTION,
        loop_timeout_ns=LOOP_TIMEOUT_NS,
        extra=Extra(together=True, chained=True),
    )


def _loop(path: ExecutionPath, case_id: str) -> Case:
    """WHILE x equals itself, x := RELU(x)."""
    builder = Builder()
    condition, body = builder.subgraph(), builder.subgraph()
    x = condition.input(FLOAT32, (1,))
    condition.operation("EQUAL", (x, x), (condition.output(BOOL8, (1,)),))
    body.operation("RELU", (body.input(FLOAT32, (1,)),), (body.output(FLOAT32, (1,)),))
    operands = (builder.refer(condition), builder.refer(body), builder.input(FLOAT32, (1,)))
    builder.operation("WHILE", operands, (builder.output(FLOAT32, (1,)),))
    one = Execution((np.ones(1, "<f4"),), ((1,),))
    return Case(
        case_id,
        builder.build(),
        (one,),
        path=path,
        expect=Stage.EXECUTION,
        loop_timeout_ns=LOOP_TIMEOUT_NS,
    )


def _edits(op: Op) -> Iterator[tuple[Constraint, Edit]]:
    for position in MODELS[op.name]:
        yield Constraint(f"model-{position}", "tensor"), partial(_as_tensor, position)
        yield Constraint(f"model-{position}", "scalar"), partial(_as_scalar, position)
        yield Constraint(f"model-{position}", "missing"), partial(_omit, position)
    first, second = MODELS[op.name]
    if op.name == "IF":
        yield Constraint("condition-type", "int32"), partial(_retype, 0, INT32)
        yield Constraint("condition-type", "float32"), partial(_retype, 0, FLOAT32)
        yield Constraint("condition-shape", "two"), partial(_redim, 0, (2,))
        yield Constraint("condition-shape", "rank"), partial(_redim, 0, (1, 1))
        yield Constraint("condition-scalar"), partial(_as_scalar, 0)
        yield Constraint("condition-missing"), partial(_omit, 0)
    else:
        yield Constraint("models-swapped"), partial(_swap, first, second)
    yield Constraint("inputs", "too-few"), partial(_inputs, -1)
    yield Constraint("inputs", "too-many"), partial(_inputs, 1)
    yield Constraint("inputs", "none"), partial(_inputs, -100)
    yield Constraint("outputs", "too-many"), _more_outputs
    # What is handed to a model has to be what the model takes.
    yield Constraint("argument-type"), partial(_retype, -1, BOOL8)
    yield Constraint("argument-shape"), partial(_redim, -1, (7, 7, 7))
    yield Constraint("result-type"), _retype_output
    yield Constraint("result-shape"), _reshape_output


def _fed_models(op: Op) -> Iterator[tuple[Constraint, Edit]]:
    """A model is a constant: there is none to be given to an execution."""
    for position in MODELS[op.name]:
        yield Constraint(f"model-{position}", "input"), partial(_as_input, position)


def _index(base: Base, position: int) -> int:
    return base.operation.inputs[position]


def _as_tensor(position: int, base: Base) -> Model:
    value = replace(scalar(OperandCode.INT32, 0), type=INT32, dims=(1,), lifetime=Lifetime.CONSTANT)
    model, new = add_operand(base.model, value)
    return with_operation(model, inputs=_put(base, position, new))


def _as_scalar(position: int, base: Base) -> Model:
    model, new = add_operand(base.model, scalar(OperandCode.INT32, 0))
    return with_operation(model, inputs=_put(base, position, new))


def _as_input(position: int, base: Base) -> Model:
    index = _index(base, position)
    model = with_operand(base.model, index, lifetime=Lifetime.INPUT, subgraph=-1)
    return with_main(model, inputs=(*model.main.inputs, index))


def _put(base: Base, position: int, index: int) -> tuple[int, ...]:
    return replaced(base.operation.inputs, _index(base, position), index)


def _omit(position: int, base: Base) -> Model:
    index = _index(base, position)
    return with_operand(base.model, index, lifetime=Lifetime.OMITTED, value=b"", subgraph=-1)


def _retype(position: int, other: OperandCode, base: Base) -> Model:
    index = _index(base, position)
    operand = base.model.main.operands[index]
    return with_operand(base.model, index, **retyped(operand, other))


def _redim(position: int, dims: tuple[int, ...], base: Base) -> Model:
    return with_operand(without_output_shapes(base.model), _index(base, position), dims=dims)


def _swap(first: int, second: int, base: Base) -> Model:
    inputs = list(base.operation.inputs)
    inputs[first], inputs[second] = inputs[second], inputs[first]
    return with_operation(base.model, inputs=inputs)


def _inputs(change: int, base: Base) -> Model:
    inputs = base.operation.inputs
    if change < 0:
        return with_operation(base.model, inputs=inputs[: max(0, len(inputs) + change)])
    return with_operation(base.model, inputs=(*inputs, inputs[-1]))


def _more_outputs(base: Base) -> Model:
    like = base.model.main.operands[base.output(0)]
    model = base.model
    outputs = list(base.operation.outputs)
    for _ in range(8):  # more than WHILE has state to give
        model, new = add_operand(model, replace(like, lifetime=Lifetime.TEMPORARY))
        outputs.append(new)
    return with_operation(model, outputs=outputs)


def _retype_output(base: Base) -> Model:
    index = base.output(0)
    return with_operand(base.model, index, **retyped(base.model.main.operands[index], BOOL8))


def _reshape_output(base: Base) -> Model:
    return with_operand(base.model, base.output(0), dims=(7, 7, 7))


def _longer(dims: tuple[int, ...]) -> tuple[int, ...]:
    return (*dims[:-1], dims[-1] + 1)


def _longer_argument(base: Base) -> Model:
    """One element more along the last dimension than the models take."""
    dims = base.model.main.operands[_index(base, -1)].dims
    return _redim(-1, _longer(dims), base)


def _longer_output(base: Base) -> Model:
    index = base.output(0)
    return with_operand(base.model, index, dims=_longer(base.model.main.operands[index].dims))


def _requantized(result: bool, scale: float, zero_point: int, base: Base) -> Model:
    """An argument or a result of another quantization than that of the referenced models."""
    index = base.output(0) if result else _index(base, -1)
    operand = base.model.main.operands[index]
    changed = {"scale": operand.scale * scale, "zero_point": operand.zero_point + zero_point}
    return with_operand(base.model, index, **changed)


# The referenced models agree with the operation in dimensions and quantization, too.
DISAGREEMENTS: dict[Constraint, Edit] = {
    Constraint("argument-dimension"): _longer_argument,
    Constraint("result-dimension"): _longer_output,
    Constraint("argument-scale"): partial(_requantized, False, 2.0, 0),
    Constraint("argument-zero-point"): partial(_requantized, False, 1.0, 1),
    Constraint("result-scale"): partial(_requantized, True, 2.0, 0),
    Constraint("result-zero-point"): partial(_requantized, True, 1.0, 1),
}
