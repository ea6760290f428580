"""Rules of an operation that hold only from a feature level on.

Operands, types and signatures carry the level that introduced them. Some sentences of the
documentation change what an operation *means*: "Before NNAPI feature level 4 ... the result is
undefined". An op file lists each of them (`Op.later`). A case whose own level is lower is for
devices that never promised the rule: what it decides is exempt there (`opens`), or every case that
relies on it has that level, by its sample, operands or variation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Later:
    """A rule that is newer than its operation.

    Args:
        level: the feature level from which on it holds.
        says: what holds since then, and what before, in one sentence.
        opens: for a `Situation`, the elements of each output that it decides, as masks; they are
            exempt in cases of a lower level. `None` if every case that relies on the rule has
            its level.
    """

    level: int
    says: str
    opens: Callable[[Any], tuple[Any, ...]] | None = None


def later(level: int, says: str, opens: Callable[[Any], tuple[Any, ...]] | None = None) -> Later:
    """A rule that is newer than its operation; see `Later`."""
    return Later(level, says, opens)
