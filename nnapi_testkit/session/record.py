"""A record as one line of JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Difference, Evidence, Record, Verdict

__all__ = ["as_json", "decode", "encode"]

_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_DECODE = json.JSONDecoder().decode


def encode(record: Record) -> str:
    """Return the record as JSON without a line break; fields at their defaults are left out.

    JSON has no infinities and no NaN: such numbers become the strings "inf", "-inf", "nan".
    """
    return _ENCODE(as_json(record))


def as_json(record: Record) -> dict[str, Any]:
    """Return the record as JSON values."""
    line: dict[str, Any] = {
        "id": record.id,
        "operation": record.operation,
        "cell": record.cell,
        "level": record.level,
        "kind": record.kind,
        "verdict": record.verdict.value,
        "device": record.device,
        "target": record.target,
        "evidence": _evidence(record.evidence),
    }
    if record.message:
        line["message"] = record.message
    if record.differences:
        line["differences"] = [_difference(difference) for difference in record.differences]
    if record.mismatched:
        line["mismatched"] = record.mismatched
    if record.stage:
        line["stage"] = record.stage
    if record.code:
        line["code"] = record.code
    if record.isolated is not None:
        line["isolated"] = record.isolated.value
    if record.nanoseconds:
        line["nanoseconds"] = record.nanoseconds
    for name in ("waiver", "repro", "text", "neighbour"):
        value = getattr(record, name)
        if value:
            line[name] = value
    return line


def _evidence(evidence: Evidence) -> dict[str, Any]:
    found: dict[str, Any] = {"compared": evidence.compared, "oracle": evidence.oracle}
    if evidence.exempt:
        found["exempt"] = evidence.exempt
        found["exempt_why"] = evidence.exempt_why
    if evidence.dims_checked:
        found["dims_checked"] = evidence.dims_checked
    if evidence.status_checked:
        found["status_checked"] = evidence.status_checked
    if evidence.margin:
        found["margin"] = _real(evidence.margin)
    if evidence.minimum_tolerance:
        found["minimum_tolerance"] = _real(evidence.minimum_tolerance)
    if evidence.bias is not None:
        found["bias"] = _real(evidence.bias)
    return found


def _difference(difference: Difference) -> dict[str, Any]:
    found: dict[str, Any] = {
        "set": difference.set,
        "output": difference.output,
        "index": list(difference.index),
        "actual": _real(difference.actual),
        "expected": _real(difference.expected),
        "error": _real(difference.error),
        "bound": _real(difference.bound),
    }
    if difference.actual_code is not None:
        found["actual_code"] = difference.actual_code
    if difference.legal_codes is not None:
        found["legal_codes"] = list(difference.legal_codes)
    return found


def _real(value: float) -> float | str:
    # x - x is 0 for every finite number; numpy scalars become plain floats.
    value = float(value)
    return value if value - value == 0.0 else str(value)


def decode(line: str) -> Record:
    """Return the record of a JSON line. Raises KitError if it is none."""
    try:
        fields: Mapping[str, Any] = _DECODE(line)
        evidence = fields["evidence"]
        isolated = fields.get("isolated")
        return Record(
            id=fields["id"],
            operation=fields["operation"],
            cell=fields["cell"],
            level=fields["level"],
            verdict=_VERDICTS[fields["verdict"]],
            evidence=Evidence(
                compared=evidence["compared"],
                exempt=evidence.get("exempt", 0),
                exempt_why=evidence.get("exempt_why", ""),
                dims_checked=evidence.get("dims_checked", 0),
                status_checked=evidence.get("status_checked", 0),
                margin=float(evidence.get("margin", 0.0)),
                minimum_tolerance=float(evidence.get("minimum_tolerance", 0.0)),
                bias=None if evidence.get("bias") is None else float(evidence["bias"]),
                oracle=evidence.get("oracle", ""),
            ),
            device=fields["device"],
            target=fields["target"],
            kind=fields["kind"],
            message=fields.get("message", ""),
            differences=tuple(_read_difference(item) for item in fields.get("differences", ())),
            mismatched=fields.get("mismatched", 0),
            stage=fields.get("stage", ""),
            code=fields.get("code", 0),
            isolated=None if isolated is None else Verdict(isolated),
            nanoseconds=fields.get("nanoseconds", 0),
            waiver=fields.get("waiver", ""),
            repro=fields.get("repro", ""),
            text=fields.get("text", ""),
            neighbour=fields.get("neighbour", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KitError(f"not a record of a run: {error!r} in {line[:80]!r}") from error


_VERDICTS = {verdict.value: verdict for verdict in Verdict}


def _read_difference(fields: Mapping[str, Any]) -> Difference:
    codes = fields.get("legal_codes")
    return Difference(
        set=fields["set"],
        output=fields["output"],
        index=tuple(fields["index"]),
        actual=float(fields["actual"]),
        expected=float(fields["expected"]),
        error=float(fields["error"]),
        bound=float(fields["bound"]),
        actual_code=fields.get("actual_code"),
        legal_codes=None if codes is None else (codes[0], codes[1]),
    )
