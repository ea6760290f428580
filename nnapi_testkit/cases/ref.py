"""`CaseRef`: a case that costs nothing until it is built; `Broken`: what a refusal breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nnapi_testkit.model.case import Case


@dataclass(frozen=True, slots=True)
class Broken:
    """What a refusal case breaks.

    Args:
        constraint: the rule, and after a dot how it is broken (`rank-input.5`).
        neighbour: id of the case that runs the same model unbroken; empty if there is none.
        newer: the model breaks no rule, but needs the feature level of its reference: a device
            of a lower level has to refuse it, or not to claim it, and only such a device is asked.
    """

    constraint: str
    neighbour: str = ""
    newer: bool = False

    @property
    def rule(self) -> str:
        """The rule alone; (operation, rule) pairs are counted."""
        return self.constraint.partition(".")[0]


@dataclass(frozen=True, slots=True)
class CaseRef:
    """An entry of the case index.

    Args:
        id: `CONV_2D[quant8_signed-nchw-same-stride2]`.
        operation: the operation under test.
        cell: its type row, e.g. `quant8/per_channel`, `float32>quant8`.
        level: NNAPI feature level the case needs.
        kind: `positive`, `special`, `graph`, `pair`, `path`, `refusal`.
        make: builds the case; pure and deterministic.
        answer_id: the case whose golden answers this one too; empty for its own.
        broken: of a refusal, what it breaks.
        needs: a fact that the target has to tell of itself, beyond its feature level.
    """

    id: str
    operation: str
    cell: str
    level: int
    kind: str
    make: Callable[[], Case]
    answer_id: str = ""
    broken: Broken | None = None
    needs: str = ""

    @property
    def computes(self) -> bool:
        """Whether a driver has to compute something, instead of refusing the model."""
        return self.kind != "refusal"

    @property
    def has_golden(self) -> bool:
        """Whether an answer is frozen under the case's own id."""
        return self.computes and not self.answer_id
