"""Which types of operands the documentation has, in a row of a table or in another signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnapi_testkit.op.declare import Input, Op
from nnapi_testkit.spec.codes import OperandCode

__all__ = ["documented", "reads_as_another"]


# By the identity of an operation, which each entry keeps alive: operations do not hash.
_ROWS: dict[int, tuple[Op, list[dict[str, OperandCode]]]] = {}


def _rows(op: Op) -> list[dict[str, OperandCode]]:
    """The types of all operands and outputs, for each signature in each cell."""
    known = _ROWS.get(id(op))
    if known is None:
        rows = []
        for inputs in op.signatures:
            kinds = {spec.name: spec.type for spec in inputs}
            kinds |= {out.name: out.type for out in op.outputs}
            rows += [
                {name: cell.type_of(name, kind) for name, kind in kinds.items()}
                for cell in op.cells
            ]
        known = _ROWS[id(op)] = op, rows
    return known[1]


def documented(op: Op, wanted: Mapping[str, OperandCode]) -> bool:
    """Return whether a documented row has these types."""
    return any(wanted.items() <= row.items() for row in _rows(op))


def reads_as_another(
    op: Op, signature: Sequence[Input], declared: Mapping[str, OperandCode], name: str, code: int
) -> bool:
    """Return whether the operands, in their places, are those of another signature.

    A layout retyped to INT32 makes the list of implicit padding with dilations one of explicit
    padding: a valid model, with other values.
    """
    if all(spec.name != name for spec in signature):
        return False
    last = max(at for at, spec in enumerate(signature) if spec.name in declared)
    others = [other for other in op.signatures if tuple(other) != tuple(signature)]
    return any(
        all(
            cell.type_of(theirs.name, theirs.type)
            == (code if ours.name == name else cell.type_of(ours.name, ours.type))
            for ours, theirs in zip(signature[:count], other[:count], strict=True)
        )
        for other in others
        # What is left out at the end of a list may be given as well.
        for count in range(last + 1, min(len(signature), len(other)) + 1)
        if all(spec.optional for spec in other[count:])
        for cell in op.cells
        if all(cell.type_of(s.name, s.type) == declared.get(s.name) for s in signature[:1])
    )
