"""Bounds of an operation's outputs, term by term: own rounding, readings of inputs, their errors.

`nnapi-testkit explain` shows these terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from nnapi_testkit.model.types import Operand
from nnapi_testkit.op.bounds import (
    FLOAT16,
    FLOAT32,
    QUANTIZED,
    RELAXED,
    Precision,
    Situation,
    produced,
)
from nnapi_testkit.op.declare import Output
from nnapi_testkit.oracle.bind import Binding
from nnapi_testkit.oracle.propagate import Bounded
from nnapi_testkit.oracle.reread import flushed, halved
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import FLOATS, is_quantized

INTEGER = Precision(0.0, 0.0, float("inf"))
_HALF = (OperandCode.TENSOR_FLOAT16, OperandCode.FLOAT16)
_SINGLE = (OperandCode.TENSOR_FLOAT32, OperandCode.FLOAT32)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the bounds of an operation's outputs are made of, before its layout is given back.

    Args:
        binding: the declaration it follows.
        own: of its own rounding. reread: with what other readings of its inputs add.
        whole: with the error that its inputs carry.
        flips: of each output, whether it is stored as NHWC and here NCHW.
    """

    binding: Binding
    own: tuple[Any, ...]
    reread: tuple[Any, ...]
    whole: tuple[Any, ...]
    flips: tuple[bool, ...]


def terms_of(
    binding: Binding,
    situation: Situation,
    errors: dict[str, Any],
    flips: tuple[bool, ...],
    level: int,
) -> tuple[Terms, tuple[Any, ...]]:
    """The terms of the bounds, and for each output the elements that are left open.

    Args:
        errors: of the inputs, by name; empty where they are exact.
        flips: as of `Terms`.
        level: what newer rules decide is open.
    """
    op = binding.op
    own = op.bound.error(situation)
    bounds, exempt = flushed(situation, own)
    reread, opened = halved(binding, situation, bounds)
    exempt = either(exempt, opened)
    newer = (rule.opens for rule in op.later if level < rule.level)
    for leave_open in (op.exempt, op.bound.exempt, *newer):
        if leave_open is not None:
            exempt = either(exempt, leave_open(situation))
    whole = reread
    if errors:
        more = carried(binding, situation.args, errors)
        whole = tuple(b + c for b, c in zip(reread, more, strict=True))
    return Terms(binding, own, reread, whole, flips), exempt


def situate(
    binding: Binding,
    args: dict[str, Any],
    precision: Precision,
    operands: list[Operand],
    outputs: list[Operand],
    relaxed: bool,
) -> tuple[list[Output], Situation]:
    """The outputs the operation has here, and what a bound may look at."""
    result = binding.reference(torch, **args)
    values = produced(result)
    specs = list(binding.op.outputs)
    if isinstance(result, tuple) and len(result) == len(specs):
        specs = [spec for spec, value in zip(specs, result, strict=True) if value is not None]

    @cache
    def propagate() -> tuple[Any, ...]:
        bounded = {name: _bounded(value, precision) for name, value in args.items()}
        found = produced(binding.reference(torch, **bounded))
        return tuple(f.error if isinstance(f, Bounded) else torch.zeros_like(f) for f in found)

    facts = {
        "operands": operands,
        "outputs": outputs,
        "cell": binding.cell,
        "specs": binding.specs,
    }
    reading = QUANTIZED
    if binding.cell.main in FLOATS:
        reading = FLOAT16 if binding.cell.main in _HALF else RELAXED if relaxed else FLOAT32
    return specs, Situation(
        torch, args, values, binding.reference, precision, propagate, facts, reading
    )


def _bounded(value: Any, precision: Precision) -> Any:
    if isinstance(value, list):
        return [_bounded(item, precision) for item in value]
    if torch.is_tensor(value) and value.is_floating_point():
        # Relaxed float32 may round each input to float16 first.
        size = value.abs().nan_to_num(0.0, 0.0)
        error = size * (precision.u if precision.relaxed else 0.0)
        return Bounded(value, error, precision.u, precision.tiny)
    return value


def carried(binding: Binding, args: dict[str, Any], errors: dict[str, Any]) -> tuple[Any, ...]:
    """What the errors of the inputs become in the outputs, in exact arithmetic."""

    def lift(value: Any, error: Any) -> Any:
        if isinstance(value, list):
            return [lift(v, e) for v, e in zip(value, error or [None] * len(value), strict=True)]
        if torch.is_tensor(value) and value.is_floating_point():
            return Bounded(value, torch.zeros_like(value) if error is None else error, 0.0, 0.0)
        return value

    bounded = {name: lift(value, errors.get(name)) for name, value in args.items()}
    found = produced(binding.reference(torch, **bounded))
    return tuple(f.error if isinstance(f, Bounded) else torch.zeros_like(f) for f in found)


def precision_of(binding: Binding, output: Operand, relaxed: bool) -> Precision:
    """The arithmetic that a driver may use for an output."""
    code = OperandCode(output.type)
    if code in _HALF:
        return FLOAT16
    if code in _SINGLE:
        if binding.cell.main in _HALF:
            return FLOAT16
        return RELAXED if relaxed else FLOAT32
    return QUANTIZED if is_quantized(code) else INTEGER


def either(first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
    """Masks of what is open for one reason or another; None stands for nothing."""
    return tuple(
        b if a is None else a if b is None else a | b for a, b in zip(first, second, strict=True)
    )
