"""Hypothesis strategies, for tests of one's own:

    @given(graphs(most=12))
    def test_my_driver(graph): ...

Hypothesis draws which operations, in which order, and a key for each that settles its details; it
shrinks by leaving operations out, one run after another. The command draws its plans by
`nnapi_testkit.random_graphs.graph.sampled` instead, which depends on no version of a library, and
shrinks many candidates in one round trip (`nnapi_testkit.random_graphs.shrink`).
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from nnapi_testkit.random_graphs.graph import KEYS, MOST, Plan, RandomGraph, Step, grown
from nnapi_testkit.random_graphs.parts import names
from nnapi_testkit.spec.levels import NEWEST

__all__ = ["graphs", "plans"]


def plans(
    most: int = MOST, level: int = NEWEST, operations: Sequence[str] = ()
) -> SearchStrategy[Plan]:
    """Plans of graphs of 1 to `most` operations.

    Args:
        level: the feature level of the devices they are for.
        operations: what they are made of; by default all that the level has.
    """
    choice = st.sampled_from(tuple(operations) or names(level))
    step = st.builds(Step, choice, st.integers(0, KEYS - 1))
    return st.integers(1, most).flatmap(
        lambda size: st.builds(
            Plan,
            st.just(size),
            st.lists(step, min_size=size, max_size=size),
            st.integers(0, KEYS - 1),
            st.just(level),
        )
    )


def graphs(
    most: int = MOST, level: int = NEWEST, operations: Sequence[str] = ()
) -> SearchStrategy[RandomGraph]:
    """Graphs of 1 to `most` operations, with inputs and the values that the reference gives."""
    return plans(most, level, operations).map(grown).filter(lambda graph: graph.operations > 0)
