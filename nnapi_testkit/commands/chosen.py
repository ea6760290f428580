"""What the options of `nnapi-testkit run` and of the pytest plugin say, as settings and selection.

Both have the same options under the same names (`nnapi_testkit/options.py`); each hands over a
function that looks one up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnapi_testkit.session.plan import Selection
from nnapi_testkit.session.settings import STANDARD, OracleMode, Settings, Shard

__all__ = ["selection_of", "settings_of"]

Option = Callable[[str], Any]


def settings_of(option: Option, operations: tuple[str, ...] | None) -> Settings:
    """Return the settings of a run. Raises KitError for what no run can have."""
    return Settings(
        target=option("target"),
        oracle=OracleMode(option("oracle")),
        profile=option("profile"),
        isolate=option("isolate"),
        memory_limit_mb=option("memory_limit"),
        operations=operations,
        seed=option("seed"),
        driver_log=option("driver_log"),
        judged=option("judge"),
        services=option("services") or STANDARD,
    )


def selection_of(
    option: Option, names: Sequence[str], *, keyword: str = "", in_order: bool = False
) -> Selection:
    """Return which cases are asked for. Raises KitError for a shard that is none."""
    return Selection(
        names=tuple(names),
        keyword=keyword,
        operations=tuple(option("operation")),
        level=option("level"),
        kinds=tuple(option("kind")),
        shard=Shard.parse(option("shard")) if option("shard") else None,
        tier=option("tier") or "",
        shuffle=option("shuffle"),
        in_order=in_order,
    )
