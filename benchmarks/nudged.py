"""The arithmetic of any other processor: every float64 result is off in its last places.

Maths libraries promise one or two units in the last place of float64 and differ within them, by
processor, by vector width and by an element's place in a vector; sums differ with their order.
`Nudged` is a torch mode in which each element of each result of every torch function that computes
is moved by -2, -1, 0, 1 or 2 units in the last place, at random and independently of its
neighbours. That is more than any processor does: a product that fits into float64 is exact on all
of them, and is nudged here all the same.

What only moves, selects, compares, rounds to an integer, converts or makes a constant has no last
place that could differ, and stays: `EXACT` names those functions, every other is nudged.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from nnapi_testkit.oracle.bounded import Bounded

UNITS = 2
_EXACT = """
    abs absolute neg negative sign signbit relu clamp clip hardtanh maximum minimum max min amax
    amin fmax fmin where masked_fill floor ceil round trunc isnan isinf isfinite isposinf isneginf
    nan_to_num eq ne lt le gt ge equal logical_not logical_and logical_or any all bool argmax argmin
    sort argsort topk nonzero
    reshape view permute transpose t squeeze unsqueeze flatten expand expand_as cat concat stack
    split chunk unbind index_select narrow select flip roll tile repeat gather contiguous clone
    getitem setitem broadcast_to broadcast_tensors repeat_interleave movedim swapaxes unfold pad
    index_copy scatter index_put masked_select take_along_dim diagonal detach
    to type double float int long numpy item tolist zeros ones full arange tensor empty eye
    zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_tensor from_numpy
    as_tensor meshgrid get set dim size numel stride is_floating_point is_tensor is_complex
    element_size data_ptr storage len iter contains format repr array bool index reversed hash
"""
EXACT = frozenset(_EXACT.split())


class Nudged(TorchFunctionMode):
    """Inside, each computed float64 result is moved by up to `units` in the last place.

    Args:
        seed: of the random moves. units: the most an element is moved.
    """

    def __init__(self, seed: int, units: int = UNITS) -> None:
        super().__init__()
        self.units = units
        self.functions = Counter[str]()
        self._generator = torch.Generator().manual_seed(seed)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if any(issubclass(kind, Bounded) for kind in types):
            # The rule of a function on values with bounds is itself made of torch functions.
            with self:
                return Bounded.__torch_function__(func, types, args, kwargs)
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "").strip("_")
        if name in EXACT:
            return result
        if isinstance(result, (tuple, list)):
            return type(result)(self._moved(name, item) for item in result)
        return self._moved(name, result)

    def _moved(self, name: str, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.dtype != torch.float64:
            return value
        self.functions[name] += 1
        with torch._C.DisableTorchFunction():
            steps = torch.randint(
                -self.units, self.units + 1, value.shape, generator=self._generator
            )
            # Neighbours of a float64 are neighbours as integers; zeros, infinities and NaN stay,
            # and so does what would turn into one of them.
            normal = value.isfinite() & (value.abs() > 2.0**-1000) & (value.abs() < 2.0**1000)
            moved = (value.contiguous().view(torch.int64) + steps).view(torch.float64)
            return torch.where(normal, moved, value)
