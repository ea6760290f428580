"""Feature levels: the small numbers of the documentation and the values of the C API."""

from __future__ import annotations

from nnapi_testkit.spec.codes import FeatureLevelCode

NEWEST = len(FeatureLevelCode)


def level_of(value: int) -> int:
    """The NNAPI feature level (1 to 8) of what `getFeatureLevel` returns (27, ..., 1000008).

    A value between two levels counts as the lower one, one above all as the newest; 0 stands
    for less than level 1.
    """
    return sum(value >= code for code in FeatureLevelCode)
