"""Bounds are honest: a driver that rounds after every step of the reference always passes.

The counterpart of `test_power.py`. The rounded driver is the reference itself, in arithmetic of
the type that the driver may use: inputs and the result of every torch function are rounded to
float32, or to float16 where the model is relaxed or its data are half floats. It may also flush
subnormal numbers to zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from meta_mutants import outputs_of
from torch.overrides import TorchFunctionMode

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.compare import compare
from nnapi_testkit.judge.profiles import profile
from nnapi_testkit.model.types import Operand
from nnapi_testkit.oracle import answer
from nnapi_testkit.oracle.bind import Binding
from nnapi_testkit.oracle.propagate import Bounded
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, FLOATS

# Control flow has no reference of its own, others have no float cell; draws have a law instead of
# values (tests/meta/test_kinds.py); LSH_PROJECTION hashes bytes, which arithmetic does not round.
OPERATIONS = sorted(
    name
    for name, op in catalog().items()
    if op.graphs is None
    and name != "LSH_PROJECTION"
    and any(cell.main in FLOATS for cell in op.cells)
    and all(output.kind != OutputKind.DRAWS for output in op.outputs)
)
STRICT = profile("strict")


class Rounding(TorchFunctionMode):
    """Rounds what every torch function returns."""

    def __init__(self, dtype: Any, flush: bool) -> None:
        super().__init__()
        self.dtype = dtype
        self.flush = flush

    def round(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(self.round(item) for item in value)
        if isinstance(value, float):
            return float(torch.tensor(value, dtype=self.dtype))
        if not (torch.is_tensor(value) and value.dtype == torch.float64):
            return value
        rounded = value.to(self.dtype).to(torch.float64)
        if self.flush:
            small = rounded.abs() < torch.finfo(self.dtype).tiny
            rounded = torch.where(small, torch.copysign(torch.zeros_like(value), value), rounded)
        return rounded

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            return self.round(func(*args, **(kwargs or {})))


@contextmanager
def rounded_driver(monkeypatch: pytest.MonkeyPatch, dtype: Any, flush: bool) -> Iterator[None]:
    """References that round, until the end of the block."""
    exact = Binding.reference

    def reference(self: Binding, module: Any, **args: Any) -> Any:
        flat = [v for a in args.values() for v in (a if isinstance(a, list) else [a])]
        if any(isinstance(value, Bounded) for value in flat):
            return exact(self, module, **args)
        mode = Rounding(dtype, flush)
        rounded = {name: mode.round(value) for name, value in args.items()}
        with mode:
            return mode.round(exact(self, module, **rounded))

    with monkeypatch.context() as patch:
        patch.setattr(Binding, "reference", reference)
        yield


def encoded(operand: Operand, real: np.ndarray) -> np.ndarray:
    """Real values in the operand's element type; codes rounded to nearest."""
    code = OperandCode(operand.type)
    with np.errstate(all="ignore"):
        if code in FLOATS:
            return real.astype(DTYPE[code])
        real = np.nan_to_num(real)
        if code in CODE_RANGE:
            real = np.clip(np.rint(real / operand.scale) + operand.zero_point, *CODE_RANGE[code])
        return real.astype(DTYPE[code])


@pytest.mark.parametrize("name", OPERATIONS)
def test_rounded_reference_passes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for ref in (ref for ref in case_index([name]) if ref.has_golden):
        half = ref.cell.startswith("float16") or "relaxed" in ref.id
        if not (half or ref.cell.startswith("float32")):
            continue
        case = ref.make()
        told = answer(ref, case)
        for flush in (False, True):
            with rounded_driver(monkeypatch, torch.float16 if half else torch.float32, flush):
                driven = answer(ref, case)
            for right, rounded in zip(told.sets, driven.sets, strict=True):
                for operand, want, got in zip(outputs_of(case), right, rounded, strict=True):
                    data = encoded(operand, got.value).tobytes()
                    found = compare(operand, want, data, STRICT, case.model.relaxed)
                    # A factor that underflows to zero makes NaN of an infinity in recurrent cells.
                    wrong = found.wrong & ~(np.isinf(want.value) & np.isnan(got.value))
                    assert not wrong.any(), (
                        f"{ref.id}: {int(wrong.sum())} elements of a driver that rounds "
                        f"correctly{' and flushes' if flush else ''} are refused, the worst at "
                        f"{found.margin:.3g} times the bound"
                    )
