"""`nnapi-testkit golden check|update`: the frozen answers."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["golden"]


def golden(action: str, names: Sequence[str]) -> int:
    """Check or update the goldens of some operations (default: all)."""
    raise NotImplementedError
