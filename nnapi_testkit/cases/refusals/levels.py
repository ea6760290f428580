"""Models newer than the device: what each feature level added, for older devices to refuse.

`ANeuralNetworksDevice_getFeatureLevel` says that a device "does not implement the features
introduced after" its level. So each addition (the operation, a row of types, an operand, an output,
a use that a sample names) makes a valid model that a device of any lower level must not claim, or
has to refuse to compile. The reference of such a case carries the level of the addition; which
devices are older is known only in the run. Ids read `RESIZE_BILINEAR[float16-refused-level-type]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from nnapi_testkit.cases.build import ALL_OUTPUTS, Variant, build_case, choose_signature, level_of
from nnapi_testkit.cases.covering import is_empty
from nnapi_testkit.cases.graphs import build_graph
from nnapi_testkit.cases.ref import Broken, CaseRef, Constraint
from nnapi_testkit.cases.refusals.constraints import CELLS_EACH, MOST_EACH
from nnapi_testkit.cases.refusals.flow import first_graph, graph_id
from nnapi_testkit.model.case import Case, Stage
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Cell, Input, Op, Sample, Tensor

# Uses that an older device may well take: (operation, cell, sample), with "" for any. Those of PAD
# and SPACE_TO_BATCH_ND only leave values open: "Before NNAPI feature level 3, the pad value for
# TENSOR_QUANT8_ASYMM is undefined". The one input of CONCATENATION gives the output its scale.
TAKEN_BEFORE = (
    ("CONCATENATION", "quant8", "one-rescaled"),
    # No device looks at the scale that a convolution's output had to have before level 3.
    ("CONV_2D", "quant8", "multiplier-of-two"),
    ("PAD", "quant8", ""),
    ("SPACE_TO_BATCH_ND", "", "padded"),
    ("SPACE_TO_BATCH_ND", "", "columns-padded"),
    ("SPACE_TO_BATCH_ND", "", "uneven-padded"),
    ("SPACE_TO_BATCH_ND", "", "far"),
)

_NEW_TYPE = Constraint("level-type")
# An addition: its constraint, its level, the id of the valid case, and what builds it.
_Addition = tuple[Constraint, int, str, Callable[[str], Case]]


def level_refs(op: Op) -> Iterator[CaseRef]:
    """One case for each addition, each in a few of its cells."""
    found: dict[Constraint, list[tuple[Cell, _Addition]]] = {}
    for cell in op.cells:
        seen: set[Constraint] = set()
        for addition in _graph_additions(op, cell) if op.graphs else _additions(op, cell):
            constraint = addition[0]
            if constraint not in seen:
                seen.add(constraint)
                found.setdefault(constraint, []).append((cell, addition))
    for constraint, each in found.items():
        # Every row of types is an addition of its own; the others show in any row.
        most = MOST_EACH if constraint == _NEW_TYPE else CELLS_EACH
        step = max(1.0, len(each) / most)
        for position in sorted({int(i * step) for i in range(min(most, len(each)))}):
            cell, (_, level, control, build) = each[position]
            case_id = f"{op.name}[{cell.name}-refused-{constraint}]"
            broken = Broken(constraint, control, newer=True)
            make = partial(_make, build, case_id)
            yield CaseRef(case_id, op.name, cell.name, level, Kind.REFUSAL, make, broken=broken)


def _make(build: Callable[[str], Case], case_id: str) -> Case:
    # Compiling is where it ends; nothing is there to execute.
    return replace(build(case_id), sets=(), expect=Stage.COMPILATION)


def taken_before(operation: str, cell: str, sample: str) -> bool:
    """Whether a device older than its level may take this use."""
    return any(
        name == operation and row in ("", cell) and use in ("", sample)
        for name, row, use in TAKEN_BEFORE
    )


def _since(op: Op, cell: Cell) -> tuple[Constraint, int]:
    """What the cell itself adds, and its level."""
    if cell.since > op.since:
        return _NEW_TYPE, cell.since
    return Constraint("level-operation"), op.since


def _graph_additions(op: Op, cell: Cell) -> Iterator[_Addition]:
    constraint, level = _since(op, cell)
    if level > 1:
        graph = first_graph(op, cell)
        yield constraint, level, graph_id(op, cell), lambda i: build_graph(graph, False, i, 0)


def _additions(op: Op, cell: Cell) -> Iterator[_Addition]:
    own, since = _since(op, cell)
    for sample in op.samples_for(cell):
        if not _adds(op, cell, sample):
            continue
        signature = choose_signature(op, sample)
        level = level_of(op, cell, sample, signature)
        if level != since:
            yield _use(op, cell, sample, signature, level)
        elif level > 1:
            yield own, level, *_built(op, cell, sample, Variant())
        if sample.variations != ():
            yield from _varied(op, cell, sample, signature, level)


def _adds(op: Op, cell: Cell, sample: Sample) -> bool:
    """Whether devices older than the sample have to refuse it."""
    # Zero-sized tensors come from SLICE, which would be newer than the device as well.
    if sample.large or is_empty(sample) or taken_before(op.name, cell.name, sample.name):
        return False
    # A rule that only says what was left open adds no model.
    return not any(rule.opens and sample.level == rule.level for rule in op.later)


def _use(op: Op, cell: Cell, sample: Sample, signature: tuple[Input, ...], level: int) -> _Addition:
    """A use that came later than the cell: an operand, or what the sample is named for."""
    # The last one: what comes before it may only be there to be passed over.
    used = [s.name for s in signature if s.name in sample.operands and s.level == level]
    constraint = Constraint(f"level-{used[-1]}") if used else Constraint("level-use", sample.name)
    # An optional model input may still be omitted by each execution, a constant may not.
    fixed = any(isinstance(s, Tensor) and s.optional and not s.weight for s in signature)
    control, plain = _built(op, cell, sample, Variant())
    build = _built(op, cell, sample, Variant(("const",)))[1] if fixed else plain
    return constraint, level, control, build


def _varied(
    op: Op, cell: Cell, sample: Sample, signature: tuple[Input, ...], level: int
) -> Iterator[_Addition]:
    """What variations of a sample add beyond it: the other layout, an optional output."""
    layout = next((spec.level for spec in signature if spec.name == "nchw"), 0)
    if layout > level and "nchw" not in sample.operands:
        yield Constraint("level-nchw"), layout, *_built(op, cell, sample, Variant(("nchw",)))
    since = _since(op, cell)[1]
    more = next((o for o in op.outputs if o.optional and o.level > since), None)
    if more and more.level > level:
        variant = Variant((ALL_OUTPUTS,), level=more.level)
        yield Constraint(f"level-{more.name}"), more.level, *_built(op, cell, sample, variant)


def _built(
    op: Op, cell: Cell, sample: Sample, variant: Variant
) -> tuple[str, Callable[[str], Case]]:
    case_id = f"{op.name}[{'-'.join((cell.name, *variant.words, sample.name))}]"
    return case_id, lambda name: build_case(op, cell, sample, variant, name, 0)
