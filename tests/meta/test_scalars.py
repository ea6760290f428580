"""Float scalars have their room: a driver may round a clip, an epsilon, a scale to half precision.

The suite's own scalars are mostly numbers that half precision holds; those of a user's model are
not. So each case is asked here with scalars moved a little, to where rounding changes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from meta_mutants import outputs_of
from test_honest import STRICT, encoded, rounded_driver

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.compare import Comparison, compare
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Answer, Case, Execution
from nnapi_testkit.model.types import Operand
from nnapi_testkit.op.declare import Scalar
from nnapi_testkit.oracle import bounding, reread
from nnapi_testkit.oracle.evaluate import answer_case
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import FLOATS

REAL = ("real", "FLOAT32", "value")
# Sizes follow from these scalars, which rounding does not change: nothing else is computed of them.
SIZES = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
OPERATIONS = sorted(
    name
    for name, op in catalog().items()
    if op.graphs is None
    and name not in SIZES
    and any(cell.main in FLOATS for cell in op.cells)
    and any(isinstance(s, Scalar) and s.type in REAL for sig in op.signatures for s in sig)
)
SHIFTS = (1 + 2.0**-12, 1 - 2.0**-12.5)  # halfway between two numbers of half precision, and less


def scalars(case: Case) -> list[int]:
    """The float scalars of a model, by index."""
    return [
        index
        for index, operand in enumerate(case.model.main.operands)
        if operand.type == OperandCode.FLOAT32 and operand.value
    ]


def changed(case: Case, factor: float) -> Case:
    """The case with every float scalar times `factor`."""
    operands = list(case.model.main.operands)
    for index in scalars(case):
        value = np.frombuffer(operands[index].value, "<f4") * np.float32(factor)
        operands[index] = replace(operands[index], value=value.astype("<f4").tobytes())
    main = replace(case.model.main, operands=tuple(operands))
    return replace(case, model=replace(case.model, main=main))


def compared(case: Case, told: Answer, driven: Answer) -> Iterator[Comparison]:
    """What the judge says of each output of a driver."""
    for right, given in zip(told.sets, driven.sets, strict=True):
        for operand, want, got in zip(outputs_of(case), right, given, strict=True):
            data = encoded(operand, got.value).tobytes()
            yield compare(operand, want, data, STRICT, case.model.relaxed)


@pytest.mark.parametrize("name", OPERATIONS)
def test_rounded_scalars_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    for ref in (ref for ref in case_index([name]) if ref.has_golden and ref.contest is None):
        if "relaxed" not in ref.id:
            continue
        base = ref.make()
        if not any(np.frombuffer(base.model.main.operands[i].value, "<f4") for i in scalars(base)):
            continue
        for factor in SHIFTS:
            case = changed(base, factor)
            try:
                told = answer_case(case)
            except ValueError:  # rounding decides which box is chosen: left open
                continue
            for flush in (False, True):
                with rounded_driver(monkeypatch, torch.float16, flush):
                    driven = answer_case(case)
                asked += 1
                for found in compared(case, told, driven):
                    assert not found.wrong.any(), (
                        f"{ref.id}, scalars times {factor}: a driver that rounds them to half"
                        f" precision is refused at {found.margin:.3g} times the bound"
                    )
    assert asked


def clipped(clip: float, relaxed: bool = True) -> Case:
    """LSTM whose cell state meets its clip in every element."""
    b = Builder()
    code = OperandCode.TENSOR_FLOAT32
    full, none = np.full((2, 2), 2.0, "<f4"), [b.omitted(code, (0,)) for _ in range(3)]
    x = b.input(code, (1, 2))
    weights = [b.constant(code, full) for _ in range(8)]
    biases = [b.constant(code, np.full(2, 4.0, "<f4")) for _ in range(4)]
    projection = [b.omitted(code, (0, 0)), b.omitted(code, (0,))]
    h, c = b.input(code, (1, 2)), b.input(code, (1, 2))
    tail = [b.constant("INT32", 4), b.constant("FLOAT32", clip), b.constant("FLOAT32", 0.0)]
    inputs = (x, *weights, *none, *biases, *projection, h, c, *tail)
    outputs = [b.output(code, shape) for shape in ((1, 8), (1, 2), (1, 2), (1, 2))]
    b.operation("LSTM", inputs, outputs)
    one = np.ones((1, 2), "<f4")
    dims = ((1, 8), (1, 2), (1, 2), (1, 2))
    return Case("clipped", b.build(relaxed), (Execution((one, one, one), dims),))


def cell(told: Answer, case: Case, value: float) -> tuple[bool, Operand]:
    """Whether a cell state of `value` is legal."""
    want, operand = told.sets[0][2], outputs_of(case)[2]
    data = np.full(want.value.shape, value, "<f4").tobytes()
    return not compare(operand, want, data, STRICT, case.model.relaxed).wrong.any(), operand


def test_a_clip_has_its_own_rounding_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = 0.3001
    case, half = clipped(clip), float(np.float16(clip))
    told = answer_case(case)
    assert cell(told, case, float(np.float32(clip)))[0]
    assert cell(told, case, half)[0]
    assert not cell(told, case, clip + 3 * (half - clip))[0]
    # Full precision has no such room, and a clip that half precision holds needs none.
    exact = clipped(clip, relaxed=False)
    assert not cell(answer_case(exact), exact, half)[0]
    held = clipped(0.25)
    bound = float(answer_case(held).sets[0][2].bound.max())
    assert bound < 0.25 * 2.0**-11
    # What the room is for: without it the same driver is charged.
    monkeypatch.setattr(bounding, "halved", lambda _, situation, bounds: (bounds, (None,) * 4))
    assert not cell(answer_case(case), case, half)[0]


def test_an_epsilon_that_vanishes_is_room_where_it_counts() -> None:
    def normalized(spread: float) -> Case:
        b = Builder()
        x = b.input(OperandCode.TENSOR_FLOAT32, (1, 2, 2, 1))
        tail = [b.constant("FLOAT32", v) for v in (1.0, 0.0, 1e-5)] + [b.constant("BOOL", 0)]
        b.operation(
            "INSTANCE_NORMALIZATION",
            (x, *tail),
            (b.output(OperandCode.TENSOR_FLOAT32, (1, 2, 2, 1)),),
        )
        data = np.array([0, 1, 2, 3], "<f4").reshape(1, 2, 2, 1) * np.float32(spread)
        return Case("epsilon", b.build(relaxed=True), (Execution((data,), ((1, 2, 2, 1),)),))

    wide, none = (answer_case(normalized(spread)).sets[0][0] for spread in (1.0, 0.0))
    assert wide.exempt is None and wide.bound.max() < 0.03
    assert none.exempt is not None and none.exempt.all()  # 0 / sqrt(0 + 0)


def test_numbers_of_rows_get_no_room_by_other_readings() -> None:
    """A subnormal score that is read as zero may move a float; an index stays an integer."""
    value, other = torch.tensor([3, 5]), torch.tensor([3, 4])
    gap, unsaid = reread._gap(value, other)
    assert gap.dtype == torch.int64 and gap.tolist() == [0, 1]
    assert not unsaid.any()
