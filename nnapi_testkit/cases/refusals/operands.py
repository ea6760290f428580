"""How an input operand of a model is broken, one edit each."""

from __future__ import annotations

from nnapi_testkit.cases.edits import (
    Base,
    add_operand,
    replaced,
    retyped,
    scalar,
    with_main,
    with_operand,
    with_operation,
    without_output_shapes,
)
from nnapi_testkit.model.types import Lifetime, Model, Operand
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import is_tensor


def omit(name: str, base: Base) -> Model:
    """The operand is left out."""
    index = base.operand(name)
    model = with_operand(base.model, index, lifetime=Lifetime.OMITTED, value=b"")
    if model.main.inputs:
        return model
    # A model needs an input, even if no operation reads it.
    spare = Operand(OperandCode.TENSOR_FLOAT32, (1,), lifetime=Lifetime.INPUT)
    model, index = add_operand(model, spare)
    return with_main(model, inputs=(index,))


def retype(name: str, other: OperandCode, base: Base) -> Model:
    """The operand has another type."""
    index = base.operand(name)
    if not is_tensor(other):
        return replace_operand(base, index, scalar(other, 1))
    operand = base.model.main.operands[index]
    return with_operand(base.model, index, **retyped(operand, other))


def retype_all(main: int, other: OperandCode, base: Base) -> Model:
    """Every operand of one type has another."""
    model = base.model
    for index in (*base.operation.inputs, *base.operation.outputs):
        operand = model.main.operands[index]
        if operand.type == main:
            model = with_operand(model, index, **retyped(operand, other))
    return model


def replace_operand(base: Base, index: int, operand: Operand) -> Model:
    """The operation reads another operand in the place of one; the old one stays, unread."""
    model, new = add_operand(base.model, operand)
    return with_operation(model, inputs=replaced(base.operation.inputs, index, new))


def set_scalar(name: str, code: OperandCode, value: float, base: Base) -> Model:
    """The scalar has another value."""
    return with_operand(base.model, base.operand(name), value=scalar(code, value).value)


_TENSOR_OF = {
    OperandCode.INT32: OperandCode.TENSOR_INT32,
    OperandCode.UINT32: OperandCode.TENSOR_INT32,
    OperandCode.FLOAT32: OperandCode.TENSOR_FLOAT32,
    OperandCode.FLOAT16: OperandCode.TENSOR_FLOAT16,
    OperandCode.BOOL: OperandCode.TENSOR_BOOL8,
}


def as_tensor(name: str, base: Base) -> Model:
    """The scalar is a tensor of one element."""
    index = base.operand(name)
    old = base.model.main.operands[index]
    return with_operand(base.model, index, type=_TENSOR_OF[OperandCode(old.type)], dims=(1,))


def as_scalar(name: str, base: Base) -> Model:
    """The tensor is an INT32."""
    return replace_operand(base, base.operand(name), scalar(OperandCode.INT32, 0))


def rerank(name: str, rank: int, base: Base) -> Model:
    """The tensor has another rank."""
    index = base.operand(name)
    dims = base.model.main.operands[index].dims
    dims = (1,) * (rank - len(dims)) + dims if rank > len(dims) else dims[len(dims) - rank :]
    return with_operand(without_output_shapes(base.model), index, dims=dims)


def rescale(name: str, base: Base) -> Model:
    """The tensor has another scale."""
    index = base.operand(name)
    return with_operand(base.model, index, scale=base.model.main.operands[index].scale * 2 or 0.5)


def rezero(name: str, base: Base) -> Model:
    """The tensor has another zero point."""
    index = base.operand(name)
    zero = base.model.main.operands[index].zero_point
    return with_operand(base.model, index, zero_point=zero + (1 if zero < 100 else -1))
