"""IF and WHILE: values, nesting, shapes, signatures, timeouts."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest

from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode
from tests.driver.capi import Execution, Library, Model, add_model, ok, operand_type, refused

F32, BOOL8 = OperandCode.TENSOR_FLOAT32, OperandCode.TENSOR_BOOL8
YES, NO = np.array([1], np.uint8), np.array([0], np.uint8)


def constant_add(lib: Library, step: float, dims: Sequence[int] | None = (2,)) -> Model:
    """A model: output = input + step."""
    model = Model(lib)
    x, out = model.operand(F32, dims), model.operand(F32, dims)
    c = model.value(model.operand(F32, [1]), np.array([step], np.float32))
    model.add(x, c, out)
    return model.finished([x], [out])


def doubling(lib: Library, dims: Sequence[int] | None = (2,)) -> Model:
    """A model: output = input + input."""
    model = Model(lib)
    x, out = model.operand(F32, dims), model.operand(F32, dims)
    model.add(x, x, out)
    return model.finished([x], [out])


def if_model(lib: Library, yes: Model, no: Model, dims: Sequence[int] | None = (2,)) -> Model:
    """A model: IF(condition, yes, no, x)."""
    model = Model(lib)
    condition = model.operand(BOOL8, [1])
    x, out = model.operand(F32, dims), model.operand(F32, dims)
    inputs = [condition, model.submodel(yes), model.submodel(no), x]
    ok(model.operation(OperationCode.IF, inputs, [out]))
    return model.finished([condition, x], [out])


def less_than(lib: Library, limit: float, dims: Sequence[int] = (1,)) -> Model:
    """A condition model: x < limit."""
    model = Model(lib)
    x = model.operand(F32, dims)
    bound = model.value(model.operand(F32, [1]), np.array([limit], np.float32))
    out = model.operand(BOOL8, [1])
    ok(model.operation(OperationCode.LESS, [x, bound], [out]))
    return model.finished([x], [out])


def while_model(lib: Library, condition: Model, body: Model, dims: Sequence[int] = (1,)) -> Model:
    """A model: WHILE(condition, body, x)."""
    model = Model(lib)
    x, out = model.operand(F32, dims), model.operand(F32, dims)
    inputs = [model.submodel(condition), model.submodel(body), x]
    ok(model.operation(OperationCode.WHILE, inputs, [out]))
    return model.finished([x], [out])


@pytest.mark.parametrize("dims", [(2,), (0,), None])
def test_if_takes_the_chosen_branch(lib: Library, dims: Sequence[int] | None) -> None:
    model = if_model(lib, constant_add(lib, 10, dims), doubling(lib, dims), dims)
    compilation = model.compile()
    x = np.array([3, 4], np.float32)
    for condition, expected in ((YES, [13, 14]), (NO, [6, 8]), (np.array([7], np.uint8), [13, 14])):
        execution, result = Execution(compilation), np.zeros(2, np.float32)
        ok(execution.input(0, condition))
        ok(execution.input(1, x, operand_type(F32, [2])))
        ok(execution.output(0, result))
        ok(execution.compute())
        assert result.tolist() == expected
        assert execution.shape(0) == (0, [2])


def test_if_inside_a_graph(lib: Library) -> None:
    """The result of IF is a temporary, its input another one."""
    model = Model(lib)
    condition = model.operand(BOOL8, [1])
    x, before, after, out = (model.operand(F32, [2]) for _ in range(4))
    model.add(x, x, before)
    yes, no = model.submodel(constant_add(lib, 10)), model.submodel(doubling(lib))
    ok(model.operation(OperationCode.IF, [condition, yes, no, before], [after]))
    model.add(after, before, out)
    model.finished([condition, x], [out])
    result = np.zeros(2, np.float32)
    ok(model.run(YES, np.array([1, 2], np.float32), outputs=[result]))
    assert result.tolist() == [14, 18]


def test_if_reports_insufficient_outputs(lib: Library) -> None:
    model = if_model(lib, constant_add(lib, 1, None), doubling(lib, None), None)
    execution = Execution(model.compile())
    ok(execution.input(0, YES))
    ok(execution.input(1, np.zeros(2, np.float32), operand_type(F32, [2])))
    ok(execution.output(0, np.zeros(1, np.float32)))
    refused(execution.compute(), ResultCode.OUTPUT_INSUFFICIENT_SIZE)
    assert execution.shape(0) == (ResultCode.OUTPUT_INSUFFICIENT_SIZE, [2])


@pytest.mark.parametrize(("start", "expected"), [(0, 5), (4.5, 5.5), (5, 5), (7, 7), (-2, 5)])
def test_while_counts(lib: Library, start: float, expected: float) -> None:
    model = while_model(lib, less_than(lib, 5), constant_add(lib, 1, (1,)))
    result = np.zeros(1, np.float32)
    ok(model.run(np.array([start], np.float32), outputs=[result]))
    assert result[0] == expected


def test_a_loop_that_is_not_run_gives_no_result_without_a_value(lib: Library) -> None:
    """The second operand of the loop is left out, and no iteration computes one."""
    condition, body = Model(lib), Model(lib)
    n, unread = (condition.operand(F32, [1]) for _ in range(2))
    bound = condition.value(condition.operand(F32, [1]), np.array([5], np.float32))
    verdict = condition.operand(BOOL8, [1])
    ok(condition.operation(OperationCode.LESS, [n, bound], [verdict]))
    condition.finished([n, unread], [verdict])
    n, x, counted, kept = (body.operand(F32, [1]) for _ in range(4))
    body.add(n, n, counted)
    body.add(n, x, kept)
    body.finished([n, x], [counted, kept])
    model = Model(lib)
    n, missing, first, second = (model.operand(F32, [1]) for _ in range(4))
    ok(lib.Model_setOperandValue(model.handle, missing, None, 0))
    models = [model.submodel(condition), model.submodel(body)]
    ok(model.operation(OperationCode.WHILE, [*models, n, missing], [first, second]))
    model.finished([n], [first, second])
    outputs = [np.zeros(1, np.float32), np.zeros(1, np.float32)]
    refused(model.run(np.array([7], np.float32), outputs=outputs), ResultCode.OP_FAILED)


def test_while_result_is_read_again(lib: Library) -> None:
    """The loop's result is a temporary; zero iterations copy the initial value."""
    for start, expected in ((0.0, 10.0), (9.0, 18.0)):
        model = Model(lib)
        x, end, out = (model.operand(F32, [1]) for _ in range(3))
        condition = model.submodel(less_than(lib, 5))
        body = model.submodel(constant_add(lib, 1, (1,)))
        ok(model.operation(OperationCode.WHILE, [condition, body, x], [end]))
        model.add(end, end, out)
        model.finished([x], [out])
        result = np.zeros(1, np.float32)
        ok(model.run(np.array([start], np.float32), outputs=[result]))
        assert result[0] == expected


def fibonacci(lib: Library) -> Model:
    """WHILE with one output, one state-only and two input-only operands: m=1, k=1, n=2."""

    def four(model: Model) -> list[int]:
        return [model.operand(F32, [1]) for _ in range(4)]

    condition = Model(lib)
    a, b, limit, unused = four(condition)
    verdict = condition.operand(BOOL8, [1])
    ok(condition.operation(OperationCode.LESS, [a, limit], [verdict]))
    condition.finished([a, b, limit, unused], [verdict])
    body = Model(lib)
    a, b, limit, zero = four(body)
    following, kept = body.operand(F32, [1]), body.operand(F32, [1])
    body.add(b, zero, kept)
    body.add(a, b, following)
    body.finished([a, b, limit, zero], [kept, following])
    model = Model(lib)
    a, b, limit, zero = four(model)
    out = model.operand(F32, [1])
    inputs = [model.submodel(condition), model.submodel(body), a, b, limit, zero]
    ok(model.operation(OperationCode.WHILE, inputs, [out]))
    return model.finished([a, b, limit, zero], [out])


def test_while_with_state_and_inputs(lib: Library) -> None:
    result = np.zeros(1, np.float32)
    inputs = [np.array([value], np.float32) for value in (1, 1, 50, 0)]
    ok(fibonacci(lib).run(*inputs, outputs=[result]))
    assert result[0] == 55


def test_nesting(lib: Library) -> None:
    """WHILE in IF in WHILE: the outer loop doubles or runs an inner loop of steps of one."""
    inner = while_model(lib, less_than(lib, 4), constant_add(lib, 1, (1,)))
    body = Model(lib)
    x, out = body.operand(F32, [1]), body.operand(F32, [1])
    condition = body.operand(BOOL8, [1])
    bound = body.value(body.operand(F32, [1]), np.array([4], np.float32))
    ok(body.operation(OperationCode.LESS, [x, bound], [condition]))
    branches = [body.submodel(inner), body.submodel(doubling(lib, (1,)))]
    ok(body.operation(OperationCode.IF, [condition, *branches, x], [out]))
    body.finished([x], [out])
    model = while_model(lib, less_than(lib, 100), body)
    result = np.zeros(1, np.float32)
    ok(model.run(np.array([0], np.float32), outputs=[result]))
    assert result[0] == 128


def test_loop_whose_values_grow(lib: Library) -> None:
    """The body may change a dimension that is not specified: here [1] becomes [3]."""

    def pair(model: Model) -> tuple[int, int]:
        return model.operand(F32, [0]), model.operand(F32, [1])

    body = Model(lib)
    x, count = pair(body)
    grown, counted = pair(body)
    body.add(x, body.value(body.operand(F32, [3]), np.arange(3, dtype=np.float32)), grown)
    body.add(count, body.value(body.operand(F32, [1]), np.ones(1, np.float32)), counted)
    body.finished([x, count], [grown, counted])
    condition = Model(lib)
    x, count = pair(condition)
    limit = condition.value(condition.operand(F32, [1]), np.array([2], np.float32))
    verdict = condition.operand(BOOL8, [1])
    ok(condition.operation(OperationCode.LESS, [count, limit], [verdict]))
    condition.finished([x, count], [verdict])
    model = Model(lib)
    x, count = pair(model)
    out = model.operand(F32, [0])
    inputs = [model.submodel(condition), model.submodel(body), x, count]
    ok(model.operation(OperationCode.WHILE, inputs, [out]))
    model.finished([x, count], [out])
    execution, result = Execution(model.compile()), np.zeros(3, np.float32)
    ok(execution.input(0, np.array([10], np.float32), operand_type(F32, [1])))
    ok(execution.input(1, np.zeros(1, np.float32)))
    ok(execution.output(0, result))
    ok(execution.compute())
    assert execution.shape(0) == (0, [3])
    assert result.tolist() == [10, 12, 14]


def test_depth_is_limited(lib: Library) -> None:
    model = doubling(lib)
    kept = [model]
    for _ in range(200):
        outer = Model(lib)
        condition = outer.value(outer.operand(BOOL8, [1]), YES)
        x, out = outer.operand(F32, [2]), outer.operand(F32, [2])
        inputs = [condition, outer.submodel(kept[-1]), outer.submodel(kept[-1]), x]
        ok(outer.operation(OperationCode.IF, inputs, [out]))
        kept.append(outer.finished([x], [out]))
    result = np.zeros(2, np.float32)
    ok(kept[-1].run(np.array([1, 2], np.float32), outputs=[result]))
    assert result.tolist() == [2, 4]
    too_deep = Model(lib)
    index = too_deep.operand(OperandCode.MODEL)
    refused(lib.Model_setOperandValueFromModel(too_deep.handle, index, kept[-1].handle))


def endless(lib: Library) -> Execution:
    """A loop that never ends, ready to compute."""
    model = while_model(lib, less_than(lib, 5), constant_add(lib, 0, (1,)))
    execution = Execution(model.compile())
    ok(execution.input(0, np.zeros(1, np.float32)))
    ok(execution.output(0, np.zeros(1, np.float32)))
    return execution


def test_loop_timeouts(lib: Library) -> None:
    assert lib.getDefaultLoopTimeout() == 2 * 10**9
    assert lib.getMaximumLoopTimeout() == 15 * 10**9
    execution = endless(lib)
    ok(lib.Execution_setLoopTimeout(execution.handle, 10**7))
    start, worked = time.monotonic(), time.process_time()
    code = execution.compute()
    assert ResultCode(code).name.startswith("MISSED_DEADLINE")
    assert time.monotonic() - start >= 0.01
    assert time.process_time() - worked < 1.5


def test_default_loop_timeout(lib: Library) -> None:
    start, worked = time.monotonic(), time.process_time()
    code = endless(lib).compute()
    assert ResultCode(code).name.startswith("MISSED_DEADLINE")
    assert time.monotonic() - start >= 2
    assert time.process_time() - worked < 6


def test_execution_timeout_ends_a_loop(lib: Library) -> None:
    execution = endless(lib)
    ok(lib.Execution_setTimeout(execution.handle, 10**7))
    worked = time.process_time()
    refused(execution.compute(), ResultCode.MISSED_DEADLINE_PERSISTENT)
    assert time.process_time() - worked < 1.5


def test_loop_timeout_through_an_event(lib: Library) -> None:
    execution = endless(lib)
    ok(lib.Execution_setLoopTimeout(execution.handle, 10**7))
    event = execution.start()
    assert ResultCode(lib.Event_wait(event)).name.startswith("MISSED_DEADLINE")
    lib.Event_free(event)


def test_referenced_models_are_finished(lib: Library) -> None:
    model, value = Model(lib), Model(lib)
    index, tensor = model.operand(OperandCode.MODEL), model.operand(F32, [1])
    call = lib.Model_setOperandValueFromModel
    refused(call(model.handle, index, value.handle), ResultCode.BAD_STATE)
    refused(call(model.handle, index, None), ResultCode.UNEXPECTED_NULL)
    good = add_model(lib)
    refused(call(model.handle, tensor, good.handle))
    refused(call(model.handle, 5, good.handle))
    ok(call(model.handle, index, good.handle))
    invalid = Model(lib)
    invalid.operand(F32, [1])
    refused(invalid.finish())
    refused(call(model.handle, index, invalid.handle))


@pytest.mark.parametrize(
    "flaw",
    [
        "condition type",
        "condition shape",
        "condition rank",
        "input count",
        "output count",
        "input type",
        "input dims",
        "output dims",
        "not a model",
        "too few",
    ],
)
@pytest.mark.documented
def test_if_signatures(lib: Library, flaw: str) -> None:
    yes = no = doubling(lib)
    if flaw == "input count":
        no = add_model(lib, (2,))
    if flaw in ("input dims", "output dims"):
        no = doubling(lib, (3,))
    model = Model(lib)
    kind = OperandCode.TENSOR_QUANT8_ASYMM if flaw == "condition type" else BOOL8
    shape = {"condition shape": [2], "condition rank": None}.get(flaw, [1])
    condition = model.operand(kind, shape, 1.0 if flaw == "condition type" else 0.0)
    x = model.operand(OperandCode.TENSOR_INT32 if flaw == "input type" else F32, [2])
    out = model.operand(F32, [2])
    outputs = [out]
    if flaw == "output count":
        outputs.append(model.operand(F32, [2]))
    models = [model.submodel(yes), model.submodel(no)]
    inputs = [condition, *models, x]
    if flaw == "not a model":
        inputs = [condition, x, models[1], x]
    if flaw == "too few":
        inputs = [condition, models[0]]
    ok(model.operation(OperationCode.IF, inputs, outputs))
    model.identify([condition, x], outputs)
    refused(model.finish())


@pytest.mark.parametrize(
    "flaw", ["condition inputs", "condition output", "body outputs", "body type", "too few"]
)
@pytest.mark.documented
def test_while_signatures(lib: Library, flaw: str) -> None:
    condition, body = less_than(lib, 5), constant_add(lib, 1, (1,))
    if flaw == "condition inputs":
        condition = add_model(lib, (1,))
    if flaw == "condition output":
        condition = doubling(lib, (1,))
    if flaw == "body outputs":
        body = Model(lib)
        x, first, second = (body.operand(F32, [1]) for _ in range(3))
        body.add(x, x, first)
        body.add(x, x, second)
        body.finished([x], [first, second])
    if flaw == "body type":
        body = less_than(lib, 5)
    model = Model(lib)
    x, out = model.operand(F32, [1]), model.operand(F32, [1])
    inputs = [model.submodel(condition), model.submodel(body), x]
    ok(model.operation(OperationCode.WHILE, inputs[:2] if flaw == "too few" else inputs, [out]))
    model.identify([x], [out])
    refused(model.finish())
