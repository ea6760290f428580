"""Cases as folders: what `run CASE --save DIR` writes, and a report for each group of failures."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.model.case import Stage
from nnapi_testkit.repro.save import save
from nnapi_testkit.session.answering import Dispute, answering
from nnapi_testkit.session.services import load
from nnapi_testkit.session.settings import Settings

__all__ = ["one_case", "save_case", "save_clusters"]

REPRO = "repro"
MOST_FOLDERS = 12  # as many clusters as a terminal shows
MOST_NAME = 100


def one_case(refs: Sequence[CaseRef]) -> CaseRef:
    """Return the case to save. Raises KitError unless one was chosen.

    A refusal is chosen with the case that runs the same model unbroken.
    """
    broken = [ref for ref in refs if ref.broken is not None]
    if len(refs) == 1:
        return refs[0]
    if len(broken) == 1 and {r.id for r in refs} == {broken[0].id, broken[0].broken.control}:  # type: ignore[union-attr]
        return broken[0]
    raise KitError(f"--save writes one case, {len(refs)} are selected: name its id")


def save_case(ref: CaseRef, record: Record, settings: Settings, folder: Path) -> None:
    """Write the folder of a case that was run. Raises KitError."""
    case = ref.make()
    answer = None
    if case.expect is Stage.DONE:
        try:
            answer = answering(settings.oracle, load(settings.services), settings.seed)(ref, case)
        except Dispute as dispute:
            raise KitError(f"{ref.id} has no answer to save: {dispute}") from dispute
    save(folder, case, answer, record, profile=settings.profile)


def save_clusters(
    folder: Path,
    summary: Mapping[str, Any],
    refs: Iterable[CaseRef],
    records: Iterable[Record],
    settings: Settings,
) -> list[str]:
    """Write a folder for the smallest case of each cluster, below `folder/repro`.

    The rows of `summary["clusters"]` learn where (`repro`, relative to `folder`). What an earlier
    report left there goes.

    Args:
        folder: of the report.

    Returns what could not be written, in lines.
    """
    base = folder / REPRO
    for old in base.iterdir() if base.is_dir() else ():
        if (old / "case.nntk").is_file():
            shutil.rmtree(old, ignore_errors=True)
    rows = [row for row in summary.get("clusters", ()) if isinstance(row, dict)][:MOST_FOLDERS]
    wanted = {str(row["smallest"]) for row in rows}
    by_id = {ref.id: ref for ref in refs if ref.id in wanted}
    failed = {r.id: r for r in records if r.id in wanted and r.verdict.is_failure}
    notes = []
    for number, row in enumerate(rows, 1):
        case_id = str(row["smallest"])
        if case_id not in by_id or case_id not in failed:
            continue
        name = f"{number:02}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', case_id).strip('-')}"[:MOST_NAME]
        try:
            save_case(by_id[case_id], failed[case_id], settings, base / name)
        except KitError as error:
            notes.append(f"no reproduction of cluster {number}: {error}")
            continue
        row["repro"] = f"{REPRO}/{name}"
    return notes
