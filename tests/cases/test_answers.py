"""What the oracle makes of codes, shared scales, types and readings of the input."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Execution, Expected
from nnapi_testkit.oracle import answer


def told(builder: Builder, *inputs: np.ndarray, relaxed: bool = False) -> Expected:
    """The answer to a model of one output whose dimensions nobody asks about."""
    model = builder.build(relaxed)
    ((expected,),) = answer(None, Case("case", model, (Execution(inputs, ((),)),))).sets
    return expected


def test_int32_is_divided_with_floor() -> None:
    builder = Builder()
    a = builder.input("TENSOR_INT32", (4,))
    b = builder.constant("TENSOR_INT32", [2, 2, 0, -3])
    none = builder.constant("INT32", 0)
    builder.operation("DIV", (a, b, none), (builder.output("TENSOR_INT32", (4,)),))
    found = told(builder, np.array([5, -5, 1, 7], "<i4"))
    assert found.value[[0, 1, 3]].tolist() == [2, -3, -3]
    assert found.exempt is not None and found.exempt.tolist() == [False, False, True, False]


def test_cast_passes_codes_without_their_scale() -> None:
    builder = Builder()
    source = builder.input("TENSOR_QUANT8_ASYMM", (3,), 0.25, 100)
    builder.operation("CAST", (source,), (builder.output("TENSOR_INT32", (3,)),))
    assert told(builder, np.array([0, 100, 255], "u1")).value.tolist() == [0, 100, 255]


def test_a_pad_value_is_a_code_of_its_tensor() -> None:
    builder = Builder()
    source = builder.input("TENSOR_QUANT8_ASYMM", (1,), 0.5, 10)
    around = builder.constant("TENSOR_INT32", [[1, 1]])
    value = builder.constant("INT32", 14)
    out = builder.output("TENSOR_QUANT8_ASYMM", (3,), 0.5, 10)
    builder.operation("PAD_V2", (source, around, value), (out,))
    assert told(builder, np.array([12], "u1")).value.tolist() == [2.0, 1.0, 2.0]


@pytest.mark.parametrize("scale", [0.5, 0.25])
def test_joined_data_are_exact_where_the_scale_stays(scale: float) -> None:
    builder = Builder()
    parts = [
        builder.input("TENSOR_QUANT8_ASYMM", (2,), 0.5, 10),
        builder.input("TENSOR_QUANT8_ASYMM", (2,), scale, 10),
        builder.constant("INT32", 0),
    ]
    builder.operation(
        "CONCATENATION", parts, (builder.output("TENSOR_QUANT8_ASYMM", (4,), 0.5, 10),)
    )
    found = told(builder, np.array([12, 10], "u1"), np.array([13, 10], "u1"))
    assert found.bound[:2].tolist() == [0.0, 0.0]
    assert (found.bound[2:] > 0).all() == (scale != 0.5)


def less(relaxed: bool) -> list[bool]:
    """Which of three comparisons with 1 are open."""
    builder = Builder()
    a = builder.input("TENSOR_FLOAT32", (3,))
    b = builder.constant("TENSOR_FLOAT32", np.ones(3))
    builder.operation("LESS", (a, b), (builder.output("TENSOR_BOOL8", (3,)),))
    found = told(builder, np.array([0.5, 0.9999, 1.0], "<f4"), relaxed=relaxed)
    assert found.value.tolist() == [True, True, False]
    return [False] * 3 if found.exempt is None else found.exempt.tolist()


def test_relaxed_comparisons_are_open_near_equality() -> None:
    assert less(relaxed=False) == [False, False, False]
    assert less(relaxed=True) == [False, True, False]


def test_sums_may_overflow_on_their_way() -> None:
    builder = Builder()
    source = builder.input("TENSOR_FLOAT32", (2, 3))
    axes = builder.constant("TENSOR_INT32", [1])
    keep = builder.constant("BOOL", 0)
    builder.operation("REDUCE_SUM", (source, axes, keep), (builder.output("TENSOR_FLOAT32", (2,)),))
    most = np.finfo(np.float32).max
    found = told(builder, np.array([[most, most, -most], [most, -1.0, -2.0]], "<f4"))
    assert found.exempt is not None and found.exempt.tolist()[0]


def test_equal_values_come_with_the_larger_index_first() -> None:
    builder = Builder()
    source = builder.input("TENSOR_INT32", (5,))
    count = builder.constant("INT32", 3)
    values, indices = (builder.output("TENSOR_INT32", (3,)) for _ in range(2))
    builder.operation("TOPK_V2", (source, count), (values, indices))
    case = Case(
        "case",
        builder.build(),
        (Execution((np.array([7, 9, 7, 9, 1], "<i4"),), ((3,), (3,))),),
    )
    ((first, second),) = answer(None, case).sets
    assert first.value.tolist() == [9, 9, 7] and second.value.tolist() == [3, 1, 2]
