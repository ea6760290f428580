"""Frozen dataclasses with a constructor of their own behave as any frozen dataclass."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.model.case import Case, Ending, Execution, Result, SetResult, Stage
from nnapi_testkit.model.quick import quick
from nnapi_testkit.model.types import Graph, Model, Operand


@dataclass(frozen=True, slots=True)
class Plain:
    """A frozen dataclass as Python makes it."""

    first: int
    second: str = "two"
    third: tuple[int, ...] = ()


@quick
@dataclass(frozen=True, slots=True)
class Quick:
    """The same with the other constructor."""

    first: int
    second: str = "two"
    third: tuple[int, ...] = ()


def test_arguments_and_defaults_are_the_same() -> None:
    assert inspect.signature(Quick) == inspect.signature(Plain)
    for arguments, named in (((1,), {}), ((1, "x"), {"third": (3,)}), ((), {"first": 4})):
        ours, theirs = Quick(*arguments, **named), Plain(*arguments, **named)
        assert [getattr(ours, item.name) for item in fields(Quick)] == [
            getattr(theirs, item.name) for item in fields(Plain)
        ]
    for wrong, named in (((), {}), ((1, 2, 3, 4), {}), ((1,), {"fourth": 4}), ((1,), {"first": 1})):
        with pytest.raises(TypeError):
            Quick(*wrong, **named)


@pytest.mark.parametrize(
    "made",
    [
        Quick(1),
        Result(1, Ending.COMPLETED, Stage.DONE, executions=(SetResult(0, ()),)),
        Record("A[b]", "A", "b", 1, Verdict.PASS, Evidence(compared=3)),
        Case("A[b]", Model(Graph((Operand(3, (1,)),), (), (), ())), (Execution((), ()),)),
    ],
    ids=lambda made: type(made).__name__,
)
def test_an_object_is_frozen_equal_and_copied(made: object) -> None:
    kind = type(made)
    for item in fields(made):  # type: ignore[arg-type]
        with pytest.raises(FrozenInstanceError):
            setattr(made, item.name, None)
    with pytest.raises((AttributeError, TypeError)):
        made.other = 1  # type: ignore[attr-defined]
    for again in (copy.deepcopy(made), pickle.loads(pickle.dumps(made)), replace(made)):  # type: ignore[type-var]
        assert type(again) is kind
        assert again == made
        assert hash(again) == hash(made)
    assert repr(made).startswith(kind.__name__)


def test_what_it_would_break_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class Filled:
        items: list[int] = field(default_factory=list)

    @dataclass(frozen=True)
    class Open:
        item: int

    for kind in (Filled, Open):
        with pytest.raises(TypeError, match=kind.__name__):
            quick(kind)
