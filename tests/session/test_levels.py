"""A device is judged by what its own feature level promises."""

from __future__ import annotations

import pytest

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.session.plan import within
from nnapi_testkit.spec.levels import level_of


def ref(level: int) -> CaseRef:
    return CaseRef(f"ADD[level{level}]", "ADD", "float32", level, "positive", lambda: None)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("value", "level"),
    [(26, 0), (27, 1), (28, 2), (29, 3), (30, 4), (31, 5), (32, 5), (1000006, 6), (1000009, 8)],
)
def test_values_of_the_api_are_levels(value: int, level: int) -> None:
    assert level_of(value) == level


def test_cases_above_the_level_are_left_out() -> None:
    refs = [ref(level) for level in range(1, 9)]
    assert [r.level for r in within(refs, {"feature_level": 30})] == [1, 2, 3, 4]
    assert within(refs, {"feature_level": 1000008}) == refs
    assert within(refs, {}) == refs
    # A device that does not tell, and a library that has no devices to list.
    assert within(refs, {"feature_level": -1, "attributed": True}) == refs
    old = within(refs, {"feature_level": -1, "attributed": False})
    assert [r.level for r in old] == [1, 2]


def test_nothing_left_is_an_error_that_says_so() -> None:
    with pytest.raises(KitError, match="feature level 1"):
        within([ref(3)], {"feature_level": 27})
