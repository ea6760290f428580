"""What a run says about refusals, in numbers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.model.case import Stage
from nnapi_testkit.model.kinds import Kind, Source

__all__ = ["refusal_facts"]


def refusal_facts(records: Collection[Record]) -> dict[str, Any]:
    """Return counts of what was refused as it should be, as JSON values.

    Keys: `cases`; of these `refused`; their distinct (operation, rule) `pairs`; refused
    before the driver saw the model (`by_runtime`); with a result code that the documentation
    names (`documented_code`); whose unbroken neighbour was computed in this run
    (`neighbour_computed`); by a device that is older than the model (`by_older_device`).
    """
    asked = [record for record in records if record.kind == Kind.REFUSAL]
    refused = [record for record in asked if record.verdict.is_pass]
    computed = {record.id for record in records if record.verdict.meaning.computed}
    return {
        "cases": len(asked),
        "refused": len(refused),
        "pairs": len({(record.operation, record.rule) for record in refused}),
        "by_runtime": sum(record.stage is Stage.MODEL for record in refused),
        "by_older_device": sum(record.newer for record in refused),
        "documented_code": sum(record.evidence.oracle is Source.CODE for record in refused),
        "neighbour_computed": sum(record.control in computed for record in refused),
    }
