"""Metamorphic pairs: one model computes the same thing in two ways, and both must agree.

Each case has twice the outputs of its operation: the first half by one way, the second by the
other. The relations: NHWC and NCHW, weights as constants and as inputs, a whole and a split batch,
an operation alone and between others, a quantized operation and its real one between DEQUANTIZE
and QUANTIZE; n single steps and one sequence operation, WHILE and its unrolled body, IF and its
branch (`flow_pairs`). `judge.agreement` compares the halves with each other, and the oracle
judges both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.cases.build import Variant, build_case, choose_signature, level_of, plan_slots
from nnapi_testkit.cases.edits import Base, base_of, find
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.types import Lifetime, Operand
from nnapi_testkit.op.declare import Cell, Input, Op, Sample, Tensor
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE, FLOATS, Array, is_quantized

MOVABLE = FLOATS | {
    OperandCode.TENSOR_QUANT8_ASYMM,
    OperandCode.TENSOR_QUANT8_ASYMM_SIGNED,
}
TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
# What DEQUANTIZE and QUANTIZE may stand around: real functions of real operands.
REAL = frozenset(
    [
        "ADD",
        "SUB",
        "MUL",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "GROUPED_CONV_2D",
        "FULLY_CONNECTED",
        "AVERAGE_POOL_2D",
        "RELU",
        "RELU1",
        "RELU6",
        "LOGISTIC",
        "TANH",
        "MAXIMUM",
        "MINIMUM",
        "MEAN",
        "HARD_SWISH",
    ]
)
# Each image of a batch is computed by itself.
BATCHED = frozenset(
    [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "GROUPED_CONV_2D",
        "TRANSPOSE_CONV_2D",
        "AVERAGE_POOL_2D",
        "MAX_POOL_2D",
        "L2_POOL_2D",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "DEPTH_TO_SPACE",
        "SPACE_TO_DEPTH",
        "LOCAL_RESPONSE_NORMALIZATION",
        "INSTANCE_NORMALIZATION",
    ]
)


class Second:
    """The second way, under construction beside the first one's operands."""

    def __init__(self, base: Base) -> None:
        self.base = base
        main = base.model.main
        self.operands = list(main.operands)
        self.operations = list(main.operations)
        self.inputs = list(main.inputs)
        self.outputs = list(main.outputs)
        self.extra: list[Array] = []

    def add(self, operand: Operand) -> int:
        """One more operand."""
        self.operands.append(operand)
        return len(self.operands) - 1

    def ints(self, values: Sequence[int]) -> int:
        """A constant TENSOR_INT32."""
        return self.constant(OperandCode.TENSOR_INT32, np.asarray(values, dtype="<i4"))

    def constant(self, type: OperandCode, array: Array) -> int:
        """A constant tensor."""
        array = np.ascontiguousarray(array, dtype=DTYPE[type])
        return self.add(
            Operand(type, array.shape, lifetime=Lifetime.CONSTANT, value=array.tobytes())
        )

    def input(self, operand: Operand, data: Array) -> int:
        """One more input of the model with the same data in every set."""
        self.inputs.append(self.add(replace(operand, lifetime=Lifetime.INPUT, value=b"")))
        self.extra.append(data)
        return self.inputs[-1]

    def operation(self, code: int | str, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """One more operation."""
        builder = Builder()
        builder.operation(code, inputs, outputs)  # type: ignore[arg-type]
        self.operations.extend(builder.graph().operations)

    def like(self, index: int, dims: Sequence[int], lifetime: Lifetime) -> int:
        """An operand of the type of another one."""
        operand = self.operands[index]
        return self.add(replace(operand, dims=tuple(dims), lifetime=lifetime, value=b""))

    def twin(self, position: int) -> int:
        """The second way's output for the first one's."""
        index = self.base.output(position)
        self.outputs.append(self.like(index, self.operands[index].dims, Lifetime.OUTPUT))
        return self.outputs[-1]

    def case(self, case_id: str) -> Case:
        """The finished pair."""
        main = replace(
            self.base.model.main,
            operands=tuple(self.operands),
            operations=tuple(self.operations),
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
        )
        sets = tuple(
            Execution((*s.inputs, *self.extra), (*s.output_dims, *s.output_dims))
            for s in self.base.case.sets
        )
        return replace(
            self.base.case, id=case_id, model=replace(self.base.model, main=main), sets=sets
        )


Way = Callable[[Second, Op, Cell, Sample], None]


def pair_refs(op: Op, cell: Cell) -> Iterator[CaseRef]:
    """The pairs of an operation in one cell."""
    for name, sample in _relations(op, cell):
        case_id = f"{op.name}[{cell.name}-pair-{name}-{sample.name}]"
        level = level_of(op, cell, sample, choose_signature(op, sample))
        yield CaseRef(
            case_id,
            op.name,
            cell.name,
            max(level, LEVEL[name]),
            "pair",
            partial(_make, op.name, cell.name, sample.name, name, case_id),
        )


def _make(op_name: str, cell_name: str, sample_name: str, relation: str, case_id: str) -> Case:
    op, cell, sample = find(op_name, cell_name, sample_name)
    second = Second(base_of(op_name, cell_name, sample_name))
    WAYS[relation](second, op, cell, sample)
    return second.case(case_id)


def _relations(op: Op, cell: Cell) -> Iterator[tuple[str, Sample]]:
    """Which relations fit, each with the first sample that it fits."""
    samples = [
        (sample, choose_signature(op, sample))
        for sample in op.samples_for(cell)
        if not sample.large and not sample.like and not _empty(sample)
    ]
    if op.graphs is not None or not samples or any(o.kind or o.counted for o in op.outputs):
        return
    for name, fits in FITS.items():
        found = next((s for s, signature in samples if fits(op, cell, s, signature)), None)
        if found is not None:
            yield name, found


def _empty(sample: Sample) -> bool:
    return any(isinstance(v, tuple) and 0 in v for v in sample.operands.values())


def _tensors(signature: tuple[Input, ...], sample: Sample) -> list[Tensor]:
    return [
        spec
        for spec in signature
        if isinstance(spec, Tensor) and sample.operands.get(spec.name) is not None
    ]


# NHWC and NCHW.


def _fits_layout(op: Op, cell: Cell, sample: Sample, signature: tuple[Input, ...]) -> bool:
    names = {spec.name for spec in signature}
    spatial = [spec for spec in _tensors(signature, sample) if spec.spatial]
    return (
        "nchw" in names
        and not sample.operands.get("nchw")
        and cell.main in MOVABLE
        and len(op.outputs) == 1
        and op.outputs[0].spatial
        and all(isinstance(sample.operands[spec.name], tuple) for spec in spatial)
    )


def _layout(second: Second, op: Op, cell: Cell, sample: Sample) -> None:
    base = second.base
    slots, _ = plan_slots(op, cell, sample, Variant(("nchw",)), 0)
    other = build_case(op, cell, sample, Variant(("nchw",)), base.case.id, 0)
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
    result = theirs.operands[theirs.outputs[0]]
    middle = second.add(replace(result, lifetime=Lifetime.TEMPORARY))
    second.operation(theirs.operations[-1].code, inputs, (middle,))
    second.operation("TRANSPOSE", (middle, second.ints(TO_NHWC)), (second.twin(0),))


# Constants and inputs.


def _fits_weights(op: Op, cell: Cell, sample: Sample, signature: tuple[Input, ...]) -> bool:
    return any(
        spec.weight and spec.type != "TENSOR_INT32" for spec in _tensors(signature, sample)
    ) and not any(o.opaque or o.optional or o.when for o in op.outputs)


def _weights(second: Second, op: Op, cell: Cell, sample: Sample) -> None:
    base = second.base
    signature = {spec.name: spec for spec in choose_signature(op, sample)}
    inputs = []
    for name, index in zip(base.names, base.operation.inputs, strict=True):
        operand = second.operands[index]
        spec = signature.get(name)
        weight = isinstance(spec, Tensor) and spec.weight and spec.type != "TENSOR_INT32"
        if weight and operand.lifetime == Lifetime.CONSTANT:
            index = second.input(operand, _array(operand))
        inputs.append(index)
    second.operation(
        base.operation.code, inputs, [second.twin(i) for i in range(len(base.operation.outputs))]
    )


def _array(operand: Operand) -> Array:
    data = np.frombuffer(operand.value, dtype=DTYPE[OperandCode(operand.type)])
    shaped: Array = data.reshape(operand.dims)
    return shaped


# Whole and split batch.


def _fits_batch(op: Op, cell: Cell, sample: Sample, signature: tuple[Input, ...]) -> bool:
    shape = sample.operands.get("input")
    return (
        op.name in BATCHED
        and cell.main in MOVABLE
        and isinstance(shape, tuple)
        and len(shape) == 4
        and shape[0] > 1
        and "output_shape" not in sample.operands
    )


def _batch(second: Second, op: Op, cell: Cell, sample: Sample) -> None:
    base = second.base
    whole, result = base.operand("input"), base.output(0)
    dims, out_dims = second.operands[whole].dims, second.operands[result].dims
    parts = []
    for image in range(dims[0]):
        part = second.like(whole, (1, *dims[1:]), Lifetime.TEMPORARY)
        begin, size = second.ints((image, 0, 0, 0)), second.ints((1, *dims[1:]))
        second.operation("SLICE", (whole, begin, size), (part,))
        parts.append(second.like(result, (1, *out_dims[1:]), Lifetime.TEMPORARY))
        inputs = [part if index == whole else index for index in base.operation.inputs]
        second.operation(base.operation.code, inputs, (parts[-1],))
    axis = second.add(Operand(OperandCode.INT32, lifetime=Lifetime.CONSTANT, value=bytes(4)))
    second.operation("CONCATENATION", (*parts, axis), (second.twin(0),))


# Alone and between others.


def _fits_between(op: Op, cell: Cell, sample: Sample, signature: tuple[Input, ...]) -> bool:
    first = next(iter(_tensors(signature, sample)), None)
    shape = sample.operands.get(first.name) if first is not None else None
    return (
        first is not None
        and not first.many
        and not first.weight
        and cell.type_of(first.name, first.type) in MOVABLE
        and isinstance(shape, tuple)
        and len(shape) <= 4
        and len(op.outputs) == 1
        and not op.outputs[0].many
        and cell.type_of(op.outputs[0].name, op.outputs[0].type) in MOVABLE
    )


def _between(second: Second, op: Op, cell: Cell, sample: Sample) -> None:
    base = second.base
    source = base.operation.inputs[
        next(i for i, n in enumerate(base.operation.inputs) if n in base.model.main.inputs)
    ]
    flat = second.like(source, (int(np.prod(second.operands[source].dims)),), Lifetime.TEMPORARY)
    again = second.like(source, second.operands[source].dims, Lifetime.TEMPORARY)
    second.operation("RESHAPE", (source, second.ints((-1,))), (flat,))
    second.operation("RESHAPE", (flat, second.ints(second.operands[source].dims)), (again,))
    inputs = [again if index == source else index for index in base.operation.inputs]
    result = base.output(0)
    dims = second.operands[result].dims
    middle = second.like(result, dims, Lifetime.TEMPORARY)
    second.operation(base.operation.code, inputs, (middle,))
    second.operation("RESHAPE", (middle, second.ints(dims)), (second.twin(0),))


# Quantized and real.


def _fits_real(op: Op, cell: Cell, sample: Sample, signature: tuple[Input, ...]) -> bool:
    return op.name in REAL and is_quantized(cell.main) and cell.main in MOVABLE


def _real(second: Second, op: Op, cell: Cell, sample: Sample) -> None:
    base = second.base
    float32 = OperandCode.TENSOR_FLOAT32
    inputs = []
    for name, index in zip(base.names, base.operation.inputs, strict=True):
        operand = second.operands[index]
        code = OperandCode(operand.type)
        if name == "bias":
            scales = np.float64(operand.scale)
            offsets = _array(operand).astype(np.float64)
            offsets = offsets * (scales if operand.scale else _channel_scales(second, base))
            inputs.append(second.constant(float32, offsets))
        elif operand.lifetime == Lifetime.CONSTANT and is_quantized(code):
            inputs.append(second.constant(float32, _reals(operand)))
        elif is_quantized(code):
            real = second.add(Operand(float32, operand.dims))
            second.operation("DEQUANTIZE", (index,), (real,))
            inputs.append(real)
        else:
            inputs.append(index)
    result = second.operands[base.output(0)]
    middle = second.add(Operand(float32, result.dims))
    second.operation(base.operation.code, inputs, (middle,))
    second.operation("QUANTIZE", (middle,), (second.twin(0),))


def _channel_scales(second: Second, base: Base) -> NDArray[np.float64]:
    quant = second.operands[base.operand("filter")].channel_quant
    assert quant is not None
    return np.asarray(quant.scales) * second.operands[base.operand("input")].scale


def _reals(operand: Operand) -> Array:
    codes = _array(operand).astype(np.float64)
    quant = operand.channel_quant
    if quant is None:
        return (codes - operand.zero_point) * operand.scale
    shape = [1] * codes.ndim
    shape[quant.dim] = -1
    reals: Array = codes * np.asarray(quant.scales).reshape(shape)
    return reals


FITS: dict[str, Callable[[Op, Cell, Sample, tuple[Input, ...]], bool]] = {
    "layout": _fits_layout,
    "weights": _fits_weights,
    "batch": _fits_batch,
    "between": _fits_between,
    "real": _fits_real,
}
WAYS: dict[str, Way] = {
    "layout": _layout,
    "weights": _weights,
    "batch": _batch,
    "between": _between,
    "real": _real,
}
LEVEL = {"layout": 3, "weights": 1, "batch": 3, "between": 1, "real": 3}
