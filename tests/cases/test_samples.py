"""What op files can ask of a sample: generated values, shared scales, codes."""

from __future__ import annotations

import numpy as np
import pytest

from nnapi_testkit.cases.build import Variant, build_case
from nnapi_testkit.model.case import Case
from nnapi_testkit.op import (
    Choice,
    Distinct,
    Op,
    Output,
    Reals,
    Sample,
    Scalar,
    Tensor,
    cells,
    exact,
    numeric,
)
from nnapi_testkit.op.declare import Cell

NUMERIC = {cell.name: cell for cell in numeric(3, 3, int32=4)}


def op(*inputs: Tensor | Scalar, **more: object) -> Op:
    """An operation that is only built, never run."""
    parts = {
        "name": "ADD",
        "signatures": (inputs,),
        "outputs": (Output(like="a"),),
        "cells": tuple(NUMERIC.values()),
        "reference": lambda torch, **_: None,
        "bound": exact(),
        "samples": [],
    }
    return Op(**(parts | more))  # type: ignore[arg-type]


def built(declared: Op, cell: Cell, sample: Sample, name: str = "x") -> Case:
    return build_case(declared, cell, sample, Variant(), name, 0)


@pytest.mark.parametrize("cell", NUMERIC.values(), ids=lambda cell: cell.name)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_distinct_values_differ_along_the_axis(cell: Cell, axis: int) -> None:
    case = built(op(Tensor("a")), cell, Sample("s", a=Distinct((6, 20, 3), axis)))
    (array,) = case.sets[0].inputs
    assert array is not None
    rows = np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis])
    assert all(len(set(row)) == len(row) for row in rows.tolist())
    assert len({tuple(row) for row in rows.tolist()}) > 1, "every row has the same order"


def test_reals_stay_in_their_interval() -> None:
    case = built(op(Tensor("a")), NUMERIC["float32"], Sample("s", a=Reals((500,), 3.0, 5.0)))
    (array,) = case.sets[0].inputs
    assert array is not None
    assert 3.0 <= array.min() < 3.1 and 4.9 < array.max() <= 5.0


def test_data_depend_on_the_case_alone() -> None:
    sample = Sample("s", a=Choice((40,), -9, 9))
    first, again, other = (
        built(op(Tensor("a")), NUMERIC["int32"], sample, name).sets[0].inputs[0]
        for name in ("x", "x", "y")
    )
    assert first is not None and again is not None and other is not None
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_samples_may_share_a_quantization() -> None:
    def scales(**like: str) -> list[tuple[float, int]]:
        # The shape of the output is that of the list's first element here.
        declared = op(
            Tensor("a", many=True),
            outputs=(Output(shape=lambda f: f.shapes["a"][0], span=lambda f: (-4.0, 4.0)),),
        )
        sample = Sample("s", a=[(2, 3)] * 3, like=like)
        operands = built(declared, NUMERIC["quant8"], sample).model.main.operands
        return [(operand.scale, operand.zero_point) for operand in operands]

    assert len(set(scales())) > 1
    assert len(set(scales(a="a[0]"))) == 2, "the output has a scale of its own"
    assert len(set(scales(a="a[0]", out="a[0]"))) == 1


def test_channel_dimension_may_follow_the_shape() -> None:
    (cell,) = cells("QUANT8_SYMM_PER_CHANNEL>FLOAT32:3")
    declared = op(
        Tensor("a", channel_dim=lambda shape: len(shape) - 1), outputs=(Output(),), cells=(cell,)
    )
    quant = built(declared, cell, Sample("s", a=(2, 3, 5))).model.main.operands[0].channel_quant
    assert quant is not None and quant.dim == 2 and len(quant.scales) == 5


@pytest.mark.parametrize(
    ("word", "told", "output"),
    [
        ("unknown-dims", [(0, 0), (0, 0)], (0, 0)),
        ("unknown-rank", [(), ()], ()),
        ("unknown-inputs", [(0, 0), (0, 0)], (2, 3)),
        ("unknown-input-ranks", [(), ()], (2, 3)),
        ("unknown-first", [(0, 0), (2, 3)], (2, 3)),
        ("unknown-last", [(2, 3), (0, 0)], (2, 3)),
    ],
)
def test_what_a_model_tells_of_its_tensors(
    word: str, told: list[tuple[int, ...]], output: tuple[int, ...]
) -> None:
    declared = op(Tensor("a"), Tensor("b"))
    sample = Sample("s", a=(2, 3), b=(2, 3))
    case = build_case(declared, NUMERIC["float32"], sample, Variant((word,)), "x", 0)
    graph = case.model.main
    assert [graph.operands[at].dims for at in graph.inputs] == told
    assert graph.operands[graph.outputs[0]].dims == output
    # The execution completes what is open.
    assert [array.shape for array in case.sets[0].inputs if array is not None] == [(2, 3)] * 2


def test_scalars_that_an_execution_gives() -> None:
    declared = op(Tensor("a"), Scalar("axis"), Scalar("flag", "BOOL"))
    sample = Sample("s", a=(2, 3), axis=-1, flag=True)
    case = build_case(declared, NUMERIC["float32"], sample, Variant(("fed-scalars",)), "x", 0)
    _, axis, flag = case.sets[0].inputs
    assert axis is not None and (axis.shape, axis.dtype, axis.item()) == ((), np.int32, -1)
    assert flag is not None and flag.item() == 1
    assert not [o for o in case.model.main.operands if o.value], "one of them is a constant too"
