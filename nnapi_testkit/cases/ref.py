"""`CaseRef`: a case that costs nothing until it is built; `Broken`: what a refusal breaks.

`Constraint` names it: a rule, and how it is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from nnapi_testkit.model.case import Case
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.readings import Contest


class Aspect(Enum):
    """What of a model a constraint is about, in words for people."""

    MISSING = "missing operands"
    RANK = "ranks"
    DIMENSION = "dimensions"
    VALUE = "values of scalars"
    QUANTIZATION = "scales and zero points"
    RELATION = "relations of operands"


@dataclass(frozen=True, slots=True)
class Constraint:
    """A rule and how it is broken; as text with a dot between, as ids have it (`rank-input.5`).

    Args:
        rule: (operation, rule) pairs are counted.
        how: tells ways to break it apart; "" where there is one.
        aspect: what it is about.
    """

    rule: str
    how: str = ""
    aspect: Aspect = Aspect.RELATION

    def __str__(self) -> str:
        return f"{self.rule}.{self.how}" if self.how else self.rule


@dataclass(frozen=True, slots=True)
class Broken:
    """What a refusal case breaks.

    Args:
        constraint: which one, and how.
        control: id of the case that runs the same model unbroken; empty if there is none.
        newer: the model breaks no rule, but needs the feature level of its reference: a device
            of a lower level has to refuse it, or not to claim it, and only such a device is asked.
        open: why a device that accepts the model is not to blame: what is broken follows from the
            meaning of the operation, and no sentence demands it. `strict` blames all the same.
    """

    constraint: Constraint
    control: str = ""
    newer: bool = False
    open: str = ""

    @property
    def rule(self) -> str:
        """The rule alone."""
        return self.constraint.rule


@dataclass(frozen=True, slots=True)
class CaseRef:
    """An entry of the case index.

    Args:
        id: `CONV_2D[quant8_signed-nchw-same-stride2]`.
        operation: the operation under test.
        cell: its type row, e.g. `quant8/per_channel`, `float32>quant8`.
        level: NNAPI feature level the case needs.
        kind: what it asks for.
        make: builds the case; pure and deterministic.
        answer_id: the case whose golden answers this one too; empty for its own.
        broken: of a refusal, what it breaks.
        contest: the question it asks, where documentation and field differ.
        needs: a fact that the target has to tell of itself, beyond its feature level.
        refusable: why a device may refuse it, where it may.
        sample: the name of the sample that it is made of, where it is made of one.
    """

    id: str
    operation: str
    cell: str
    level: int
    kind: Kind
    make: Callable[[], Case]
    answer_id: str = ""
    broken: Broken | None = None
    needs: str = ""
    contest: Contest | None = None
    refusable: str = ""
    sample: str = ""

    @property
    def computes(self) -> bool:
        """Whether a driver has to compute something, instead of refusing the model."""
        return self.kind != Kind.REFUSAL

    @property
    def answered(self) -> bool:
        """Whether there is a right answer: neither refusals nor edges have one."""
        return self.computes and self.kind != Kind.EDGE

    @property
    def has_golden(self) -> bool:
        """Whether an answer is frozen under the case's own id."""
        return self.answered and not self.answer_id
