"""The bound of one element, term by term, and how the judge comes from it to what is legal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.judge.compare import Comparison
from nnapi_testkit.judge.profiles import Profile
from nnapi_testkit.model.case import Expected
from nnapi_testkit.model.types import Operand
from nnapi_testkit.op.bounds import ARITHMETIC, SMALLEST
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import CODE_RANGE, FLOATS

if TYPE_CHECKING:
    from nnapi_testkit.oracle.terms import BoundTerms

__all__ = ["Worst", "bound_lines", "worst_element"]


@dataclass(frozen=True, slots=True)
class Worst:
    """The element of an output that is nearest to its bound, or furthest beyond it.

    Args:
        at: its index. margin: error over what is allowed.
    """

    at: tuple[int, ...]
    margin: float


def _reached(operand: Operand, expected: Expected) -> NDArray[np.float64]:
    """The expected values as the output's type can hold them: codes saturate."""
    code = OperandCode(operand.type)
    if code not in CODE_RANGE or not operand.scale:
        return expected.value
    first, last = ((end - operand.zero_point) * operand.scale for end in CODE_RANGE[code])
    return np.clip(expected.value, first, last)


def worst_element(operand: Operand, expected: Expected, found: Comparison) -> Worst | None:
    """The worst element of a comparison; None where every element is open or there is none."""
    with np.errstate(all="ignore"):
        error = np.abs(found.actual - _reached(operand, expected))
        error = np.where(found.wrong & ~np.isfinite(error), np.inf, np.nan_to_num(error))
        margin = error / np.maximum(found.allowed, SMALLEST)
    # An illegal element is worse than any legal one, whatever a huge bound makes of its margin.
    margin = np.where(found.wrong, 2.0 + margin, np.minimum(margin, 1.0))
    if expected.exempt is not None:
        margin = np.where(expected.exempt, -1.0, margin)
    if not margin.size or margin.max() < 0:
        return None
    at = np.unravel_index(int(margin.argmax()), margin.shape)
    index = tuple(int(i) for i in at)
    worst = float(margin[index])
    return Worst(index, worst - 2.0 if found.wrong[index] else worst)


def bound_lines(
    operand: Operand,
    expected: Expected,
    found: Comparison,
    worst: Worst,
    profile: Profile,
    terms: BoundTerms | None,
) -> Iterator[str]:
    """Yield the element's values and the terms of what it is allowed, in real units.

    Args:
        operand: the output. found: how it compared.
        terms: of the certified bound; None without the live oracle.
    """
    at = worst.at
    value, bound = float(expected.value[at]), float(expected.bound[at])
    got = f"{found.actual[at]:.9g}"
    if found.codes is not None:
        got += f" (code {found.codes[at]})"
    held = float(_reached(operand, expected)[at])
    end = f", which saturates at {held:.9g}" if held != value and np.isfinite(value) else ""
    error = abs(float(found.actual[at]) - held)
    yield f"expected {value:.9g}{end}; the driver gave {got}, error {error:.4g}"
    rows: list[tuple[str, float, str]] = []
    if terms is not None and terms.own.shape == expected.value.shape:
        rows += [
            ("own rounding", float(terms.own[at]), f"{terms.operation}: {terms.rule}"),
            (
                "flush",
                float(terms.flush[at]),
                "inputs read as 0; relaxed: infinite, scalars rounded",
            ),
            ("carried error", float(terms.carried[at]), "what its inputs' errors become"),
        ]
    rows.append(("certified bound", bound, "before any profile"))
    rows += _profile_rows(operand, value, bound, found, at, profile)
    for name, number, why in rows:
        yield f"  {name:<18} {number:>12.4g}  {why}"
    if found.low is not None and found.high is not None:
        first, last = CODE_RANGE[OperandCode(operand.type)]
        yield f"legal codes: {max(found.low[at], first)} to {min(found.high[at], last)}"
    elif OperandCode(operand.type) in FLOATS:
        allowed = float(found.allowed[at])
        yield f"legal values: {value - allowed:.9g} to {value + allowed:.9g}"
    word = "illegal" if found.wrong[at] else "legal"
    yield f"error over allowed: {worst.margin:.4g}: {word}"


def _profile_rows(
    operand: Operand,
    value: float,
    bound: float,
    found: Comparison,
    at: tuple[int, ...],
    profile: Profile,
) -> Iterator[tuple[str, float, str]]:
    """What the judge adds: the profile's freedom, rounding to codes, float64's own last place."""
    code = OperandCode(operand.type)
    allowed = float(found.allowed[at])
    if profile.fixed:
        yield "allowed", allowed, f"the published numbers of the profile {profile.name}"
        return
    if code in CODE_RANGE:
        real = value / operand.scale + operand.zero_point
        yield "half a code", operand.scale / 2, f"the value stands at code {real:.4f}"
        codes = profile.codes if bound > 0 else 0
        why = f"{codes} code{'' if codes == 1 else 's'} of freedom under {profile.name}"
        yield "profile", codes * operand.scale, why
    elif code in FLOATS:
        more = bound * (profile.float_factor - 1)
        yield "profile factor", more, f"times {profile.float_factor:g} under {profile.name}"
        yield "float64", abs(value) * ARITHMETIC, "what another processor's float64 may make of it"
    yield "allowed", allowed, "the sum"
