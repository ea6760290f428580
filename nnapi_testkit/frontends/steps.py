"""Steps that front ends share: values in, values out, whatever graph they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nnapi_testkit.frontends.sketch import NHWC, Sketch, Value, same_bytes

__all__ = ["Steps"]


@dataclass(kw_only=True)
class Steps:
    """What a lowering of any format does with values.

    Args:
        sketch: the NNAPI graph. last: hold 4-dimensional data channels last.
        shown: operands that are outputs already.
    """

    last: bool
    sketch: Sketch = field(default_factory=Sketch)
    shown: set[int] = field(default_factory=set)

    def fresh(self, value: Value) -> int:
        """An operand that can be an output: written by an operation, and by nobody else's name."""
        sketch = self.sketch
        written = {at for o in sketch.operations for at in o.outputs}
        at = sketch.read(value, value.last)
        if at in written and at not in self.shown:
            self.shown.add(at)
            return at
        dims = sketch.operands[at].dims
        made = sketch.make("RESHAPE", [at, sketch.ints(dims)], dims, value.type, quant=value.quant)
        self.shown.add(made.operand)
        return made.operand

    def unary(self, code: str, value: Value, extra: Sequence[int] = ()) -> Value:
        """An operation that keeps type, shape and order."""
        at = self.sketch.read(value, value.last)
        return self.sketch.make(
            code, [at, *extra], value.shape, value.type, last=value.last, quant=value.quant
        )

    def broadcast(self, values: Sequence[Value]) -> tuple[list[int], bool]:
        """Operands of values that broadcast as PyTorch does, in one order.

        Channels last is kept if a value has it. Values of lower rank get dimensions of 1 where
        the order would otherwise misplace them.
        """
        last = any(value.last for value in values)
        rank = max(value.rank for value in values)
        found = []
        for value in values:
            if last and 0 < value.rank < rank:
                value = self._lifted(value, (1,) * (rank - value.rank) + value.shape)
            found.append(self.sketch.read(value, last))
        return found, last

    def _lifted(self, value: Value, shape: tuple[int, ...]) -> Value:
        """The same elements in 4 dimensions, channels last where that takes one RESHAPE."""
        if value.constant is not None or value.flat or not same_bytes(shape):
            return self.reshaped(value, shape)
        inputs = [value.operand, self.sketch.ints([shape[at] for at in NHWC])]
        return self.sketch.make("RESHAPE", inputs, shape, value.type, last=True, quant=value.quant)

    def reshaped(self, value: Value, shape: Sequence[int]) -> Value:
        """The same elements in another shape."""
        shape = tuple(shape)
        if value.constant is not None:
            made = value.constant.reshape(shape)
            return replace(value, shape=shape, constant=made)
        if shape == value.shape:
            return value
        if not (value.flat or value.last) and (shape or (1,)) == (value.shape or (1,)):
            return replace(value, shape=shape)
        at = value.operand if value.flat else self.sketch.read(value)
        if len(shape) > 4:
            return Value(shape, value.type, at, quant=value.quant, flat=True)
        wanted = self.sketch.ints(shape or (1,))
        return self.sketch.make("RESHAPE", [at, wanted], shape, value.type, quant=value.quant)
