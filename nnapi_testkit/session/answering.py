"""Which oracle answers: live, golden, or live checked against golden."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from nnapi_testkit.answers import moved
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Answer, Case, Stage
from nnapi_testkit.model.kinds import Source
from nnapi_testkit.session.services import AnswerFunction, GoldenFunction, Services
from nnapi_testkit.session.settings import OracleMode

__all__ = ["Dispute", "answering", "resolve"]

SHARED_ANSWERS = 64
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


def answering(
    mode: OracleMode, services: Services, seed: int = 0
) -> Callable[[CaseRef, Case], Answer | None]:
    """Return the function that answers cases; it raises `Dispute` where it cannot.

    Cases that a driver has to refuse, and edges, have no answer (`None`). Goldens answer
    seed 0 alone.

    Raises KitError if goldens are to answer another seed.
    """
    resolved, _ = resolve(mode, services)
    if seed and resolved is OracleMode.GOLDEN:
        raise KitError(f"goldens answer seed 0 alone: seed {seed} needs --oracle live and torch")
    golden = _nothing_frozen if seed else services.golden()
    if resolved is OracleMode.GOLDEN:
        return lambda ref, case: None if _open(ref, case) else _golden_only(golden, ref, case)
    live = services.live()
    shared: OrderedDict[str, Answer] = OrderedDict()

    def answer(ref: CaseRef, case: Case) -> Answer | None:
        if _open(ref, case):
            return None
        if not ref.answer_id:
            return _both(live, golden, ref, case)
        # The cases that share an answer follow one another: the oracle is asked once.
        if ref.answer_id not in shared:
            shared[ref.answer_id] = _both(live, golden, ref, case)
            if len(shared) > SHARED_ANSWERS:
                shared.popitem(last=False)
        return shared[ref.answer_id]

    return answer


def _nothing_frozen(ref: CaseRef, case: Case) -> Answer | None:
    return None


def _open(ref: CaseRef, case: Case) -> bool:
    """Whether nothing is to be said of values: the model is to be refused, or an edge."""
    return case.expect is not Stage.DONE or not ref.answered


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
    why = moved(frozen, answer)
    if why:
        raise Dispute(f"the golden is stale: {why}; {_UPDATE}")
    return replace(answer, source=Source.BOTH)
