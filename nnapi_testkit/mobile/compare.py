"""Judging one output of a model: the driver's against the exact value and against eager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.mobile.walk import real

__all__ = ["ExactOutput", "OutputReport", "compare", "worst"]

# A tolerance beyond this part of the largest value judges nothing. Codes and half precision are
# coarse by nature: ten codes may be all that an output has.
_VACUOUS, _VACUOUS_COARSE = 0.02, 0.25


@dataclass(frozen=True)
class ExactOutput:
    """What an output should be.

    Args:
        value: the exact output, float64, int32 or quint8 with its scale.
        tolerance: the largest legal distance of an element, in real units.
        eager: what eager PyTorch computed; None where it is not known.
        coarse: whether layers of the model are quantized or computed in half precision.
    """

    value: torch.Tensor
    tolerance: float
    eager: torch.Tensor | None = None
    coarse: bool = False


@dataclass(frozen=True)
class OutputReport:
    """The verdict on one output of one execution.

    Args:
        set, output: which input set and which output, from 0.
        verdict: PASS, MISMATCH, NAN_MISMATCH, DIMENSIONS, ORACLE_DISPUTE or OBSERVED.
        shape, dtype: of the driver's output. elements: how many were compared.
        error: largest distance from the exact value; index: where. tolerance: what is legal.
        eager_error: the same distance for eager PyTorch; None where it is not known.
        scale: of quantized outputs, to read errors in codes; else 0.
        largest: the largest magnitude of the exact value.
        reason: why it is not a PASS.
    """

    set: int
    output: int
    verdict: Verdict
    shape: tuple[int, ...]
    dtype: str
    elements: int = 0
    error: float = 0.0
    index: tuple[int, ...] = ()
    tolerance: float = 0.0
    eager_error: float | None = None
    scale: float = 0.0
    largest: float = 0.0
    reason: str = ""

    def text(self) -> str:
        """One line for people."""
        unit = self.scale or 1.0
        word = " codes" if self.scale else ""
        where = ", ".join(map(str, self.index))
        line = (
            f"{self.verdict.value:<8} set {self.set} output {self.output}"
            f" {list(self.shape)} {self.dtype}: "
        )
        if not self.elements:
            return line + self.reason
        line += (
            f"max error {self.error / unit:.3g}{word} at [{where}],"
            f" tolerance {self.tolerance / unit:.3g}{word}"
        )
        if self.largest:
            line += f" ({self.tolerance / self.largest:.1e} of the largest value)"
        if self.eager_error is not None:
            line += f", eager's own {self.eager_error / unit:.3g}{word}"
        return line + (f"; {self.reason}" if self.reason else "")


def compare(
    set_index: int, output: int, expected: ExactOutput, actual: torch.Tensor
) -> OutputReport:
    """Judge what the driver returned for one output.

    DIMENSIONS: another shape or type. NAN_MISMATCH: NaN where there should be a number, or the
    other way. ORACLE_DISPUTE: eager PyTorch is itself outside the tolerance. OBSERVED: nothing
    can be judged, because the exact value is all zeros or the tolerance is as large as the data.
    """
    shape, dtype = tuple(actual.shape), str(actual.dtype).removeprefix("torch.")

    def say(verdict: Verdict, reason: str = "", **facts: Any) -> OutputReport:
        return OutputReport(set_index, output, verdict, shape, dtype, reason=reason, **facts)

    if shape != tuple(expected.value.shape):
        return say(Verdict.DIMENSIONS, f"the shape should be {list(expected.value.shape)}")
    if _kind(actual) != _kind(expected.value):
        return say(Verdict.DIMENSIONS, f"the type should be {_kind(expected.value)}")
    exact, got = real(expected.value), real(actual)
    if not exact.numel():
        return say(Verdict.OBSERVED, "the output is empty: nothing to judge")
    scale = actual.q_scale() if actual.is_quantized else 0.0
    largest = float(torch.where(exact.isfinite(), exact, 0.0).abs().max())
    # The codes of a quantized type are equal or not; their real values carry rounding of a double.
    tolerance = expected.tolerance * (1 + 1e-9)
    error, index, nan = _distance(exact, got)
    facts: dict[str, Any] = {
        "elements": exact.numel(),
        "error": error,
        "index": index,
        "tolerance": expected.tolerance,
        "scale": scale,
        "largest": largest,
    }
    slack = max(tolerance, scale * 1e-6)
    eager_error = None
    if expected.eager is not None:
        eager_error, _, eager_nan = _distance(exact, real(expected.eager))
        facts["eager_error"] = eager_error
        if eager_nan or eager_error > slack:
            by_eager, _, other_nan = _distance(real(expected.eager), got)
            if error <= slack or (by_eager <= slack and not other_nan):
                return say(Verdict.ORACLE_DISPUTE, "eager PyTorch leaves the tolerance", **facts)
    if nan:
        return say(Verdict.NAN_MISMATCH, "NaN differs", **facts)
    if error > slack:
        return say(Verdict.MISMATCH, **facts)
    vacuous = _VACUOUS_COARSE if expected.coarse else _VACUOUS
    if largest == 0:
        return say(Verdict.OBSERVED, "the exact output is all zeros: nothing to judge", **facts)
    if expected.tolerance > vacuous * largest:
        return say(Verdict.OBSERVED, "the model amplifies rounding too much to be judged", **facts)
    return say(Verdict.PASS, **facts)


def worst(reports: tuple[OutputReport, ...]) -> Verdict:
    """One verdict for a model: failures first, then errors, then what is merely observed."""
    verdicts = [report.verdict for report in reports]
    for chosen in (
        [v for v in verdicts if v.is_failure],
        [v for v in verdicts if v.is_error],
        [v for v in verdicts if v is Verdict.OBSERVED],
    ):
        if chosen:
            return chosen[0]
    return Verdict.PASS if verdicts else Verdict.NOT_RUN


def _kind(tensor: torch.Tensor) -> str:
    """A type's name, the same for every width of float: exact values are float64."""
    if tensor.is_floating_point():
        return "float"
    return str(tensor.dtype).removeprefix("torch.")


def _distance(exact: torch.Tensor, got: torch.Tensor) -> tuple[float, tuple[int, ...], bool]:
    """Largest distance, where it is, and whether NaN stands in different places."""
    nan = bool((exact.isnan() != got.isnan()).any())
    # Equal infinities are no distance; unequal ones are an infinite one.
    gap = torch.where(exact == got, 0.0, (exact - got).abs())
    gap = torch.where(exact.isnan() & got.isnan(), 0.0, gap)
    gap = torch.where(gap.isnan(), float("inf"), gap)
    flat = int(gap.argmax())
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), gap.shape))
    return float(gap.flatten()[flat]), index, nan
