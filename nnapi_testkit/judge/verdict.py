"""Verdicts and records: what a run says about each case, and on what evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from nnapi_testkit.spec.codes import ResultCode


class Verdict(str, Enum):
    """The outcome of one case (the words are defined in docs/verdicts.md)."""

    PASS = "PASS"
    MISMATCH = "MISMATCH"
    NAN_MISMATCH = "NAN_MISMATCH"
    UNWRITTEN = "UNWRITTEN"
    DIMENSIONS = "DIMENSIONS"
    UNSUPPORTED = "UNSUPPORTED"
    REFUSED = "REFUSED"
    ACCEPTED_INVALID = "ACCEPTED_INVALID"
    WRONG_CODE = "WRONG_CODE"
    EXEC_ERROR = "EXEC_ERROR"
    CRASH_RUNNER = "CRASH_RUNNER"
    CRASH_SERVICE = "CRASH_SERVICE"
    TIMEOUT = "TIMEOUT"
    NONDETERMINISTIC = "NONDETERMINISTIC"
    OBSERVED = "OBSERVED"
    WAIVED = "WAIVED"
    ORACLE_DISPUTE = "ORACLE_DISPUTE"
    INFRA = "INFRA"
    NOT_RUN = "NOT_RUN"

    @property
    def is_failure(self) -> bool:
        """Whether the driver broke a promise."""
        return self in FAILURES

    @property
    def is_error(self) -> bool:
        """Whether nothing can be said about the driver."""
        return self in ERRORS


FAILURES = frozenset(
    {
        Verdict.MISMATCH,
        Verdict.NAN_MISMATCH,
        Verdict.UNWRITTEN,
        Verdict.DIMENSIONS,
        Verdict.REFUSED,
        Verdict.ACCEPTED_INVALID,
        Verdict.WRONG_CODE,
        Verdict.EXEC_ERROR,
        Verdict.CRASH_RUNNER,
        Verdict.CRASH_SERVICE,
        Verdict.TIMEOUT,
        Verdict.NONDETERMINISTIC,
    }
)
ERRORS = frozenset({Verdict.ORACLE_DISPUTE, Verdict.INFRA, Verdict.NOT_RUN})


@dataclass(frozen=True, slots=True)
class Difference:
    """One output element outside its legal set.

    Args:
        set, output: which execution and output.
        index: position in the output.
        actual, expected: real values (codes dequantized).
        error, bound: distance and what was allowed; both in real units.
        actual_code, legal_codes: for quantized outputs, the code and the legal interval.
    """

    set: int
    output: int
    index: tuple[int, ...]
    actual: float
    expected: float
    error: float
    bound: float
    actual_code: int | None = None
    legal_codes: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict rests on: nothing passes without it.

    Args:
        compared: output elements compared with the oracle.
        exempt: elements the documentation leaves open; `exempt_why` says why.
        dims_checked, status_checked: whether dimensions and result codes were checked.
        margin: worst error over bound; above 1 is a failure. 0 for exact agreement.
        minimum_tolerance: the smallest absolute error that would have passed.
        bias: mean signed error in codes, for quantized outputs.
        oracle: `live`, `golden`, `live+golden`, `expected-refusal`, or `documented-code` where
            the result code was judged too.
    """

    compared: int = 0
    exempt: int = 0
    exempt_why: str = ""
    dims_checked: int = 0
    status_checked: int = 0
    margin: float = 0.0
    minimum_tolerance: float = 0.0
    bias: float | None = None
    oracle: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of `results.jsonl`: a case, its verdict and the evidence.

    Args:
        neighbour: of a refusal, the case that runs the same model unbroken.
    """

    id: str
    operation: str
    cell: str
    level: int
    verdict: Verdict
    evidence: Evidence
    device: str = ""
    target: str = ""
    kind: str = "positive"
    message: str = ""
    differences: tuple[Difference, ...] = field(default=())
    mismatched: int = 0
    stage: str = ""
    code: int = 0
    isolated: Verdict | None = None
    nanoseconds: int = 0
    waiver: str = ""
    repro: str = ""
    text: str = ""
    neighbour: str = ""


def code_name(code: int) -> str:
    """`BAD_DATA (4)`, or the bare number if NNAPI knows no such code."""
    return f"{ResultCode(code).name} ({code})" if code in set(ResultCode) else str(code)
