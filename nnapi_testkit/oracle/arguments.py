"""What a reference is handed: operands by name, as real values, with the errors they carry."""

from __future__ import annotations

from typing import Any

import torch

from nnapi_testkit.model.types import Operand
from nnapi_testkit.op.bounds import SMALLEST
from nnapi_testkit.op.declare import Scalar, Tensor
from nnapi_testkit.oracle.bind import Binding, defaults
from nnapi_testkit.oracle.value import Value, error_of, through_codes
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import is_quantized


def arguments(
    binding: Binding, operands: list[Operand], inputs: list[Value]
) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """The reference's operands by name, the errors they carry, and whether data are NCHW."""
    args: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    nchw = False
    for spec, value in zip(binding.specs, inputs, strict=True):
        if spec.name == "nchw":
            nchw = bool(value.data)
    for spec, operand, value in zip(binding.specs, operands, inputs, strict=True):
        if isinstance(spec, Scalar):
            if spec.name != "nchw":
                args[spec.name] = _real_scalar(spec, value.data, binding, operands)
            continue
        data, error = value.data, error_of(value)
        if data is not None:
            data, error = _real(spec, operand, data, error)
            if spec.bias_of and operand.type == OperandCode.TENSOR_INT32:
                data = data.to(torch.float64) * _bias_scale(binding, operands, inputs, spec.bias_of)
            if spec.spatial and not nchw:
                data = data.permute(0, 3, 1, 2)
                error = error.permute(0, 3, 1, 2) if error is not None else None
        if spec.many:
            args.setdefault(spec.name, []).append(data)
            errors.setdefault(spec.name, []).append(error)
            continue
        args[spec.name] = data
        if error is not None:
            errors[spec.name] = error
    if not any(_has_error(error) for error in errors.values()):
        errors = {}
    for name, default in defaults(binding.op, binding.specs).items():
        if name != "nchw":
            args.setdefault(name, default)
    return args, errors, nchw


def _real(spec: Tensor, operand: Operand, data: Any, error: Any) -> tuple[Any, Any]:
    """A tensor as the reference takes it: codes rounded on their way, or codes themselves."""
    if operand.type == OperandCode.TENSOR_INT32 and spec.type == "T" and not spec.bias_of:
        return data.to(torch.float64), error
    if not is_quantized(OperandCode(operand.type)):
        return data, error
    if error is not None:
        data, error = through_codes(operand, data, error)
    if spec.codes:
        # Rounded last, and no zero negative: codes are integers whatever the last place says.
        data = (data / operand.scale + operand.zero_point).round()
        data = torch.where(data == 0, 0.0, data)
    return data, error


def _real_scalar(spec: Scalar, data: Any, binding: Binding, operands: list[Operand]) -> Any:
    """A scalar's value; the real value of a code if it is `like` a quantized tensor."""
    if spec.like and data is not None:
        for other, operand in zip(binding.specs, operands, strict=True):
            if other.name == spec.like and is_quantized(OperandCode(operand.type)):
                return (data - operand.zero_point) * operand.scale
    return data


def _has_error(error: Any) -> bool:
    if isinstance(error, list):
        return any(_has_error(item) for item in error)
    return error is not None and bool((error > SMALLEST).any())


def _bias_scale(
    binding: Binding, operands: list[Operand], inputs: list[Value], names: tuple[str, str]
) -> Any:
    """Input scale times filter scale, for each output channel if the filter has many."""
    product: Any = 1.0
    for spec, operand, value in zip(binding.specs, operands, inputs, strict=True):
        if spec.name not in names:
            continue
        if isinstance(spec, Scalar):
            product = product * value.data
        elif operand.channel_quant is not None:
            scales = torch.tensor(operand.channel_quant.scales, dtype=torch.float64)
            product = product * scales
        else:
            product = product * operand.scale
    return product
