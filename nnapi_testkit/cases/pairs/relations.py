"""The relations between two ways to compute one thing, each with where it fits.

An operation gets every relation that its declaration allows; `Op.batched` says which of its
operands have a batch, `Op.unpaired` what does not hold although the types allow it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.cases.build import (
    ALL_OUTPUTS,
    Slot,
    Variant,
    build_case,
    choose_signature,
    plan_outputs,
    plan_slots,
)
from nnapi_testkit.cases.pairs.second import Second
from nnapi_testkit.model.types import Lifetime, Operand
from nnapi_testkit.op.declare import Cell, Input, Op, Output, Sample, Scalar, Shape, Tensor
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import DTYPE, FLOATS, Array, is_quantized, is_tensor

FLOAT32 = OperandCode.TENSOR_FLOAT32
INT32 = OperandCode.TENSOR_INT32
BOOL8 = OperandCode.TENSOR_BOOL8
CODES = frozenset({OperandCode.TENSOR_QUANT8_ASYMM, OperandCode.TENSOR_QUANT8_ASYMM_SIGNED})
# What RESHAPE, TRANSPOSE and CONCATENATION move.
MOVABLE = FLOATS | CODES
# What SLICE takes.
CUTTABLE = MOVABLE | {INT32}
READABLE = CODES | {
    OperandCode.TENSOR_QUANT8_SYMM,
    OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL,
}
TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
MOST_PARTS = 4
HIGHEST_RANK = 4


@dataclass(frozen=True)
class Situation:
    """An operation with one of its samples in one of its cells."""

    op: Op
    cell: Cell
    sample: Sample

    @cached_property
    def signature(self) -> tuple[Input, ...]:
        """The signature that the sample follows."""
        return choose_signature(self.op, self.sample)

    @cached_property
    def planned(self) -> tuple[list[Slot], list[tuple[Output, OperandCode, Shape]], dict[str, int]]:
        """Operands, outputs and the axes of the batch, without any data."""
        words = (ALL_OUTPUTS,) if any(out.optional for out in self.op.outputs) else ()
        variant = Variant(words)
        slots, facts = plan_slots(self.op, self.cell, self.sample, variant, 0)
        outputs = [
            (spec, code, shape)
            for spec, code, shape, _ in plan_outputs(
                self.op, self.cell, facts, self.sample, variant, 0
            )
        ]
        return slots, outputs, self.op.batch_axes(facts)

    def tensors(self) -> list[Tensor]:
        """The tensors that the sample names."""
        return [
            spec
            for spec in self.signature
            if isinstance(spec, Tensor) and self.sample.operands.get(spec.name) is not None
        ]

    def code(self, spec: Input | Output) -> OperandCode:
        """The type of an operand in the cell."""
        return self.cell.type_of(spec.name, spec.type)

    def low(self) -> bool:
        """Whether every tensor has a rank that all of the helping operations take."""
        slots, outputs, _ = self.planned
        shapes = [slot.shape for slot in slots] + [shape for _, _, shape in outputs]
        return all(len(shape) <= HIGHEST_RANK for shape in shapes)


@dataclass(frozen=True)
class Relation:
    """What two ways have in common.

    Args:
        fits: whether the sample allows it.
        build: adds the second way.
        level: the feature level of the operations that help.
    """

    fits: Callable[[Situation], bool]
    build: Callable[[Second, Situation], None]
    level: Callable[[Situation], int]


def _always(level: int) -> Callable[[Situation], int]:
    return lambda situation: level


# NHWC and NCHW.


def _fits_layout(s: Situation) -> bool:
    return (
        any(spec.name == "nchw" for spec in s.signature)
        and not s.sample.operands.get("nchw")
        and s.cell.main in MOVABLE
    )


def _layout(second: Second, s: Situation) -> None:
    base = second.base
    slots, _ = plan_slots(s.op, s.cell, s.sample, Variant(("nchw",)), 0)
    other = build_case(s.op, s.cell, s.sample, Variant(("nchw",)), base.case.id, 0)
    theirs = other.model.main
    inputs = []
    for index, slot in zip(theirs.operations[-1].inputs, slots, strict=True):
        operand = theirs.operands[index]
        if operand.lifetime != Lifetime.INPUT:
            inputs.append(second.add(operand))
            continue
        ours = base.operand(slot.key)
        if isinstance(slot.spec, Tensor) and slot.spec.spatial:
            turned = second.add(replace(operand, lifetime=Lifetime.TEMPORARY))
            second.operation("TRANSPOSE", (ours, second.ints(TO_NCHW)), (turned,))
            ours = turned
        inputs.append(ours)
    twins = second.twins()
    outputs, turns = [], []
    for position, (spec, index) in enumerate(zip(s.op.outputs, theirs.outputs, strict=True)):
        if not spec.spatial:
            outputs.append(twins[position])
            continue
        middle = second.add(replace(theirs.operands[index], lifetime=Lifetime.TEMPORARY))
        outputs.append(middle)
        turns.append((middle, position))
    second.operation(theirs.operations[-1].code, inputs, outputs)
    for middle, position in turns:
        second.operation("TRANSPOSE", (middle, second.ints(TO_NHWC)), (twins[position],))


# Constants and inputs.


def _varied(spec: Tensor) -> bool:
    """Attributes are TENSOR_INT32; whether they may be inputs is another matter."""
    return spec.weight and spec.type != "TENSOR_INT32"


def _fits_weights(s: Situation) -> bool:
    return any(map(_varied, s.tensors()))


def _weights(second: Second, s: Situation) -> None:
    base = second.base
    varied = {spec.name for spec in s.tensors() if _varied(spec)}
    inputs = []
    for name, index in zip(base.names, base.operation.inputs, strict=True):
        operand = second.operands[index]
        if name in varied and operand.lifetime == Lifetime.CONSTANT:
            index = second.input(operand, _array(operand))
        inputs.append(index)
    second.operation(base.operation.code, inputs, second.twins())


def _array(operand: Operand) -> Array:
    data = np.frombuffer(operand.value, dtype=DTYPE[OperandCode(operand.type)])
    shaped: Array = data.reshape(operand.dims)
    return shaped


# Whole and split batch.


def _fits_batch(s: Situation) -> bool:
    if not s.op.batched or not s.low():
        return False
    slots, outputs, axes = s.planned
    # A given shape of the output has the batch in it.
    if s.sample.operands.get("output_shape") is not None:
        return False
    parts = [slot for slot in slots if slot.key in axes and not slot.omitted]
    sizes = {
        slot.shape[axes[slot.key]] if axes[slot.key] < len(slot.shape) else 0 for slot in parts
    }
    results = {shape[axes.get(spec.name, 0)] for spec, _, shape in outputs}
    return (
        len(sizes) == 1
        and results == sizes
        and min(sizes) > 1
        and all(slot.code in CUTTABLE or _is_constant(slot) for slot in parts)
        and all(code in MOVABLE and spec.kind == OutputKind.EACH for spec, code, _ in outputs)
    )


def _is_constant(slot: Slot) -> bool:
    return isinstance(slot.spec, Tensor) and slot.spec.weight


def _batch(second: Second, s: Situation) -> None:
    base = second.base
    _, outputs, axes = s.planned
    cut = {
        index: axes[name]
        for name, index in zip(base.names, base.operation.inputs, strict=True)
        if name in axes and second.operands[index].lifetime != Lifetime.OMITTED
    }
    first, axis = next(iter(cut.items()))
    pieces: list[list[int]] = []
    for begin, count in _spans(second.operands[first].dims[axis]):
        inputs = [
            _piece(second, index, cut[index], begin, count) if index in cut else index
            for index in base.operation.inputs
        ]
        results = []
        for (spec, _, _), index in zip(outputs, base.operation.outputs, strict=True):
            dims = list(second.operands[index].dims)
            dims[axes.get(spec.name, 0)] = count
            results.append(second.like(index, dims, Lifetime.TEMPORARY))
        second.operation(base.operation.code, inputs, results)
        pieces.append(results)
    for position, parts in enumerate(zip(*pieces, strict=True)):
        axis = axes.get(outputs[position][0].name, 0)
        second.operation("CONCATENATION", (*parts, second.int32(axis)), (second.twin(position),))


def _spans(size: int) -> list[tuple[int, int]]:
    """Where the parts of a batch begin, and how long they are: one each, or two of many."""
    if size <= MOST_PARTS:
        return [(number, 1) for number in range(size)]
    return [(0, size // 2), (size // 2, size - size // 2)]


def _piece(second: Second, index: int, axis: int, begin: int, count: int) -> int:
    operand = second.operands[index]
    if operand.lifetime == Lifetime.CONSTANT:
        part = _array(operand).take(range(begin, begin + count), axis)
        return second.add(replace(operand, dims=part.shape, value=part.tobytes()))
    dims = list(operand.dims)
    start = [0] * len(dims)
    start[axis], dims[axis] = begin, count
    found = second.like(index, dims, Lifetime.TEMPORARY)
    second.operation("SLICE", (index, second.ints(start), second.ints(dims)), (found,))
    return found


# Alone and between others.


def _fits_between(s: Situation) -> bool:
    if not s.low():
        return False
    slots, _, _ = s.planned
    return any(_crossed(slot) for slot in slots)


def _crossed(slot: Slot) -> bool:
    """Whether the operand is a model input that others can hand on unchanged."""
    return (
        isinstance(slot.spec, Tensor)
        and not slot.omitted
        and not slot.spec.weight
        and (slot.code in CUTTABLE or slot.code == BOOL8)
        and 0 not in slot.shape
    )


def _between_level(s: Situation) -> int:
    """RESHAPE is of level 1; SLICE and LOGICAL_NOT, for what it does not take, of level 3."""
    slots, outputs, _ = s.planned
    codes = {next(slot.code for slot in slots if _crossed(slot)), *(code for _, code, _ in outputs)}
    return 1 if codes <= MOVABLE else 3


def _between(second: Second, s: Situation) -> None:
    base = second.base
    slots, outputs, _ = s.planned
    position = next(i for i, slot in enumerate(slots) if _crossed(slot))
    source = base.operation.inputs[position]
    again = second.like(source, second.operands[source].dims, Lifetime.TEMPORARY)
    _hand_on(second, source, again, away=True)
    inputs = [again if index == source else index for index in base.operation.inputs]
    twins, results, after = second.twins(), [], []
    for place, (spec, code, _) in enumerate(outputs):
        index = base.output(place)
        if (
            spec.opaque
            or spec.kind != OutputKind.EACH
            or not (is_tensor(code) and (code in CUTTABLE or code == BOOL8))
        ):
            results.append(twins[place])
            continue
        results.append(second.like(index, second.operands[index].dims, Lifetime.TEMPORARY))
        after.append((results[-1], place))
    second.operation(base.operation.code, inputs, results)
    for middle, place in after:
        _hand_on(second, middle, twins[place])


def _hand_on(second: Second, source: int, target: int, *, away: bool = False) -> None:
    """Copies by an operation that changes nothing; `away`: by two where one is enough."""
    operand = second.operands[source]
    code, dims = OperandCode(operand.type), operand.dims
    if code == BOOL8:
        middle = second.like(source, dims, Lifetime.TEMPORARY)
        second.operation("LOGICAL_NOT", (source,), (middle,))
        second.operation("LOGICAL_NOT", (middle,), (target,))
    elif code == INT32:  # which RESHAPE takes since level 6
        start = [0] * len(dims)
        second.operation("SLICE", (source, second.ints(start), second.ints(dims)), (target,))
    elif away:
        flat = second.like(source, (int(np.prod(dims)),), Lifetime.TEMPORARY)
        second.operation("RESHAPE", (source, second.ints((-1,))), (flat,))
        second.operation("RESHAPE", (flat, second.ints(dims)), (target,))
    else:
        second.operation("RESHAPE", (source, second.ints(dims)), (target,))


# Quantized and real.


def _fits_real(s: Situation) -> bool:
    if not is_quantized(s.cell.main) or not s.low():
        return False
    slots, outputs, _ = s.planned
    for slot in slots:
        spec = slot.spec
        if isinstance(spec, Tensor) and is_quantized(slot.code):
            readable = slot.code in READABLE or _is_constant(slot)
            if spec.codes or not (readable or slot.omitted):
                return False
    if any(is_quantized(code) and (out.codes or code not in CODES) for out, code, _ in outputs):
        return False
    used: list[tuple[Input | Output, OperandCode]] = []
    used += [(slot.spec, slot.code) for slot in slots]
    used += [(out, code) for out, code, _ in outputs]
    wanted = {spec.name: _real_code(spec, code) for spec, code in used}
    kinds = {spec.name: spec.type for spec, _ in used}
    return any(
        all(row.type_of(name, kinds[name]) == code for name, code in wanted.items())
        for row in s.op.cells
    )


def _real_code(spec: Input | Output, code: OperandCode) -> OperandCode:
    """The type of an operand of the real operation."""
    if isinstance(spec, Scalar):
        return OperandCode.FLOAT32 if spec.like and code == OperandCode.INT32 else code
    if is_quantized(code) or (isinstance(spec, Tensor) and spec.bias_of and code == INT32):
        return FLOAT32
    return code


def _real(second: Second, s: Situation) -> None:
    base = second.base
    slots, outputs, _ = s.planned
    inputs = []
    for slot, index in zip(slots, base.operation.inputs, strict=True):
        spec, operand = slot.spec, second.operands[index]
        wanted = _real_code(spec, slot.code)
        if wanted == slot.code:
            inputs.append(index)
        elif operand.lifetime == Lifetime.OMITTED:
            inputs.append(second.add(replace(operand, type=wanted, scale=0.0, zero_point=0)))
        elif isinstance(spec, Scalar):
            assert spec.like is not None
            tensor = second.operands[base.operand(spec.like)]
            code = int(np.frombuffer(operand.value, dtype="<i4")[0])
            real = np.float32((code - tensor.zero_point) * tensor.scale)
            inputs.append(
                second.add(Operand(wanted, lifetime=Lifetime.CONSTANT, value=real.tobytes()))
            )
        elif operand.lifetime == Lifetime.CONSTANT:
            values = _bias(second, operand) if spec.bias_of else _reals(operand)
            inputs.append(second.constant(FLOAT32, values))
        else:
            real_input = second.add(Operand(FLOAT32, operand.dims))
            second.operation("DEQUANTIZE", (index,), (real_input,))
            inputs.append(real_input)
    twins, results, after = second.twins(), [], []
    for place, (_, code, _) in enumerate(outputs):
        if not is_quantized(code):
            results.append(twins[place])
            continue
        results.append(second.add(Operand(FLOAT32, second.operands[base.output(place)].dims)))
        after.append((results[-1], place))
    second.operation(base.operation.code, inputs, results)
    for middle, place in after:
        second.operation("QUANTIZE", (middle,), (twins[place],))


def _bias(second: Second, operand: Operand) -> NDArray[np.float64]:
    if is_quantized(OperandCode(operand.type)):
        return _reals(operand)
    base = second.base
    scales: float | NDArray[np.float64] = operand.scale
    if not operand.scale:
        quant = second.operands[base.operand("filter")].channel_quant
        assert quant is not None
        scales = np.asarray(quant.scales) * second.operands[base.operand("input")].scale
    reals: NDArray[np.float64] = _array(operand).astype(np.float64) * scales
    return reals


def _reals(operand: Operand) -> NDArray[np.float64]:
    codes: NDArray[np.float64] = _array(operand).astype(np.float64)
    quant = operand.channel_quant
    if quant is None:
        return (codes - operand.zero_point) * operand.scale
    shape = [1] * codes.ndim
    shape[quant.dim] = -1
    reals: NDArray[np.float64] = codes * np.asarray(quant.scales).reshape(shape)
    return reals


RELATIONS: dict[str, Relation] = {
    "layout": Relation(_fits_layout, _layout, _always(3)),
    "weights": Relation(_fits_weights, _weights, _always(1)),
    "batch": Relation(_fits_batch, _batch, _always(3)),
    "between": Relation(_fits_between, _between, _between_level),
    "real": Relation(_fits_real, _real, _always(3)),
}
