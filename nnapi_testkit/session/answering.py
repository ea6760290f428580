"""Which oracle answers: live, golden, or live checked against golden."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Answer, Case, Expected, Stage
from nnapi_testkit.session.services import AnswerFunction, GoldenFunction, Services
from nnapi_testkit.session.settings import OracleMode

__all__ = ["STALE_FRACTION", "Dispute", "answering", "disagreement", "resolve"]

STALE_FRACTION = 1e-3  # of the bound: what a live answer may differ from its golden
_NO_TORCH = "torch is not installed: goldens judge alone (pip install 'nnapi-testkit[torch]')"
_UPDATE = "regenerate it with nnapi-testkit golden update"


class Dispute(Exception):
    """The oracle has no usable word on a case; the message says why."""


def resolve(mode: OracleMode, services: Services) -> tuple[OracleMode, str]:
    """Decide between live and golden. Returns the mode and a notice for the user, or "".

    Raises KitError if the live oracle is asked for and torch is missing.
    """
    if mode is OracleMode.GOLDEN:
        return mode, ""
    if services.has_live():
        return OracleMode.LIVE, ""
    if mode is OracleMode.LIVE:
        raise KitError(
            "the live oracle needs torch: pip install 'nnapi-testkit[torch]',"
            " or use --oracle golden"
        )
    return OracleMode.GOLDEN, _NO_TORCH


def answering(mode: OracleMode, services: Services) -> Callable[[CaseRef, Case], Answer | None]:
    """Return the function that answers cases; it raises `Dispute` where it cannot.

    Cases that a driver has to refuse have no answer (`None`).
    """
    resolved, _ = resolve(mode, services)
    golden = services.golden()
    if resolved is OracleMode.GOLDEN:
        return lambda ref, case: None if _refused(case) else _golden_only(golden, ref, case)
    live = services.live()
    return lambda ref, case: None if _refused(case) else _both(live, golden, ref, case)


def _refused(case: Case) -> bool:
    return case.expect is not Stage.DONE


def _golden_only(golden: GoldenFunction, ref: CaseRef, case: Case) -> Answer:
    try:
        answer = golden(ref, case)
    except KitError as error:
        raise Dispute(str(error)) from error
    if answer is None:
        raise Dispute(f"there is no golden for this case: {_UPDATE}")
    return answer


def _both(live: AnswerFunction, golden: GoldenFunction, ref: CaseRef, case: Case) -> Answer:
    try:
        answer = live(ref, case)
    except Exception as error:
        # Whatever a reference raises, it is the kit that has failed here and not the driver.
        raise Dispute(f"the live oracle failed: {type(error).__name__}: {error}") from error
    try:
        frozen = golden(ref, case)
    except KitError as error:
        raise Dispute(str(error)) from error
    if frozen is None:
        return answer
    why = disagreement(answer, frozen)
    if why:
        raise Dispute(f"the golden is stale: {why}; {_UPDATE}")
    return replace(answer, source="live+golden")


def disagreement(live: Answer, golden: Answer) -> str:
    """Say where a live answer has left its golden, or return "".

    Values agree if they differ by at most a thousandth of the live bound; what is exact must be
    equal. Bounds are not compared: goldens keep them rounded up.
    """
    if len(live.sets) != len(golden.sets):
        return f"{len(live.sets)} input sets against {len(golden.sets)} in the golden"
    for at, (ours, theirs) in enumerate(zip(live.sets, golden.sets, strict=True)):
        if len(ours) != len(theirs):
            return f"set {at} has {len(ours)} outputs against {len(theirs)} in the golden"
        for output, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            why = _moved(one, other)
            if why:
                return f"set {at} output {output}: {why}"
    return ""


def _moved(live: Expected, golden: Expected) -> str:
    a, b = live.value, golden.value
    if a.shape != b.shape:
        return f"shape {list(a.shape)} against {list(b.shape)} in the golden"
    same = a == b
    if same.all():
        return ""
    with np.errstate(invalid="ignore"):
        close = same | (np.abs(a - b) <= STALE_FRACTION * live.bound) | (np.isnan(a) & np.isnan(b))
    if live.exempt is not None:
        close |= live.exempt
    if close.all():
        return ""
    at = np.unravel_index(int(np.argmin(close)), a.shape)
    where = ", ".join(str(int(i)) for i in at)
    return f"element [{where}] is {float(a[at])!r} live and {float(b[at])!r} in the golden"
