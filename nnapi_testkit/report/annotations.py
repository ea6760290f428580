"""GitHub's annotations: workflow commands, one for each cluster of failures, problem and fault.

The form is that of GitHub's reference of workflow commands; a step shows ten errors, so the tenth
counts what is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.report.broken import broken, headline
from nnapi_testkit.report.clusters import clusters_of
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.words import fault_lines, run_notes

__all__ = ["MOST", "annotated", "github_annotations"]

MOST = 10  # errors that GitHub shows of a step
_LONGEST = 4000  # bytes of a message; GitHub cuts at 4 KiB


def github_annotations(records: Sequence[Record], summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines to print: errors, worst first, then a notice with the whole in a sentence."""
    errors = [("Run", str(problem)) for problem in summary.get("problems", ())]
    errors += [("Driver crashed", fault) for fault in fault_lines(summary)]
    for at, cluster in enumerate(clusters_of(records, summary), 1):
        lines = [cluster.title]
        lines += [f"looks like: {cluster.why}"] if cluster.looks_like else []
        lines += [cluster.how] if cluster.how else []
        lines.append(f"smallest: {cluster.smallest}")
        lines += [f"again: {cluster.again}"] if cluster.again else []
        cases = f"{cluster.cases} case{'' if cluster.cases == 1 else 's'}"
        errors.append((f"NNAPI failures {at}: {cases}", "\n".join(lines)))
    shown = errors if len(errors) <= MOST else errors[: MOST - 1]
    for title, text in shown:
        yield _command("error", title, text)
    if len(shown) < len(errors):
        left = len(errors) - len(shown)
        yield _command("error", f"and {left} more", "see the report and the job summary")
    fault_texts = set(fault_lines(summary))
    for note in run_notes(summary):
        if note not in fault_texts:
            yield _command("warning", "NNAPI conformance", note)
    yield _command("notice", "NNAPI conformance", headline(records, summary, broken(records)))


def annotated(records: Sequence[Record], summary: Mapping[str, Any]) -> str:
    """The lines to print, as one text."""
    return "\n".join(github_annotations(records, summary))


def _command(kind: str, title: str, text: str) -> str:
    """Return a command; nothing in its texts can begin another."""
    lines = [plain(line) for line in text.split("\n")]
    whole = "\n".join(lines).encode()[:_LONGEST].decode(errors="ignore")
    body = whole.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    head = plain(title).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={head}::{body}"
