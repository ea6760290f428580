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

Rule = Callable[..., Any]
_RULES: dict[str, Rule] = {}
# Functions that only move elements: applied to value and error alike.
_MOVING = frozenset(
    {
        "reshape",
        "view",
        "permute",
        "transpose",
        "t",
        "squeeze",
        "unsqueeze",
        "flatten",
        "expand",
        "expand_as",
        "cat",
        "concat",
        "stack",
        "split",
        "chunk",
        "unbind",
        "index_select",
        "narrow",
        "select",
        "flip",
        "roll",
        "tile",
        "repeat",
        "gather",
        "contiguous",
        "clone",
        "__getitem__",
        "broadcast_to",
        "repeat_interleave",
        "movedim",
        "swapaxes",
        "unfold",
    }
)


class Bounded:
    """A tensor of values with a tensor of error bounds.

    `size` is the sum of the absolute values of the finite terms of a sum: a driver may add them in
    any order, and sums of sums as one. Other values are terms themselves.
    """

    def __init__(self, value: Any, error: Any, u: float, tiny: float, size: Any = None) -> None:
        self.value = value
        self.error = error
        self.u = u
        self.tiny = tiny
        self._size = size

    @property
    def terms(self) -> Any:
        """The size of the sum, or of the only term."""
        if self._size is not None:
            return self._size
        return self.value.abs().nan_to_num(0.0, 0.0) + self.error

    def made(self, value: Any, carried: Any, steps: Any = 1.0) -> Bounded:
        """A result: `carried` error of the operands, and `steps` roundings of its own."""
        finite = value.isfinite()
        own = value.abs() * (self.u * steps) + (self.tiny if self.u else 0.0)
        error = carried * (1 + self.u) + own
        error = torch.where(finite & (value.abs() + carried > _largest(self.u)), torch.inf, error)
        # An infinity is not rounded, and what it carries may be the difference of two.
        certain = torch.where(carried.isnan(), 0.0, carried)
        return Bounded(value, torch.where(finite, error, certain), self.u, self.tiny)

    @property
    def shape(self) -> Any:
        """Shape of the values."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """Rank of the values."""
        return int(self.value.ndim)

    @property
    def dtype(self) -> Any:
        """Element type of the values."""
        return self.value.dtype

    def dim(self) -> int:
        """Rank of the values."""
        return int(self.value.dim())

    def size(self, *args: Any) -> Any:
        """Size, as of a tensor."""
        return self.value.size(*args)

    def numel(self) -> int:
        """Number of elements."""
        return int(self.value.numel())

    def is_floating_point(self) -> bool:
        """Bounded values are real numbers."""
        return True

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", str(func))
        return apply(name, func, args, kwargs or {})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        func = getattr(torch.Tensor, name, None)
        if func is None:
            raise AttributeError(name)
        return lambda *args, **kwargs: apply(name, func, (self, *args), kwargs)

    def __getitem__(self, key: Any) -> Bounded:
        return Bounded(self.value[key], self.error[key], self.u, self.tiny)

    def __add__(self, other: Any) -> Any:
        return apply("add", torch.add, (self, other), {})

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return apply("sub", torch.sub, (self, other), {})

    def __rsub__(self, other: Any) -> Any:
        return apply("sub", torch.sub, (other, self), {})

    def __mul__(self, other: Any) -> Any:
        return apply("mul", torch.mul, (self, other), {})

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return apply("div", torch.div, (self, other), {})

    def __rtruediv__(self, other: Any) -> Any:
        return apply("div", torch.div, (other, self), {})

    def __matmul__(self, other: Any) -> Any:
        return apply("matmul", torch.matmul, (self, other), {})

    def __neg__(self) -> Bounded:
        return Bounded(-self.value, self.error, self.u, self.tiny)

    def __pow__(self, power: float) -> Any:
        if power == 2:
            return self * self
        raise OracleError(f"no propagation rule for a power of {power}")

    def __lt__(self, other: Any) -> Any:
        return _compare(torch.lt, self, other)

    def __gt__(self, other: Any) -> Any:
        return _compare(torch.gt, self, other)

    def __le__(self, other: Any) -> Any:
        return _compare(torch.le, self, other)

    def __ge__(self, other: Any) -> Any:
        return _compare(torch.ge, self, other)


def apply(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`func` on bounded operands, by its rule.

    Raises:
        OracleError: the function has no rule here.
    """
    if name in _MOVING:
        return _moving(func, args, kwargs)
    rule = _RULES.get(name.strip("_"))
    if rule is None:
        raise OracleError(f"torch.{name} has no error propagation rule in oracle/propagate.py")
    return rule(*args, **kwargs)


def _split(value: Any, part: str) -> Any:
    if isinstance(value, Bounded):
        return getattr(value, part)
    if isinstance(value, (list, tuple)):
        return type(value)(_split(item, part) for item in value)
    if part == "error" and torch.is_tensor(value) and value.is_floating_point():
        return torch.zeros_like(value)
    return value


def _first(args: Any) -> Bounded | None:
    for arg in args:
        if isinstance(arg, Bounded):
            return arg
        if isinstance(arg, (list, tuple)):
            found = _first(arg)
            if found is not None:
                return found
    return None


def _moving(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    model = _first(args)
    assert model is not None
    values = func(*_split(args, "value"), **kwargs)
    errors = func(*_split(args, "error"), **kwargs)
    if isinstance(values, (list, tuple)):
        return tuple(
            Bounded(v, e, model.u, model.tiny) for v, e in zip(values, errors, strict=True)
        )
    return Bounded(values, errors, model.u, model.tiny)


def _pair(a: Any, b: Any) -> tuple[Bounded, Bounded]:
    model = a if isinstance(a, Bounded) else b

    def lift(x: Any) -> Bounded:
        if isinstance(x, Bounded):
            return x
        value = x if torch.is_tensor(x) else torch.tensor(float(x), dtype=torch.float64)
        value = value.to(torch.float64)
        return Bounded(value, torch.zeros_like(value), model.u, model.tiny)

    return lift(a), lift(b)


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a propagation rule for torch functions of these names."""

    def register(function: Rule) -> Rule:
        for name in names:
            _RULES[name] = function
        return function

    return register


def _compare(func: Any, a: Any, b: Any) -> Any:
    x, y = _pair(a, b)
    room = x.error + y.error
    if bool((((x.value - y.value).abs() <= room) & (room > 0)).any()):
        raise OracleError("a comparison depends on rounding: the documentation leaves it open")
    return func(x.value, y.value)


for _name in ("lt", "gt", "le", "ge", "eq", "ne"):
    _RULES[_name] = partial(_compare, getattr(torch, _name))


@rule("add")
def _add(a: Any, b: Any) -> Bounded:
    x, y = _pair(a, b)
    return _sum_of(x, y, x.value + y.value)


@rule("sub", "subtract")
def _sub(a: Any, b: Any) -> Bounded:
    x, y = _pair(a, b)
    return _sum_of(x, y, x.value - y.value)


def _sum_of(x: Bounded, y: Bounded, value: Any) -> Bounded:
    """A sum or difference; its terms may overflow on the way, unless it is NaN in any case."""
    size = x.terms + y.terms
    result = x.made(value, x.error + y.error)
    overflows = ~value.isnan() & (size > _largest(x.u))
    return Bounded(value, torch.where(overflows, torch.inf, result.error), x.u, x.tiny, size=size)


@rule("mul", "multiply")
def _mul(a: Any, b: Any) -> Bounded:
    x, y = _pair(a, b)
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
    x, y = _pair(a, b)
    value = x.value / y.value
    room = y.value.abs() - y.error
    carried = (x.error + value.abs() * y.error) / room
    carried = torch.where(room > 0, carried, torch.full_like(carried, float("inf")))
    carried = torch.where((x.error + y.error) == 0, torch.zeros_like(carried), carried)
    return x.made(value, carried)


def _largest(u: float) -> float:
    """The largest finite number of the arithmetic with unit roundoff `u`; no limit if exact."""
    if not u:
        return float("inf")
    return 65504.0 if u > 2.0**-20 else 3.4028234663852886e38


def _bilinear(func: Callable[[Any, Any], Any], a: Any, b: Any) -> Bounded:
    """Sums of products: gamma_n sum|x||w| of its own, the operands' errors carried exactly."""
    x, y = _pair(a, b)
    value = func(x.value, y.value)
    left, right = (item.value.abs().nan_to_num(0.0, 0.0) for item in (x, y))
    magnitude = func(left, right)
    widened = func(left + x.error, right + y.error)
    count = func(torch.ones_like(x.value), torch.ones_like(y.value))
    own = widened * (count + 1) * x.u + (count * x.tiny if x.u else 0.0)
    error = torch.where(value.isfinite(), (widened - magnitude) + own, widened - magnitude)
    # A partial sum may overflow although the total does not: then anything may follow.
    anything = ~(widened <= _largest(x.u))
    if bool(value.isfinite().all()):
        return Bounded(value, torch.where(anything, torch.inf, error), x.u, x.tiny, widened)
    anything |= func(x.value.isinf().to(left), _may_vanish(y).to(left)) > 0
    anything |= func(_may_vanish(x).to(left), y.value.isinf().to(left)) > 0
    # NaN stays NaN, whatever else overflows.
    anything &= ~(value.isnan() & widened.isfinite())
    return Bounded(value, torch.where(anything, torch.inf, error), x.u, x.tiny, widened)


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
    error = torch.where(~value.isnan() & (widened > _largest(x.u)), torch.inf, error)
    return Bounded(value, error, x.u, x.tiny)


@rule("mean")
def _mean(x: Bounded, *args: Any, **kwargs: Any) -> Bounded:
    total = _sum(x, *args, **kwargs)
    count = torch.ones_like(x.value).sum(*args, **kwargs)
    return x.made(total.value / count, total.error / count)


@rule("sigmoid")
def _sigmoid(x: Bounded) -> Bounded:
    """Slope at most 1/4; own error 2(1 + |x|) u y, the exponential's conditioning."""
    return x.made(torch.sigmoid(x.value), x.error / 4, 2 * (1 + x.value.abs().clamp(max=32)))


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
        plain = [_split(arg, "value") for arg in args]
        named = {key: _split(value, "value") for key, value in kwargs.items()}
        return Bounded(func(x.value, *plain, **named), x.error, x.u, x.tiny)

    return run


def _rising(func: Any) -> Rule:
    """Rising functions of slope at most 1 that round nothing: the error at both ends."""

    def run(x: Bounded, *args: Any, **kwargs: Any) -> Bounded:
        plain = [_split(arg, "value") for arg in args]
        named = {key: _split(value, "value") for key, value in kwargs.items()}
        value, low, high = (
            func(at, *plain, **named) for at in (x.value, x.value - x.error, x.value + x.error)
        )
        # A bound without limit says that anything may follow, NaN too: it stays without limit.
        error = torch.where(x.error.isfinite(), torch.maximum(high - value, value - low), x.error)
        # Where the value is infinite or NaN, the ends say nothing.
        return Bounded(value, torch.where(error.isnan(), x.error, error), x.u, x.tiny)

    return run


for _name in ("abs", "neg"):
    _RULES[_name] = _lipschitz(getattr(torch, _name))
for _name in ("relu", "clamp", "clip"):
    _RULES[_name] = _rising(getattr(torch, _name))
_RULES["absolute"] = _RULES["abs"]
_RULES["hardtanh"] = _rising(torch.nn.functional.hardtanh)


def _choose(func: Any) -> Rule:
    def run(a: Any, b: Any) -> Bounded:
        x, y = _pair(a, b)
        error = torch.maximum(*torch.broadcast_tensors(x.error, y.error))  # type: ignore[no-untyped-call]
        return Bounded(func(x.value, y.value), error, x.u, x.tiny)

    return run


_RULES["maximum"] = _RULES["max"] = _choose(torch.maximum)
_RULES["minimum"] = _RULES["min"] = _choose(torch.minimum)


@rule("where")
def _where(condition: Any, a: Any, b: Any) -> Bounded:
    x, y = _pair(a, b)
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
