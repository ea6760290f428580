"""Verdicts and records: what a run says about each case, and on what evidence."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from nnapi_testkit.model.case import Stage
from nnapi_testkit.model.kinds import Kind, Source
from nnapi_testkit.model.quick import quick
from nnapi_testkit.spec.codes import ResultCode

OPEN = "the values are open"  # `Evidence.exempt_why` of an edge of which each execution ended


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
    LEAK = "LEAK"
    OBSERVED = "OBSERVED"
    CONTESTED = "CONTESTED"
    KNOWN = "KNOWN"
    PLATFORM = "PLATFORM"
    WAIVED = "WAIVED"
    ORACLE_DISPUTE = "ORACLE_DISPUTE"
    INFRA = "INFRA"
    NOT_RUN = "NOT_RUN"

    @property
    def meaning(self) -> Meaning:
        """What the word counts as, everywhere."""
        return MEANINGS[self]

    @property
    def is_pass(self) -> bool:
        """Whether the driver kept its promise."""
        return MEANINGS[self].group is Group.PASS

    @property
    def is_failure(self) -> bool:
        """Whether the driver broke a promise."""
        return MEANINGS[self].group is Group.FAILURE

    @property
    def is_error(self) -> bool:
        """Whether nothing can be said about the driver."""
        return MEANINGS[self].group is Group.ERROR

    @property
    def is_apart(self) -> bool:
        """Whether the case would be a failure, and is not charged to the driver."""
        return MEANINGS[self].group is Group.APART

    @property
    def is_bad(self) -> bool:
        """Whether a run does not end well with it: a failure or an error."""
        return MEANINGS[self].group in (Group.FAILURE, Group.ERROR)

    @property
    def is_undecided(self) -> bool:
        """Whether the case neither proves nor charges anything."""
        return MEANINGS[self].group in (Group.OPEN, Group.ERROR)

    @property
    def is_word(self) -> bool:
        """Whether it says anything of what the driver computes or refuses."""
        return not (MEANINGS[self].unclaimed or self.is_error)


class Group(str, Enum):
    """What a verdict counts as."""

    PASS = "pass"
    OPEN = "open"  # nothing to hold against the driver, and nothing proved
    APART = "apart"  # would be a failure, and has a table of its own instead
    ERROR = "error"
    FAILURE = "failure"


class Shown(str, Enum):
    """How JUnit and pytest tell a verdict."""

    PASSED = "passed"
    SKIPPED = "skipped"
    FAILED = "failed"
    ERROR = "error"
    EXPECTED = "expected"  # pytest's xfailed


class Sort(str, Enum):
    """How a driver fails, as far as failures of several verdicts have one cause."""

    VALUES = "values"
    CRASH = "crash"
    HANG = "hang"
    REFUSED = "refused"
    ERROR = "error"
    ACCEPTED = "accepted"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row of the table of verdicts: nothing else in the kit sorts them.

    Args:
        group: what it counts as.
        rank: of several words on one case the highest stays when reports are merged.
        junit, pytest: how test reports show it.
        colour: the class of its cells on the page.
        computed: the device did what was asked.
        silent: it says nothing of the driver, so any other word on the case replaces it.
        passed_on: JUnit carries its message although it passed.
        unclaimed: the device does not claim what was asked.
        sort: of a failure, how it fails.
        coded: the driver answered a valid model with an error code.
        told: of several problems of one case the one with the lowest number names the verdict.
        why: of what is apart, why it is not charged, as the page says it.
    """

    group: Group
    rank: int
    junit: Shown
    pytest: Shown
    colour: str
    computed: bool = False
    silent: bool = False
    passed_on: bool = False
    unclaimed: bool = False
    sort: Sort = Sort.VALUES
    coded: bool = False
    told: int = 9
    why: str = ""


_FAILURE = Meaning(Group.FAILURE, 9, Shown.FAILED, Shown.FAILED, "fail")
_APART = Meaning(Group.APART, 2, Shown.SKIPPED, Shown.SKIPPED, "apart")
_ERROR = Meaning(Group.ERROR, 8, Shown.ERROR, Shown.ERROR, "error")
_CRASH = replace(_FAILURE, sort=Sort.CRASH)
MEANINGS = {
    Verdict.PASS: Meaning(Group.PASS, 0, Shown.PASSED, Shown.PASSED, "pass", computed=True),
    Verdict.MISMATCH: replace(_FAILURE, told=5),
    Verdict.NAN_MISMATCH: replace(_FAILURE, told=4),
    Verdict.UNWRITTEN: replace(_FAILURE, told=3),
    Verdict.DIMENSIONS: replace(_FAILURE, told=2),
    Verdict.UNSUPPORTED: Meaning(
        Group.OPEN, 6, Shown.SKIPPED, Shown.SKIPPED, "other", unclaimed=True
    ),
    Verdict.REFUSED: replace(_FAILURE, sort=Sort.REFUSED, coded=True),
    Verdict.ACCEPTED_INVALID: replace(_FAILURE, sort=Sort.ACCEPTED),
    Verdict.WRONG_CODE: replace(_FAILURE, sort=Sort.CODE),
    Verdict.EXEC_ERROR: replace(_FAILURE, sort=Sort.ERROR, coded=True, told=1),
    Verdict.CRASH_RUNNER: _CRASH,
    Verdict.CRASH_SERVICE: _CRASH,
    Verdict.TIMEOUT: replace(_FAILURE, sort=Sort.HANG),
    Verdict.NONDETERMINISTIC: replace(_FAILURE, told=6),
    Verdict.LEAK: _FAILURE,
    Verdict.OBSERVED: Meaning(
        Group.OPEN, 1, Shown.PASSED, Shown.PASSED, "other", computed=True, passed_on=True
    ),
    Verdict.WAIVED: replace(
        _APART,
        colour="waived",
        pytest=Shown.EXPECTED,
        why="failing as a waiver expects: not charged, and not correct either",
    ),
    Verdict.CONTESTED: replace(
        _APART,
        rank=3,
        why="failing as the platform's own reference does: not charged to the driver",
    ),
    Verdict.KNOWN: replace(
        _APART,
        rank=4,
        why="failing as the platform's own reference is known to: not charged",
    ),
    Verdict.PLATFORM: replace(
        _APART,
        rank=5,
        why="failing in the runtime between kit and driver: no driver was asked",
    ),
    Verdict.ORACLE_DISPUTE: _ERROR,
    Verdict.INFRA: replace(_ERROR, silent=True, told=0),
    Verdict.NOT_RUN: replace(_ERROR, junit=Shown.SKIPPED, silent=True),
}
FAILURES = frozenset(verdict for verdict in Verdict if verdict.is_failure)
APART = tuple(verdict for verdict in Verdict if verdict.is_apart)


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


@quick
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
        oracle: who said what is right.
    """

    compared: int = 0
    exempt: int = 0
    exempt_why: str = ""
    dims_checked: int = 0
    status_checked: int = 0
    margin: float = 0.0
    minimum_tolerance: float = 0.0
    bias: float | None = None
    oracle: Source = Source.NONE

    @property
    def ended(self) -> bool:
        """Of an edge: whether each execution ran to its end, and only values are open."""
        return self.exempt > 0 and self.exempt_why == OPEN


@quick
@dataclass(frozen=True, slots=True)
class Record:
    """One line of `results.jsonl`: a case, its verdict and the evidence.

    Args:
        waiver, waived, told: the pattern of the waiver that expects the failure, which it was, and
            the message that it had.
        stage: where the case ended; None where it never ran.
        control: of a refusal, the case that runs the same model unbroken.
        rule, newer: of a refusal, the rule that is broken, and whether it is only that the model is
            newer than the device.
        topic, reading: of a contested case, the question and the reading that the device follows;
            several joined by `+` where they agree here, `neither` for none.
        known: the entry of `data/platforms` that explains a KNOWN failure.
        earlier: the failure or error of an earlier run that a retry has replaced.
        bits: digest of all outputs (`judge.bits`), "" where nothing ran.
        after: of a failure that passes alone, the earlier cases that make it fail.
    """

    id: str
    operation: str
    cell: str
    level: int
    verdict: Verdict
    evidence: Evidence
    device: str = ""
    target: str = ""
    kind: Kind = Kind.POSITIVE
    message: str = ""
    differences: tuple[Difference, ...] = field(default=())
    mismatched: int = 0
    stage: Stage | None = None
    code: int = 0
    isolated: Verdict | None = None
    nanoseconds: int = 0
    waiver: str = ""
    waived: Verdict | None = None
    repro: str = ""
    text: str = ""
    control: str = field(default="", metadata={"json": "neighbour"})
    rule: str = ""
    newer: bool = False
    topic: str = ""
    reading: str = ""
    known: str = ""
    earlier: Verdict | None = None
    bits: str = ""
    after: tuple[str, ...] = field(default=())
    told: str = ""

    @property
    def order_dependent(self) -> bool:
        """Whether the case fails after others, and passed when it ran alone."""
        alone = self.isolated
        return self.verdict.is_failure and alone is not None and not alone.is_bad


def code_name(code: int) -> str:
    """`BAD_DATA (4)`, or the bare number if NNAPI knows no such code."""
    return f"{ResultCode(code).name} ({code})" if code in set(ResultCode) else str(code)
