"""From an operation, a cell, a sample and variations to a `Case`.

Everything here is deterministic and needs no torch: goldens judge the same case anywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnapi_testkit.cases.draw import bits, integers, key_of, magnitudes, uniform
from nnapi_testkit.cases.quant import (
    amplitude,
    default_quant,
    drawn_quant,
    drawn_span,
    float_32,
    span_quant,
)
from nnapi_testkit.cases.special import special_values
from nnapi_testkit.errors import KitError
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.types import ChannelQuant
from nnapi_testkit.op.declare import (
    Cell,
    Choice,
    Distinct,
    Facts,
    Given,
    Input,
    Op,
    Output,
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
    is_quantized,
    is_tensor,
)

# The variation that asks for outputs a model may leave out.
ALL_OUTPUTS = "all-outputs"
# What samples need not name although a signature demands it.
DEFAULTED = {"activation", "nchw"}
PER_CHANNEL = OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL


@dataclass(frozen=True, slots=True)
class Variant:
    """What is varied around a sample.

    Args:
        words: variation names in the case id, in order.
        activation: replaces the sample's fused activation.
        regimes: data regime of each input set: uniform, magnitude, special.
    """

    words: tuple[str, ...] = ()
    activation: int | None = None
    regimes: tuple[str, ...] = ("uniform",)
    level: int = 1

    def __contains__(self, word: str) -> bool:
        return word in self.words


@dataclass(frozen=True, slots=True)
class Slot:
    """One operand of the operation as this case uses it."""

    spec: Input
    code: OperandCode
    shape: tuple[int, ...]
    quant: tuple[float, int]
    channel_quant: ChannelQuant | None
    value: Any
    omitted: bool
    key: str


def build_case(
    op: Op, cell: Cell, sample: Sample, variant: Variant, case_id: str, seed: int
) -> Case:
    """The case called `case_id`.

    Raises:
        KitError: the sample does not fit any signature, or names an unknown operand.
    """
    slots, facts = plan_slots(op, cell, sample, variant, seed)
    builder = Builder()
    unknown = "unknown-dims" in variant
    rankless = "unknown-rank" in variant
    indexes: list[int] = []
    fed: list[Slot] = []
    tensors = 0
    for slot in slots:
        spec = slot.spec
        if isinstance(spec, Scalar):
            given = slot.value is not None
            indexes.append(
                builder.constant(slot.code, slot.value) if given else builder.omitted(slot.code)
            )
            continue
        if slot.omitted:
            indexes.append(builder.omitted(slot.code, (0,) * spec.rank[0], *slot.quant))
            continue
        tensors += 1
        if _constant(spec, slot, tensors, variant):
            data = draw(slot, key_of(seed, case_id, slot.key, 0), variant.regimes[0])
            indexes.append(
                builder.constant(slot.code, data, *slot.quant, channel_quant=slot.channel_quant)
            )
            continue
        if 0 in slot.shape:
            indexes.append(_emptied(builder, slot))
            fed.append(replace(slot, shape=tuple(n or 1 for n in slot.shape)))
            continue
        fed.append(slot)
        dims = slot.shape
        if not spec.weight and slot.code != PER_CHANNEL:
            dims = () if rankless else (0,) * len(dims) if unknown else dims
        indexes.append(
            builder.input(slot.code, dims, *slot.quant, channel_quant=slot.channel_quant)
        )
    outputs, output_dims = [], []
    for spec_out, code, shape, quant in plan_outputs(op, cell, facts, sample, variant, seed):
        dims = () if rankless else (0,) * len(shape) if unknown else shape
        if spec_out.counted and not rankless:
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


def _emptied(builder: Builder, slot: Slot) -> int:
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


def choose_signature(op: Op, sample: Sample) -> tuple[Input, ...]:
    """The first signature that knows every operand the sample names and misses no required one."""
    for signature in op.signatures:
        names = {spec.name for spec in signature}
        required = {spec.name for spec in signature if not spec.optional}
        if set(sample.operands) <= names and required <= set(sample.operands) | DEFAULTED:
            return signature
    raise KitError(
        f"{op.name}: sample {sample.name!r} fits no signature; its operands are "
        f"{sorted(sample.operands)}"
    )


def level_of(op: Op, cell: Cell, sample: Sample, signature: tuple[Input, ...]) -> int:
    """The feature level that the sample needs in this cell."""
    used = [spec.level for spec in signature if spec.name in sample.operands]
    return max(op.since, cell.since, sample.level, *used, 1)


def plan_slots(
    op: Op, cell: Cell, sample: Sample, variant: Variant, seed: int
) -> tuple[list[Slot], Facts]:
    """The operands of the case and the facts its outputs follow from."""
    signature = choose_signature(op, sample)
    given = dict(sample.operands)
    if variant.activation is not None:
        given["activation"] = variant.activation
    elif any(spec.name == "activation" for spec in signature):
        given.setdefault("activation", 0)
    if "nchw" in variant:
        given["nchw"] = True
    # Optional operands can only be left out from the end.
    last = max(
        (i for i, spec in enumerate(signature) if spec.name in given or not spec.optional),
        default=-1,
    )
    channels_first = bool(given.get("nchw"))
    # Seed 0 is frozen: its keys must not change.
    key = (op.name, cell.name, sample.name, *([f"seed{seed}"] if seed else []))
    facts = Facts(cell, [], {}, {}, {}, {})
    slots: list[Slot] = []
    # Tensors may depend on scalars that follow them.
    for spec in signature[: last + 1]:
        if isinstance(spec, Scalar):
            facts.values[spec.name] = given.get(spec.name)
    for spec in signature[: last + 1]:
        value = given.get(spec.name)
        if isinstance(spec, Scalar):
            if value is None:
                value = spec.default
            facts.values[spec.name] = value
            code = cell.type_of(spec.name, spec.type)
            slots.append(Slot(spec, code, (), (0.0, 0), None, value, False, spec.name))
            continue
        if spec.many:
            _many(spec, cell, value, facts, slots, channels_first, key, sample.like)
            continue
        slots.append(_tensor(spec, spec.name, cell, value, facts, channels_first, key, sample.like))
    for name, value in given.items():
        facts.values.setdefault(name, value)
    return slots, facts


def _many(
    spec: Tensor,
    cell: Cell,
    values: Any,
    facts: Facts,
    slots: list[Slot],
    channels_first: bool,
    key: tuple[str, ...],
    like: dict[str, str],
) -> None:
    made = [
        _tensor(spec, f"{spec.name}[{i}]", cell, value, facts, channels_first, key, like)
        for i, value in enumerate(values)
    ]
    slots.extend(made)
    facts.inputs = [*facts.inputs, spec.name]
    facts.shapes[spec.name] = [facts.shapes[slot.key] for slot in made]
    facts.quants[spec.name] = made[0].quant
    facts.amplitudes[spec.name] = max(facts.amplitudes[slot.key] for slot in made)


def _tensor(
    spec: Tensor,
    name: str,
    cell: Cell,
    value: Any,
    facts: Facts,
    channels_first: bool,
    key: tuple[str, ...],
    like: dict[str, str],
) -> Slot:
    code = cell.type_of(spec.name, spec.type)
    if value is None:
        facts.values[name] = None
        # Quantized types need a scale even where there is no value.
        quant = (0.0, 0)
        if is_quantized(code):
            quant = _quant(spec, code, facts, (*key, name), held=True)
        return Slot(spec, code, (), quant, None, None, True, name)
    explicit: Any = None
    if isinstance(value, tuple):
        shape = value
    elif isinstance(value, (Choice, Reals, Distinct)):
        shape, explicit = value.shape, value
    else:
        values = value.values if isinstance(value, Given) else value
        array = np.asarray(values, dtype=np.float64)
        shape = value.shape if isinstance(value, Given) and value.shape is not None else array.shape
        explicit = array.reshape(shape)
    channel_quant = None
    if code == PER_CHANNEL:
        dim = spec.channel_dim(shape) if callable(spec.channel_dim) else spec.channel_dim
        channel_quant = _channel_quant(shape[dim], dim, key)
    shared = like.get(spec.name, like.get(name, ""))
    # Values that a sample gives need a quantization that holds them.
    held = isinstance(explicit, np.ndarray)
    quant = facts.quants.get(shared) or _quant(spec, code, facts, (*key, name), held)
    facts.inputs = [*facts.inputs, name]
    facts.shapes[name] = shape
    facts.values[name] = explicit.tolist() if isinstance(explicit, np.ndarray) else value
    facts.quants[name] = quant
    facts.amplitudes[name] = (
        max(channel_quant.scales) * 127 if channel_quant else amplitude(code, quant, spec.domain)
    )
    if spec.bias_of:
        facts.amplitudes[name] = 1.0
    stored = shape
    if spec.spatial and channels_first:
        stored = (shape[0], shape[3], shape[1], shape[2])
        if isinstance(explicit, np.ndarray):
            explicit = explicit.transpose(0, 3, 1, 2)
    return Slot(spec, code, stored, quant, channel_quant, explicit, False, name)


def _quant(
    spec: Tensor, code: OperandCode, facts: Facts, key: tuple[str, ...], held: bool = False
) -> tuple[float, int]:
    if spec.bias_of and code == OperandCode.TENSOR_INT32:
        left, right = (
            facts.quants[name][0] if name in facts.quants else float_32(facts.values[name])
            for name in spec.bias_of
        )
        # A per-channel filter leaves the bias scale at 0: each channel has its own product.
        return (float_32(left * right), 0)
    if not is_quantized(code):
        return (0.0, 0)
    if spec.like:
        return facts.quants[spec.like]
    if callable(spec.quant):
        return spec.quant(code, facts)
    if spec.quant is not None:
        return spec.quant
    if held or not seeded(key):
        return default_quant(code, *key)
    return drawn_quant(code, spec.domain, *key)


def seeded(key: tuple[str, ...]) -> bool:
    """Whether a key of quantization belongs to a seed other than 0."""
    return any(part.startswith("seed") for part in key[3:])


def _channel_quant(count: int, dim: int, key: tuple[str, ...]) -> ChannelQuant:
    low, high = (0.002, 0.04) if seeded(key) else (0.006, 0.02)
    scales = uniform(key_of("channel", *key), count, low, high)
    return ChannelQuant(dim, tuple(float_32(float(scale)) for scale in scales))


def plan_outputs(
    op: Op, cell: Cell, facts: Facts, sample: Sample, variant: Variant, seed: int
) -> list[tuple[Output, OperandCode, tuple[int, ...], tuple[float, int]]]:
    """What each output is: its specification, type, shape, scale and zero point."""
    found = []
    for spec in op.outputs:
        if spec.optional and ALL_OUTPUTS not in variant:
            continue
        if spec.when is not None and not spec.when(facts):
            continue
        code = cell.type_of(spec.name, spec.type)
        shape = tuple(int(n) for n in spec.shape(facts))
        if spec.spatial and facts.get("nchw"):
            shape = (shape[0], shape[3], shape[1], shape[2])
        quant = (0.0, 0)
        if is_quantized(code):
            like = sample.like.get(spec.name, spec.like)
            if like:
                quant = facts.quants[like]
            elif callable(spec.quant):
                quant = spec.quant(code, facts)
            elif spec.quant is not None:
                quant = spec.quant[code.name]
            elif spec.span is not None:
                span = spec.span(facts)
                if seed:
                    span = drawn_span(*span, seed, op.name, cell.name, sample.name, spec.name)
                quant = span_quant(code, *span)
            else:
                raise KitError(f"{op.name}: output {spec.name} needs like, quant or span")
        count = spec.many(facts) if spec.many else 1
        found.extend([(spec, code, shape, quant)] * count)
    return found


def draw(slot: Slot, key: int, regime: str) -> Array:
    """The data of a tensor operand, in its element type, shaped as stored."""
    dtype = DTYPE[slot.code]
    shape = slot.shape
    count = math.prod(shape)
    spec = slot.spec
    assert isinstance(spec, Tensor)
    if isinstance(slot.value, Choice):
        return integers(key, count, slot.value.low, slot.value.high).astype(dtype).reshape(shape)
    if isinstance(slot.value, Reals):
        real = uniform(key, count, slot.value.low, slot.value.high)
        return _encode(real, slot).reshape(shape)
    if isinstance(slot.value, Distinct):
        return _distinct(slot, key, slot.value.axis)
    if slot.value is not None:
        return _encode(np.asarray(slot.value, dtype=np.float64), slot).reshape(shape)
    if spec.weight and regime.startswith("special"):
        # A NaN weight would leave nothing to judge.
        regime = "uniform"
    data = _generated(slot, spec, key, count, regime)
    if regime.startswith("special") and count:
        _plant(data, slot, key, half=regime == "special-half")
    return np.ascontiguousarray(data.reshape(shape))


def _generated(slot: Slot, spec: Tensor, key: int, count: int, regime: str) -> Array:
    code = slot.code
    dtype = DTYPE[code]
    if code in FLOATS:
        if spec.domain is not None:
            return uniform(key, count, *spec.domain).astype(dtype)
        if regime == "magnitude":
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
        if regime == "magnitude" and slot.quant[0]:
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
