"""Reading many reports: of each line only what runs are compared by.

Half the time of whole records. A line that looks unlike what the kit writes is read as a whole
record after all, so what is damaged is said in the same words.
"""

from __future__ import annotations

from typing import NamedTuple

from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.report.outcomes import MOST_MESSAGE, Outcome, outcome_of
from nnapi_testkit.session.record import Beginning, End, decode_line, parse

__all__ = ["Glance", "glance", "glance_of"]

_VERDICTS = {verdict.value: verdict for verdict in Verdict}
_LIMIT = 2**63


class Glance(NamedTuple):
    """An outcome, where it came from, and the reading that a contested case follows.

    `newer` is that of the record.
    """

    outcome: Outcome
    target: str
    topic: str
    reading: str
    newer: bool = False

    @property
    def id(self) -> str:
        """Of the case."""
        return self.outcome.id

    @property
    def operation(self) -> str:
        """Of the case."""
        return self.outcome.operation

    @property
    def device(self) -> str:
        """That answered."""
        return self.outcome.device

    @property
    def verdict(self) -> Verdict:
        """Of the case."""
        return self.outcome.verdict


def glance(line: str) -> Glance | Beginning | End:
    """Return what a line says. Raises KitError if it is no line of a run, or a damaged one."""
    try:
        found = parse(line)
        evidence, get = found["evidence"], found.get
        verdict = _VERDICTS[found["verdict"]]
        name, operation, cell = found["id"], found["operation"], found["cell"]
        device, target = found["device"], found["target"]
        bits, topic, reading, message = (get(key, "") for key in _TEXTS)
        newer = get("newer", False)
        # Joining says in one call whether all of them are texts.
        "".join((name, operation, cell, device, target, bits, topic, reading, message))
        margin, compared = evidence.get("margin", 0.0), evidence["compared"]
        if type(compared) is not int or not 0 <= compared < _LIMIT or type(margin) is bool:
            raise TypeError
        if newer is not True and newer is not False:
            raise TypeError
        margin = float(margin)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        whole = decode_line(line)
        return glance_of(whole) if isinstance(whole, Record) else whole
    told = "" if verdict.is_pass else message[:MOST_MESSAGE]
    outcome = Outcome(name, operation, cell, verdict, margin, compared, bits, device, told)
    return Glance(outcome, target, topic, reading, newer)


_TEXTS = ("bits", "topic", "reading", "message")


def glance_of(record: Record) -> Glance:
    """Return the same of a whole record."""
    return Glance(outcome_of(record), record.target, record.topic, record.reading, record.newer)
