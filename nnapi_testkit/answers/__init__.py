"""Goldens: frozen answers, one container per operation."""

from nnapi_testkit.answers.container import CorruptGolden
from nnapi_testkit.answers.goldens import (
    Flaw,
    GoldenError,
    Goldens,
    MissingGolden,
    StaleGolden,
    check,
    open_goldens,
    update,
)
from nnapi_testkit.answers.stale import case_hash, moved

__all__ = [
    "CorruptGolden",
    "Flaw",
    "GoldenError",
    "Goldens",
    "MissingGolden",
    "StaleGolden",
    "case_hash",
    "check",
    "moved",
    "open_goldens",
    "update",
]
