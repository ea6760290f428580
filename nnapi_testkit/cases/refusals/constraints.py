"""Models that break exactly one declared constraint of an operation, for drivers to refuse.

The constraints are those of the op file: counts, types, tensor or scalar, rank, shared scale and
zero point, the bias's scale, values of scalars, operands that must be there, dimensions that must
agree. What the reference does not forbid makes no case. Ids read
`CONV_2D[quant8-refused-scale-bias]`; the part after a dot tells cases of one constraint apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from nnapi_testkit.cases.build import choose_signature, level_of, plan_slots
from nnapi_testkit.cases.covering import covering
from nnapi_testkit.cases.edits import (
    Base,
    Edit,
    base_id,
    base_of,
    base_variant,
    beyond_rank,
    input_count,
    output_count,
    retyped,
    tie_parts,
    with_operand,
    without_output_shapes,
)
from nnapi_testkit.cases.ref import Aspect, Broken, CaseRef, Constraint
from nnapi_testkit.cases.refusals.fed import fed
from nnapi_testkit.cases.refusals.legal import documented, reads_as_another
from nnapi_testkit.cases.refusals.mutations import MUTATIONS, due_of, open_reason
from nnapi_testkit.cases.refusals.operands import (
    as_scalar,
    as_tensor,
    omit,
    rerank,
    rescale,
    retype,
    retype_all,
    rezero,
    set_scalar,
)
from nnapi_testkit.model.case import Case, Stage
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.model.types import Model
from nnapi_testkit.op.declare import Cell, Input, Op, Output, Sample, Scalar, Tensor
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import FLOATS, is_quantized, is_tensor

PER_CHANNEL = OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL
SYMMETRIC = (OperandCode.TENSOR_QUANT8_SYMM, OperandCode.TENSOR_QUANT16_SYMM)
# The cells of an operation in which each of its constraints is broken.
CELLS_EACH = 2
# No constraint has more cases than this in one operation.
MOST_EACH = 10
HIGHEST_LIMIT = 4  # the highest rank that the reference names as a limit
WRONG_TENSORS = (
    OperandCode.TENSOR_BOOL8,
    OperandCode.TENSOR_FLOAT16,
    OperandCode.TENSOR_QUANT8_ASYMM_SIGNED,
    OperandCode.TENSOR_FLOAT32,
    OperandCode.TENSOR_QUANT8_ASYMM,
    OperandCode.TENSOR_INT32,
    OperandCode.TENSOR_QUANT16_SYMM,
    OperandCode.TENSOR_QUANT16_ASYMM,
)
WRONG_SCALARS = (
    OperandCode.INT32,
    OperandCode.FLOAT32,
    OperandCode.FLOAT16,
    OperandCode.UINT32,
    OperandCode.BOOL,
)
REALS = (OperandCode.FLOAT32, OperandCode.FLOAT16)
TYPES_EACH = 2


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way to break a model.

    Args:
        constraint: what is broken, and how.
        sample: the sample whose case is broken.
        edit: makes the broken model.
        expect: when the refusal is due: counts, types, scalars, lifetimes and cycles by the
            compilation, values and shapes, for which the header names no time, by the execution.
        open: why a device that accepts it is not to blame (`Broken.open`).
    """

    constraint: Constraint
    sample: Sample
    edit: Edit
    expect: Stage = Stage.COMPILATION
    open: str = ""


def refusal_refs(op: Op) -> Iterator[CaseRef]:
    """The refusal cases of an operation: each of its constraints in a few of its cells."""
    yield from refs_of(op, refusals)


def refs_of(op: Op, found_in: Callable[[Op, Cell], Iterable[Refusal]]) -> Iterator[CaseRef]:
    """Each constraint in a few cells, of those that `found_in` finds in the cells."""
    by_constraint: dict[Constraint, list[tuple[Cell, Refusal]]] = {}
    for cell in op.cells:
        for refusal in found_in(op, cell):
            by_constraint.setdefault(refusal.constraint, []).append((cell, refusal))
    hows = Counter(constraint.rule for constraint in by_constraint)
    for number, (constraint, found) in enumerate(by_constraint.items()):
        each = min(CELLS_EACH, len(found), max(1, MOST_EACH // hows[constraint.rule]))
        step = max(1, len(found) // each)
        # Each constraint begins at another cell, so that all cells have their share.
        chosen = {(number + i * step) % len(found) for i in range(each)}
        for position in sorted(chosen):
            cell, refusal = found[position]
            case_id = f"{op.name}[{cell.name}-refused-{constraint}]"
            sample = refusal.sample
            level = level_of(op, cell, sample, choose_signature(op, sample))
            control = base_id(op, cell.name, sample.name)
            broken = Broken(constraint, control, open=refusal.open)
            make = partial(
                _make,
                op.name,
                cell.name,
                sample.name,
                refusal.edit,
                refusal.expect,
                case_id,
            )
            level = max(level, base_variant(op).level)
            yield CaseRef(case_id, op.name, cell.name, level, Kind.REFUSAL, make, broken=broken)


def _make(op: str, cell: str, sample: str, edit: Edit, expect: Stage, case_id: str) -> Case:
    base = base_of(op, cell, sample)
    model = edit(base)
    # Only what may pass compilation needs anything to execute.
    sets = fed(base.case, model) if expect == Stage.EXECUTION else ()
    return replace(base.case, id=case_id, model=model, sets=sets, expect=expect)


def refusals(op: Op, cell: Cell) -> list[Refusal]:
    """Every way to break the operation in this cell."""
    samples = covering(op, cell)
    if not samples:
        return []
    found: list[Refusal] = []
    for sample, new in samples:
        signature = choose_signature(op, sample)
        for spec in signature:
            if spec.name in new:
                found.extend(_of_input(op, cell, sample, signature, spec))
                found.extend(_of_axis(op, sample, spec))
    found.extend(_of_ties(op, [sample for sample, _ in samples]))
    first = samples[0][0]
    found.extend(_of_main_type(op, cell, first))
    whole = next((sample for sample, _ in samples if _all_outputs(op, cell, sample)), None)
    for position, output in enumerate(op.outputs if whole else ()):
        assert whole is not None
        found.extend(_of_output(op, cell, whole, position, output))
    found.extend(_of_counts(op, first))
    found.extend(
        Refusal(constraint, first, edit, due_of(constraint), open_reason(constraint))
        for constraint, edit in MUTATIONS.items()
    )
    return [refusal for refusal in found if _applies(op, cell, refusal)]


def _all_outputs(op: Op, cell: Cell, sample: Sample) -> bool:
    """Whether the sample has every output, so that their positions are those of the declaration."""
    conditions = [output.when for output in op.outputs if output.when is not None]
    if not conditions:
        return True
    _, facts = plan_slots(op, cell, sample, base_variant(op), 0)
    return all(condition(facts) for condition in conditions)


def _applies(op: Op, cell: Cell, refusal: Refusal) -> bool:
    needs = getattr(refusal.edit, "needs", None)
    return needs is None or bool(needs(op, cell, refusal.sample))


# Operands.


def _of_input(
    op: Op, cell: Cell, sample: Sample, signature: tuple[Input, ...], spec: Input
) -> Iterator[Refusal]:
    name = spec.name
    if not spec.optional:
        yield Refusal(
            Constraint(f"missing-{name}", aspect=Aspect.MISSING),
            sample,
            partial(omit, name),
            Stage.EXECUTION,
        )
    yield from _of_type(op, cell, sample, signature, spec)
    if isinstance(spec, Scalar):
        yield from _of_scalar(cell, sample, spec)
    else:
        yield from _of_tensor(cell, sample, spec)


def _of_type(
    op: Op, cell: Cell, sample: Sample, signature: tuple[Input, ...], spec: Input
) -> Iterator[Refusal]:
    """An operand of a type that no row of the documentation has there."""
    name = spec.name
    declared = types_of(op, cell, sample, signature)
    wrong = WRONG_TENSORS if is_tensor(cell.type_of(name, spec.type)) else WRONG_SCALARS
    illegal = [other for other in wrong if _illegal(op, signature, declared, name, other)]
    if isinstance(spec, Scalar) and spec.any_real and cell.main == OperandCode.TENSOR_FLOAT16:
        illegal = [other for other in illegal if other not in REALS]
    open_ = isinstance(spec, Tensor) and spec.any_type
    for other in [] if open_ else illegal[:TYPES_EACH]:
        constraint = Constraint(f"type-{name}", type_word(other))
        yield Refusal(constraint, sample, partial(retype, name, other), Stage.COMPILATION)
    if isinstance(spec, Tensor) and spec.many and len(sample.operands[name]) > 1:
        last = f"{name}[{len(sample.operands[name]) - 1}]"
        for other in illegal[:1]:
            constraint = Constraint(f"type-{name}", f"last-{type_word(other)}")
            yield Refusal(constraint, sample, partial(retype, last, other), Stage.COMPILATION)


def _of_scalar(cell: Cell, sample: Sample, spec: Scalar) -> Iterator[Refusal]:
    name, code = spec.name, cell.type_of(spec.name, spec.type)
    yield Refusal(Constraint(f"tensor-{name}"), sample, partial(as_tensor, name), Stage.COMPILATION)
    values = list(_illegal_values(spec, code))
    if name == "activation" and cell.main == OperandCode.TENSOR_INT32:
        # "For a TENSOR_INT32 tensor, the FuseCode must be NONE."
        values.insert(0, ("fused", 1))
    for how, value in values:
        edit = partial(set_scalar, name, code, value)
        yield Refusal(Constraint(f"value-{name}", how, Aspect.VALUE), sample, edit, Stage.EXECUTION)


def _of_tensor(cell: Cell, sample: Sample, spec: Tensor) -> Iterator[Refusal]:
    """A tensor that is a scalar, of a rank beyond its own, or quantized otherwise."""
    name, code = spec.name, cell.type_of(spec.name, spec.type)
    late = Stage.EXECUTION
    yield Refusal(Constraint(f"scalar-{name}"), sample, partial(as_scalar, name), Stage.COMPILATION)
    low, high = spec.rank
    if high <= HIGHEST_LIMIT:
        yield Refusal(
            Constraint(f"rank-{name}", f"{high + 1}", Aspect.RANK),
            sample,
            partial(rerank, name, high + 1),
            late,
        )
    if low > 1:
        yield Refusal(
            Constraint(f"rank-{name}", f"{low - 1}", Aspect.RANK),
            sample,
            partial(rerank, name, low - 1),
            late,
        )
    fixed = bool(spec.like) or isinstance(spec.quant, tuple)
    own = is_quantized(code) and code != PER_CHANNEL and fixed
    bias = bool(spec.bias_of) and code == OperandCode.TENSOR_INT32
    if own or bias:
        yield Refusal(
            Constraint(f"scale-{name}", aspect=Aspect.QUANTIZATION),
            sample,
            partial(rescale, name),
            late,
        )
    if bias or (own and code not in SYMMETRIC):
        yield Refusal(
            Constraint(f"zero-point-{name}", aspect=Aspect.QUANTIZATION),
            sample,
            partial(rezero, name),
            late,
        )


def _of_main_type(op: Op, cell: Cell, sample: Sample) -> Iterator[Refusal]:
    """All operands of the cell's main type at once, of a type that no row has there."""
    signature = choose_signature(op, sample)
    declared = types_of(op, cell, sample, signature)
    together = [name for name, code in declared.items() if code == cell.main]
    wrong = [
        other
        for other in WRONG_TENSORS
        # Real scalars are not told apart everywhere.
        if other != cell.main
        and not {other, cell.main} <= FLOATS
        and not documented(op, declared | dict.fromkeys(together, other))
        and is_quantized(other) == is_quantized(cell.main)
    ]
    for other in wrong[:TYPES_EACH]:
        constraint = Constraint("type-all", type_word(other))
        yield Refusal(constraint, sample, partial(retype_all, int(cell.main), other))


def _of_axis(op: Op, sample: Sample, spec: Input) -> Iterator[Refusal]:
    if spec.name not in op.axes:
        return
    tensor, more = op.axes[spec.name]
    counted_from_zero = isinstance(spec, Scalar) and spec.minimum is not None
    for word, above in (("above", True), ("below", False))[: 1 if counted_from_zero else 2]:
        edit = partial(beyond_rank, spec.name, tensor, more, above)
        yield Refusal(
            Constraint(f"value-{spec.name}", word, Aspect.VALUE), sample, edit, Stage.EXECUTION
        )


def type_word(code: OperandCode) -> str:
    """A type as ids of refusals have it: `quant8_asymm`."""
    return code.name.removeprefix("TENSOR_").lower()


def types_of(
    op: Op, cell: Cell, sample: Sample, signature: tuple[Input, ...]
) -> dict[str, OperandCode]:
    """The types of the operands that the sample gives, and of all outputs, by name."""
    used = [s for s in signature if sample.operands.get(s.name) is not None]
    types = {spec.name: cell.type_of(spec.name, spec.type) for spec in used}
    return types | {out.name: cell.type_of(out.name, out.type) for out in op.outputs}


def _illegal(
    op: Op,
    signature: tuple[Input, ...],
    declared: Mapping[str, OperandCode],
    name: str,
    other: OperandCode,
) -> bool:
    """Whether no documented row has `other` in the place of the operand `name`."""
    if declared.get(name) == other:
        return False
    if reads_as_another(op, signature, declared, name, other):
        return False
    return not documented(op, {**declared, name: other})


def _illegal_values(spec: Scalar, code: OperandCode) -> Iterator[tuple[str, float]]:
    if spec.allowed is not None:
        yield "below", min(spec.allowed) - 1
        yield "above", max(spec.allowed) + 1
        between = set(range(min(spec.allowed), max(spec.allowed))) - set(spec.allowed)
        if between:
            yield "between", min(between)
    elif spec.minimum is not None:
        yield "below", spec.minimum - 1
        if code == OperandCode.INT32:
            yield "far-below", -(2**31)
        elif code in FLOATS:
            yield "far-below", -65504.0


# Dimensions.


def _of_ties(op: Op, samples: list[Sample]) -> Iterator[Refusal]:
    """One longer dimension where two have to agree."""
    for tie in op.ties:
        name, axis, others = tie_parts(tie)
        for sample in samples:
            if all(sample.operands.get(other) is not None for other in (name, *others)):
                edit = partial(_lengthen, name, axis)
                yield Refusal(
                    Constraint(f"dimension-{name}", str(axis), Aspect.DIMENSION),
                    sample,
                    edit,
                    Stage.EXECUTION,
                )
                break


def _lengthen(name: str, axis: int, base: Base) -> Model:
    index = base.operand(name)
    dims = list(base.model.main.operands[index].dims)
    dims[axis] += 1
    model = without_output_shapes(base.model)
    changes: dict[str, object] = {"dims": tuple(dims)}
    quant = model.main.operands[index].channel_quant
    if quant is not None and quant.dim == axis:
        changes["channel_quant"] = replace(quant, scales=(*quant.scales, quant.scales[-1]))
    return with_operand(model, index, **changes)


# Outputs.


def _of_output(
    op: Op, cell: Cell, sample: Sample, position: int, output: Output
) -> Iterator[Refusal]:
    name, code = output.name, cell.type_of(output.name, output.type)
    signature = choose_signature(op, sample)
    declared = types_of(op, cell, sample, signature)
    illegal = [other for other in WRONG_TENSORS if _illegal(op, signature, declared, name, other)]
    for other in illegal[:TYPES_EACH]:
        constraint = Constraint(f"type-{name}", type_word(other))
        yield Refusal(constraint, sample, partial(_retype_output, position, other))
    if not is_tensor(code):
        return
    yield Refusal(Constraint(f"scalar-{name}"), sample, partial(_scalar_output, position))
    # A function chooses; only a table or another operand is a rule.
    ruled = bool(output.like or output.quant) and not callable(output.quant)
    if is_quantized(code) and code != PER_CHANNEL and ruled:
        edit = partial(_rescale_output, position)
        yield Refusal(
            Constraint(f"scale-{name}", aspect=Aspect.QUANTIZATION), sample, edit, Stage.EXECUTION
        )
        if code not in SYMMETRIC:
            edit = partial(_rezero_output, position)
            yield Refusal(
                Constraint(f"zero-point-{name}", aspect=Aspect.QUANTIZATION),
                sample,
                edit,
                Stage.EXECUTION,
            )
    # A dimension that follows from the data is not declared, and cannot be declared wrongly.
    for how, axis in (("first", 0), ("last", -1))[output.counted :]:
        edit = partial(longer_output, position, axis)
        yield Refusal(
            Constraint(f"dimension-{name}", how, Aspect.DIMENSION), sample, edit, Stage.EXECUTION
        )
    yield Refusal(
        Constraint(f"rank-{name}", aspect=Aspect.RANK),
        sample,
        partial(_deeper_output, position),
        Stage.EXECUTION,
    )


def _retype_output(position: int, other: OperandCode, base: Base) -> Model:
    index = base.output(position)
    operand = base.model.main.operands[index]
    return with_operand(base.model, index, **retyped(operand, other))


def _scalar_output(position: int, base: Base) -> Model:
    index = base.output(position)
    return with_operand(
        base.model, index, type=OperandCode.FLOAT32, dims=(), scale=0.0, zero_point=0
    )


def _rescale_output(position: int, base: Base) -> Model:
    index = base.output(position)
    return with_operand(base.model, index, scale=base.model.main.operands[index].scale * 2)


def _rezero_output(position: int, base: Base) -> Model:
    index = base.output(position)
    zero = base.model.main.operands[index].zero_point
    return with_operand(base.model, index, zero_point=zero + (1 if zero < 100 else -1))


def longer_output(position: int, axis: int, base: Base) -> Model:
    """One element more along an axis of an output than the operation gives it."""
    index = base.output(position)
    dims = list(base.model.main.operands[index].dims)
    dims[axis] += 1
    return with_operand(base.model, index, dims=tuple(dims))


def _deeper_output(position: int, base: Base) -> Model:
    index = base.output(position)
    return with_operand(base.model, index, dims=(1, *base.model.main.operands[index].dims))


# Counts.


def _of_counts(op: Op, sample: Sample) -> Iterator[Refusal]:
    listed = any(isinstance(s, Tensor) and s.many for signature in op.signatures for s in signature)
    legal: set[int] = set()
    for signature in op.signatures:
        last = max((i for i, spec in enumerate(signature) if not spec.optional), default=-1)
        legal.update(range(last + 1, len(signature) + 1))
    yield Refusal(Constraint("inputs", "none"), sample, partial(input_count, 0))
    fewest = 1 if listed else min(legal) - 1
    if fewest > 0:
        yield Refusal(Constraint("inputs", "too-few"), sample, partial(input_count, fewest))
    if not listed:
        yield Refusal(
            Constraint("inputs", "too-many"), sample, partial(input_count, max(legal) + 1)
        )
        gap = sorted(set(range(min(legal), max(legal))) - legal)
        if gap:
            yield Refusal(Constraint("inputs", "between"), sample, partial(input_count, gap[0]))
    yield Refusal(Constraint("outputs", "none"), sample, partial(output_count, 0))
    # How many a SPLIT has is a value.
    due = Stage.EXECUTION if any(output.many for output in op.outputs) else Stage.COMPILATION
    yield Refusal(
        Constraint("outputs", "too-many"), sample, partial(output_count, len(op.outputs) + 1), due
    )
