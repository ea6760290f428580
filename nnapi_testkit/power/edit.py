"""The tools of wrappers: change operands of a case on its way in, outputs on their way out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Case, Ending, Execution, Result
from nnapi_testkit.model.types import Lifetime, Model, Operand
from nnapi_testkit.oracle.bind import bind
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE

__all__ = [
    "CaseEdit",
    "Left",
    "OutputEdit",
    "ResultEdit",
    "argument",
    "both",
    "code",
    "every_output",
    "exchange",
    "operands",
    "quantization",
]

Array = NDArray[Any]
CaseEdit = Callable[[Case], "Case | None"]
ResultEdit = Callable[[Case, Result], "Result | None"]


# ---- on the way in ----


def _places(case: Case, operations: tuple[str, ...] = ()) -> list[tuple[str, dict[str, int]]]:
    """For each operation of the main graph: its name, and operand indexes by declared name."""
    graph = case.model.main
    found: list[tuple[str, dict[str, int]]] = []
    for operation in graph.operations:
        if operation.code not in set(OperationCode):
            continue
        name = OperationCode(operation.code).name
        if operations and name not in operations:
            continue
        try:
            binding = bind(
                operation.code,
                tuple(int(graph.operands[i].type) for i in operation.inputs),
                tuple(int(graph.operands[i].type) for i in operation.outputs),
            )
        except KitError:
            continue
        by_name: dict[str, int] = {}
        for spec, index in zip(binding.specs, operation.inputs, strict=True):
            by_name.setdefault(spec.name, index)
        found.append((name, by_name))
    return found


def _values(case: Case, index: int) -> list[Array | None]:
    """The value of an operand in each input set; one for all sets where it is a constant."""
    graph = case.model.main
    operand = graph.operands[index]
    if operand.lifetime is Lifetime.CONSTANT:
        data = np.frombuffer(operand.value, DTYPE[OperandCode(operand.type)])
        return [data.reshape(operand.dims) if math.prod(operand.dims) == data.size else data]
    if operand.lifetime is Lifetime.INPUT:
        place = graph.inputs.index(index)
        return [one.inputs[place] for one in case.sets]
    return []


def _put(case: Case, index: int, values: list[Array | None]) -> Case:
    graph = case.model.main
    operand = graph.operands[index]
    if operand.lifetime is Lifetime.CONSTANT:
        (value,) = values
        assert value is not None
        kept = np.ascontiguousarray(value, DTYPE[OperandCode(operand.type)])
        return with_operand(case, index, replace(operand, value=kept.tobytes()))
    place = graph.inputs.index(index)
    sets: list[Execution] = []
    for one, value in zip(case.sets, values, strict=True):
        inputs = list(one.inputs)
        inputs[place] = (
            None if value is None else np.ascontiguousarray(value, DTYPE[OperandCode(operand.type)])
        )
        sets.append(replace(one, inputs=tuple(inputs)))
    return replace(case, sets=tuple(sets))


def with_operand(case: Case, index: int, operand: Operand) -> Case:
    """The case with another operand in this place of its main graph."""
    graph = case.model.main
    found = (*graph.operands[:index], operand, *graph.operands[index + 1 :])
    model: Model = replace(case.model, main=replace(graph, operands=found))
    return replace(case, model=model)


def argument(name: str, change: Callable[[Array], Array], *operations: str) -> CaseEdit:
    """Change the value of the operand called `name`, constant or not, wherever it is given."""

    def edit(case: Case) -> Case | None:
        changed = case
        for _, by_name in _places(case, operations):
            index = by_name.get(name)
            if index is None:
                continue
            old = _values(changed, index)
            new = [None if value is None else np.asarray(change(value)) for value in old]
            same = all(
                a is None or (b is not None and a.tobytes() == b.astype(a.dtype).tobytes())
                for a, b in zip(old, new, strict=True)
            )
            if old and not same:
                changed = _put(changed, index, new)
        return None if changed is case else changed

    return edit


def exchange(first: str, second: str) -> CaseEdit:
    """Exchange two operands of an operation."""

    def edit(case: Case) -> Case | None:
        graph = case.model.main
        places = _places(case)
        if len(places) != len(graph.operations):
            return None
        operations = list(graph.operations)
        for number, (_, by_name) in enumerate(places):
            if first not in by_name or second not in by_name:
                continue
            swap = {by_name[first]: by_name[second], by_name[second]: by_name[first]}
            inputs = tuple(swap.get(i, i) for i in operations[number].inputs)
            operations[number] = replace(operations[number], inputs=inputs)
        if tuple(operations) == graph.operations:
            return None
        main = replace(graph, operations=tuple(operations))
        return replace(case, model=replace(case.model, main=main))

    return edit


def code(old: str, new: str) -> CaseEdit:
    """Take one operation for another."""

    def edit(case: Case) -> Case | None:
        graph = case.model.main
        operations = tuple(
            replace(one, code=int(OperationCode[new])) if one.code == OperationCode[old] else one
            for one in graph.operations
        )
        if operations == graph.operations:
            return None
        main = replace(graph, operations=operations)
        return replace(case, model=replace(case.model, main=main))

    return edit


def operands(change: Callable[[Operand], Operand]) -> CaseEdit:
    """Change operands of the main graph."""

    def edit(case: Case) -> Case | None:
        graph = case.model.main
        found = tuple(change(operand) for operand in graph.operands)
        if found == graph.operands:
            return None
        return replace(case, model=replace(case.model, main=replace(graph, operands=found)))

    return edit


def quantization(name: str, like: str, *operations: str) -> CaseEdit:
    """Give the operand called `name` scale and zero point of another; `out` is the output."""

    def edit(case: Case) -> Case | None:
        graph = case.model.main
        if len(graph.operations) != 1:
            return None
        changed = case
        for _, by_name in _places(case, operations):
            both = {**by_name, "out": graph.operations[0].outputs[0]}
            if name not in both or like not in both:
                continue
            one, other = graph.operands[both[name]], graph.operands[both[like]]
            if not one.scale or not other.scale or one.type != other.type:
                continue
            new = replace(one, scale=other.scale, zero_point=other.zero_point)
            if new != one:
                changed = with_operand(changed, both[name], new)
        return None if changed is case else changed

    return edit


def both(*edits: CaseEdit) -> CaseEdit:
    """Several edits, one after another; none of them need apply."""

    def edit(case: Case) -> Case | None:
        changed = case
        for one in edits:
            changed = one(changed) or changed
        return None if changed is case else changed

    return edit


# ---- on the way out ----


@dataclass(frozen=True, slots=True)
class Left:
    """An output as a driver left it, and what belongs to it.

    Args:
        data: the elements, in the output's shape; empty if the execution failed.
        operand: the output's operand. inputs: the arrays of this set.
        number: of the execution, from 0. position: of the output.
        earlier: this output in the execution before, or None.
        case: the case.
    """

    data: Array
    operand: Operand
    inputs: tuple[Array | None, ...]
    number: int
    position: int
    earlier: Array | None
    case: Case

    @property
    def real(self) -> bool:
        """Whether the elements are floats."""
        return self.data.dtype.kind == "f"

    @property
    def codes(self) -> bool:
        """Whether the elements are codes of a quantized type."""
        return bool(self.operand.scale) and self.data.dtype.kind in "iu"


OutputEdit = Callable[[Left], "Array | None"]


def every_output(change: OutputEdit) -> ResultEdit:
    """Change outputs of completed executions; None leaves one as it is."""

    def edit(case: Case, result: Result) -> Result | None:
        if result.ending is not Ending.COMPLETED:
            return None
        graph = case.model.main
        executions = list(result.executions)
        changed = False
        before: dict[int, Array] = {}
        for number, one in enumerate(executions):
            if one.code or len(one.outputs) != len(graph.outputs):
                continue
            outputs = list(one.outputs)
            given = case.sets[number // case.repetitions]
            for position, output in enumerate(one.outputs):
                operand = graph.operands[graph.outputs[position]]
                shape = output.dims or given.output_dims[position]
                dtype = np.dtype(DTYPE[OperandCode(operand.type)])
                size = math.prod(shape) * dtype.itemsize
                if len(output.data) < size or not size:
                    continue
                data = np.frombuffer(output.data[:size], dtype).reshape(shape)
                left = Left(
                    data, operand, given.inputs, number, position, before.get(position), case
                )
                before[position] = data
                with np.errstate(all="ignore"):
                    new = change(left)
                if new is None:
                    continue
                raw = np.ascontiguousarray(new, dtype).tobytes()
                if raw == output.data[:size]:
                    continue
                changed = True
                outputs[position] = replace(output, data=raw + output.data[size:])
            executions[number] = replace(one, outputs=tuple(outputs))
        return replace(result, executions=tuple(executions)) if changed else None

    return edit
