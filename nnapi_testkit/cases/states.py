"""What a driver may remember: one compilation, data that change from execution to execution.

A case has three input sets: A, B, and A again. Weights are inputs too, so that a driver which
packs them once, or keeps a result, answers A where B was asked, or B where A is asked again. The
runner puts sets of one shape into the same buffers and memories, one after the other; by the path
`reusable` into the same execution too. Then the same three sets are alive and computing at once, in
threads and started one after another, each fenced by the one before; and they are executed after
the model has been freed, of which only the compilation is left. Bursts also get sets whose batch
changes, where the model leaves the dimensions open. Executions that differ in their shape alone,
the number of elements being the same, and executions that omit what the one before gave, tell a
driver that keeps shapes or inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from nnapi_testkit.cases.build import Variant, build_case, choose_signature, level_of
from nnapi_testkit.cases.draw import key_of
from nnapi_testkit.cases.edits import find
from nnapi_testkit.cases.graph_shapes import samples_in
from nnapi_testkit.cases.pairs.relations import Situation
from nnapi_testkit.cases.paths import MEMORY_LEVEL, MEMORY_WORD, PATH_LEVEL, PATH_WORD
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.cases.slots import UNKNOWN_DIMS, Regime
from nnapi_testkit.model.case import Case, ExecutionPath, Extra, MemoryKind
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Cell, Op, Sample

# Bursts remember memories by their identity, reusable executions all of their arguments.
WAYS = (ExecutionPath.REUSABLE, ExecutionPath.BURST)
MEMORIES = (MemoryKind.SHARED, MemoryKind.POINTER, MemoryKind.DEVICE)
# Executions of one compilation at the same time.
TOGETHER = {
    "threads": ExecutionPath.COMPUTE,
    "started": ExecutionPath.START_WAIT,
    "bursts": ExecutionPath.BURST,
    "fences": ExecutionPath.FENCED,
}
EVERYTHING = "ADD"  # gets all combinations
SHAPED = ("ADD", "MAXIMUM", "LOGISTIC", "SOFTMAX")  # are asked with shapes of as many elements
# Inputs that any execution may omit, all of them at once: a cell without an input gate.
OPTIONAL = {"UNIDIRECTIONAL_SEQUENCE_LSTM": ("w_xi", "w_hi", "b_i")}
BATCHES = (1, 3, 0)  # what is added to the batch of the sample, set by set; the first comes again
UNKNOWN_LEVEL = 3


def state_refs(op: Op) -> Iterator[CaseRef]:
    """The cases about what a driver remembers of an operation, in a real and a quantized cell."""
    for cell, samples in samples_in(op):
        sample = samples[0]
        if any(output.counted for output in op.outputs):
            continue
        first = ""
        for number, path in enumerate(WAYS):
            place = key_of("state", op.name, cell.name) + number
            memory = MEMORIES[place % len(MEMORIES)]
            word = f"state-{PATH_WORD[path]}-{MEMORY_WORD[memory]}"
            case_id = f"{op.name}[{cell.name}-{word}-{sample.name}]"
            make = partial(_again, op.name, cell.name, sample.name, path, memory, case_id)
            level = max(_level(op, cell, sample), PATH_LEVEL[path], MEMORY_LEVEL.get(memory, 1))
            yield _ref(op, cell, sample, case_id, level, make, first)
            first = first or case_id
        for word, path, extra in _at_once(op, cell):
            case_id = f"{op.name}[{cell.name}-state-{word}-{sample.name}]"
            make = partial(_beside, op.name, cell.name, sample.name, path, extra, case_id)
            level = max(_level(op, cell, sample), PATH_LEVEL.get(path, 1))
            yield _ref(op, cell, sample, case_id, level, make, first)
        yield from _changing(op, cell, samples)
        batched = next((s for s in samples if _axes(op, cell, s)), None)
        if batched is not None:
            case_id = f"{op.name}[{cell.name}-state-burst-batches-{batched.name}]"
            make = partial(_batches, op.name, cell.name, batched.name, case_id)
            level = max(_level(op, cell, batched), PATH_LEVEL[ExecutionPath.BURST], UNKNOWN_LEVEL)
            yield _ref(op, cell, batched, case_id, level, make)


def _changing(op: Op, cell: Cell, samples: Sequence[Sample]) -> Iterator[CaseRef]:
    """Executions of one compilation that differ in shape alone, or in what they omit."""
    plain = next((s for s in samples if op.name in SHAPED and _shape(s) is not None), None)
    if plain is not None:
        case_id = f"{op.name}[{cell.name}-state-turned-{plain.name}]"
        make = partial(_turned, op.name, cell.name, plain.name, case_id)
        yield _ref(op, cell, plain, case_id, max(_level(op, cell, plain), UNKNOWN_LEVEL), make)
    names = OPTIONAL.get(op.name, ())
    given = next((s for s in samples if names and _gives(s, names)), None)
    if given is not None:
        case_id = f"{op.name}[{cell.name}-state-omitted-between-{given.name}]"
        make = partial(_omitted, op.name, cell.name, given.name, case_id)
        yield _ref(op, cell, given, case_id, _level(op, cell, given), make)


def _gives(sample: Sample, names: Sequence[str]) -> bool:
    return all(sample.operands.get(name) is not None for name in names)


def _shape(sample: Sample) -> tuple[int, ...] | None:
    """The shape of all tensors of a sample, where it is one and differs when it is turned round."""
    shapes = {shape for shape in sample.operands.values() if isinstance(shape, tuple)}
    shape = next(iter(shapes)) if len(shapes) == 1 else ()
    return shape if shape != shape[::-1] else None


def _ref(
    op: Op,
    cell: Cell,
    sample: Sample,
    case_id: str,
    level: int,
    make: partial[Case],
    answer_id: str = "",
) -> CaseRef:
    return CaseRef(
        case_id, op.name, cell.name, level, Kind.STATE, make, answer_id, contest=sample.contest
    )


def _level(op: Op, cell: Cell, sample: Sample) -> int:
    return level_of(op, cell, sample, choose_signature(op, sample))


def _again(
    op_name: str,
    cell_name: str,
    sample_name: str,
    path: ExecutionPath,
    memory: MemoryKind,
    case_id: str,
) -> Case:
    """A, B and A again, in one compilation; weights are inputs."""
    op, cell, sample = find(op_name, cell_name, sample_name)
    # The same data by each way: they have one answer.
    variant = Variant(("inputs",), regimes=(Regime.UNIFORM,) * 2)
    case = build_case(op, cell, sample, variant, f"{op_name}[{cell_name}-state]", 0)
    first, second = case.sets
    return replace(case, id=case_id, path=path, memory=memory, sets=(first, second, first))


def _at_once(op: Op, cell: Cell) -> Iterator[tuple[str, ExecutionPath, Extra]]:
    """Sets alive at once, by one of the ways and everything by all; and a model that is freed."""
    turn = key_of("together", op.name, cell.name) % len(TOGETHER)
    for place, (word, path) in enumerate(TOGETHER.items()):
        if place == turn or op.name == EVERYTHING:
            yield f"together-{word}", path, Extra(together=True)
    yield "model-freed", ExecutionPath.COMPUTE, Extra(orphan=True)


def _beside(
    op_name: str, cell_name: str, sample_name: str, path: ExecutionPath, extra: Extra, case_id: str
) -> Case:
    case = _again(op_name, cell_name, sample_name, path, MemoryKind.POINTER, case_id)
    return replace(case, extra=extra)


def _axes(op: Op, cell: Cell, sample: Sample) -> dict[str, int]:
    """The axis of the batch in each operand whose shape the sample gives; empty if one has none."""
    given = sample.operands
    if not op.batched or given.get("output_shape") is not None:
        return {}
    # Planning costs: only where the axes follow from the sample.
    known = op.batched
    axes = Situation(op, cell, sample).planned[2] if callable(known) else dict.fromkeys(known, 0)
    axes = {name: axis for name, axis in axes.items() if given.get(name) is not None}
    fits = all(isinstance(given[n], tuple) and axis < len(given[n]) for n, axis in axes.items())
    return axes if fits else {}


def _batches(op_name: str, cell_name: str, sample_name: str, case_id: str) -> Case:
    """A burst whose batch grows and shrinks, in a model that leaves it open."""
    op, cell, sample = find(op_name, cell_name, sample_name)
    axes = _axes(op, cell, sample)
    cases = []
    for more in BATCHES:
        grown = {}
        for name, axis in axes.items():
            shape = list(sample.operands[name])
            shape[axis] += more
            grown[name] = tuple(shape)
        other = sample.derived(sample.name, {**sample.operands, **grown})
        cases.append(build_case(op, cell, other, Variant((UNKNOWN_DIMS,)), case_id, 0))
    assert all(case.model == cases[0].model for case in cases), f"{case_id}: other constants"
    sets = tuple(case.sets[0] for case in (*cases, cases[0]))
    return replace(cases[0], path=ExecutionPath.BURST, memory=MemoryKind.SHARED, sets=sets)


def _turned(op_name: str, cell_name: str, sample_name: str, case_id: str) -> Case:
    """The shape, the same with its dimensions in the other order, and the first one again."""
    op, cell, sample = find(op_name, cell_name, sample_name)
    shape = _shape(sample)
    assert shape is not None
    cases = []
    for dims in (shape, shape[::-1]):
        tensors = {k: dims for k, v in sample.operands.items() if isinstance(v, tuple)}
        other = sample.derived(sample.name, {**sample.operands, **tensors})
        cases.append(build_case(op, cell, other, Variant((UNKNOWN_DIMS,)), case_id, 0))
    assert cases[0].model == cases[1].model, f"{case_id}: other constants"
    first, second = (case.sets[0] for case in cases)
    return replace(cases[0], sets=(first, second, first))


def _omitted(op_name: str, cell_name: str, sample_name: str, case_id: str) -> Case:
    """The optional inputs given, omitted, and given again; all else is the same."""
    op, cell, sample = find(op_name, cell_name, sample_name)
    case = build_case(op, cell, sample, Variant(("inputs",)), case_id, 0)
    main, names = case.model.main, [spec.name for spec in choose_signature(op, sample)]
    left = {main.operations[0].inputs[names.index(name)] for name in OPTIONAL[op_name]}
    given = case.sets[0]
    inputs = tuple(
        None if operand in left else array
        for operand, array in zip(main.inputs, given.inputs, strict=True)
    )
    return replace(case, sets=(given, replace(given, inputs=inputs), given))
