"""What single edits of an operand leave out: rows of types, layouts, pixels of outputs.

Two operands whose type is one column of a table are retyped together, so that they agree with each
other and with no row; a layout that no sample names is given, of another type; an image is declared
one pixel higher or wider than the operation makes it. Ids read
`HEATMAP_MAX_KEYPOINT[quant8-refused-type-row-boxes.quant8_asymm]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from nnapi_testkit.cases.build import choose_signature
from nnapi_testkit.cases.covering import covering
from nnapi_testkit.cases.edits import (
    Base,
    add_operand,
    retyped,
    scalar,
    with_operand,
    with_operation,
)
from nnapi_testkit.cases.ref import Aspect, CaseRef, Constraint
from nnapi_testkit.cases.refusals.constraints import (
    TYPES_EACH,
    WRONG_TENSORS,
    Refusal,
    longer_output,
    refs_of,
    type_word,
    types_of,
)
from nnapi_testkit.cases.refusals.legal import documented, reads_as_another
from nnapi_testkit.model.case import Stage
from nnapi_testkit.model.types import Model
from nnapi_testkit.op.declare import Cell, Op, Sample
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import is_quantized

LAYOUT = "nchw"


def row_refs(op: Op) -> Iterator[CaseRef]:
    """These refusals of an operation, each in a few of its cells."""
    if op.graphs is None:
        yield from refs_of(op, _refusals)


def _refusals(op: Op, cell: Cell) -> Iterator[Refusal]:
    samples = [sample for sample, _ in covering(op, cell)]
    if not samples:
        return
    yield from _of_rows(op, cell, samples)
    yield from _of_layout(op, cell, samples[0])
    # Pixels are counted in NHWC, which refusals begin with.
    for position, output in enumerate(op.outputs):
        if output.spatial and output.when is None and not output.counted:
            for axis, word in ((1, "height"), (2, "width")):
                edit = partial(longer_output, position, axis)
                wrong = Constraint(f"dimension-{output.name}", word, Aspect.DIMENSION)
                yield Refusal(wrong, samples[0], edit, Stage.EXECUTION)


def _of_rows(op: Op, cell: Cell, samples: list[Sample]) -> Iterator[Refusal]:
    for column, own in cell.types.items():
        outputs = {o.name: at for at, o in enumerate(op.outputs) if o.type == column}
        if not outputs or any(output.when is not None for output in op.outputs):
            continue
        for sample in samples:
            signature = choose_signature(op, sample)
            given = types_of(op, cell, sample, signature)
            inputs = [s.name for s in signature if s.type == column and s.name in given]
            if not inputs:
                continue
            wrong = [
                other
                for other in WRONG_TENSORS
                if other != own
                and is_quantized(other) == is_quantized(own)
                and not documented(op, given | dict.fromkeys((*inputs, *outputs), other))
            ]
            for other in wrong[:TYPES_EACH]:
                constraint = Constraint(f"type-row-{column}", type_word(other))
                edit = partial(_retype, tuple(inputs), tuple(outputs.values()), other)
                yield Refusal(constraint, sample, edit)
            break


def _retype(
    inputs: tuple[str, ...], outputs: tuple[int, ...], other: OperandCode, base: Base
) -> Model:
    model = base.model
    for index in (*map(base.operand, inputs), *map(base.output, outputs)):
        model = with_operand(model, index, **retyped(model.main.operands[index], other))
    return model


def _of_layout(op: Op, cell: Cell, sample: Sample) -> Iterator[Refusal]:
    """The layout at the end of the inputs, where samples leave it to its default."""
    signature = choose_signature(op, sample)
    if signature[-1].name != LAYOUT or not signature[-1].optional:
        return
    given = types_of(op, cell, sample, signature)
    before = [spec.name for spec in signature[:-1] if spec.name != "activation"]
    if LAYOUT in given or not all(name in given for name in before):
        return
    whole = {**given, LAYOUT: OperandCode.BOOL}
    other = OperandCode.INT32
    if reads_as_another(op, signature, whole, LAYOUT, other):
        return
    if not documented(op, {**given, LAYOUT: other}):
        yield Refusal(Constraint(f"type-{LAYOUT}", "int32"), sample, _int_layout)


def _int_layout(base: Base) -> Model:
    model, index = add_operand(base.model, scalar(OperandCode.INT32, 0))
    return with_operation(model, inputs=(*base.operation.inputs, index))
