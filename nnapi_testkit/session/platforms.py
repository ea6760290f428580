"""Known platforms: what Android's own reference does wrong, one entry a kind, by device."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import FAILURES, Record, Verdict
from nnapi_testkit.model.case import Case
from nnapi_testkit.model.types import Lifetime
from nnapi_testkit.spec.codes import OperandCode, OperationCode

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Entry", "Platform", "entries", "explain", "known"]

GROUNDS = ("fault", "reading", "open", "changed")
REFERENCES = ("nnapi-reference", "nnapi-sample")  # devices that compute with Android's own kernels
_CODES = {code.name: int(code) for code in OperationCode}
_OURS = "nnapi-testkit/"  # fingerprints of loopback devices, behind which is no Android


@dataclass(frozen=True, slots=True)
class Platform:
    """The device that a record comes from.

    Args:
        device: name of the NNAPI device.
        level: its feature level.
        fingerprint: of the build; "" if not known.
    """

    device: str
    level: int
    fingerprint: str = ""

    @property
    def is_reference(self) -> bool:
        """Whether it computes with Android's own kernels."""
        return self.device.startswith(REFERENCES) and not self.fingerprint.startswith(_OURS)


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of known behaviour; every condition that is told has to hold.

    Args:
        ground: `fault`, `reading`, `open` or `changed`.
        cases: ids; of kept outcomes whose case was another one then.
        levels: feature levels of the device, first and last.
        given, omitted: positions of inputs of the last operation.
        scalar: a value among its INT32 scalars.
        empty: a tensor has no element. bytes: BOOL8 data hold more than 0 and 1.
        biased: all elements lie in their bounds.
        constraint: what a refusal breaks.
    """

    name: str
    ground: str
    reason: str
    evidence: str
    operations: frozenset[str] = frozenset()
    cases: frozenset[str] = frozenset()
    verdicts: frozenset[Verdict] = FAILURES
    kinds: frozenset[str] = frozenset()
    levels: tuple[int, int] = (1, 99)
    fingerprint: str = ""
    given: tuple[int, ...] = ()
    omitted: tuple[int, ...] = ()
    scalar: int | None = None
    empty: bool = False
    bytes: bool = False
    biased: bool = False
    constraint: str = ""

    def covers(self, platform: Platform, record: Record, ref: CaseRef, case: Case) -> bool:
        """Whether the record's failure is of this kind."""
        if not self.levels[0] <= platform.level <= self.levels[1]:
            return False
        if self.fingerprint and self.fingerprint not in platform.fingerprint:
            return False
        if record.verdict not in self.verdicts:
            return False
        if self.operations and ref.operation not in self.operations:
            return False
        if self.cases and ref.id not in self.cases:
            return False
        if self.kinds and ref.kind not in self.kinds:
            return False
        if self.biased and record.mismatched:
            return False
        if self.constraint and (
            ref.broken is None or str(ref.broken.constraint) != self.constraint
        ):
            return False
        return self._of_model(ref, case)

    def _of_model(self, ref: CaseRef, case: Case) -> bool:
        if not self._of_inputs(ref, case):
            return False
        arrays = [array for each in case.sets for array in each.inputs if array is not None]
        if self.empty and not (
            any(array.size == 0 for array in arrays)
            or any(0 in dims for each in case.sets for dims in each.output_dims)
        ):
            return False
        if self.bytes:
            bools = [a for a in arrays if a.dtype in (np.dtype("u1"), np.dtype("?"))]
            return any(bool((array.view("u1") > 1).any()) for array in bools)
        return True

    def _of_inputs(self, ref: CaseRef, case: Case) -> bool:
        """Whether an operation of the model has the inputs that the entry names."""
        if not self.given and not self.omitted and self.scalar is None:
            return True
        operands = case.model.main.operands
        return any(
            all(_there(operands, op.inputs, at) for at in self.given)
            and not any(_there(operands, op.inputs, at) for at in self.omitted)
            and (self.scalar is None or self.scalar in _scalars(operands, op.inputs))
            for op in case.model.main.operations
            if op.code == _CODES.get(ref.operation)
        )


def _there(operands: Any, inputs: tuple[int, ...], at: int) -> bool:
    return at < len(inputs) and operands[inputs[at]].lifetime != Lifetime.OMITTED


def _scalars(operands: Any, inputs: tuple[int, ...]) -> set[int]:
    return {
        int.from_bytes(operands[at].value, "little", signed=True)
        for at in inputs
        if operands[at].type == OperandCode.INT32 and operands[at].value
    }


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """Return the entries of all files of `data/platforms`, in order. Raises KitError."""
    found: list[Entry] = []
    folder = resources.files("nnapi_testkit.data") / "platforms"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            document = tomllib.loads(file.read_text("utf-8"))
            found += [_entry(values, file.name) for values in document["entry"]]
    return tuple(found)


def _entry(values: Mapping[str, Any], file: str) -> Entry:
    told = dict(values)
    if told.get("ground") not in GROUNDS:
        raise KitError(f"{file}: entry {told.get('name')!r} needs a ground: {', '.join(GROUNDS)}")
    for name in ("operations", "kinds", "cases"):
        told[name] = frozenset(told.get(name, ()))
    if "verdicts" in told:
        told["verdicts"] = frozenset(Verdict(name) for name in told["verdicts"])
    for name in ("levels", "given", "omitted"):
        if name in told:
            told[name] = tuple(told[name])
    try:
        return Entry(**told)
    except TypeError as error:
        raise KitError(f"{file}: entry {told.get('name')!r}: {error}") from error


def explain(platform: Platform, record: Record, ref: CaseRef, case: Case) -> Entry | None:
    """Return the entry of which kind a failure is; None if no entry knows it."""
    if not platform.is_reference:
        return None
    return next((e for e in entries() if e.covers(platform, record, ref, case)), None)


def known(platform: Platform, record: Record, ref: CaseRef, case: Case) -> Record:
    """Return the record, KNOWN if the failure is a fault that the platform's reference has.

    Readings and open values have cases and verdicts of their own, and are not forgiven here.
    """
    if not record.verdict.is_failure:
        return record
    entry = explain(platform, record, ref, case)
    if entry is None or entry.ground != "fault":
        return record
    message = f"{record.verdict.value} (known, {entry.name}: {entry.reason}): {record.message}"
    return replace(record, verdict=Verdict.KNOWN, known=entry.name, message=message)
