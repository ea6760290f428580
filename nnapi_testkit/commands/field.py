"""`nnapi-testkit field FILE`: outcomes from the field, judged by today's rules without the device.

A file has a line for each case: id, verdict, stage, result code, and optionally the message, with
tabs between. What the file does not hold is not made up: a refusal that an older kit only compiled,
and that is due at the execution today, is counted apart.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.platform import before_the_driver
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.model.case import Ending, Result, Stage
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.session.platforms import Platform, explain

__all__ = ["CHARGED", "Row", "add", "classify", "main", "read_rows"]

CHARGED = "charged to the driver"
_ENDINGS = {
    Verdict.CRASH_RUNNER: Ending.CRASHED,
    Verdict.CRASH_SERVICE: Ending.CRASHED,
    Verdict.TIMEOUT: Ending.TIMED_OUT,
    Verdict.UNSUPPORTED: Ending.UNSUPPORTED,
}


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("file", type=Path, metavar="FILE", help="id, verdict, stage, code; tabs")
    parser.add_argument("--device", default="nnapi-reference", help="what the outcomes are of")
    parser.add_argument("--level", type=int, default=8, help="its feature level (default 8)")
    parser.add_argument(
        "--ids", default="", metavar="WORD", help="list the cases of a class, by its first word"
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the file."""

    id: str
    verdict: Verdict
    stage: Stage = Stage.DONE
    code: int = 0
    message: str = ""

    @property
    def result(self) -> Result:
        """What a runner would have said; the function stands in the message, where there is one."""
        stopped = Ending.COMPLETED if self.stage is Stage.DONE else Ending.STOPPED
        word = next((w for w in self.message.split() if w.startswith("ANeuralNetworks")), "")
        ending = _ENDINGS.get(self.verdict, stopped)
        return Result(0, ending, self.stage, self.code, function=word.rstrip(";:,"))


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows. Raises KitError for a file or line that is none."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KitError(f"{path} cannot be read ({error}): name a file of outcomes") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        case, *rest = line.split("\t")
        word, stage, code, message, *_ = (*rest, "", "", "", "")
        try:
            yield Row(
                case,
                Verdict(word),
                Stage[stage] if stage else Stage.DONE,
                int(code) if code else 0,
                message,
            )
        except (KeyError, ValueError) as error:
            raise KitError(
                f"{path}, line {number}: {error}: write id, verdict, stage and code, with tabs"
            ) from error


def classify(row: Row, ref: CaseRef | None, platform: Platform) -> str:
    """Return what today's rules make of a row, with the entry that explains it."""
    if not row.verdict.is_failure:
        return "passed" if row.verdict.is_pass else f"neither ({row.verdict.value})"
    if ref is None:
        return "gone: the case is no more"
    if before_the_driver(row.result):
        return "platform: before a driver was asked"
    if ref.kind == Kind.READING:
        return "reading: a case of its own"
    case = ref.make()
    record = Record(ref.id, ref.operation, ref.cell, ref.level, row.verdict, Evidence())
    biased = "biased" in row.message
    if row.verdict is Verdict.MISMATCH and not biased:
        record = Record(
            ref.id, ref.operation, ref.cell, ref.level, row.verdict, Evidence(), mismatched=1
        )
    entry = explain(platform, record, ref, case)
    if entry is not None:
        return f"{entry.ground}: {entry.name}"
    if row.verdict is Verdict.ACCEPTED_INVALID and row.stage is Stage.DONE and ref.broken:
        if ref.broken.open:
            return "open: no sentence forbids it"
        if case.expect is Stage.EXECUTION:
            about = ref.broken.constraint.aspect.value
            return f"due at the execution, which the file does not tell: {about}"
    return CHARGED


def main(options: argparse.Namespace) -> int:
    """Print how many rows each class has; returns 1 if any is charged to the driver.

    With --ids the ids of the classes that begin with this word instead; raises KitError where no
    class does.
    """
    path, ids = options.file, options.ids
    rows = list(read_rows(path))
    refs = {ref.id: ref for ref in case_index()}
    platform = Platform(options.device, options.level)
    counts: Counter[str] = Counter()
    charged = []
    listed = []
    for row in rows:
        word = classify(row, refs.get(row.id), platform)
        counts[word] += 1
        if ids and word.startswith(ids):
            listed.append(row.id)
        if word == CHARGED:
            charged.append(row)
    if ids:
        if not listed:
            raise KitError(f"no class of outcomes begins with {ids!r}: see field {path}")
        print("\n".join(listed))
        return 0
    print(f"{path.name}: {len(rows)} outcomes of {options.device}, feature level {options.level}")
    for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        print(f"  {count:6}  {word}")
    for row in charged[:20]:
        print(f"  {row.verdict.value} {row.id} {row.stage.name} {row.message}".rstrip())
    print(f"{counts[CHARGED]} of {len(rows)} outcomes are charged to the driver")
    return int(bool(charged))
