"""Running error analysis: values that carry a bound on their error through torch functions.

A `Bounded` holds what exact arithmetic gives and how far a driver's value may be from it. Each
rule adds the error that reaches the result from the operands to the rounding error of the
step itself (Higham, Accuracy and Stability of Numerical Algorithms, chapters 2 and 3). `u` is
the unit roundoff and `tiny` the smallest normal number of the driver's arithmetic.

Infinities and NaN that follow from infinite and NaN operands are certain: their error is finite.
An infinite error says that a driver may have anything there, an infinity or NaN included, because
an intermediate result may overflow or a factor of an infinity may vanish.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from nnapi_testkit.oracle.bind import OracleError
from nnapi_testkit.oracle.bounded import RULES, Bounded, Rule, compare, largest, pair, parts, rule

__all__ = ["Bounded"]


for _name in ("lt", "gt", "le", "ge", "eq", "ne"):
    RULES[_name] = partial(compare, getattr(torch, _name))


@rule("add")
def _add(a: Any, b: Any) -> Bounded:
    x, y = pair(a, b)
    return _sum_of(x, y, x.value + y.value)


@rule("sub", "subtract")
def _sub(a: Any, b: Any) -> Bounded:
    x, y = pair(a, b)
    return _sum_of(x, y, x.value - y.value)


def _sum_of(x: Bounded, y: Bounded, value: Any) -> Bounded:
    """A sum or difference; its terms may overflow on the way, unless it is NaN in any case."""
    size = x.terms + y.terms
    result = x.made(value, x.error + y.error)
    overflows = ~value.isnan() & (size > largest(x.u))
    return Bounded(value, torch.where(overflows, torch.inf, result.error), x.u, x.tiny, size=size)


@rule("mul", "multiply")
def _mul(a: Any, b: Any) -> Bounded:
    x, y = pair(a, b)
    carried = x.value.abs() * y.error + y.value.abs() * x.error + x.error * y.error
    for one, other in ((x, y), (y, x)):
        if bool(one.value.isinf().any()):
            settled = one.value.isinf() & one.error.isfinite() & ~_may_vanish(other)
            carried = torch.where(settled, 0.0, carried)
            carried = torch.where(one.value.isinf() & _may_vanish(other), torch.inf, carried)
    return x.made(x.value * y.value, carried)


def _may_vanish(x: Bounded) -> Any:
    """Where a number may be read or computed as zero although it is none."""
    size = x.value.abs()
    return ((size <= x.error) & (x.error > 0)) | ((size > 0) & (size < x.tiny))


@rule("div", "true_divide")
def _div(a: Any, b: Any) -> Bounded:
    x, y = pair(a, b)
    value = x.value / y.value
    room = y.value.abs() - y.error
    carried = (x.error + value.abs() * y.error) / room
    carried = torch.where(room > 0, carried, torch.full_like(carried, float("inf")))
    carried = torch.where((x.error + y.error) == 0, torch.zeros_like(carried), carried)
    return x.made(value, carried)


def _bilinear(func: Callable[[Any, Any], Any], a: Any, b: Any) -> Bounded:
    """Sums of products: gamma_n sum|x||w| of its own, the operands' errors carried exactly."""
    x, y = pair(a, b)
    value = func(x.value, y.value)
    left, right = (item.value.abs().nan_to_num(0.0, 0.0) for item in (x, y))
    carried = _carried(func, left, x.error, right, y.error)
    widened = func(left, right) + carried
    count = func(torch.ones_like(x.value), torch.ones_like(y.value))
    own = widened * (count + 1) * x.u + (count * x.tiny if x.u else 0.0)
    error = torch.where(value.isfinite(), carried + own, carried)
    # A partial sum may overflow although the total does not: then anything may follow.
    anything = ~(widened <= largest(x.u))
    if bool(value.isfinite().all()):
        return Bounded(value, torch.where(anything, torch.inf, error), x.u, x.tiny, widened)
    anything |= func(x.value.isinf().to(left), _may_vanish(y).to(left)) > 0
    anything |= func(_may_vanish(x).to(left), y.value.isinf().to(left)) > 0
    # NaN stays NaN, whatever else overflows.
    anything &= ~(value.isnan() & widened.isfinite())
    return Bounded(value, torch.where(anything, torch.inf, error), x.u, x.tiny, widened)


def _carried(func: Callable[[Any, Any], Any], left: Any, dx: Any, right: Any, dy: Any) -> Any:
    """(left + dx)(right + dy) - left right, without the cancellation: exactly 0 for no error."""
    parts = []
    if bool((dx != 0).any()):
        parts.append(func(dx, right + dy))
    if bool((dy != 0).any()):
        parts.append(func(left, dy))
    return sum(parts) if parts else torch.zeros_like(func(left, right))


@rule("matmul", "mm", "bmm")
def _matmul(a: Any, b: Any) -> Bounded:
    return _bilinear(torch.matmul, a, b)


@rule("linear")
def _linear(x: Any, w: Any, bias: Any = None) -> Any:
    result = _bilinear(torch.nn.functional.linear, x, w)
    return result if bias is None else result + bias


@rule("conv2d")
def _conv2d(x: Any, w: Any, bias: Any = None, *args: Any, **kwargs: Any) -> Any:
    result = _bilinear(lambda p, q: torch.nn.functional.conv2d(p, q, None, *args, **kwargs), x, w)
    return result if bias is None else result + bias.reshape(1, -1, 1, 1)


@rule("conv_transpose2d")
def _conv_transpose2d(x: Any, w: Any, bias: Any = None, *args: Any, **kwargs: Any) -> Any:
    turned = torch.nn.functional.conv_transpose2d
    result = _bilinear(lambda p, q: turned(p, q, None, *args, **kwargs), x, w)
    return result if bias is None else result + bias.reshape(1, -1, 1, 1)


@rule("einsum")
def _einsum(equation: str, *operands: Any) -> Any:
    if len(operands) != 2:
        raise OracleError("only einsum of two operands has a propagation rule")
    return _bilinear(lambda p, q: torch.einsum(equation, p, q), *operands)


@rule("sum")
def _sum(x: Bounded, *args: Any, **kwargs: Any) -> Bounded:
    value = x.value.sum(*args, **kwargs)
    finite = x.value.abs().nan_to_num(0.0, 0.0)
    widened = (finite + x.error).sum(*args, **kwargs)
    count = torch.ones_like(x.value).sum(*args, **kwargs)
    carried = x.error.sum(*args, **kwargs)
    error = torch.where(value.isfinite(), carried + widened * count * x.u, carried)
    error = torch.where(~value.isnan() & (widened > largest(x.u)), torch.inf, error)
    return Bounded(value, error, x.u, x.tiny)


@rule("mean")
def _mean(x: Bounded, *args: Any, **kwargs: Any) -> Bounded:
    total = _sum(x, *args, **kwargs)
    count = torch.ones_like(x.value).sum(*args, **kwargs)
    return x.made(total.value / count, total.error / count)


@rule("sigmoid")
def _sigmoid(x: Bounded) -> Bounded:
    """Slope at most 1/4; own error 2(1 + |x|) u y, the exponential's conditioning.

    What vanishes may be the smallest number instead, which matters to a factor of infinity.
    """
    value = torch.sigmoid(x.value)
    carried = torch.where(value < x.tiny, x.error / 4 + x.tiny, x.error / 4)
    return x.made(value, carried, 2 * (1 + x.value.abs().clamp(max=32)))


@rule("tanh")
def _tanh(x: Bounded) -> Bounded:
    """Slope at most 1; own error of 8 u, relative to max(|y|, 1/2)."""
    value = torch.tanh(x.value)
    own = value.abs().clamp(min=0.5) * (8 * x.u)
    return Bounded(value, x.error + own, x.u, x.tiny)


@rule("exp")
def _exp(x: Bounded) -> Bounded:
    """exp(x + e) - exp(x) = exp(x) expm1(e); own error (3 + 2|x|) u y."""
    value = torch.exp(x.value)
    return x.made(value, value * torch.expm1(x.error), 3 + 2 * x.value.abs())


@rule("sqrt")
def _sqrt(x: Bounded) -> Bounded:
    value = torch.sqrt(x.value)
    low = torch.sqrt((x.value - x.error).clamp(min=0))
    return x.made(value, value - low)


@rule("rsqrt")
def _rsqrt(x: Bounded) -> Bounded:
    value = torch.rsqrt(x.value)
    return x.made(value, torch.rsqrt((x.value - x.error).clamp(min=0)) - value, 2)


def _lipschitz(func: Any) -> Rule:
    """Functions of slope at most 1 that round nothing: the error is carried."""

    def run(x: Bounded, *args: Any, **kwargs: Any) -> Bounded:
        plain = [parts(arg, "value") for arg in args]
        named = {key: parts(value, "value") for key, value in kwargs.items()}
        return Bounded(func(x.value, *plain, **named), x.error, x.u, x.tiny)

    return run


def _rising(func: Any) -> Rule:
    """Rising functions of slope at most 1 that round nothing: the error at both ends."""

    def run(x: Bounded, *args: Any, **kwargs: Any) -> Bounded:
        plain = [parts(arg, "value") for arg in args]
        named = {key: parts(value, "value") for key, value in kwargs.items()}
        value, low, high = (
            func(at, *plain, **named) for at in (x.value, x.value - x.error, x.value + x.error)
        )
        # A bound without limit says that anything may follow, NaN too: it stays without limit.
        error = torch.where(x.error.isfinite(), torch.maximum(high - value, value - low), x.error)
        # Where the value is infinite or NaN, the ends say nothing.
        return Bounded(value, torch.where(error.isnan(), x.error, error), x.u, x.tiny)

    return run


for _name in ("abs", "neg"):
    RULES[_name] = _lipschitz(getattr(torch, _name))
for _name in ("relu", "clamp", "clip"):
    RULES[_name] = _rising(getattr(torch, _name))
RULES["absolute"] = RULES["abs"]
RULES["hardtanh"] = _rising(torch.nn.functional.hardtanh)


def _choose(func: Any) -> Rule:
    def run(a: Any, b: Any) -> Bounded:
        x, y = pair(a, b)
        error = torch.maximum(*torch.broadcast_tensors(x.error, y.error))  # type: ignore[no-untyped-call]
        return Bounded(func(x.value, y.value), error, x.u, x.tiny)

    return run


RULES["maximum"] = RULES["max"] = _choose(torch.maximum)
RULES["minimum"] = RULES["min"] = _choose(torch.minimum)


def _extreme(func: Any) -> Rule:
    """The extreme of values that are each off by at most `e` is off by at most the largest `e`."""

    def run(x: Bounded, *args: Any, **kwargs: Any) -> Bounded:
        error = torch.amax(x.error, *args, **kwargs)
        return Bounded(func(x.value, *args, **kwargs), error, x.u, x.tiny)

    return run


RULES["amax"] = _extreme(torch.amax)
RULES["amin"] = _extreme(torch.amin)


def _place(func: Any, sign: float) -> Rule:
    """The place of an extreme; OracleError where rounding may give it to another element."""

    def run(x: Bounded, dim: int) -> Any:
        best = func(x.value, dim, keepdim=True)
        top = x.value.gather(dim, best) * sign - x.error.gather(dim, best)
        rivals = x.value * sign + x.error >= top
        if bool((rivals.sum(dim) > 1).any()):
            raise OracleError("the place of an extreme depends on rounding: it is left open")
        return best.squeeze(dim)

    return run


RULES["argmax"] = _place(torch.argmax, 1.0)
RULES["argmin"] = _place(torch.argmin, -1.0)


@rule("where")
def _where(condition: Any, a: Any, b: Any) -> Bounded:
    x, y = pair(a, b)
    return Bounded(
        torch.where(condition, x.value, y.value),
        torch.where(condition, x.error, y.error),
        x.u,
        x.tiny,
    )


@rule("pad")
def _pad(x: Bounded, pad: Any, mode: str = "constant", value: float = 0.0) -> Bounded:
    moved = torch.nn.functional.pad(x.value, pad, mode=mode, value=value)
    return Bounded(moved, torch.nn.functional.pad(x.error, pad), x.u, x.tiny)


@rule("zeros_like")
def _zeros_like(x: Bounded, **kwargs: Any) -> Any:
    return torch.zeros_like(x.value, **kwargs)


@rule("ones_like")
def _ones_like(x: Bounded, **kwargs: Any) -> Any:
    return torch.ones_like(x.value, **kwargs)
