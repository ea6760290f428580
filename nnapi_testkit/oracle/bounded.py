"""Values that carry a bound on their error, and the table of rules that move both along.

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
from typing import Any

import torch

from nnapi_testkit.op.bounds import ARITHMETIC
from nnapi_testkit.oracle.bind import OracleError

Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
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
        error = torch.where(finite & (value.abs() + carried > largest(self.u)), torch.inf, error)
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
        return compare(torch.lt, self, other)

    def __gt__(self, other: Any) -> Any:
        return compare(torch.gt, self, other)

    def __le__(self, other: Any) -> Any:
        return compare(torch.le, self, other)

    def __ge__(self, other: Any) -> Any:
        return compare(torch.ge, self, other)

    def __eq__(self, other: Any) -> Any:
        return compare(torch.eq, self, other)

    def __ne__(self, other: Any) -> Any:
        return compare(torch.ne, self, other)

    __hash__ = object.__hash__


def apply(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`func` on bounded operands, by its rule.

    Raises:
        OracleError: the function has no rule here.
    """
    if name in _MOVING:
        return _moving(func, args, kwargs)
    rule = RULES.get(name.strip("_"))
    if rule is None:
        raise OracleError(f"torch.{name} has no error propagation rule in oracle/propagate.py")
    return rule(*args, **kwargs)


def parts(value: Any, part: str) -> Any:
    """The `value` or `error` of an operand, or of a list of them; 0 is the error of others."""
    if isinstance(value, Bounded):
        return getattr(value, part)
    if isinstance(value, (list, tuple)):
        return type(value)(parts(item, part) for item in value)
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
    values = func(*parts(args, "value"), **kwargs)
    errors = func(*parts(args, "error"), **kwargs)
    if isinstance(values, (list, tuple)):
        return tuple(
            Bounded(v, e, model.u, model.tiny) for v, e in zip(values, errors, strict=True)
        )
    return Bounded(values, errors, model.u, model.tiny)


def pair(a: Any, b: Any) -> tuple[Bounded, Bounded]:
    """Two operands, of which at least one is bounded, both as bounded ones."""
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
            RULES[name] = function
        return function

    return register


def compare(func: Any, a: Any, b: Any) -> Any:
    """`func` on the values; OracleError where rounding may decide it."""
    x, y = pair(a, b)
    room = x.error + y.error
    if bool((((x.value - y.value).abs() <= room) & (room > 0)).any()):
        raise OracleError("a comparison depends on rounding: the documentation leaves it open")
    return func(x.value, y.value)


def largest(u: float) -> float:
    """The largest finite number of the arithmetic with unit roundoff `u`; no limit if exact."""
    if not u:
        return float("inf")
    # What is just the largest does not overflow, whatever the last place of a float64 says.
    return (65504.0 if u > 2.0**-20 else 3.4028234663852886e38) * (1 + ARITHMETIC)
