"""What each operand of a case is, before any data: type, shape, scale and zero point.

The index plans tens of thousands of samples to learn which of them make cases, so what does not
depend on the sample is found once for each signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from nnapi_testkit.cases.draw import key_of, uniform
from nnapi_testkit.cases.quant import (
    amplitude,
    default_quant,
    drawn_quant,
    drawn_span,
    float_32,
    span_quant,
)
from nnapi_testkit.errors import KitError
from nnapi_testkit.model.types import ChannelQuant
from nnapi_testkit.op.declare import (
    Cell,
    Choice,
    Codes,
    Distinct,
    Facts,
    Floats,
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
from nnapi_testkit.spec.operands import CODE_RANGE

__all__ = [
    "ALL_OUTPUTS",
    "PER_CHANNEL",
    "Slot",
    "Variant",
    "choose_signature",
    "level_of",
    "plan_outputs",
    "plan_slots",
]

# The variation that asks for outputs a model may leave out.
ALL_OUTPUTS = "all-outputs"
# What samples need not name although a signature demands it.
DEFAULTED = {"activation", "nchw"}
PER_CHANNEL = OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL
GENERATED = (Choice, Reals, Distinct, Codes, Floats)
NO_QUANT = (0.0, 0)


class Regime(Enum):
    """Which numbers the data of an input set are."""

    UNIFORM = "uniform"  # spread evenly
    MAGNITUDE = "magnitude"  # of very different sizes
    SPECIAL = "special"  # with infinities, NaN, subnormal numbers, limits
    SPECIAL_HALF = "special-half"  # with those of float16 too

    @property
    def special(self) -> bool:
        """Whether there are numbers among them that are none, or limits."""
        return self in (Regime.SPECIAL, Regime.SPECIAL_HALF)


FED_SCALARS = "fed-scalars"  # inputs of the model, whose values an execution gives
# What a model leaves open of its tensors: dimensions, or the rank too; of inputs alone, where the
# outputs are told in full; of one input alone.
UNKNOWN_DIMS, UNKNOWN_RANK = "unknown-dims", "unknown-rank"
UNKNOWN_INPUTS, UNKNOWN_INPUT_RANKS = "unknown-inputs", "unknown-input-ranks"
UNKNOWN_FIRST, UNKNOWN_LAST = "unknown-first", "unknown-last"
NO_RANK = frozenset({UNKNOWN_RANK, UNKNOWN_INPUT_RANKS})
NO_DIMS = frozenset({UNKNOWN_DIMS, UNKNOWN_INPUTS, UNKNOWN_FIRST, UNKNOWN_LAST})
KNOWN_OUTPUTS = frozenset({UNKNOWN_INPUTS, UNKNOWN_INPUT_RANKS, UNKNOWN_FIRST, UNKNOWN_LAST})


@dataclass(frozen=True, slots=True)
class Variant:
    """What is varied around a sample.

    Args:
        words: variation names in the case id, in order.
        activation: replaces the sample's fused activation.
        regimes: which numbers each input set has.
    """

    words: tuple[str, ...] = ()
    activation: int | None = None
    regimes: tuple[Regime, ...] = (Regime.UNIFORM,)
    level: int = 1

    def __contains__(self, word: str) -> bool:
        return word in self.words


class Slot(NamedTuple):
    """One operand of the operation as this case uses it.

    `at` is its position where `spec` stands for a list of tensors. A tuple, because a frozen
    dataclass takes three times as long to make.
    """

    spec: Input
    code: OperandCode
    shape: tuple[int, ...]
    quant: tuple[float, int]
    channel_quant: ChannelQuant | None
    value: Any
    omitted: bool
    key: str
    at: int | None = None


class _Form(NamedTuple):
    """A signature: the names of its operands, and those that a sample has to name."""

    signature: tuple[Input, ...]
    names: frozenset[str]
    required: frozenset[str]
    # The types of its operands by the identity of a cell, which each entry keeps alive.
    codes: dict[int, tuple[Cell, tuple[OperandCode, ...]]]


# By the identity of an operation's signatures, which each entry keeps alive: they hash slowly.
_FORMS: dict[int, tuple[tuple[tuple[Input, ...], ...], tuple[_Form, ...]]] = {}


def _forms(op: Op) -> tuple[_Form, ...]:
    known = _FORMS.get(id(op.signatures))
    if known is None:
        forms = tuple(
            _Form(
                signature,
                frozenset(spec.name for spec in signature),
                frozenset(spec.name for spec in signature if not spec.optional) - DEFAULTED,
                {},
            )
            for signature in op.signatures
        )
        known = _FORMS[id(op.signatures)] = op.signatures, forms
    return known[1]


def _codes(form: _Form, cell: Cell) -> tuple[OperandCode, ...]:
    """The type of each operand of a signature in a cell."""
    known = form.codes.get(id(cell))
    if known is None:
        codes = tuple(cell.type_of(spec.name, spec.type) for spec in form.signature)
        known = form.codes[id(cell)] = cell, codes
    return known[1]


def _form(op: Op, sample: Sample) -> _Form:
    """The first signature that knows every operand the sample names and misses no required one."""
    named = sample.operands.keys()
    for form in _forms(op):
        if form.required <= named and named <= form.names:
            return form
    raise KitError(
        f"{op.name}: sample {sample.name!r} fits no signature; its operands are "
        f"{sorted(sample.operands)}"
    )


def choose_signature(op: Op, sample: Sample) -> tuple[Input, ...]:
    """The first signature that knows every operand the sample names and misses no required one."""
    return _form(op, sample).signature


def level_of(op: Op, cell: Cell, sample: Sample, signature: tuple[Input, ...]) -> int:
    """The feature level that the sample needs in this cell."""
    level = max(op.since, cell.since, sample.level, 1)
    for spec in signature:
        if spec.level > level and spec.name in sample.operands:
            level = spec.level
    return level


def plan_slots(
    op: Op, cell: Cell, sample: Sample, variant: Variant, seed: int
) -> tuple[list[Slot], Facts]:
    """The operands of the case and the facts its outputs follow from."""
    form = _form(op, sample)
    signature = form.signature
    given = _given(form, sample, variant)
    # Optional operands can only be left out from the end.
    count = len(signature)
    while count and signature[count - 1].optional and signature[count - 1].name not in given:
        count -= 1
    # Seed 0 is frozen: its keys must not change.
    key = (op.name, cell.name, sample.name, *([f"seed{seed}"] if seed else []))
    facts = Facts(cell, [], {}, {}, {}, {})
    planner = _Planner(sample, facts, bool(given.get("nchw")), key, bool(seed))
    values = facts.values
    slots: list[Slot] = []
    used = signature[:count]
    # Tensors may depend on scalars that follow them.
    for spec in used:
        if isinstance(spec, Scalar):
            values[spec.name] = given.get(spec.name)
    for spec, code in zip(used, _codes(form, cell), strict=False):
        name = spec.name
        value = given.get(name)
        if isinstance(spec, Scalar):
            if value is None:
                value = spec.default
            values[name] = value
            slots.append(Slot(spec, code, (), NO_QUANT, None, value, False, name))
        elif spec.many:
            slots.extend(planner.many(spec, code, value))
        else:
            slots.append(planner.tensor(spec, name, code, value))
    for name, value in given.items():
        values.setdefault(name, value)
    return slots, facts


def _given(form: _Form, sample: Sample, variant: Variant) -> Mapping[str, Any]:
    """The operands of the sample with what the variant adds."""
    given = sample.operands
    if variant.activation is not None:
        given = {**given, "activation": variant.activation}
    elif "activation" in form.names and "activation" not in given:
        given = {**given, "activation": 0}
    if "nchw" in variant.words:
        given = {**given, "nchw": True}
    return given


class _Planner:
    """Plans the tensors of one case; what is known of them goes into `facts`.

    Args:
        channels_first: spatial tensors are stored as NCHW.
        key: of the quantization that is drawn.
        seeded: it is drawn from more than the frozen suite has: the seed is other than 0.
    """

    __slots__ = ("_channels_first", "_facts", "_key", "_sample", "_seeded")

    def __init__(
        self,
        sample: Sample,
        facts: Facts,
        channels_first: bool,
        key: tuple[str, ...],
        seeded: bool,
    ) -> None:
        self._sample = sample
        self._facts = facts
        self._channels_first = channels_first
        self._key = key
        self._seeded = seeded

    def many(self, spec: Tensor, code: OperandCode, values: Any) -> list[Slot]:
        """The slots of an operand that stands for several tensors."""
        made = [
            self.tensor(spec, f"{spec.name}[{i}]", code, value)._replace(at=i)
            for i, value in enumerate(values)
        ]
        facts = self._facts
        facts.inputs.append(spec.name)
        facts.shapes[spec.name] = [facts.shapes[slot.key] for slot in made]
        facts.quants[spec.name] = made[0].quant
        facts.amplitudes[spec.name] = max(facts.amplitudes[slot.key] for slot in made)
        return made

    def tensor(self, spec: Tensor, name: str, code: OperandCode, value: Any) -> Slot:
        """The slot of one tensor."""
        if value is None:
            return self._omitted(spec, name, code)
        facts, sample, key = self._facts, self._sample, self._key
        shape, explicit = _shaped(value)
        channel_quant = None
        if code == PER_CHANNEL:
            span = (0.002, 0.04) if self._seeded else (0.006, 0.02)
            channel_quant = _channels(spec, name, shape, key, span, sample)
        # Values that a sample gives need a quantization that holds them.
        held = isinstance(explicit, np.ndarray)
        quant = NO_QUANT
        if code in CODE_RANGE or spec.bias_of or sample.like:
            shared = _shared(spec, name, facts, sample)
            quant = shared or _quant(
                spec, code, facts, (*key, name), drawn=self._seeded and not held
            )
        if name in sample.quants and channel_quant is None:
            quant = sample.quants[name]
        facts.inputs.append(name)
        facts.shapes[name] = shape
        facts.values[name] = explicit.tolist() if held else value
        facts.quants[name] = quant
        if spec.bias_of:
            facts.amplitudes[name] = 1.0
        elif channel_quant:
            facts.amplitudes[name] = max(channel_quant.scales) * 127
        else:
            facts.amplitudes[name] = amplitude(code, quant, spec.domain)
        stored = shape
        if spec.spatial and self._channels_first:
            stored = (shape[0], shape[3], shape[1], shape[2])
            if held:
                explicit = explicit.transpose(0, 3, 1, 2)
        return Slot(spec, code, stored, quant, channel_quant, explicit, False, name)

    def _omitted(self, spec: Tensor, name: str, code: OperandCode) -> Slot:
        facts = self._facts
        facts.values[name] = None
        # Quantized types need a scale even where there is no value.
        quant = NO_QUANT
        if code in CODE_RANGE:
            quant = _quant(spec, code, facts, (*self._key, name), drawn=False)
            facts.quants[name] = quant
        return Slot(spec, code, (), quant, None, None, True, name)


def _shaped(value: Any) -> tuple[tuple[int, ...], Any]:
    """The shape of a sample's tensor, and what its data are; None where they are drawn."""
    if isinstance(value, tuple):
        return value, None
    if isinstance(value, GENERATED):
        return value.shape, value
    values = value.values if isinstance(value, Given) else value
    array = np.asarray(values, dtype=np.float64)
    shape = value.shape if isinstance(value, Given) and value.shape is not None else array.shape
    return shape, array.reshape(shape)


def _shared(spec: Tensor, name: str, facts: Facts, sample: Sample) -> tuple[float, int] | None:
    """The quantization of the operand that this one shares it with in this sample."""
    if not sample.like:
        return None
    return facts.quants.get(sample.like.get(spec.name, sample.like.get(name, "")))


def _quant(
    spec: Tensor, code: OperandCode, facts: Facts, key: tuple[str, ...], *, drawn: bool
) -> tuple[float, int]:
    if spec.bias_of and code == OperandCode.TENSOR_INT32:
        left, right = (
            facts.quants[name][0] if name in facts.quants else float_32(facts.values[name])
            for name in spec.bias_of
        )
        # A per-channel filter leaves the bias scale at 0: each channel has its own product.
        return (float_32(left * right), 0)
    if code not in CODE_RANGE:
        return NO_QUANT
    if spec.like:
        return facts.quants[spec.like]
    if callable(spec.quant):
        return spec.quant(code, facts)
    if spec.quant is not None:
        return spec.quant
    return drawn_quant(code, spec.domain, *key) if drawn else default_quant(code, *key)


def _channels(
    spec: Tensor,
    name: str,
    shape: tuple[int, ...],
    key: tuple[str, ...],
    span: tuple[float, float],
    sample: Sample,
) -> ChannelQuant:
    """The scales of a per-channel operand: the sample's own, or drawn ones."""
    dim = spec.channel_dim(shape) if callable(spec.channel_dim) else spec.channel_dim
    if name in sample.quants:
        own = tuple(map(float_32, sample.quants[name]))
        return ChannelQuant(dim, (own * shape[dim])[: shape[dim]])
    scales = uniform(key_of("channel", *key), shape[dim], *span)
    return ChannelQuant(dim, tuple(float_32(float(scale)) for scale in scales))


def plan_outputs(
    op: Op, cell: Cell, facts: Facts, sample: Sample, variant: Variant, seed: int
) -> list[tuple[Output, OperandCode, tuple[int, ...], tuple[float, int]]]:
    """What each output is: its specification, type, shape, scale and zero point."""
    found = []
    for spec in op.outputs:
        if spec.optional and ALL_OUTPUTS not in variant.words:
            continue
        if spec.when is not None and not spec.when(facts):
            continue
        code = cell.type_of(spec.name, spec.type)
        shape = tuple(int(n) for n in spec.shape(facts))
        if spec.spatial and facts.get("nchw"):
            shape = (shape[0], shape[3], shape[1], shape[2])
        quant = NO_QUANT
        if code in CODE_RANGE:
            like = sample.like.get(spec.name, spec.like)
            if spec.name in sample.quants:
                quant = sample.quants[spec.name]
            elif like:
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


def holds_weights(op: Op, sample: Sample) -> bool:
    """Whether a sample names the values of weights: they cannot follow when its sizes change."""
    return any(
        isinstance(spec, Tensor)
        and spec.weight
        and spec.type != "TENSOR_INT32"
        and isinstance(sample.operands.get(spec.name), Given)
        for spec in choose_signature(op, sample)
    )
