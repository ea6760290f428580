"""Valid models whose execution is given a buffer of another length than the operand needs.

Source: `ANeuralNetworksExecution_setInput`, `_setOutput` and `_getOutputOperandRank` in the NNAPI
reference, which name the result codes as well (`nnapi_testkit/judge/codes.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from nnapi_testkit.cases.build import choose_signature, level_of
from nnapi_testkit.cases.covering import covering
from nnapi_testkit.cases.edits import Base, base_id, base_of, base_variant, with_operand
from nnapi_testkit.cases.ref import Broken, CaseRef, Constraint
from nnapi_testkit.model.case import Case, Stage
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Cell, Op, Sample
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE

# Since when buffers may be longer than what they hold (enableInputAndOutputPadding); before, the
# reference only asked that a buffer is not too small.
PADDING_LEVEL = 5
UNKNOWN_LEVEL = 3  # outputs may leave their dimensions unknown


@dataclass(frozen=True, slots=True)
class _Fault:
    """A wrong argument: what is broken, since when, in how many cells, how it is made."""

    constraint: Constraint
    level: int
    cells: int
    make: Callable[[Base], Case]


def argument_refs(op: Op) -> Iterator[CaseRef]:
    """The wrong arguments of an operation, each in a cell or two."""
    if op.graphs is not None:
        return
    usable = [(cell, sample) for cell in op.cells if (sample := _sample(op, cell)) is not None]
    for number, fault in enumerate(FAULTS):
        # How long an output that follows from the data has to be is not known beforehand.
        if not usable or op.outputs[0].counted:
            continue
        step = max(1, len(usable) // fault.cells)
        chosen = {(number + i * step) % len(usable) for i in range(fault.cells)}
        for position in sorted(chosen):
            cell, sample = usable[position]
            case_id = f"{op.name}[{cell.name}-refused-{fault.constraint}]"
            level = level_of(op, cell, sample, choose_signature(op, sample))
            yield CaseRef(
                case_id,
                op.name,
                cell.name,
                max(level, base_variant(op).level, fault.level),
                Kind.REFUSAL,
                partial(_make, op.name, cell.name, sample.name, fault, case_id),
                broken=Broken(fault.constraint, base_id(op, cell.name, sample.name)),
            )


def _sample(op: Op, cell: Cell) -> Sample | None:
    """The first small sample of the cell whose first output is sure to be there."""
    if op.outputs[0].when is not None:
        return None
    found = covering(op, cell)
    return found[0][0] if found else None


def _make(op: str, cell: str, sample: str, fault: _Fault, case_id: str) -> Case:
    base = base_of(op, cell, sample)
    base = replace(base, case=replace(base.case, id=case_id, sets=base.case.sets[:1]))
    return replace(fault.make(base), expect=Stage.EXECUTION)


def _input(change: int, base: Base) -> Case:
    """The first input is told to be elements longer or shorter than it is."""
    (execution,) = base.case.sets
    first = next(i for i, array in enumerate(execution.inputs) if array is not None)
    sizes: list[int | None] = [None] * len(execution.inputs)
    array = execution.inputs[first]
    assert array is not None
    sizes[first] = array.nbytes + change * array.itemsize
    return replace(base.case, sets=(replace(execution, input_bytes=tuple(sizes)),))


def _output(change: int, base: Base) -> Case:
    """The first output is offered a buffer that is elements longer or shorter than it is."""
    (execution,) = base.case.sets
    sizes: list[int | None] = [None] * len(execution.output_dims)
    code = OperandCode(base.model.main.operands[base.model.main.outputs[0]].type)
    count = math.prod(execution.output_dims[0]) + change
    sizes[0] = count * DTYPE[code].itemsize
    return replace(base.case, sets=(replace(execution, output_bytes=tuple(sizes)),))


def _open(base: Base) -> Case:
    """The model leaves the first output's dimensions open, and its buffer is too small."""
    index = base.model.main.outputs[0]
    dims = (0,) * len(base.model.main.operands[index].dims)
    model = with_operand(base.model, index, dims=dims)
    return _output(-1, replace(base, case=replace(base.case, model=model)))


FAULTS = (
    _Fault(Constraint("input-length", "short"), 1, 1, partial(_input, -1)),
    _Fault(Constraint("input-length", "long"), PADDING_LEVEL, 1, partial(_input, 1)),
    _Fault(Constraint("output-length", "short"), 1, 1, partial(_output, -1)),
    _Fault(Constraint("output-length", "long"), PADDING_LEVEL, 1, partial(_output, 1)),
    _Fault(Constraint("output-size"), UNKNOWN_LEVEL, 2, _open),
)
