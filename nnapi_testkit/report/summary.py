"""`summary.json`: a run in one page of numbers."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import nnapi_testkit
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.place import Place
from nnapi_testkit.report.apart import apart_facts, observed_facts
from nnapi_testkit.report.claim_audit import claim_audit, claim_audit_json
from nnapi_testkit.report.clusters import cluster_facts
from nnapi_testkit.report.excluded import excluded
from nnapi_testkit.report.readings import readings, readings_json
from nnapi_testkit.report.refusals import refusal_facts
from nnapi_testkit.session.ledger import Ledger
from nnapi_testkit.session.record import SCHEMA, How, utc
from nnapi_testkit.session.settings import Settings

__all__ = ["SCHEMA", "RunFacts", "retried_facts", "summarize"]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the records do not say about a run.

    Args:
        settings, jobs: what was asked for.
        oracle: `live` or `golden`, as resolved.
        started, first_verdict, ended: `time.time()`; `first_verdict` is `None` without one.
        process_started: when the process began, so imports count.
        device: facts about the device.
        selection: how cases were chosen, "" for all.
        planned: cases to be run, of those `selected`, of the `suite`.
        how: the run ended; `stop_after` failures stopped it.
        kept: records of an earlier part of the run, which this part has not computed.
    """

    settings: Settings
    jobs: int
    oracle: str
    started: float
    first_verdict: float | None
    ended: float
    process_started: float
    device: Mapping[str, object] = field(default_factory=dict)
    selection: str = ""
    planned: int = 0
    selected: int = 0
    suite: int = 0
    how: How = How.FINISHED
    stop_after: int = 0
    kept: int = 0


def summarize(ledger: Ledger, facts: RunFacts) -> dict[str, Any]:
    """Return the summary as JSON values; numbers that JSON lacks become strings."""
    after_first = facts.ended - (facts.first_verdict or facts.ended)
    rate = (len(ledger.records) - facts.kept - 1) / after_first if after_first > 0 else 0.0
    older = older_devices(ledger.records, facts.settings.target)
    return {
        "schema": SCHEMA,
        "outcome": ledger.conclusion.value,
        "exit_code": int(ledger.exit_code()),
        "problems": list(ledger.problems),
        "faults": list(ledger.faults),
        **_counts(ledger, facts),
        **_tables(ledger, facts.settings.seed),
        "seconds": round(facts.ended - facts.started, 3),
        "seconds_to_first_verdict": (
            None
            if facts.first_verdict is None
            else round(facts.first_verdict - facts.process_started, 3)
        ),
        "cases_per_second": round(rate, 1),
        "started": utc(facts.started),
        "target": facts.settings.target,
        "devices": sorted({r.device for r in ledger.records if r.device} - older),
        "older_devices": sorted(older),
        "device": dict(facts.device),
        "profile": facts.settings.profile,
        "oracle": facts.oracle,
        "oracles": _oracles(ledger),
        "jobs": facts.jobs,
        "isolate": facts.settings.isolate,
        "seed": facts.settings.seed,
        "selection": facts.selection,
        "versions": versions(),
        "platform": platform.platform(),
    }


def _counts(ledger: Ledger, facts: RunFacts) -> dict[str, Any]:
    """How much was planned, run and compared, and with which verdicts."""
    return {
        "operations": len({record.operation for record in ledger.records}),
        "cells": len({(record.operation, record.cell) for record in ledger.records}),
        "cases": len(ledger.records),
        "planned": facts.planned,
        "selected": facts.selected,
        "suite": facts.suite,
        "how": facts.how.value,
        "stop_after": facts.stop_after,
        "kept": facts.kept,
        "retried": retried_facts(ledger.records),
        "executed": ledger.executed,
        "compared": ledger.compared,
        "elements": ledger.elements,
        "verdicts": {verdict.value: ledger.verdicts[verdict] for verdict in Verdict},
        "order_dependent": sum(record.order_dependent for record in ledger.records),
        "order_causes": dict(
            Counter(" and ".join(r.after) for r in ledger.records if r.after).most_common()
        ),
    }


def _tables(ledger: Ledger, seed: int) -> dict[str, Any]:
    """What has a table of its own: margins, groups of failures, refusals, what is set apart."""
    return {
        "worst_margins": [
            {
                "operation": cell.operation,
                "cell": cell.cell,
                "level": cell.level,
                "cases": cell.cases,
                "margin": cell.margin if cell.margin - cell.margin == 0 else str(cell.margin),
                "id": cell.margin_id,
            }
            for cell in ledger.worst()
        ],
        "clusters": cluster_facts(ledger.records, seed),
        "refusals": refusal_facts(ledger.records),
        "apart": apart_facts(ledger.records),
        "observed": observed_facts(ledger.records),
        "honesty": claim_audit_json(claim_audit(ledger.records)),
        "readings": readings_json(readings(ledger.records)),
        "known_faults": excluded(ledger.records).as_json(),
    }


def older_devices(records: Iterable[Record], target: str) -> set[str]:
    """Return the devices that are played beside the target, for what is newer than they are.

    A device that the target itself names is judged, of whatever level it is.
    """
    place = Place.of(target)
    return {
        record.device
        for record in records
        if record.newer and record.target != target and record.target == place.on(record.device)
    }


def retried_facts(records: Iterable[Record]) -> dict[str, int]:
    """Return how many cases were run again after a failure, and how many did not fail then."""
    again = [record.verdict for record in records if record.earlier is not None]
    bad = sum(verdict.is_bad for verdict in again)
    return {"cases": len(again), "mended": len(again) - bad} if again else {}


def _oracles(ledger: Ledger) -> dict[str, int]:
    counts: dict[str, int] = {}
    for record in ledger.records:
        if record.evidence.oracle:
            word = record.evidence.oracle.value
            counts[word] = counts.get(word, 0) + 1
    return dict(sorted(counts.items()))


def versions() -> dict[str, str]:
    """Return the versions of the kit and of what it computes with, without importing them."""
    found = {"nnapi-testkit": nnapi_testkit.__version__, "python": platform.python_version()}
    for name in ("numpy", "torch"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
