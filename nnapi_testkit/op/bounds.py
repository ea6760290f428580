"""Acceptance rules: how far a legal result may be from the float64 value.

Each combinator returns a `Bound`, whose `error` is a function of a `Situation` and yields one
tensor for each output, in real units, before the result is rounded to a quantized output type and
after it is rounded to a float one. `u` is the unit roundoff of the arithmetic the driver may use
(2^-24 for float32; 2^-11 for float16 and for relaxed float32; 2^-22 for the float32 scale
arithmetic of quantized operations), `tiny` its smallest normal number: results below may be
flushed to zero.

A scalar that half precision does not hold may be rounded to it too. The oracle computes the
operation again with the rounded one and adds what that moves (`oracle/reread.py`), unless the rule
has room for it already: `Bound.scalars`.

A bound of exactly 0 means "this value and, for a zero, this sign of zero" (data that only
move). `SMALLEST` means "this value, whatever the sign of zero".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SMALLEST = 5e-324
# How far two processors' float64 values of one answer may be from each other, as a share of the
# value: 512 units in its last place. Maths libraries promise 1 or 2 units for each function, sums
# differ with their order, and a chain of k such steps adds up to 2 k units; the longest chain of
# the suite has about a hundred. Steps that cancel, where a share of the value says nothing, are
# under a bound that carries their condition along, by a unit roundoff of 2^29 units and more.
# Neighbours of a driver's types are a share of 2^-24 and more apart: no result becomes legal by it.
ARITHMETIC = 2.0**-43
ORDERED_BITS = 40


@dataclass(frozen=True, slots=True)
class Precision:
    """The arithmetic a driver may use for a cell.

    Args:
        u: unit roundoff. tiny: smallest normal number. maximum: largest finite number.
        quantized: whether outputs are codes (rounded once more by the judge).
        relaxed: whether float32 data may pass through float16.
    """

    u: float
    tiny: float
    maximum: float
    quantized: bool = False
    relaxed: bool = False


FLOAT32 = Precision(2.0**-24, 2.0**-126, 3.4028234663852886e38)
FLOAT16 = Precision(2.0**-11, 2.0**-14, 65504.0)
RELAXED = Precision(2.0**-11, 2.0**-14, 65504.0, relaxed=True)
# Quantized data: integer accumulation, real scales handled in float32 (three roundings).
QUANTIZED = Precision(2.0**-22, 0.0, 3.4028234663852886e38, quantized=True)


@dataclass(frozen=True, slots=True)
class Situation:
    """What a bound may look at.

    Args:
        torch: the module. args: the reference's operands by name. outputs: what the
            reference returned for them, as a tuple of tensors.
        reference: the reference itself. precision: the driver's arithmetic.
        propagate: runs the reference on (value, error) pairs; returns error tensors.
        reading: how float inputs may be read (flushed below `tiny`; rounded to `u` if relaxed),
            whatever the type of the output; `u` and `tiny` are 0 for other inputs.
    """

    torch: Any
    args: dict[str, Any]
    outputs: tuple[Any, ...]
    reference: Callable[..., Any]
    precision: Precision
    propagate: Callable[[], tuple[Any, ...]]
    facts: dict[str, Any] = field(default_factory=dict)
    reading: Precision = QUANTIZED

    def run(self, change: Callable[[Any], Any], **override: Any) -> tuple[Any, ...]:
        """The reference again, each float tensor changed, some operands replaced."""

        def changed(value: Any) -> Any:
            if isinstance(value, list):
                return [changed(item) for item in value]
            is_data = self.torch.is_tensor(value) and value.is_floating_point()
            return change(value) if is_data else value

        args = {name: changed(value) for name, value in self.args.items()}
        if "activation" in args:
            args["activation"] = 0
        args.update(override)
        return produced(self.reference(self.torch, **args))


def produced(result: Any) -> tuple[Any, ...]:
    """What a reference returned, as a tuple without the outputs that do not exist."""
    found = result if isinstance(result, tuple) else (result,)
    return tuple(value for value in found if value is not None)


def held(value: Any, error: Any) -> Any:
    """`value`, which a driver may hold with this much error in an intermediate result.

    References of operations with quantized intermediates call it; it changes the error bound
    that running error analysis carries, and no value.
    """
    if not hasattr(value, "error"):
        return value
    return type(value)(value.value, value.error + error, value.u, value.tiny)


def plain(value: Any) -> Any:
    """The values alone of what may carry error bounds: what decisions are made by."""
    return value.value if hasattr(value, "error") else value


def ordering(torch: Any, value: Any) -> Any:
    """Float64 numbers to order `value` by, in which ties stay ties on every processor.

    40 bits of each number are kept: float32 and a code times its scale have no more, and float64
    arithmetic of processors differs far below (`ARITHMETIC`).
    """

    def kept(number: float) -> float:
        if number == 0 or not math.isfinite(number):
            return number
        fraction, exponent = math.frexp(number)
        return math.ldexp(round(fraction * 2**ORDERED_BITS), exponent - ORDERED_BITS)

    numbers = plain(value)
    kept_ = [kept(float(number)) for number in numbers.reshape(-1).tolist()]
    return torch.tensor(kept_, dtype=torch.float64).reshape(numbers.shape)


Exempt = Callable[[Situation], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Bound:
    """An acceptance rule.

    Args:
        rule: in one line, for the documentation.
        error: for each output, how far a legal result may be from the float64 value.
        exempt: for each output, the elements that the rule leaves open; None for none.
        scalars: the rule has room for float scalars that are rounded to half precision.
    """

    rule: str
    error: Callable[[Situation], tuple[Any, ...]]
    exempt: Exempt | None = None
    scalars: bool = False


def exact() -> Bound:
    """Data that only move: bit for bit. Relaxed float32 may pass through float16 once."""

    def bound(s: Situation) -> tuple[Any, ...]:
        if s.precision.relaxed:
            # Half an ulp of float16; half its smallest subnormal; everything may be flushed.
            return tuple(y.abs() * s.precision.u + s.precision.tiny for y in s.outputs)
        return tuple(s.torch.zeros_like(y) for y in s.outputs)

    return Bound("bit for bit", bound, scalars=True)


def selected() -> Bound:
    """Values chosen by comparison (max, min, clamp): exact, the sign of a zero left open."""

    def bound(s: Situation) -> tuple[Any, ...]:
        if s.precision.relaxed:
            return tuple(y.abs() * s.precision.u + s.precision.tiny for y in s.outputs)
        return tuple(s.torch.full_like(y, SMALLEST) for y in s.outputs)

    return Bound("exact values, sign of zero open", bound)


def rounded(
    count: float = 1, *, inputs: int = 2, magnitude: Callable[[Situation], Any] | None = None
) -> Bound:
    """`count` correctly rounded steps without cancellation: count * u * |y| + tiny.

    For an elementary operation on exact inputs, |fl(y) - y| <= u|y| (Higham, Accuracy and
    Stability, 2.2); relaxed float32 also rounds up to `inputs` inputs, which an addition
    with cancellation feels in full: there the error is u times the absolute values' result
    (`magnitude`, where that is not the operation itself on absolute values: a difference).
    Quantized inputs are rescaled first, which rounds each of them too.
    """

    def bound(s: Situation) -> tuple[Any, ...]:
        p = s.precision
        errors = tuple(y.abs() * (p.u * count) + p.tiny for y in s.outputs)
        if p.relaxed or p.quantized:
            scaled = (magnitude(s),) if magnitude else s.run(lambda x: x.abs())
            errors = tuple(
                e + a.abs() * (p.u * inputs) for e, a in zip(errors, scaled, strict=True)
            )
        return errors

    return Bound(f"{count:g} roundings: {count:g} u |y|", bound)


def relative(factor: Callable[[Situation], Any], rule: str, *, floor: float = 0.0) -> Bound:
    """factor(s) * u * max(|y|, floor) + tiny, for functions with a known conditioning."""

    def bound(s: Situation) -> tuple[Any, ...]:
        p = s.precision
        weight = factor(s)
        return tuple(y.abs().clamp(min=floor) * weight * p.u + p.tiny for y in s.outputs)

    return Bound(rule, bound)


def dot(terms: Callable[[Situation], Any] | None = None, extra: int = 2) -> Bound:
    """Sums of products: (n + extra) u sum|x||w| + n tiny, n the number of terms.

    Any order of summation of n products satisfies |fl(s) - s| <= gamma_n sum|x_i w_i|
    (Higham, 3.1). The sum on the right is the operation on absolute values; n is the
    operation on ones, unless `terms` gives it. `extra` covers the bias, the final rounding
    and, for relaxed float32, the rounding of both factors.
    """

    def bound(s: Situation) -> tuple[Any, ...]:
        p = s.precision
        magnitude = s.run(lambda x: x.abs())
        given = [terms(s)] * len(s.outputs) if terms else None
        counts = given or s.run(s.torch.ones_like)
        more = extra + (2 if p.relaxed else 0)
        return tuple(
            m.abs() * ((n + more) * p.u) + n * p.tiny
            for m, n in zip(magnitude, counts, strict=True)
        )

    return Bound(f"dot product: (n + {extra}) u sum|x||w|", bound, overflowing(1.0))


def moved() -> Bound:
    """Data that only move, exact where input and output share scale and zero point.

    Quantized data whose scale or zero point changes on the way are rescaled: |x| u of error
    before the output is rounded, and never 0, which leaves profiles their code of freedom.
    """

    def bound(s: Situation) -> tuple[Any, ...]:
        p, torch = s.precision, s.torch
        (out,) = s.facts["outputs"]
        errors: dict[str, Any] = {}
        for spec, operand in zip(s.facts["specs"], s.facts["operands"], strict=True):
            if operand.type != out.type:
                continue
            value = s.args[spec.name]
            if isinstance(value, list):
                value = value[len(errors.get(spec.name, []))]
            error = torch.zeros_like(value)
            if p.relaxed:
                error = value.abs() * p.u + p.tiny
            elif (operand.scale, operand.zero_point) != (out.scale, out.zero_point):
                error = value.abs() * p.u + SMALLEST
            if isinstance(s.args[spec.name], list):
                errors.setdefault(spec.name, []).append(error)
            else:
                errors[spec.name] = error
        result = s.reference(torch, **(s.args | errors))
        return result if isinstance(result, tuple) else (result,)

    return Bound("bit for bit; rounded once where the scale changes", bound, scalars=True)


def chosen() -> Bound:
    """`selected`, but rounded where the scale or zero point of the result is a new one."""

    def bound(s: Situation) -> tuple[Any, ...]:
        same = {(o.scale, o.zero_point) for o in s.facts["operands"] if o.type == out_type(s)}
        same |= {(o.scale, o.zero_point) for o in s.facts["outputs"]}
        return (selected() if len(same) == 1 else rounded(1)).error(s)

    return Bound("exact values, sign of zero open; rounded once where the scale changes", bound)


def out_type(s: Situation) -> int:
    """The type of the first output."""
    return int(s.facts["outputs"][0].type)


def overflowing(terms: float | Callable[[Situation], Any]) -> Exempt:
    """Elements whose intermediate sums may overflow although the result need not.

    That is where `terms` times the reference on the absolute values of the finite data exceeds
    the largest finite number: whether a driver meets infinity on the way is left open (unless
    the result is NaN either way).
    """

    def exempt(s: Situation) -> tuple[Any, ...]:
        if s.precision.quantized or not s.precision.u:
            return tuple(s.torch.zeros_like(y, dtype=s.torch.bool) for y in s.outputs)
        sums = s.run(lambda x: x.abs().nan_to_num(0.0, 0.0, 0.0))
        factor = terms(s) if callable(terms) else terms
        return tuple(
            (total * factor > s.precision.maximum * (1 + ARITHMETIC)) & ~y.isnan()
            for total, y in zip(sums, s.outputs, strict=True)
        )

    return exempt


def nan_operands() -> Exempt:
    """Elements that NaN takes part in: its place in an order (max, min) is left open."""

    def exempt(s: Situation) -> tuple[Any, ...]:
        if s.precision.quantized or not s.precision.u:
            return tuple(s.torch.zeros_like(y, dtype=s.torch.bool) for y in s.outputs)
        marks = s.run(lambda x: s.torch.where(x.isnan(), s.torch.inf, 0.0))
        others = s.run(lambda x: s.torch.where(x.isnan(), -s.torch.inf, 0.0))
        return tuple((a != b) | y.isnan() for a, b, y in zip(marks, others, s.outputs, strict=True))

    return exempt


def reread(s: Situation, value: Any) -> Any:
    """A float input as a driver may read it: numbers below `tiny` flushed to zero."""
    return s.torch.where(value.abs() < s.reading.tiny, s.torch.zeros_like(value), value)


def bounded_by(error: Callable[[Situation], Any], rule: str, *, scalars: bool = False) -> Bound:
    """An operation's own rule: `error(s)` for its only output, in real units.

    Args:
        scalars: as of `Bound`.
    """
    return Bound(rule, lambda s: (error(s),), scalars=scalars)


def propagated(rule: str) -> Bound:
    """Running error analysis: every step of the reference carries value and error along.

    See `nnapi_testkit/oracle/propagate.py` for the rule of each torch function.
    """

    def bound(s: Situation) -> tuple[Any, ...]:
        return s.propagate()

    def exempt(s: Situation) -> tuple[Any, ...]:
        pairs = zip(s.propagate(), s.outputs, strict=True)
        return tuple(error.isposinf() & ~value.isfinite() for error, value in pairs)

    return Bound(rule, bound, exempt)
