"""Shapes of graphs: one small operation in the places that a graph can give it.

In most suites a model is one operation whose inputs and outputs are the model's own. What goes
wrong in whole models is then never asked: results that are both read and handed out, operands that
several operations read, inputs that nobody reads, operations listed in another order than they
run. Each operation gets these shapes in a real and in a quantized cell. The neighbours are
operations that change no value (RESHAPE, SLICE, LOGICAL_NOT) and ADD, whose sums of equal codes
are exact codes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from nnapi_testkit.cases.build import (
    Slot,
    choose_signature,
    draw,
    level_of,
    plan_slots,
)
from nnapi_testkit.cases.draw import key_of, uniform
from nnapi_testkit.cases.edits import base_of, base_variant, find
from nnapi_testkit.cases.pairs.second import Second
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.cases.slots import Regime
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.model.types import Lifetime, Operand
from nnapi_testkit.op.declare import Cell, Op, Output, Sample, Tensor
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import FLOATS, Array

FLOAT32 = OperandCode.TENSOR_FLOAT32
INT32 = OperandCode.TENSOR_INT32
BOOL8 = OperandCode.TENSOR_BOOL8
CODES = (OperandCode.TENSOR_QUANT8_ASYMM, OperandCode.TENSOR_QUANT8_ASYMM_SIGNED)
# The feature level at which an operation takes each type that hands it on unchanged.
HANDED_ON = {
    FLOAT32: 1,
    OperandCode.TENSOR_QUANT8_ASYMM: 1,
    OperandCode.TENSOR_FLOAT16: 3,
    INT32: 3,
    BOOL8: 3,
    OperandCode.TENSOR_QUANT8_ASYMM_SIGNED: 4,
}
ORDERED = ("ADD", "CONV_2D", "CONCATENATION", "FULLY_CONNECTED", "SOFTMAX", "SPLIT", "TOPK_V2")
MOST_OUTPUTS = 3  # of an operation with many, so many are read alone


@dataclass(frozen=True, slots=True)
class Place:
    """An operation with one of its samples in one of its cells, and what a shape is about.

    Args:
        at: position of an output.
        names: two inputs that become one operand.
    """

    op: Op
    cell: Cell
    sample: Sample
    at: int = 0
    names: tuple[str, str] = ("", "")

    def slots(self) -> list[Slot]:
        """The operands of the operation, without data."""
        return plan_slots(self.op, self.cell, self.sample, base_variant(self.op), 0)[0]

    def inputs(self) -> list[Tensor]:
        """The tensors that are inputs of the model, of types that can be handed on."""
        return [
            spec
            for spec in choose_signature(self.op, self.sample)
            if isinstance(spec, Tensor)
            and not spec.weight
            and self.sample.operands.get(spec.name) is not None
            and self.cell.type_of(spec.name, spec.type) in HANDED_ON
        ]

    def readable(self, output: Output) -> bool:
        """Whether another operation can read the output and what it reads is judged."""
        code = self.cell.type_of(output.name, output.type)
        return code in HANDED_ON and not (output.opaque or output.kind or output.counted)


class Wiring(Second):
    """A graph under construction around the operation."""

    def __init__(self, place: Place) -> None:
        super().__init__(base_of(place.op.name, place.cell.name, place.sample.name))
        self.place = place
        main, first = self.base.model.main, self.base.case.sets[0]
        self.dims = dict(zip(main.outputs, first.output_dims, strict=True))
        self.data = dict(zip(main.inputs, first.inputs, strict=True))

    def input(self, operand: Operand, data: Array) -> int:
        """One more input of the model."""
        index = super().input(operand, data)
        self.data[index] = data
        return index

    def source(self) -> int:
        """The first model input that can be handed on."""
        names = {spec.name for spec in self.place.inputs()}
        return next(
            index
            for name, index in zip(self.base.declared, self.base.operation.inputs, strict=True)
            if name in names
        )

    def output(self, like: int, dims: Sequence[int], scale: float = 0.0) -> int:
        """One more output of the model, of another operand's type."""
        operand = replace(self.operands[like], dims=tuple(dims), value=b"", channel_quant=None)
        operand = replace(operand, lifetime=Lifetime.OUTPUT, scale=scale or operand.scale)
        self.outputs.append(self.add(operand))
        self.dims[self.outputs[-1]] = tuple(dims)
        return self.outputs[-1]

    def temporary(self, index: int) -> None:
        """An output of the model becomes one of the operation alone."""
        self.operands[index] = replace(self.operands[index], lifetime=Lifetime.TEMPORARY)
        self.outputs.remove(index)

    def handed_on(self, index: int) -> int:
        """A new output with the same values: of one dimension, where RESHAPE takes the type."""
        operand = self.operands[index]
        if operand.type == BOOL8:
            out = self.output(index, operand.dims)
            self.operation("LOGICAL_NOT", (index,), (out,))
        elif operand.type == INT32:  # which RESHAPE takes since level 6
            out = self.output(index, operand.dims)
            begin = self.ints([0] * len(operand.dims))
            self.operation("SLICE", (index, begin, self.ints(operand.dims)), (out,))
        else:
            out = self.output(index, (int(np.prod(operand.dims)),))
            self.operation("RESHAPE", (index, self.ints((-1,))), (out,))
        return out

    def doubled(self, index: int) -> None:
        """A new output: the operand and itself, added."""
        operand = self.operands[index]
        out = self.output(index, operand.dims, 2 * operand.scale)
        self.operation("ADD", (index, index, self.int32(0)), (out,))

    def without(self, gone: int) -> None:
        """Take an input of the model away; operands behind it move up."""

        def moved(index: int) -> int:
            return index - (index > gone)

        self.inputs.remove(gone)
        del self.operands[gone], self.data[gone]
        self.operations = [
            replace(o, inputs=tuple(map(moved, o.inputs)), outputs=tuple(map(moved, o.outputs)))
            for o in self.operations
        ]
        self.inputs, self.outputs = list(map(moved, self.inputs)), list(map(moved, self.outputs))
        self.dims = {moved(index): dims for index, dims in self.dims.items()}
        self.data = {moved(index): data for index, data in self.data.items()}

    def case(self, case_id: str) -> Case:
        """The finished graph."""
        main = replace(
            self.base.model.main,
            operands=tuple(self.operands),
            operations=tuple(self.operations),
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
        )
        execution = Execution(
            tuple(self.data[index] for index in self.inputs),
            tuple(self.dims[index] for index in self.outputs),
        )
        model = replace(self.base.model, main=main)
        return replace(self.base.case, id=case_id, model=model, sets=(execution,))


def shape_refs(op: Op) -> Iterator[CaseRef]:
    """The shapes of graphs around an operation."""
    for cell, samples in samples_in(op):
        place = Place(op, cell, samples[0])
        yield from (graph_ref(p, word, build) for p, word, build in _shapes(place))
        twins = next(filter(None, map(partial(_twins, op, cell), samples)), None)
        if twins is not None:
            yield graph_ref(twins, "one-operand-twice", _one_operand_twice)


def samples_in(op: Op) -> Iterator[tuple[Cell, list[Sample]]]:
    """The small samples of an operation in a real and a quantized cell.

    What is agreed comes before what is contested.
    """
    if op.graphs is not None or any(output.kind == OutputKind.DRAWS for output in op.outputs):
        return
    for cell in _cells(op):
        samples = sorted(filter(_plain, op.samples_for(cell)), key=_contested)
        if samples:
            yield cell, samples


def _cells(op: Op) -> list[Cell]:
    """A real and a quantized cell, or else the first."""
    real = [cell for code in (FLOAT32, *FLOATS) for cell in op.cells if cell.main == code]
    codes = [cell for code in CODES for cell in op.cells if cell.main == code]
    return [*real[:1], *codes[:1]] or list(op.cells[:1])


def _plain(sample: Sample) -> bool:
    empty = any(isinstance(v, tuple) and 0 in v for v in sample.operands.values())
    return not (sample.large or empty)


def _contested(sample: Sample) -> bool:
    return sample.contest is not None


def _shapes(place: Place) -> Iterator[tuple[Place, str, Callable[[Wiring], None]]]:
    """The shapes that fit, each with its word."""
    op = place.op
    read = [at for at, output in enumerate(op.outputs) if place.readable(output)]
    counted = any(output.counted for output in op.outputs)
    yield place, "unread-inputs", _unread_inputs
    if place.op.name in ORDERED:
        yield place, "unread-constants", _unread_constants
        if read:
            yield replace(place, at=read[0]), "other-order", _other_order
    if read:
        yield replace(place, at=read[0]), "output-read", _output_read
    # More outputs than are declared, where the declaration is of a list.
    if len(op.outputs) > 1 and not counted:
        for at in read[:MOST_OUTPUTS]:
            yield replace(place, at=at), f"only-{op.outputs[at].name}-read", _only_one_read
    if read and op.outputs[0].many is not None:
        yield replace(place, at=1), "only-second-read", _only_one_read
    if not place.inputs():
        return
    yield place, "input-handed-on", _input_handed_on
    if read:
        yield replace(place, at=read[0]), "reversed", _reversed
    if not counted:
        yield place, "constants-shared", _constants_shared


def graph_ref(place: Place, word: str, build: Callable[[Wiring], None]) -> CaseRef:
    """The case of an operation in a graph; `word` becomes part of its id."""
    op, cell, sample = place.op, place.cell, place.sample
    level = level_of(op, cell, sample, choose_signature(op, sample))
    case_id = f"{op.name}[{cell.name}-graph-{word}-{sample.name}]"
    return CaseRef(
        case_id,
        op.name,
        cell.name,
        max(level, base_variant(op).level, _helping(place)),
        Kind.GRAPH,
        partial(_make, op.name, cell.name, sample.name, place.at, place.names, build, case_id),
        contest=sample.contest,
    )


def _helping(place: Place) -> int:
    """The feature level of the operations that hand on."""
    cell = place.cell
    used = [cell.type_of(out.name, out.type) for out in place.op.outputs if place.readable(out)]
    used += [cell.type_of(spec.name, spec.type) for spec in place.inputs()]
    return max((HANDED_ON[code] for code in used), default=1)


def _make(
    op_name: str,
    cell_name: str,
    sample_name: str,
    at: int,
    names: tuple[str, str],
    build: Callable[[Wiring], None],
    case_id: str,
) -> Case:
    wiring = Wiring(Place(*find(op_name, cell_name, sample_name), at, names))
    build(wiring)
    return wiring.case(case_id)


def _output_read(w: Wiring) -> None:
    """An output of the model that other operations read: y, y again, and y + y."""
    index = w.base.output(w.place.at)
    w.handed_on(index)
    code = w.operands[index].type
    if (code in FLOATS or code in CODES) and 0 < len(w.operands[index].dims) <= 4:
        w.doubled(index)


def _only_one_read(w: Wiring) -> None:
    """One output of the operation is read by another, and nobody asks for the others."""
    index = w.base.output(w.place.at)
    w.handed_on(index)
    for output in w.base.operation.outputs:
        w.temporary(output)


def _unread_inputs(w: Wiring) -> None:
    """Inputs that no operation reads: the first one of the model and the last one."""
    for number, count in enumerate((3, 2)):
        data = uniform(key_of("unread", number), count, 1.0, 2.0).astype("<f4")
        w.input(Operand(FLOAT32, (count,)), data)
    last = w.inputs.pop(-2)
    w.inputs.insert(0, last)


def _unread_constants(w: Wiring) -> None:
    """Constants that no operation reads: a short one, and one that is too long to be copied."""
    for number, count in enumerate((3, 64)):
        data = uniform(key_of("unread", number), count, 1.0, 2.0).astype("<f4")
        operand = Operand(FLOAT32, (count,), lifetime=Lifetime.CONSTANT, value=data.tobytes())
        w.add(operand)


def _other_order(w: Wiring) -> None:
    """Inputs and outputs of the model in another order than that of their operands."""
    w.handed_on(w.base.output(w.place.at))
    w.inputs.reverse()
    w.outputs.reverse()


def _input_handed_on(w: Wiring) -> None:
    """An input that the operation reads, and that is an output too by way of RESHAPE."""
    w.handed_on(w.source())


def _reversed(w: Wiring) -> None:
    """An operation behind its reader, and in front of what it reads, in the model's list."""
    source = w.source()
    operand = w.operands[source]
    copy = w.like(source, operand.dims, Lifetime.TEMPORARY)
    first = w.operations.pop()
    inputs = tuple(copy if index == source else index for index in first.inputs)
    w.handed_on(w.base.output(w.place.at))
    w.operations.append(replace(first, inputs=inputs))
    code = OperandCode(operand.type)
    if code == BOOL8:
        middle = w.like(source, operand.dims, Lifetime.TEMPORARY)
        w.operation("LOGICAL_NOT", (middle,), (copy,))
        w.operation("LOGICAL_NOT", (source,), (middle,))
    elif code == INT32:
        begin = w.ints([0] * len(operand.dims))
        w.operation("SLICE", (source, begin, w.ints(operand.dims)), (copy,))
    else:
        flat = w.like(source, (int(np.prod(operand.dims)),), Lifetime.TEMPORARY)
        w.operation("RESHAPE", (flat, w.ints(operand.dims)), (copy,))
        w.operation("RESHAPE", (source, w.ints((-1,))), (flat,))


def _constants_shared(w: Wiring) -> None:
    """Two operations with the same constants, the second one on another input."""
    source = w.source()
    position = w.base.operation.inputs.index(source)
    slot = w.place.slots()[position]
    key = key_of("shared", w.place.op.name, w.place.cell.name, slot.key)
    other = w.input(w.operands[source], draw(slot, key, Regime.UNIFORM))
    inputs = [other if index == source else index for index in w.base.operation.inputs]
    outputs = [w.output(index, w.dims[index]) for index in w.base.operation.outputs]
    w.operation(w.base.operation.code, inputs, outputs)


def _twins(op: Op, cell: Cell, sample: Sample) -> Place | None:
    """The sample with two inputs that may be one operand: of one type, shape and meaning."""
    place = Place(op, cell, sample)
    found: dict[tuple[object, ...], str] = {}
    for spec in place.inputs():
        value = sample.operands[spec.name]
        for number, part in enumerate(value if spec.many else (value,)):
            # Values given one by one have a meaning of their own.
            if not isinstance(part, tuple):
                continue
            name = f"{spec.name}[{number}]" if spec.many else spec.name
            key = (cell.type_of(spec.name, spec.type), part, spec.quant, spec.domain)
            if key in found:
                return replace(place, names=(found[key], name))
            found[key] = name
    return None


def _one_operand_twice(w: Wiring) -> None:
    """One operand in two places of the operation: x + x."""
    kept, gone = (w.base.operand(name) for name in w.place.names)
    operation = w.operations.pop()
    inputs = tuple(kept if index == gone else index for index in operation.inputs)
    w.operations.append(replace(operation, inputs=inputs))
    w.without(gone)
