"""What a driver may choose is no fault at a model's end: infinities, ties, the order of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case
from nnapi_testkit.model.program import Program
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.models.check import _end, check
from nnapi_testkit.models.steps import in_order
from nnapi_testkit.oracle import follow
from nnapi_testkit.oracle.chain import Chain
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.targets.base import Runner
from tests.models.faulty import Faulty, other_code, other_constant

FLOAT = "TENSOR_FLOAT32"
LARGEST = float(np.finfo(np.float32).max)


class Fused(Faulty):
    """A driver that computes in another way where its values are not visible."""

    def run(self, cases):  # type: ignore[no-untyped-def]
        self.runs += len(cases)
        models = [case.model if _shown(case) else self.edit(case.model) for case in cases]
        return self.inner.run(
            [replace(case, model=model) for case, model in zip(cases, models, strict=True)]
        )


def _shown(case: Case) -> bool:
    return case.id.endswith("+values")


def attention(fill: float, operation: str, *, end: str = "SOFTMAX") -> Program:
    """Scores behind a mask, one of whose rows hides everything."""
    random = np.random.default_rng(5)
    hidden = random.random((4, 8)) < 0.4
    hidden[1] = True
    builder = Builder()
    scores = builder.input(FLOAT, (4, 8))
    masked = builder.tensor(FLOAT, (4, 8)) if end else builder.output(FLOAT, (4, 8))
    mask = np.where(hidden, fill, 0).astype(np.float32)
    if operation == "SELECT":
        keep = builder.constant("TENSOR_BOOL8", ~hidden)
        operands = (keep, scores, builder.constant(FLOAT, np.full((4, 8), fill, np.float32)))
        builder.operation("SELECT", operands, (masked,))
    else:
        added = scores
        for _ in range(2 if operation == "ADD twice" else 1):
            scores = added
            last = builder.tensor(FLOAT, (4, 8))
            none = builder.constant("INT32", 0)
            builder.operation("ADD", (scores, builder.constant(FLOAT, mask), none), (last,))
            added = last
        builder.operation("RESHAPE", (added, _shape(builder, 4, 8)), (masked,))
    if end:
        out = builder.output(FLOAT, (4, 8))
        builder.operation(end, (masked, builder.constant("FLOAT32", 1.0)), (out,))
    data = random.normal(0, 1, (4, 8)).astype(np.float32)
    return Program(builder.build(), "attention", inputs=((data,),))


def _shape(builder: Builder, *dims: int) -> int:
    return builder.constant("TENSOR_INT32", np.array(dims, np.int32))


@pytest.mark.parametrize("end", ["", "SOFTMAX"])
@pytest.mark.parametrize("operation", ["SELECT", "ADD", "ADD twice"])
@pytest.mark.parametrize("fill", [-np.inf, -LARGEST, np.inf])
def test_a_mask_of_infinities_is_no_fault(
    runner: Runner, fill: float, operation: str, end: str
) -> None:
    report = check(attention(fill, operation, end=end), runner)
    assert not report.verdict.is_failure, report.text()
    assert not any(item.verdict.is_failure for item in report.ends)


def uncover(fills: np.ndarray) -> np.ndarray:
    return np.full_like(fills, -5.0)


def shift_one(mask: np.ndarray) -> np.ndarray:
    mask[int(np.flatnonzero(mask == 0)[0])] = 0.01
    return mask


@pytest.mark.parametrize(
    ("operation", "position", "change"), [("SELECT", 2, uncover), ("ADD", 1, shift_one)]
)
def test_infinities_hide_no_fault_beside_them(
    runner: Runner, operation: str, position: int, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Other numbers, made where values are not visible: the end alone shows them."""
    program = attention(-np.inf, operation)
    report = check(program, Fused(runner, other_constant(0, position, change)))  # type: ignore[arg-type]
    assert report.verdict is Verdict.MISMATCH, report.text()
    assert not report.wrong


def test_infinite_values_agree_in_place_and_sign(runner: Runner) -> None:
    program = attention(-np.inf, "SELECT", end="")
    assert check(program, runner).passed
    turned = Fused(runner, other_constant(0, 2, lambda a: -a))
    report = check(program, turned)  # type: ignore[arg-type]
    assert report.verdict is Verdict.MISMATCH, report.text()


def test_a_sample_clamps_and_another_does_not() -> None:
    """The hidden row is NaN by infinity and even by the largest number: its elements are open."""
    program = attention(-np.inf, "ADD")
    chain = follow(program.model, in_order(program.model.main), program.inputs[0])
    assert chain.open[0][1].all() and not chain.open[0][[0, 2, 3]].any()
    assert np.isnan(chain.outputs[0][1]).all()
    assert 0 < chain.tolerances[0] < 1e-4


def classes(ties: bool) -> Program:
    """The best class of each row, and what a table says of it."""
    random = np.random.default_rng(6)
    builder = Builder()
    scores = builder.input(FLOAT, (6, 8))
    best = builder.tensor("TENSOR_INT32", (6,))
    builder.operation("ARGMAX", (scores, builder.constant("INT32", 1)), (best,))
    table = builder.constant(FLOAT, random.normal(0, 1, (8, 4)).astype(np.float32))
    out = builder.output(FLOAT, (6, 4))
    builder.operation("EMBEDDING_LOOKUP", (best, table), (out,))
    data = np.stack([random.permutation(8) for _ in range(6)]).astype(np.float32)
    if ties:
        data[:, 1] = data[:, 5] = 9
    return Program(builder.build(), "classes", inputs=((data,),))


def later_of_equals(model: Model) -> Model:
    """ARGMAX that names the last of equal values: a ramp that is small against the values."""
    graph = model.main
    first = graph.operations[0]
    at = len(graph.operands)
    scores = graph.operands[first.inputs[0]]
    ramp = np.linspace(0, 1e-3, scores.dims[-1], dtype=np.float32)
    activation = np.int32(0).tobytes()
    operands = (
        *graph.operands,
        replace(scores, lifetime=Lifetime.TEMPORARY),
        Operand(
            OperandCode.TENSOR_FLOAT32, ramp.shape, lifetime=Lifetime.CONSTANT, value=ramp.tobytes()
        ),
        Operand(OperandCode.INT32, lifetime=Lifetime.CONSTANT, value=activation),
    )
    operations = (
        Operation(int(OperationCode.ADD), (first.inputs[0], at + 1, at + 2), (at,)),
        replace(first, inputs=(at, first.inputs[1])),
        *graph.operations[1:],
    )
    return replace(model, main=Graph(operands, operations, graph.inputs, graph.outputs))


@pytest.mark.parametrize("driver", [Faulty, Fused])
def test_another_of_equal_classes_is_no_fault(
    runner: Runner, driver: Callable[..., Faulty]
) -> None:
    program = classes(ties=True)
    other = driver(runner, later_of_equals)
    report = check(program, other)  # type: ignore[arg-type]
    assert not report.verdict.is_failure, report.text()
    assert report.ends[0].verdict is Verdict.OBSERVED
    assert report.ends[0].error > 0.1  # it did choose another one


def test_another_class_is_a_fault_where_none_is_equal(runner: Runner) -> None:
    program = classes(ties=False)
    assert check(program, Faulty(runner, later_of_equals)).passed  # type: ignore[arg-type]
    wrong = other_code(0, OperationCode.ARGMIN)
    report = check(program, Fused(runner, wrong))  # type: ignore[arg-type]
    assert report.verdict is Verdict.MISMATCH
    report = check(program, Faulty(runner, wrong))  # type: ignore[arg-type]
    assert [step.index for step in report.wrong] == [0]


def detections() -> Program:
    """Boxes of equal scores that do not overlap, and something that is computed of each."""
    builder = Builder()
    corners = np.array([(0, 0), (40, 0), (0, 40), (40, 40)], np.float32)
    boxes = np.concatenate([corners, corners + 8], 1)
    scores = builder.input(FLOAT, (4, 2))
    places = builder.constant(FLOAT, np.tile(boxes, 2))
    images = builder.constant("TENSOR_INT32", np.zeros(4, np.int32))
    limits = [builder.constant("FLOAT32", 0.1), builder.constant("INT32", -1)]
    limits += [builder.constant("INT32", 0)]
    limits += [builder.constant("FLOAT32", value) for value in (0.3, 0.5, 0.01)]
    found = (
        builder.tensor(FLOAT, (0,)),
        builder.tensor(FLOAT, (0, 4)),
        builder.output("TENSOR_INT32", (0,)),
        builder.output("TENSOR_INT32", (0,)),
    )
    builder.operation("BOX_WITH_NMS_LIMIT", (scores, places, images, *limits), found)
    wide = builder.output(FLOAT, (0, 4))
    operands = (found[1], builder.constant(FLOAT, np.float32([2.0])), builder.constant("INT32", 0))
    builder.operation("MUL", operands, (wide,))
    data = np.array([(0, 0.75), (0, 0.75), (0, 0.75), (0, 0.5)], np.float32)
    return Program(builder.build(), "detections", inputs=((data,),))


def rows_turned(model: Model) -> Model:
    """The rows of a BOX_WITH_NMS_LIMIT in another order."""
    graph = model.main
    first = graph.operations[0]
    at = len(graph.operands)
    operands = [replace(graph.operands[o], lifetime=Lifetime.TEMPORARY) for o in first.outputs]
    order = np.array([2, 0, 1, 3], np.int32)
    operands += [
        Operand(
            OperandCode.TENSOR_INT32,
            order.shape,
            lifetime=Lifetime.CONSTANT,
            value=order.tobytes(),
        ),
        Operand(OperandCode.INT32, lifetime=Lifetime.CONSTANT, value=np.int32(0).tobytes()),
    ]
    moved = [
        Operation(int(OperationCode.GATHER), (at + i, at + 5, at + 4), (out,))
        for i, out in enumerate(first.outputs)
    ]
    operations = (
        replace(first, outputs=tuple(at + i for i in range(4))),
        *moved,
        *graph.operations[1:],
    )
    changed = Graph((*graph.operands, *operands), operations, graph.inputs, graph.outputs)
    return replace(model, main=changed)


@pytest.mark.parametrize("driver", [Faulty, Fused])
def test_rows_in_another_order_are_no_fault(runner: Runner, driver: Callable[..., Faulty]) -> None:
    program = detections()
    assert check(program, runner).passed
    report = check(program, driver(runner, rows_turned))  # type: ignore[arg-type]
    assert not report.verdict.is_failure, report.text()
    assert report.ends[2].error > 1 or report.ends[2].verdict is Verdict.OBSERVED


def heatmap(peak: tuple[int, int]) -> Program:
    builder = Builder()
    maps = builder.input(FLOAT, (1, 5, 5, 1))
    boxes = builder.constant(FLOAT, np.float32([[0, 0, 10, 10]]))
    out = builder.output(FLOAT, (1, 1)), builder.output(FLOAT, (1, 1, 2))
    builder.operation("HEATMAP_MAX_KEYPOINT", (maps, boxes, builder.constant("BOOL", False)), out)
    y, x = np.mgrid[:5, :5]
    data = 1 - 0.1 * ((y - peak[0]) ** 2 + (x - peak[1]) ** 2)
    return Program(builder.build(), "heatmap", inputs=((data[None, ..., None].astype("f4"),),))


def test_a_peak_at_the_border_of_a_heatmap_is_left_open(runner: Runner) -> None:
    """Networks put them there; the differences around it have no second pixel."""
    assert check(heatmap((2, 3)), runner).passed
    for peak in ((0, 2), (4, 4), (2, 0)):
        report = check(heatmap(peak), runner)
        assert not report.verdict.is_failure, report.text()
        assert report.steps[0].record.evidence.exempt == 3


def three(tolerance: float) -> Chain:
    return Chain({}, (np.array([1.0, 2, 3]),), (tolerance,), (np.zeros(3, np.bool_),))


def test_an_end_that_is_open_all_over_proves_nothing() -> None:
    """What the device's own inputs leave open counts like what the operation leaves open."""
    operand, wrong = Operand(OperandCode.TENSOR_FLOAT32, (3,)), np.full(3, 9, np.float32)
    for free, verdict in (
        (None, Verdict.MISMATCH),
        (np.array([True, True, False]), Verdict.MISMATCH),
        (np.ones(3, np.bool_), Verdict.OBSERVED),
    ):
        assert _end(operand, wrong, three(1e-3), 0, relaxed=False, free=free).verdict is verdict


@pytest.mark.parametrize(
    ("dims", "verdict"),
    [
        ((3,), Verdict.DIMENSIONS),
        ((0,), Verdict.DIMENSIONS),  # of another rank than the model tells
        ((0, 2), Verdict.OBSERVED),
        ((), Verdict.OBSERVED),
    ],
)
def test_a_choice_moves_no_dimension_that_the_model_tells(
    dims: tuple[int, ...], verdict: Verdict
) -> None:
    operand, given = Operand(OperandCode.TENSOR_FLOAT32, dims), np.zeros((1, 2), np.float32)
    assert _end(operand, given, three(np.inf), 0, relaxed=False).verdict is verdict
    assert _end(operand, given, three(1.0), 0, relaxed=False).verdict is Verdict.DIMENSIONS
