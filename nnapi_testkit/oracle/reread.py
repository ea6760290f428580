"""Other readings of what an operation is given, and how far they move its results.

A driver may read a subnormal number as zero. Under relaxed float32 it may compute in half
precision, so that a number beyond its range becomes infinite and a scalar that it does not hold,
a clip, an epsilon, a scale, is rounded to it. What the results move by is room in the bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nnapi_testkit.op.bounds import FLOAT16, Precision, Situation, produced
from nnapi_testkit.op.declare import Scalar
from nnapi_testkit.oracle.bind import Binding
from nnapi_testkit.spec.codes import OperandCode

__all__ = ["flushed", "halved"]

# A bound for each output, and which elements become open; None for none.
Widened = tuple[tuple[Any, ...], tuple[Any, ...]]
_REAL = (OperandCode.FLOAT32, OperandCode.FLOAT16)


def flushed(situation: Situation, bounds: tuple[Any, ...]) -> Widened:
    """Widen the bound where drivers may read tensors differently, and say what becomes open.

    Subnormal inputs may be read as zero; under relaxed float32, inputs too large for float16
    may become infinite.
    """
    precision = situation.precision
    settled = (None,) * len(bounds)
    if not precision.tiny:
        return bounds, settled

    def odd(value: Any) -> bool:
        if isinstance(value, list):
            return any(odd(item) for item in value)
        if not (torch.is_tensor(value) and value.is_floating_point()):
            return False
        size = value.abs()
        small = (size > 0) & (size < precision.tiny)
        large = (size > precision.maximum) & size.isfinite()
        return bool((small | large).any())

    if not any(odd(value) for value in situation.args.values()):
        return bounds, settled

    def read(x: Any) -> Any:
        x = torch.where(x.abs() < precision.tiny, torch.zeros_like(x), x)
        return torch.where(x.abs() > precision.maximum, x * torch.inf, x)

    activation = situation.args.get("activation")
    override = {} if activation is None else {"activation": activation}
    others = situation.run(read, **override)
    widened, masks = [], []
    for bound, value, other in zip(bounds, situation.outputs, others, strict=True):
        gap, mask = _gap(value, other)
        widened.append(torch.where(gap == 0, bound, torch.maximum(bound, gap)))
        masks.append(mask)
    return tuple(widened), tuple(masks)


def _gap(value: Any, other: Any) -> tuple[Any, Any]:
    """How far two readings are apart; what is infinite or NaN in one of them alone is open.

    Where either reading gives infinity or NaN and the other does not, both are legal.
    """
    gap = (value - other).abs().nan_to_num(torch.inf, torch.inf)
    same = (value == other) | (value.isnan() & other.isnan())
    return torch.where(same, torch.zeros_like(gap), gap), ~same & ~gap.isfinite()


def halved(binding: Binding, situation: Situation, bounds: tuple[Any, ...]) -> Widened:
    """Widen the bound by what a driver's own reading of the float scalars moves.

    The operation is computed again with each scalar as the driver may read it. Each alone gives a
    share of the room, and all together give at least the whole. Bounds whose rule has room for
    scalars (`Bound.scalars`) are widened to it; to others it is added.

    Raises:
        ValueError: what is chosen follows from how a scalar is rounded.
    """
    readings = _readings(binding, situation)
    if not readings:
        return bounds, (None,) * len(bounds)
    moves = [_moves(binding, situation, {name: value}) for name, value in readings]
    whole = [_moves(binding, situation, dict(readings))] if len(readings) > 1 else []
    included = binding.op.bound.scalars
    widened: list[Any] = []
    masks: list[Any] = []
    for position, bound in enumerate(bounds):
        alone = [move[position] for move in moves if move is not None]
        every = [*alone, *(move[position] for move in whole if move is not None)]
        if not every or not bound.is_floating_point():
            widened.append(bound)
            masks.append(None)
            continue
        gap = sum((g for g, _ in alone), torch.zeros_like(every[0][0]))
        for one, _ in every:
            gap = torch.maximum(gap, one)
        more = torch.maximum(bound, gap) if included else bound + gap
        widened.append(torch.where(gap == 0, bound, more))
        masks.append(torch.stack([mask for _, mask in every]).any(0))
    return tuple(widened), tuple(masks)


def _readings(binding: Binding, situation: Situation) -> list[tuple[str, float]]:
    """The float scalars that a driver may read as another number, with that number."""
    found = []
    for spec in binding.specs:
        value = situation.args.get(spec.name)
        if not isinstance(spec, Scalar) or not isinstance(value, float):
            continue
        if binding.cell.type_of(spec.name, spec.type) in _REAL:
            other = [read for read in _read(value, situation.reading) if read != value]
            found += [(spec.name, read) for read in other[:1] if value == value]
    return found


def _read(value: float, reading: Precision) -> list[float]:
    """What a driver may make of a number, the farthest first."""
    found = [0.0] if abs(value) < reading.tiny else []
    if reading.u == FLOAT16.u:
        with np.errstate(over="ignore"):
            found.append(float(np.float16(value)))
    return found


def _moves(
    binding: Binding, situation: Situation, read: dict[str, float]
) -> list[tuple[Any, Any]] | None:
    """How far each output moves; None where the scalars would give outputs of another size.

    Sizes follow from what the model says, not from how a driver computes.
    """
    args = situation.args | read
    others = produced(situation.reference(torch, **args))
    found = []
    for value, other in zip(situation.outputs, others, strict=True):
        chosen = not value.is_floating_point() and not torch.equal(value, other)
        counted = value.shape != other.shape
        if counted and not any(output.counted for output in binding.op.outputs):
            return None
        if counted or chosen:
            raise ValueError(
                f"{' and '.join(read)} in half precision: the documentation leaves open what"
                " rounding decides"
            )
        found.append(_gap(value, other))
    return found
