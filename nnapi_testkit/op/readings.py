"""Contested ground: where the documentation and the devices in the field say different things.

A `Contest` is one question to which there is more than one answer in use. Samples and forms that
name one are cases of kind `reading`: they ask which answer a device follows, and charge only the
device that follows none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nnapi_testkit.op.bounds import Bound
from nnapi_testkit.op.cell import Cell, Reference

DOCUMENTED, FIELD = "documented", "field"


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to answer a contested question.

    Args:
        name: `documented` for what the header says, `field` for what deployed devices do, or
            another word where there are more.
        reference, bound, exempt: as of `Op`; None for the operation's own.
        refuses: who reads so refuses the model, at the execution at the latest.
    """

    name: str
    reference: Reference | None = None
    bound: Bound | None = None
    exempt: Callable[[Any], tuple[Any, ...]] | None = None
    refuses: bool = False


@dataclass(frozen=True, slots=True)
class Contest:
    """A question of an operation, and the answers in use.

    Args:
        topic: names the question; a device should give all cases of it the same answer.
        text: the question with both answers, in one line for reports.
        readings: the answers. The one that deployed devices give stands last: it is what
            the bundled driver computes, and what goldens are frozen for first.
    """

    topic: str
    text: str
    readings: tuple[Reading, ...]

    def __post_init__(self) -> None:
        names = [reading.name for reading in self.readings]
        assert len(set(names)) == len(names) > 1, f"{self.topic}: readings {names}"
        assert any(not reading.refuses for reading in self.readings), self.topic


@dataclass(frozen=True, slots=True)
class Form:
    """The samples of a cell with other operand types: a form that not every device takes.

    Args:
        word: stands in case ids.
        cell: the cell with the types of this form; its name is that of the cell it belongs to.
        contest: the question it asks.
    """

    word: str
    cell: Cell
    contest: Contest


def refused_by_field(topic: str, text: str) -> Contest:
    """A model that the documentation allows, computed by the operation's own reference, and that
    deployed devices refuse."""
    return Contest(topic, text, (Reading(DOCUMENTED), Reading(FIELD, refuses=True)))


def refused_by_documentation(topic: str, text: str) -> Contest:
    """A model that the documentation does not allow, and that deployed devices compute by the
    operation's own reference."""
    return Contest(topic, text, (Reading(DOCUMENTED, refuses=True), Reading(FIELD)))


def refused_or_computed(topic: str, text: str) -> Contest:
    """A model of which the documentation says nothing: some refuse it, deployed devices compute it
    by the operation's own reference."""
    return Contest(topic, text, (Reading("refused", refuses=True), Reading(FIELD)))


def computed_otherwise(topic: str, text: str, documented: Reference, **more: Any) -> Contest:
    """A model that both compute: devices by the operation's own reference, the documentation by
    `documented`; `more` as of its `Reading`."""
    return Contest(topic, text, (Reading(DOCUMENTED, documented, **more), Reading(FIELD)))
