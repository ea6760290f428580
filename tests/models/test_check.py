"""Whole models: a wrong operation is found where it is, and nothing is blamed that is right."""

from __future__ import annotations

import numpy as np
import pytest

from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.program import Program
from nnapi_testkit.models.check import check
from nnapi_testkit.models.steps import exposed, in_order, single
from nnapi_testkit.spec.codes import OperationCode
from nnapi_testkit.targets.base import Runner
from tests.models.faulty import Faulty, other_code, other_constant

WIDTH = 64


def dense(layers: int, activation: int = 2) -> Program:
    """FULLY_CONNECTED of 64 with RELU1, `layers` times: worst-case bounds exceed the data."""
    random = np.random.default_rng(1)
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (4, WIDTH))
    for layer in range(layers):
        weights = random.normal(0, (2 / WIDTH) ** 0.5, (WIDTH, WIDTH)).astype(np.float32)
        bias = random.normal(0, 0.1, WIDTH).astype(np.float32)
        last = layer == layers - 1
        make = builder.output if last else builder.tensor
        out = make("TENSOR_FLOAT32", (4, WIDTH))
        operands = (
            x,
            builder.constant("TENSOR_FLOAT32", weights),
            builder.constant("TENSOR_FLOAT32", bias),
            builder.constant("INT32", activation),
        )
        builder.operation("FULLY_CONNECTED", operands, (out,))
        x = out
    data = random.normal(0, 1, (4, WIDTH)).astype(np.float32)
    return Program(builder.build(), f"dense{layers}", inputs=((data,),))


def convolutions(layers: int) -> Program:
    """Convolutions 3x3 followed by RELU6, `layers` times."""
    random = np.random.default_rng(2)
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (1, 8, 8, 8))
    for layer in range(layers):
        weights = random.normal(0, (2 / 72) ** 0.5, (8, 3, 3, 8)).astype(np.float32)
        between = builder.tensor("TENSOR_FLOAT32", (1, 8, 8, 8))
        operands = [
            x,
            builder.constant("TENSOR_FLOAT32", weights),
            builder.constant("TENSOR_FLOAT32", np.zeros(8, np.float32)),
            *(builder.constant("INT32", value) for value in (1, 1, 1, 0)),
        ]
        builder.operation("CONV_2D", operands, (between,))
        make = builder.output if layer == layers - 1 else builder.tensor
        x = make("TENSOR_FLOAT32", (1, 8, 8, 8))
        builder.operation("RELU6", (between,), (x,))
    data = random.normal(0, 2, (1, 8, 8, 8)).astype(np.float32)
    return Program(builder.build(), f"convolutions{layers}", inputs=((data,),))


def test_a_healthy_driver_passes(runner: Runner) -> None:
    for program in (dense(10), convolutions(7), convolutions(17)):
        report = check(program, runner)
        assert report.passed, report.text()
        assert all(step.verdict is Verdict.PASS for step in report.steps)


@pytest.mark.parametrize("at", [0, 4, 9])
def test_a_wrong_activation_of_a_deep_model_is_found(runner: Runner, at: int) -> None:
    """RELU for RELU1 in one of ten layers passes with margin 0.24 where only the end is judged."""
    faulty = Faulty(runner, other_constant(at, 3, lambda a: a * 0 + 1))
    report = check(dense(10), faulty)  # type: ignore[arg-type]
    assert report.verdict is Verdict.MISMATCH
    assert [step.index for step in report.wrong] == [at]
    assert report.first_wrong is not None and report.first_wrong.index == at
    assert f"the first wrong operation is #{at} FULLY_CONNECTED" in report.text()
    assert faulty.runs == 2


def test_a_wrong_activation_in_every_layer_is_found_in_every_layer(runner: Runner) -> None:
    def edit(model):  # type: ignore[no-untyped-def]
        for index in range(10):
            model = other_constant(index, 3, lambda a: a * 0 + 1)(model)
        return model

    report = check(dense(10), Faulty(runner, edit))  # type: ignore[arg-type]
    assert report.verdict is Verdict.MISMATCH
    assert [step.index for step in report.wrong] == list(range(10))


@pytest.mark.parametrize("layers", [7, 17])
def test_relu1_for_relu6_is_found_everywhere(runner: Runner, layers: int) -> None:
    program = convolutions(layers)

    def edit(model):  # type: ignore[no-untyped-def]
        for index, operation in enumerate(model.main.operations):
            if operation.code == OperationCode.RELU6:
                model = other_code(index, OperationCode.RELU1)(model)
        return model

    report = check(program, Faulty(runner, edit))  # type: ignore[arg-type]
    assert report.verdict is Verdict.MISMATCH
    assert [step.index for step in report.wrong] == list(range(1, 2 * layers, 2))


@pytest.mark.parametrize(
    "change",
    [
        lambda a: _first(a, lambda x: 2 * x),
        lambda a: _first(a, lambda x: -x),
        lambda a: (a * 1.01).astype(a.dtype),
    ],
    ids=["one weight doubled", "a sign flipped", "one percent"],
)
def test_a_changed_weight_is_found(runner: Runner, change) -> None:  # type: ignore[no-untyped-def]
    report = check(dense(10), Faulty(runner, other_constant(6, 1, change)))  # type: ignore[arg-type]
    assert [step.index for step in report.wrong] == [6]


def _first(array, change):  # type: ignore[no-untyped-def]
    array[0] = change(array[0])
    return array


def test_a_failing_step_reproduces_itself(runner: Runner) -> None:
    """The record's case holds the inputs that the device itself computed."""
    report = check(dense(10), Faulty(runner, other_constant(4, 3, lambda a: a * 0 + 1)))  # type: ignore[arg-type]
    assert report.first_wrong is not None
    case = report.first_wrong.case
    assert len(case.model.main.operations) == 1
    result = next(iter(runner.run([case])))
    value = np.frombuffer(result.executions[0].outputs[0].data, np.float32)
    assert value.max() == 1.0  # RELU1, as the healthy driver computes it


def test_a_refused_model_says_where(runner: Runner) -> None:
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (2,))
    out = builder.output("TENSOR_FLOAT32", (2,))
    builder.operation("ABS", (x,), (out,))
    program = Program(builder.build(), "abs", inputs=((np.ones(2, np.float32),),))

    # An operation that NNAPI does not have.
    report = check(program, Faulty(runner, other_code(0, 999)))  # type: ignore[arg-type]
    assert report.verdict is Verdict.REFUSED
    assert report.steps == ()


def test_parts_of_a_model() -> None:
    model = convolutions(2).model
    shown, outputs = exposed(model)
    assert len(shown.main.outputs) == 4 and outputs[0] == model.main.outputs[0]
    assert in_order(model.main) == [0, 1, 2, 3]
    alone, taken = single(model, 2)
    assert len(alone.main.operations) == 1
    assert taken == (model.main.operations[1].outputs[0],)


def test_a_bound_as_wide_as_the_data_judges_nothing(runner: Runner) -> None:
    """Half precision leaves a sum that cancels open by more than its result: never a pass."""
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (1, 512))
    out = builder.output("TENSOR_FLOAT32", (1, 8))
    random = np.random.default_rng(3)
    half = random.normal(0, 1, (8, 256)).astype(np.float32)
    weights = np.concatenate([half, -half * (1 + 1e-3 * random.random((8, 256)))], 1)
    operands = (
        x,
        builder.constant("TENSOR_FLOAT32", weights.astype(np.float32)),
        builder.constant("TENSOR_FLOAT32", np.zeros(8, np.float32)),
        builder.constant("INT32", 0),
    )
    builder.operation("FULLY_CONNECTED", operands, (out,))
    data = np.tile(random.normal(0, 1, 256).astype(np.float32), 2)[None]
    report = check(Program(builder.build(relaxed=True), "cancels", inputs=((data,),)), runner)
    assert report.verdict is Verdict.OBSERVED
    assert "the bound is wider than 2% of the output's range" in report.text()
