"""From an operation, a cell, a sample and variations to a `Case`.

Everything here is deterministic and needs no torch: goldens judge the same case anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnapi_testkit.cases.codes import drawn_codes, drawn_floats
from nnapi_testkit.cases.draw import bits, integers, key_of, magnitudes, uniform
from nnapi_testkit.cases.slots import (
    ALL_OUTPUTS,
    FED_SCALARS,
    KNOWN_OUTPUTS,
    NO_DIMS,
    NO_RANK,
    PER_CHANNEL,
    UNKNOWN_FIRST,
    UNKNOWN_LAST,
    Regime,
    Slot,
    Variant,
    choose_signature,
    level_of,
    plan_outputs,
    plan_slots,
)
from nnapi_testkit.cases.special import special_values
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.op.declare import (
    Cell,
    Choice,
    Codes,
    Distinct,
    Floats,
    Op,
    Reals,
    Sample,
    Scalar,
    Tensor,
)
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import (
    CODE_RANGE,
    DTYPE,
    FLOATS,
    Array,
    is_tensor,
)

__all__ = [
    "ALL_OUTPUTS",
    "PER_CHANNEL",
    "Slot",
    "Variant",
    "build_case",
    "choose_signature",
    "draw",
    "emptied",
    "level_of",
    "plan_outputs",
    "plan_slots",
]


def build_case(
    op: Op, cell: Cell, sample: Sample, variant: Variant, case_id: str, seed: int
) -> Case:
    """The case called `case_id`.

    Raises:
        KitError: the sample does not fit any signature, or names an unknown operand.
    """
    slots, facts = plan_slots(op, cell, sample, variant, seed)
    open_inputs = _open(slots, variant)
    builder = Builder()
    indexes: list[int] = []
    fed: list[Slot] = []
    tensors = 0
    for at, slot in enumerate(slots):
        spec = slot.spec
        if isinstance(spec, Scalar) and FED_SCALARS in variant and slot.value is not None:
            indexes.append(builder.input(slot.code))
            fed.append(slot)
            continue
        if isinstance(spec, Scalar) or slot.omitted:
            indexes.append(_fixed(builder, slot))
            continue
        tensors += 1
        if _constant(spec, slot, tensors, variant):
            data = draw(slot, key_of(seed, case_id, slot.key, 0), variant.regimes[0])
            indexes.append(
                builder.constant(slot.code, data, *slot.quant, channel_quant=slot.channel_quant)
            )
            continue
        if 0 in slot.shape:
            indexes.append(emptied(builder, slot))
            fed.append(slot._replace(shape=tuple(n or 1 for n in slot.shape)))
            continue
        fed.append(slot)
        dims = _told(slot.shape, variant) if at in open_inputs else slot.shape
        indexes.append(
            builder.input(slot.code, dims, *slot.quant, channel_quant=slot.channel_quant)
        )
    outputs, output_dims = [], []
    for spec_out, code, shape, quant in plan_outputs(op, cell, facts, sample, variant, seed):
        dims = shape if KNOWN_OUTPUTS.intersection(variant.words) else _told(shape, variant)
        if spec_out.counted and dims:
            dims = (0, *dims[1:])
        outputs.append(builder.output(code, dims, *quant))
        output_dims.append(shape)
    builder.operation(op.code, indexes, outputs)
    sets = tuple(
        Execution(
            tuple(draw(slot, key_of(seed, case_id, slot.key, number), regime) for slot in fed),
            tuple(output_dims),
            # A buffer of no length would mean an omitted output.
            tuple(16 if 0 in dims else None for dims in output_dims),
        )
        for number, regime in enumerate(variant.regimes)
    )
    return Case(case_id, builder.build("relaxed" in variant), sets)


def _open(slots: Sequence[Slot], variant: Variant) -> set[int]:
    """Positions of the inputs whose dimensions the model leaves open."""
    found = [
        at
        for at, slot in enumerate(slots)
        if isinstance(slot.spec, Tensor)
        and not slot.omitted
        # Not weights, whose sizes decide on the output's.
        and not (slot.spec.weight or slot.code == PER_CHANNEL)
    ]
    if UNKNOWN_FIRST in variant:
        found = found[:1]
    if UNKNOWN_LAST in variant:
        found = found[-1:]
    return set(found)


def _told(shape: tuple[int, ...], variant: Variant) -> tuple[int, ...]:
    """The dimensions that the model tells of a tensor, where it does not tell them all."""
    if NO_RANK.intersection(variant.words):
        return ()
    return (0,) * len(shape) if NO_DIMS.intersection(variant.words) else shape


def _fixed(builder: Builder, slot: Slot) -> int:
    """A scalar, which is always a constant, or an operand that is left out."""
    if isinstance(slot.spec, Tensor):
        return builder.omitted(slot.code, (0,) * slot.spec.rank[0], *slot.quant)
    if slot.value is None:
        return builder.omitted(slot.code)
    return builder.constant(slot.code, slot.value)


def emptied(builder: Builder, slot: Slot) -> int:
    """A zero-sized tensor: in a model 0 means "unknown", so an operation has to make it.

    A model input has 1 in the place of each 0, and SLICE takes nothing of those dimensions.
    """
    shape = tuple(n or 1 for n in slot.shape)
    source = builder.input(slot.code, shape, *slot.quant)
    begin = builder.constant("TENSOR_INT32", [0] * len(shape))
    size = builder.constant("TENSOR_INT32", slot.shape)
    empty = builder.tensor(slot.code, slot.shape, *slot.quant)
    builder.operation("SLICE", (source, begin, size), (empty,))
    return empty


def _constant(spec: Tensor, slot: Slot, position: int, variant: Variant) -> bool:
    if spec.weight:
        if spec.type == "TENSOR_INT32":
            return "runtime" not in variant
        return "inputs" not in variant
    return "const" in variant and position > 1


def draw(slot: Slot, key: int, regime: Regime) -> Array:
    """The data of an operand, in its element type, shaped as stored; a scalar has its value."""
    dtype = DTYPE[slot.code]
    shape = slot.shape
    count = math.prod(shape)
    spec = slot.spec
    if isinstance(spec, Scalar):
        return np.array(slot.value, dtype)
    if isinstance(slot.value, Choice):
        return integers(key, count, slot.value.low, slot.value.high).astype(dtype).reshape(shape)
    if isinstance(slot.value, Reals):
        real = uniform(key, count, slot.value.low, slot.value.high)
        return _encode(real, slot).reshape(shape)
    if isinstance(slot.value, Codes):
        return drawn_codes(slot.code, slot.quant[1], slot.value.where, key, shape)
    if isinstance(slot.value, Floats):
        return drawn_floats(slot.code, slot.value.where, key, shape)
    if isinstance(slot.value, Distinct):
        return _distinct(slot, key, slot.value.axis)
    if slot.value is not None:
        return _encode(np.asarray(slot.value, dtype=np.float64), slot).reshape(shape)
    if spec.weight and regime.special:
        # A NaN weight would leave nothing to judge.
        regime = Regime.UNIFORM
    data = _generated(slot, spec, key, count, regime)
    if regime.special and count:
        _plant(data, slot, key, half=regime is Regime.SPECIAL_HALF)
    return np.ascontiguousarray(data.reshape(shape))


def _generated(slot: Slot, spec: Tensor, key: int, count: int, regime: Regime) -> Array:
    code, dtype = slot.code, DTYPE[slot.code]
    if code in FLOATS:
        if spec.domain is not None:
            return uniform(key, count, *spec.domain).astype(dtype)
        if regime is Regime.MAGNITUDE:
            return magnitudes(key, count).astype(dtype)
        return uniform(key, count, -2.0, 2.0).astype(dtype)
    if code in CODE_RANGE:
        low, high = CODE_RANGE[code]
        if code == PER_CHANNEL or code == OperandCode.TENSOR_QUANT8_SYMM:
            low = -127
        if spec.domain is not None and slot.quant[0]:
            scale, zero = slot.quant
            low = max(low, math.ceil(spec.domain[0] / scale) + zero)
            high = min(high, math.floor(spec.domain[1] / scale) + zero)
        codes = integers(key, count, low, high)
        if regime is Regime.MAGNITUDE and slot.quant[0]:
            # Mostly small numbers around the zero point, some at the limits.
            near = np.clip(slot.quant[1] + codes % 9 - 4, low, high)
            codes = np.where(codes % 5 == 0, np.where(codes % 2 == 0, low, high), near)
        return codes.astype(dtype)
    if code == OperandCode.TENSOR_INT32:
        if spec.bias_of:
            reach = int(min(2.0**20, 1.0 / max(slot.quant[0] or 2e-4, 1e-6)))
            return integers(key, count, -reach, reach).astype(dtype)
        low, high = (int(n) for n in spec.domain) if spec.domain else (-100, 100)
        return integers(key, count, low, high).astype(dtype)
    return integers(key, count, 0, 1).astype(dtype)


def _distinct(slot: Slot, key: int, axis: int) -> Array:
    """Values whose ranks along the axis are a random permutation."""
    order = bits(key, math.prod(slot.shape)).reshape(slot.shape)
    rank = order.argsort(axis).argsort(axis)
    size = slot.shape[axis]
    values: Array
    if slot.code in CODE_RANGE:
        low, high = CODE_RANGE[slot.code]
        values = low + (rank * (high - low)) // max(1, size - 1)
    elif slot.code in FLOATS:
        values = rank * (4.0 / size) - 2.0
    else:
        values = rank * 3 - size
    return np.asarray(values, dtype=DTYPE[slot.code])


def _plant(data: Array, slot: Slot, key: int, half: bool) -> None:
    """Put special values at regular places, starting anywhere.

    `half`: those of float16, for float32 tensors that may be computed as float16.
    """
    assert is_tensor(slot.code)
    like = OperandCode.TENSOR_FLOAT16 if half and slot.code in FLOATS else slot.code
    values = special_values(like, slot.quant[1]).astype(DTYPE[slot.code])
    flat = data.reshape(-1)
    # Sums of products meet many elements: fewer special ones leave more to judge.
    step = 6 if flat.size < 256 else 9
    places = np.arange(key % step, flat.size, step)
    flat[places] = values[(np.arange(places.size) + key % values.size) % values.size]


def _encode(real: np.ndarray[Any, np.dtype[np.float64]], slot: Slot) -> Array:
    """Real values in the element type of the slot; integers and booleans stay as they are."""
    dtype = DTYPE[slot.code]
    if slot.code in CODE_RANGE and slot.quant[0]:
        low, high = CODE_RANGE[slot.code]
        real = np.clip(np.rint(real / slot.quant[0]) + slot.quant[1], low, high)
    stored: Array = np.ascontiguousarray(real.astype(dtype))
    return stored
