"""The index of all cases: ids that cost nothing, cases that are built when they run."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial

from nnapi_testkit.cases.build import (
    ALL_OUTPUTS,
    Variant,
    build_case,
    choose_signature,
    level_of,
)
from nnapi_testkit.cases.edges import edge_refs
from nnapi_testkit.cases.endure import endure_refs
from nnapi_testkit.cases.flow_shapes import flow_shape_refs
from nnapi_testkit.cases.graph_shapes import shape_refs
from nnapi_testkit.cases.graphs import graph_refs
from nnapi_testkit.cases.kept_shapes import kept_refs
from nnapi_testkit.cases.pairs.flow import flow_refs
from nnapi_testkit.cases.pairs.metamorphic import pair_refs
from nnapi_testkit.cases.paths import path_refs
from nnapi_testkit.cases.probes import probe_samples
from nnapi_testkit.cases.qualities import quality_refs
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.cases.refusals.arguments import argument_refs
from nnapi_testkit.cases.refusals.behind import behind_refs
from nnapi_testkit.cases.refusals.broken import broken_refs
from nnapi_testkit.cases.refusals.constraints import refusal_refs
from nnapi_testkit.cases.refusals.flow import flow_refusal_refs
from nnapi_testkit.cases.refusals.levels import level_refs
from nnapi_testkit.cases.refusals.rows import row_refs
from nnapi_testkit.cases.slots import (
    FED_SCALARS,
    UNKNOWN_DIMS,
    UNKNOWN_FIRST,
    UNKNOWN_INPUT_RANKS,
    UNKNOWN_INPUTS,
    UNKNOWN_LAST,
    UNKNOWN_RANK,
    Regime,
)
from nnapi_testkit.cases.states import state_refs
from nnapi_testkit.cases.vary import Follows, build_varied
from nnapi_testkit.cases.ways import way_refs
from nnapi_testkit.cases.wide_graphs import wide_refs
from nnapi_testkit.catalog import catalog, operation
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Cell, Input, Op, Sample, Scalar, Tensor
from nnapi_testkit.op.forms import forms_of
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import FLOATS, is_quantized

ACTIVATIONS = ((1, "relu"), (2, "relu1"), (3, "relu6"))
BOTH = (Regime.UNIFORM, Regime.MAGNITUDE)
FORM_SAMPLES = 2


def case_index(
    operations: Collection[str] | None = None, *, seed: int = 0, follows: Follows | None = None
) -> list[CaseRef]:
    """Every case of the named operations (default all), in a fixed order.

    Args:
        seed: 0 is the frozen suite that the goldens answer; another number gives the same
            cases other data and quantization.
        follows: whether the oracle can follow a case; with it another seed also gives the cases
            other shapes and attributes (see `vary`).

    Raises:
        CatalogError: an unknown operation is named.
    """
    ops = catalog().values() if operations is None else [operation(n) for n in operations]
    refs = [ref for op in ops for ref in _operation(op, seed, follows)]
    if len({ref.id for ref in refs}) != len(refs):
        seen: set[str] = set()
        for ref in refs:
            assert ref.id not in seen, f"two cases are called {ref.id}"
            seen.add(ref.id)
    return refs


def _operation(op: Op, seed: int, follows: Follows | None) -> Iterator[CaseRef]:
    for cell in op.cells:
        refs = list(_computing(op, cell, seed, follows))
        yield from refs
        small = [ref for ref in refs if ref.kind in (Kind.POSITIVE, Kind.GRAPH)]
        # Where all of a cell is contested, what a device computes has to be the same by each way.
        yield from path_refs(op, cell, next(iter(small or refs)))
        yield from _forms(op, cell, seed)
        yield from pair_refs(op, cell)
        yield from flow_refs(op, cell)
        yield from flow_shape_refs(op, cell)
    yield from shape_refs(op)
    yield from kept_refs(op)
    yield from wide_refs(op)
    yield from state_refs(op)
    yield from way_refs(op)
    yield from quality_refs(op)
    yield from endure_refs(op)
    refused = list(refusal_refs(op) if op.graphs is None else flow_refusal_refs(op))
    yield from refused
    yield from behind_refs(op.name, refused)
    yield from row_refs(op)
    yield from broken_refs(op)
    yield from argument_refs(op)
    yield from edge_refs(op)
    yield from level_refs(op)


def _computing(op: Op, cell: Cell, seed: int, follows: Follows | None) -> Iterator[CaseRef]:
    """The cases of a cell that have answers of their own; the first is a small whole one."""
    if op.graphs is not None:
        yield from graph_refs(op, cell, seed)
    for number, sample in enumerate((*op.samples_for(cell), *probe_samples(op, cell))):
        signature = choose_signature(op, sample)
        level = level_of(op, cell, sample, signature)
        for variant in _variants(op, cell, sample, signature, number):
            words = "-".join((cell.name, *variant.words, sample.name))
            case_id = f"{op.name}[{words}]"
            kind = Kind.SPECIAL if "special" in variant else Kind.POSITIVE
            if sample.contest is not None:
                kind = Kind.READING
            yield CaseRef(
                case_id,
                op.name,
                cell.name,
                max(level, variant.level),
                kind,
                partial(build_varied, op, cell, sample, variant, case_id, seed, follows)
                if seed
                else partial(build_case, op, cell, sample, variant, case_id, seed),
                contest=sample.contest,
                sample=sample.name,
            )


def _forms(op: Op, cell: Cell, seed: int) -> Iterator[CaseRef]:
    """The first samples of a cell with operand types that only some devices take."""
    for form in forms_of(op):
        if form.cell.name != cell.name:
            continue
        agreed = [sample for sample in op.samples_for(cell) if sample.contest is None]
        for sample in agreed[:FORM_SAMPLES]:
            variant = Variant((form.word,))
            case_id = f"{op.name}[{cell.name}-{form.word}-{sample.name}]"
            yield CaseRef(
                case_id,
                op.name,
                cell.name,
                level_of(op, cell, sample, choose_signature(op, sample)),
                Kind.READING,
                partial(build_case, op, form.cell, sample, variant, case_id, seed),
                contest=form.contest,
                sample=sample.name,
            )


def _variants(
    op: Op, cell: Cell, sample: Sample, signature: tuple[Input, ...], number: int
) -> Iterator[Variant]:
    """The base case and what is varied around it; `number` is the sample's position."""
    names = {spec.name for spec in signature}
    single = sample.large or sample.variations == ()
    yield Variant(regimes=(Regime.UNIFORM,) if single else BOTH)
    if sample.variations == ():
        return
    more = max((output.level for output in op.outputs if output.optional), default=0)
    if more:
        yield Variant((ALL_OUTPUTS,), level=more)
    relaxable = cell.main == OperandCode.TENSOR_FLOAT32
    if relaxable:
        yield Variant(("relaxed",), level=2)
    if "nchw" in names and "nchw" not in sample.operands:
        yield Variant(("nchw",), level=3)
        if relaxable and number == 0:
            yield Variant(("nchw", "relaxed"), level=3)
    if "activation" in names and cell.main != OperandCode.TENSOR_INT32:
        yield from _activations(sample, number)
    yield from _lifetimes(signature, sample, number)
    yield from _known_late(signature, sample, number, first=cell is op.cells[0])
    if number in (1, 3) or sample.large:
        yield from _specials(cell)


def _known_late(
    signature: tuple[Input, ...], sample: Sample, number: int, *, first: bool
) -> Iterator[Variant]:
    """Shapes and scalars that an execution tells; those of inputs in the first cell alone, since
    shapes are inferred alike for all types."""
    if number in (0, 2):
        yield Variant((UNKNOWN_DIMS,), level=3)
    if number == 1:
        yield Variant((UNKNOWN_RANK,), level=3)
    if first:
        yield from _open_inputs(signature, sample, number)
        if number == 0 and any(isinstance(spec, Scalar) for spec in signature):
            yield Variant((FED_SCALARS,))


def _activations(sample: Sample, number: int) -> Iterator[Variant]:
    """Fused activations in place of none: all of the first sample, one of each other in turn."""
    if sample.operands.get("activation"):
        return
    for position, (code, word) in enumerate(ACTIVATIONS):
        if number == 0 or number % 3 == position:
            yield Variant((word,), activation=code)


def _specials(cell: Cell) -> Iterator[Variant]:
    if cell.main in FLOATS or is_quantized(cell.main):
        yield Variant(("special",), regimes=(Regime.SPECIAL,))
    if cell.main == OperandCode.TENSOR_FLOAT32:
        yield Variant(("special", "relaxed"), regimes=(Regime.SPECIAL_HALF,), level=2)


def _open_inputs(signature: tuple[Input, ...], sample: Sample, number: int) -> Iterator[Variant]:
    """Inputs that the model does not describe, beside outputs that it does.

    What a driver infers of a shape that is known in part must not contradict what is told.
    """
    fed = [spec for spec in _tensors(signature, sample) if not spec.weight]
    if number == 0 and fed:
        yield Variant((UNKNOWN_INPUTS,), level=3)
    if number == 1 and fed:
        yield Variant((UNKNOWN_INPUT_RANKS,), level=3)
    if number < 4 and len(fed) > 1:
        yield Variant((UNKNOWN_FIRST if number % 2 else UNKNOWN_LAST,), level=3)


def _tensors(signature: tuple[Input, ...], sample: Sample) -> list[Tensor]:
    """The tensors of a signature that a sample has."""
    return [
        spec
        for spec in signature
        if isinstance(spec, Tensor) and sample.operands.get(spec.name) is not None
    ]


def _lifetimes(signature: tuple[Input, ...], sample: Sample, number: int) -> Iterator[Variant]:
    tensors = _tensors(signature, sample)
    weights = [spec for spec in tensors if spec.weight]
    if number < 2 and any(spec.type != "TENSOR_INT32" for spec in weights):
        yield Variant(("inputs",))
    if number == 0 and any(spec.type == "TENSOR_INT32" for spec in weights):
        yield Variant(("runtime",))
    if number < 2 and sum(not spec.weight for spec in tensors) > 1:
        yield Variant(("const",))
