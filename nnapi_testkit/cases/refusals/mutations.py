"""Mutations of any valid model that break a rule of models, operands or quantization.

Sources: `ANeuralNetworksModel_*` and `ANeuralNetworksOperandType` in the NNAPI reference. Each
mutation breaks one rule; an attribute `needs` of it, where there is one, tells for which
operation, cell and sample it makes sense.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from nnapi_testkit.cases.edits import (
    Base,
    Edit,
    add_operand,
    replaced,
    scalar,
    with_main,
    with_operand,
    with_operation,
)
from nnapi_testkit.cases.ref import Constraint
from nnapi_testkit.model.case import Stage
from nnapi_testkit.model.types import ChannelQuant, Lifetime, Model, Operand, Operation
from nnapi_testkit.op.declare import Cell, Op, Sample, Scalar, Tensor
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import ASYMMETRIC, CODE_RANGE, DTYPE, is_quantized, is_tensor

PER_CHANNEL = OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL
MUTATIONS: dict[Constraint, Edit] = {}
# Values of a quantization, for which the header names no time: due at the execution. The others
# are of counts, types, lifetimes and wiring.
_INFINITE = Constraint("quantization-scale", "infinite")
_VALUES = {_INFINITE}
_OPEN = {
    _INFINITE: "a scale is to be greater than zero; no sentence says finite",
}
Needs = Callable[[Op, Cell, Sample], bool]


def due_of(constraint: Constraint) -> Stage:
    """Return the last stage at which the mutation may be refused."""
    return Stage.EXECUTION if constraint in _VALUES else Stage.COMPILATION


def open_reason(constraint: Constraint) -> str:
    """Return why a device that accepts the mutation is not to blame; "" where it is."""
    return _OPEN.get(constraint, "")


class _Conditional:
    """An edit with the condition under which it makes sense."""

    def __init__(self, edit: Edit, needs: Needs) -> None:
        self._edit = edit
        self.needs = needs

    def __call__(self, base: Base) -> Model:
        return self._edit(base)


def _mutation(rule: str, how: str = "", needs: Needs | None = None) -> Callable[[Edit], Edit]:
    def register(edit: Edit) -> Edit:
        MUTATIONS[Constraint(rule, how)] = _Conditional(edit, needs) if needs else edit
        return edit

    return register


def _first_input(base: Base) -> int:
    """The first operand of the operation that is a model input, else its first operand."""
    main = base.model.main
    return next((i for i in base.operation.inputs if i in main.inputs), base.operation.inputs[0])


def _constants(base: Base) -> list[int]:
    operands = base.model.main.operands
    return [i for i in base.operation.inputs if operands[i].lifetime == Lifetime.CONSTANT]


def _has_scalar(op: Op, cell: Cell, sample: Sample) -> bool:
    return any(
        isinstance(spec, Scalar) and sample.operands.get(spec.name) is not None
        for signature in op.signatures
        for spec in signature
    )


# Wiring.


@_mutation("operand-index", "input")
def _input_index(base: Base) -> Model:
    inputs = list(base.operation.inputs)
    inputs[0] = len(base.model.main.operands)
    return with_operation(base.model, inputs=inputs)


@_mutation("operand-index", "output")
def _output_index(base: Base) -> Model:
    return with_operation(base.model, outputs=[len(base.model.main.operands)])


@_mutation("operand-index", "far")
def _far_index(base: Base) -> Model:
    return with_operation(base.model, inputs=[0xFFFFFFFF, *base.operation.inputs[1:]])


@_mutation("identified-index", "input")
def _identified_input(base: Base) -> Model:
    main = base.model.main
    return with_main(base.model, inputs=(*main.inputs, len(main.operands)))


@_mutation("identified-index", "output")
def _identified_output(base: Base) -> Model:
    main = base.model.main
    return with_main(base.model, outputs=(*main.outputs, len(main.operands)))


@_mutation("no-model-input")
def _no_input(base: Base) -> Model:
    return with_main(base.model, inputs=())


@_mutation("no-model-output")
def _no_output(base: Base) -> Model:
    return with_main(base.model, outputs=())


@_mutation("cycle", "self")
def _self_cycle(base: Base) -> Model:
    first = base.operation.inputs[0]
    return with_operation(base.model, inputs=replaced(base.operation.inputs, first, base.output(0)))


@_mutation("cycle", "pair")
def _pair_cycle(base: Base) -> Model:
    """Two more operations, each of which reads what the other writes."""
    float32 = Operand(OperandCode.TENSOR_FLOAT32, (2,))
    model, a = add_operand(base.model, float32)
    model, b = add_operand(model, float32)
    code = int(OperationCode.RELU)
    cycle = (Operation(code, (b,), (a,)), Operation(code, (a,), (b,)))
    return with_main(model, operations=(*cycle, *model.main.operations))


@_mutation("written-twice")
def _written_twice(base: Base) -> Model:
    operations = base.model.main.operations
    return with_main(base.model, operations=(*operations, operations[-1]))


@_mutation("writes", "model-input")
def _writes_input(base: Base) -> Model:
    return _write_to(base, _first_input(base))


def _write_to(base: Base, target: int) -> Model:
    """A copy of the operation writes to `target`."""
    model = base.model
    old = base.operation
    outputs = [target]
    for index in old.outputs[1:]:
        model, new = add_operand(
            model, replace(model.main.operands[index], lifetime=Lifetime.TEMPORARY)
        )
        outputs.append(new)
    copy = Operation(old.code, old.inputs, tuple(outputs))
    return with_main(model, operations=(*model.main.operations, copy))


@_mutation("writes", "constant")
def _writes_constant(base: Base) -> Model:
    output = base.model.main.operands[base.output(0)]
    model, index = add_operand(
        base.model,
        _zeros(output) if is_tensor(OperandCode(output.type)) else scalar(OperandCode.INT32, 0),
    )
    return _write_to(replace(base, case=replace(base.case, model=model)), index)


def _zeros(like: Operand) -> Operand:
    size = DTYPE[OperandCode(like.type)].itemsize * math.prod(like.dims)
    return replace(like, lifetime=Lifetime.CONSTANT, value=bytes(size))


@_mutation("never-written", "read")
def _never_written(base: Base) -> Model:
    old = _first_input(base)
    fresh = replace(base.model.main.operands[old], lifetime=Lifetime.TEMPORARY, value=b"")
    model, index = add_operand(base.model, fresh)
    return with_operation(model, inputs=replaced(base.operation.inputs, old, index))


@_mutation("never-written", "unused")
def _unused(base: Base) -> Model:
    return add_operand(base.model, Operand(OperandCode.TENSOR_FLOAT32, (2, 2)))[0]


@_mutation("never-written", "output")
def _unwritten_output(base: Base) -> Model:
    old = base.model.main.operands[base.output(0)]
    model, index = add_operand(base.model, replace(old, lifetime=Lifetime.OUTPUT))
    return with_main(model, outputs=(*model.main.outputs, index))


@_mutation("lifetime", "input-and-output")
def _input_and_output(base: Base) -> Model:
    main = base.model.main
    return with_main(base.model, outputs=(*main.outputs, main.inputs[0]))


@_mutation("lifetime", "constant-output")
def _constant_output(base: Base) -> Model:
    model, index = add_operand(base.model, _constant_float())
    return with_main(model, outputs=(*model.main.outputs, index))


@_mutation("lifetime", "constant-input")
def _constant_input(base: Base) -> Model:
    model, index = add_operand(base.model, _constant_float())
    return with_main(model, inputs=(*model.main.inputs, index))


def _constant_float() -> Operand:
    return Operand(
        OperandCode.TENSOR_FLOAT32, (1,), lifetime=Lifetime.CONSTANT, value=b"\0\0\x80\x3f"
    )


@_mutation("operation-code", "unknown")
def _unknown_operation(base: Base) -> Model:
    return with_operation(base.model, code=max(OperationCode) + 1)


@_mutation("operation-code", "negative")
def _negative_operation(base: Base) -> Model:
    return with_operation(base.model, code=-1)


@_mutation("operation-code", "extension")
def _extension_operation(base: Base) -> Model:
    """A code in the range of extensions, of which none with this prefix was asked for."""
    return with_operation(base.model, code=0x7FFF0001)


# Operands.


@_mutation("operand-type", "unknown")
def _unknown_type(base: Base) -> Model:
    return _typed(base, max(OperandCode) + 1)


@_mutation("operand-type", "negative")
def _negative_type(base: Base) -> Model:
    return _typed(base, -1)


@_mutation("operand-type", "extension")
def _extension_type(base: Base) -> Model:
    return _typed(base, 0x7FFF0001)


def _typed(base: Base, type: int) -> Model:
    operands = list(base.model.main.operands)
    index = _first_input(base)
    operands[index] = replace(operands[index], type=type)
    return with_main(base.model, operands=tuple(operands))


@_mutation("scalar-with-dimensions", needs=_has_scalar)
def _scalar_with_dimensions(base: Base) -> Model:
    operands = base.model.main.operands
    index = next(i for i in _constants(base) if not is_tensor(OperandCode(operands[i].type)))
    return with_operand(base.model, index, dims=(1,), value=operands[index].value)


@_mutation("value-length", "short")
def _short_value(base: Base) -> Model:
    return _added_constant(base, b"\0" * 15)


@_mutation("value-length", "long")
def _long_value(base: Base) -> Model:
    return _added_constant(base, b"\0" * 17)


@_mutation("value-length", "empty")
def _empty_value(base: Base) -> Model:
    """A buffer of no length is no omission: the buffer is not null."""
    return _added_constant(base, b"")


def _added_constant(base: Base, value: bytes) -> Model:
    operand = Operand(OperandCode.TENSOR_FLOAT32, (2, 2), lifetime=Lifetime.CONSTANT, value=value)
    return add_operand(base.model, operand)[0]


@_mutation("constant-without-dimensions", "some")
def _constant_unknown_dimension(base: Base) -> Model:
    return _added_shape(base, (0, 4))


@_mutation("constant-without-dimensions", "rank")
def _constant_unknown_rank(base: Base) -> Model:
    return _added_shape(base, ())


def _added_shape(base: Base, dims: tuple[int, ...]) -> Model:
    operand = Operand(
        OperandCode.TENSOR_FLOAT32, dims, lifetime=Lifetime.CONSTANT, value=b"\0" * 16
    )
    return add_operand(base.model, operand)[0]


# Quantization.


def _quantized_input(op: Op, cell: Cell, sample: Sample) -> bool:
    return any(
        isinstance(spec, Tensor)
        and not spec.weight
        and sample.operands.get(spec.name) is not None
        and _scaled(cell.type_of(spec.name, spec.type))
        for signature in op.signatures[:1]
        for spec in signature
    )


def _scaled(code: OperandCode) -> bool:
    return is_quantized(code) and code != PER_CHANNEL


def _quantized(base: Base) -> int:
    operands = base.model.main.operands
    return next(i for i in base.model.main.inputs if _scaled(OperandCode(operands[i].type)))


def _rescaled(scale: float, base: Base) -> Model:
    return with_operand(base.model, _quantized(base), scale=scale)


for _word, _scale in (
    ("zero", 0.0),
    ("negative", -0.5),
    ("nan", float("nan")),
    ("infinite", float("inf")),
):
    MUTATIONS[Constraint("quantization-scale", _word)] = _Conditional(
        partial(_rescaled, _scale), _quantized_input
    )


@_mutation("zero-point-range", "below", needs=_quantized_input)
def _zero_point_below(base: Base) -> Model:
    return _zero_point(base, -1)


@_mutation("zero-point-range", "above", needs=_quantized_input)
def _zero_point_above(base: Base) -> Model:
    return _zero_point(base, 1)


def _zero_point(base: Base, side: int) -> Model:
    index = _quantized(base)
    code = OperandCode(base.model.main.operands[index].type)
    low, high = CODE_RANGE[code] if code in ASYMMETRIC else (0, 0)
    return with_operand(base.model, index, zero_point=low - 1 if side < 0 else high + 1)


def _plain_input(op: Op, cell: Cell, sample: Sample) -> bool:
    return cell.main in (OperandCode.TENSOR_FLOAT32, OperandCode.TENSOR_FLOAT16)


@_mutation("quantization-of-float", "scale", needs=_plain_input)
def _float_scale(base: Base) -> Model:
    return with_operand(base.model, _float(base), scale=0.5)


@_mutation("quantization-of-float", "zero-point", needs=_plain_input)
def _float_zero_point(base: Base) -> Model:
    return with_operand(base.model, _float(base), zero_point=1)


def _float(base: Base) -> int:
    operands = base.model.main.operands
    floats = (OperandCode.TENSOR_FLOAT32, OperandCode.TENSOR_FLOAT16)
    found = [*base.model.main.inputs, *base.model.main.outputs]
    return next(i for i in found if operands[i].type in floats)


def _channels(op: Op, cell: Cell, sample: Sample) -> bool:
    return PER_CHANNEL in cell.types.values()


def _channel(base: Base) -> tuple[int, ChannelQuant]:
    operands = base.model.main.operands
    index = next(i for i in base.operation.inputs if operands[i].channel_quant is not None)
    quant = operands[index].channel_quant
    assert quant is not None
    return index, quant


def _with_scales(base: Base, change: Callable[[tuple[float, ...]], tuple[float, ...]]) -> Model:
    index, quant = _channel(base)
    return with_operand(
        base.model, index, channel_quant=replace(quant, scales=change(quant.scales))
    )


@_mutation("channel-quantization", "missing", needs=_channels)
def _no_channels(base: Base) -> Model:
    return with_operand(base.model, _channel(base)[0], channel_quant=None)


@_mutation("channel-quantization", "dimension", needs=_channels)
def _channel_dimension(base: Base) -> Model:
    index, quant = _channel(base)
    return with_operand(base.model, index, channel_quant=replace(quant, dim=4))


@_mutation("channel-quantization", "too-few", needs=_channels)
def _few_scales(base: Base) -> Model:
    return _with_scales(base, lambda scales: scales[:-1])


@_mutation("channel-quantization", "too-many", needs=_channels)
def _many_scales(base: Base) -> Model:
    return _with_scales(base, lambda scales: (*scales, scales[0]))


@_mutation("channel-quantization", "zero-scale", needs=_channels)
def _zero_scale(base: Base) -> Model:
    return _with_scales(base, lambda scales: (*scales[:-1], 0.0))


@_mutation("channel-quantization", "negative-scale", needs=_channels)
def _negative_scale(base: Base) -> Model:
    return _with_scales(base, lambda scales: (-scales[0], *scales[1:]))


@_mutation("channel-quantization", "other-type", needs=_channels)
def _channels_elsewhere(base: Base) -> Model:
    _, quant = _channel(base)
    other = base.operation.inputs[0]
    count = base.model.main.operands[other].dims[quant.dim]
    return with_operand(base.model, other, channel_quant=ChannelQuant(quant.dim, (0.5,) * count))


@_mutation("channel-quantization", "own-scale", needs=_channels)
def _own_scale(base: Base) -> Model:
    return with_operand(base.model, _channel(base)[0], scale=0.5)
