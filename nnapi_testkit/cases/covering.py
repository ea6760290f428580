"""The few samples of an operation that together use each of its operands."""

from __future__ import annotations

from nnapi_testkit.cases.build import choose_signature
from nnapi_testkit.op.declare import Cell, Op, Sample


def covering(op: Op, cell: Cell) -> list[tuple[Sample, set[str]]]:
    """Samples that together use every operand, each with the operands it is the first to use."""
    known: set[str] = set()
    found = []
    for sample in op.samples_for(cell):
        if sample.large or is_empty(sample):
            continue
        signature = choose_signature(op, sample)
        used = {spec.name for spec in signature if sample.operands.get(spec.name) is not None}
        if any(spec.name == "activation" for spec in signature):
            used.add("activation")
        if any(spec.name == "nchw" and not spec.optional for spec in signature):
            used.add("nchw")
        if used - known:
            found.append((sample, used - known))
            known |= used
    return found


def is_empty(sample: Sample) -> bool:
    """Whether a tensor of the sample has no elements."""
    for value in sample.operands.values():
        shape = getattr(value, "shape", value)
        shapes = shape if isinstance(shape, (list, tuple)) else ()
        for part in shapes:
            if (part == 0 and isinstance(value, tuple)) or (isinstance(part, tuple) and 0 in part):
                return True
    return False
