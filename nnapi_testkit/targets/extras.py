"""Extras: packages that only some targets need."""

from __future__ import annotations

from importlib.util import find_spec

from nnapi_testkit.targets.base import TargetError

__all__ = ["needs"]


def needs(extra: str, what: str, *packages: str) -> None:
    """Look whether the packages of an extra are installed, without importing them.

    Args:
        extra: its name in `pyproject.toml`.
        what: is not to be had without it.

    Raises TargetError that names the extra and how to install it.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise TargetError(
            f"{what} need the extra [{extra}] ({', '.join(missing)} not installed):"
            f" pip install 'nnapi-testkit[{extra}]'"
        ) from ModuleNotFoundError(missing[0], name=missing[0])
