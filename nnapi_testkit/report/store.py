"""A report folder: `results.jsonl`, `summary.json`, `junit.xml`, `index.html`; writing it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.report.accounts import HTML, JUNIT, RESULTS, SUMMARY, read_records, read_summary
from nnapi_testkit.report.clusters import clusters_of
from nnapi_testkit.report.files import LineLog, write_whole
from nnapi_testkit.report.html import html
from nnapi_testkit.report.junit import junit
from nnapi_testkit.session.record import Beginning, End, decode_line, encode

__all__ = ["HTML", "JUNIT", "RESULTS", "SUMMARY", "Store", "read_records", "read_summary"]

_OTHERS = (SUMMARY, JUNIT, HTML)


class Store:
    """Writes a run's report: records as they come, everything else when it ends.

    Nothing in the folder changes before `begin`. A run that is killed leaves whole lines in
    `results.jsonl`, without the last one, and none of the other files.

    Two runs do not write into one folder: `results.jsonl` itself is locked by flock, which the
    system lets go of however the process ends. (The library filelock would leave a file of its own
    among the artifacts, and a lock that outlives a kill.)

    Args:
        folder: created if it is missing.
        overwrite: replace whatever report it holds.

    Raises KitError if the folder cannot be written or another run writes there.
    """

    def __init__(self, folder: Path, *, overwrite: bool = False) -> None:
        self.folder = folder
        self._overwrite = overwrite
        self._log: LineLog | None = None
        path = folder / RESULTS
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _unusable(folder, error) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise KitError(
                f"report folder {folder} is being written by another run: wait for its end, or"
                " choose another folder"
            ) from None
        except OSError:
            pass  # a file system without locks

    def begin(self, beginning: Beginning) -> None:
        """Write the first line; what is left of an older report goes.

        Raises KitError if that is not a report of the same selection on the same target, and
        `overwrite` was not asked for.
        """
        if not self._overwrite:
            self._may_replace(beginning)
        try:
            for name in _OTHERS:
                (self.folder / name).unlink(missing_ok=True)
            os.ftruncate(self._descriptor, 0)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        self._log = LineLog(self.folder / RESULTS, descriptor=self._descriptor)
        self._log.write(encode(beginning))
        self._log.flush()

    def _may_replace(self, beginning: Beginning) -> None:
        with open(self._descriptor, "rb", closefd=False, buffering=0) as stream:
            head = os.pread(stream.fileno(), 1 << 16, 0)
        if not head:
            strange = [name for name in _OTHERS if (self.folder / name).exists()]
            if not strange:
                return
            what = f"holds {strange[0]} without {RESULTS}"
        else:
            what = f"holds a {RESULTS} that this version cannot read"
            with contextlib.suppress(KitError, UnicodeDecodeError):
                old = decode_line(head.partition(b"\n")[0].decode("utf-8"))
                if isinstance(old, Beginning):
                    if _chosen(old) == _chosen(beginning):
                        return
                    what = f"holds another report ({_told(old)})"
        raise KitError(
            f"report folder {self.folder} {what}: choose another folder, or replace it with"
            " --overwrite"
        )

    def resume(self, beginning: Beginning, kept: Sequence[Record]) -> None:
        """Take the place of the report that is there, with the records of it that are kept.

        The new `results.jsonl` is moved into place as a whole, and locked before that: whatever
        happens, the folder holds the old records or the kept ones. Raises KitError.
        """
        descriptor, temporary = -1, ""
        try:
            descriptor, temporary = tempfile.mkstemp(prefix=f".{RESULTS}.", dir=self.folder)
            os.fchmod(descriptor, 0o644)
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            log = LineLog(self.folder / RESULTS, descriptor=descriptor)
            log.write(encode(beginning))
            for record in kept:
                log.write(encode(record))
            log.flush()
            os.replace(temporary, self.folder / RESULTS)
            temporary = ""
            os.close(self._descriptor)
            self._log, self._descriptor, descriptor = log, descriptor, -1
            for name in _OTHERS:
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        finally:
            if descriptor >= 0:
                os.close(descriptor)
            if temporary:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)

    @property
    def begun(self) -> bool:
        """Whether the first line is written."""
        return self._log is not None

    def add(self, record: Record) -> None:
        """Append a record."""
        if self._log is None:
            raise ValueError("begin comes first")
        self._log.write(encode(record))

    def close(self) -> None:
        """Write what is gathered and let go of the folder; may be called twice."""
        if self._log is not None:
            self._log.close()
        elif self._descriptor >= 0:
            with contextlib.suppress(OSError):
                if os.fstat(self._descriptor).st_size == 0:
                    (self.folder / RESULTS).unlink()  # nothing was begun, nothing is left
            os.close(self._descriptor)
        self._descriptor = -1

    def finish(self, records: Sequence[Record], summary: Mapping[str, Any], end: End) -> None:
        """Write the files of a run that came to its end, and then the line that says so."""
        if self._log is None:
            raise ValueError("begin comes first")
        self._log.flush()
        write_whole(
            self.folder / JUNIT,
            junit(
                records,
                summary.get("problems", ()),
                summary.get("faults", ()),
                clusters_of(records, summary),
            ),
        )
        write_whole(self.folder / HTML, html(records, summary))
        self._log.write(encode(end))
        self._log.flush()
        text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_whole(self.folder / SUMMARY, text)
        self.close()


def _chosen(beginning: Beginning) -> tuple[str, ...]:
    return beginning.selection, beginning.shard, beginning.target


def _told(beginning: Beginning) -> str:
    words = [beginning.selection or "every case"]
    words += [f"shard {beginning.shard}"] if beginning.shard else []
    return f"{', '.join(words)}, target {beginning.target}"


def _unusable(folder: Path, error: OSError) -> KitError:
    return KitError(f"report folder {folder} cannot be used ({error.strerror}): choose another")
