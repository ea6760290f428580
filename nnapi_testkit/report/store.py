"""A report folder: `results.jsonl`, `summary.json`, `junit.xml`, `index.html`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.report.files import LineLog, write_whole
from nnapi_testkit.report.html import html
from nnapi_testkit.report.junit import junit
from nnapi_testkit.session.record import decode, encode

__all__ = ["HTML", "JUNIT", "RESULTS", "SUMMARY", "Store", "read_records", "read_summary"]

RESULTS = "results.jsonl"
SUMMARY = "summary.json"
JUNIT = "junit.xml"
HTML = "index.html"


class Store:
    """Writes a run's report: records as they come, everything else when it ends.

    An interrupted run leaves whole lines in `results.jsonl` and none of the other files; an older
    report in the same folder is replaced from the start.

    Args:
        folder: created if it is missing. Raises KitError if it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in (SUMMARY, JUNIT, HTML):
                (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise KitError(
                f"report folder {folder} cannot be used ({error.strerror}): choose another"
            ) from error
        self._log = LineLog(folder / RESULTS)

    def add(self, record: Record) -> None:
        """Append a record."""
        self._log.write(encode(record))

    def close(self) -> None:
        """Write what is gathered; the log is complete afterwards."""
        self._log.close()

    def finish(self, records: list[Record], summary: Mapping[str, Any]) -> None:
        """Write the files of a run that came to its end."""
        self.close()
        write_whole(self.folder / JUNIT, junit(records, summary.get("problems", ())))
        write_whole(self.folder / HTML, html(records, summary))
        text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_whole(self.folder / SUMMARY, text)


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a report folder or a JSONL file. Raises KitError.

    The last line of a run that was killed may be cut off; it is left out.
    """
    file = path / RESULTS if path.is_dir() else path
    try:
        with file.open(encoding="utf-8") as stream:
            for at, line in enumerate(stream, 1):
                if not line.endswith("\n"):
                    return
                try:
                    yield decode(line)
                except KitError as error:
                    raise KitError(f"{file} line {at}: {error}") from error
    except UnicodeDecodeError as error:
        raise KitError(f"{file} is not a results.jsonl: {error.reason}") from error
    except OSError as error:
        raise KitError(
            f"{file} cannot be read ({error.strerror}): name a folder that run --report wrote"
        ) from error


def read_summary(path: Path) -> dict[str, Any]:
    """Return the summary of a report folder; empty for a run that did not end."""
    try:
        summary = json.loads((path / SUMMARY).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return summary if isinstance(summary, dict) else {}
