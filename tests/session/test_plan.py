from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnapi_testkit.cases.ref import Broken, CaseRef, Constraint
from nnapi_testkit.errors import KitError
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.session.plan import Selection, block_sizes, expression, glob, select
from nnapi_testkit.session.settings import Settings, Shard


def _ref(case_id: str, level: int = 1, kind: Kind = Kind.POSITIVE) -> CaseRef:
    def make():  # type: ignore[no-untyped-def]
        raise AssertionError("planning must not build a case")

    return CaseRef(case_id, case_id.partition("[")[0], "float32", level, kind, make)


REFS = [
    _ref("ADD[float32-same]"),
    _ref("ADD[quant8-same]", level=2),
    _ref("CONV_2D[quant8-nchw-same]", level=3),
    _ref("CONV_2D[float32-relaxed]", level=3, kind=Kind.SPECIAL),
    _ref("RELU[float32-same]", kind=Kind.REFUSAL),
]


def _ids(**more: object) -> list[str]:
    return [ref.id for ref in select(REFS, Selection(**more))]  # type: ignore[arg-type]


def test_everything_is_the_default() -> None:
    assert select(REFS, Selection()) == REFS
    assert Selection().whole
    assert not Selection(level=3).whole


def test_names_are_ids_operations_or_patterns_with_literal_brackets() -> None:
    assert _ids(names=("ADD[quant8-same]",)) == ["ADD[quant8-same]"]
    assert _ids(names=("CONV_2D",)) == ["CONV_2D[quant8-nchw-same]", "CONV_2D[float32-relaxed]"]
    assert _ids(names=("*[float32-same]",)) == ["ADD[float32-same]", "RELU[float32-same]"]
    assert _ids(names=("RELU", "ADD")) == [
        "ADD[float32-same]",
        "ADD[quant8-same]",
        "RELU[float32-same]",
    ]
    assert not glob("ADD[ab]")("ADDa")


def test_level_kind_and_operation() -> None:
    assert _ids(level=2) == ["ADD[float32-same]", "ADD[quant8-same]", "RELU[float32-same]"]
    assert _ids(kinds=("special",)) == ["CONV_2D[float32-relaxed]"]
    assert _ids(operations=("RELU",)) == ["RELU[float32-same]"]


def test_a_wrong_name_is_an_error_that_suggests_the_right_one() -> None:
    with pytest.raises(KitError, match=r"did you mean CONV_2D\?"):
        _ids(names=("CONV_2",))
    with pytest.raises(KitError, match=r"did you mean ADD\[quant8-same\]"):
        _ids(names=("ADD[quant8-sam]",))
    with pytest.raises(KitError, match="kind 'negative' is unknown"):
        _ids(kinds=("negative",))
    with pytest.raises(KitError, match="no case has 'nothing_like_it' in its id"):
        _ids(keyword="nothing_like_it")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv and not relaxed", ["CONV_2D[quant8-nchw-same]"]),
        ("ADD or RELU", ["ADD[float32-same]", "ADD[quant8-same]", "RELU[float32-same]"]),
        ("not (ADD or CONV_2D)", ["RELU[float32-same]"]),
        ("quant8-nchw", ["CONV_2D[quant8-nchw-same]"]),
        ("ADD[float32", ["ADD[float32-same]"]),
    ],
)
def test_keywords(text: str, expected: list[str]) -> None:
    assert _ids(keyword=text) == expected


@pytest.mark.parametrize("text", ["", "and", "ADD and", "(ADD", "ADD)", "not", "ADD RELU", "()"])
def test_a_malformed_expression_is_an_error(text: str) -> None:
    with pytest.raises(KitError, match="-k"):
        expression(text)


_WORDS = st.sampled_from(["a", "b", "c"])
_EXPRESSIONS = st.recursive(
    _WORDS,
    lambda inner: st.one_of(
        inner.map(lambda x: f"not {x}"),
        inner.map(lambda x: f"({x})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
    ),
    max_leaves=8,
)


@given(_EXPRESSIONS, st.text("abc", max_size=3))
def test_expressions_mean_what_python_means(text: str, name: str) -> None:
    meaning = eval(text, {letter: letter in name for letter in "abc"})
    assert expression(text)(name) == meaning


@given(st.integers(1, 60), st.integers(1, 9))
def test_shards_divide_the_plan(count: int, shards: int) -> None:
    refs = [_ref(f"ADD[{at}]") for at in range(count)]
    found: list[str] = []
    for index in range(1, shards + 1):
        try:
            found += [ref.id for ref in select(refs, Selection(shard=Shard(index, shards)))]
        except KitError:
            assert index > count
    assert sorted(found) == sorted(ref.id for ref in refs)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/", "-1/2", "1/2/3"])
def test_a_malformed_shard_is_an_error(text: str) -> None:
    with pytest.raises(KitError, match="not of the form i/n"):
        Shard.parse(text)


@given(st.integers(0, 30_000), st.integers(1, 16))
def test_blocks_cover_the_plan_and_begin_small(total: int, lanes: int) -> None:
    sizes = list(block_sizes(total, lanes))
    assert sum(sizes) == total
    assert all(0 < size <= 500 for size in sizes)
    assert all(size <= 25 for size in sizes[:lanes])


def test_operations_that_names_allow_restrict_the_index() -> None:
    assert Selection(names=("ADD[x]", "RELU")).wanted_operations() == ("ADD", "RELU")
    assert Selection(names=("ADD[x]", "R*")).wanted_operations() is None
    assert Selection(keyword="ADD").wanted_operations() is None


def test_an_unknown_profile_is_an_error() -> None:
    with pytest.raises(KitError, match="profile 'loose' is unknown"):
        Settings(profile="loose")


def test_a_refusal_brings_its_neighbour() -> None:
    refs = [
        *REFS[:-1],
        replace(REFS[-1], broken=Broken(Constraint("rank-input", "5"), "ADD[quant8-same]")),
    ]
    alone = Selection(names=("RELU[float32-same]",))
    assert [ref.id for ref in select(refs, alone)] == ["RELU[float32-same]"]
    both = ["ADD[quant8-same]", "RELU[float32-same]"]
    assert [ref.id for ref in select(refs, alone, controls=True)] == both
    kinds = Selection(kinds=("refusal",))
    assert [ref.id for ref in select(refs, kinds, controls=True)] == both
    # Selected already: not twice.
    assert select(refs, Selection(), controls=True) == refs
    # Shards deal out neighbours too; together they run each case once.
    halves = [select(refs, replace(alone, shard=Shard(part, 2)), controls=True) for part in (1, 2)]
    assert sorted(ref.id for half in halves for ref in half) == both
