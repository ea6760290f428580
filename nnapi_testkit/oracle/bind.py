"""From an operation in a model to the named operands of its reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

from nnapi_testkit.catalog import catalog
from nnapi_testkit.errors import KitError
from nnapi_testkit.op.declare import Cell, Input, Op, Scalar, Tensor
from nnapi_testkit.op.forms import forms_of
from nnapi_testkit.op.readings import Reading
from nnapi_testkit.spec.codes import OperandCode, OperationCode


class OracleError(KitError):
    """The oracle cannot say what a model computes."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Which declaration an operation follows.

    Args:
        op, cell: the declaration and its type row.
        specs: for each operand of the operation, its specification, in order.
    """

    op: Op
    cell: Cell
    specs: tuple[Input, ...]

    def reference(self, torch: Any, **args: Any) -> Any:
        """The operation's reference, told the cell if it asks."""
        if self.op.by_cell:
            args["cell"] = self.cell
        return self.op.reference(torch, **args)

    def read(self, reading: Reading) -> Binding:
        """The binding with what the reading computes in the place of the operation's own."""
        op = replace(
            self.op,
            reference=reading.reference or self.op.reference,
            bound=reading.bound or self.op.bound,
            exempt=reading.exempt or self.op.exempt,
        )
        return replace(self, op=op)


@cache
def _by_code() -> dict[int, Op]:
    return {int(op.code): op for op in catalog().values()}


@lru_cache(maxsize=4096)
def bind(code: int, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Binding:
    """The signature and cell that fit these operand types.

    Raises:
        OracleError: no declared signature fits; the model is invalid or not covered.
    """
    op = _by_code().get(code)
    name = OperationCode(code).name if code in set(OperationCode) else str(code)
    if op is None:
        raise OracleError(f"operation {name} has no file in op_tests: the oracle cannot judge it")
    for cell in (*op.cells, *(form.cell for form in forms_of(op))):
        if not _outputs_fit(op, cell, outputs):
            continue
        for signature in op.signatures:
            specs = _fit(signature, cell, inputs)
            if specs is not None:
                return Binding(op, cell, specs)
    types = ", ".join(OperandCode(t).name for t in inputs)
    raise OracleError(f"no documented signature of {name} takes ({types})")


def _outputs_fit(op: Op, cell: Cell, outputs: tuple[int, ...]) -> bool:
    for position, actual in enumerate(outputs):
        spec = op.outputs[min(position, len(op.outputs) - 1)]
        if cell.type_of(spec.name, spec.type) != actual:
            return False
    return True


def _fit(
    signature: tuple[Input, ...], cell: Cell, types: tuple[int, ...]
) -> tuple[Input, ...] | None:
    found: list[Input] = []
    position = 0
    for number, spec in enumerate(signature):
        expected = cell.type_of(spec.name, spec.type)
        if isinstance(spec, Tensor) and spec.many:
            rest = sum(not later.optional for later in signature[number + 1 :])
            while position < len(types) - rest and types[position] == expected:
                found.append(spec)
                position += 1
            continue
        if position >= len(types):
            if not spec.optional:
                return None
            break
        if types[position] != expected:
            return None
        found.append(spec)
        position += 1
    return tuple(found) if position == len(types) else None


def defaults(op: Op, specs: tuple[Input, ...]) -> dict[str, object]:
    """Operands that the chosen signature left out, with their documented defaults."""
    names = {spec.name for spec in specs}
    for signature in op.signatures:
        if names <= {spec.name for spec in signature}:
            return {
                spec.name: spec.default if isinstance(spec, Scalar) else None
                for spec in signature
                if spec.name not in names
            }
    return {}


def outputs_of(
    code: int, inputs: tuple[int, ...], main: OperandCode | None = None
) -> tuple[OperandCode, ...]:
    """The types of an operation's required outputs for these operand types.

    Args:
        main: of the first output, where the inputs leave several.

    Raises OracleError: no documented signature takes the inputs.
    """
    op = _by_code().get(code)
    name = OperationCode(code).name if code in set(OperationCode) else str(code)
    if op is None:
        raise OracleError(f"operation {name} has no file in op_tests: the oracle cannot judge it")
    for cell in op.cells:
        types = tuple(
            cell.type_of(spec.name, spec.type)
            for spec in op.outputs
            if not getattr(spec, "optional", False)
        )
        if main is not None and types and types[0] != main:
            continue
        if any(_fit(signature, cell, inputs) is not None for signature in op.signatures):
            return types
    told = ", ".join(OperandCode(t).name for t in inputs)
    raise OracleError(f"no documented signature of {name} takes ({told})")
