"""Control flow divided among devices: IF and WHILE go to a device that claims all they refer to.

The reference says nothing about where referenced models run. Whatever a runtime does, the result
is that of one device; where no device claims the whole operation, the runtime's own choice works.
"""

from __future__ import annotations

import ctypes
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from nnapi_testkit.spec.codes import OperandCode, OperationCode
from tests.driver.capi import Execution, Library, Model, later, ok, refused
from tests.driver.loading import Loader
from tests.driver.test_partition import outputs_of, parts

F32, BOOL8 = OperandCode.TENSOR_FLOAT32, OperandCode.TENSOR_BOOL8
DESCRIPTION = """
[plain]
operations = TANH ABS ADD MUL
performance = 0.5
[flow]
operations = IF WHILE LESS ADD SUB
performance = 0.25
[both]
operations = IF WHILE LESS ADD SUB MUL
performance = 0.75
"""
SHAPE = [3]


def binary(lib: Library, name: str, count: int = 2) -> Model:
    """A model of `count` inputs: the operation on its first and last one."""
    model = Model(lib)
    inputs = [model.operand(F32, SHAPE) for _ in range(count)]
    out = model.operand(F32, SHAPE)
    ok(model.operation(OperationCode[name], [inputs[0], inputs[-1], model.int32(0)], [out]))
    return model.finished(inputs, [out])


def first_below(lib: Library, limit: float) -> Model:
    """A condition model of two inputs of one element: the first is below the limit."""
    model = Model(lib)
    x, y = model.operand(F32, [1]), model.operand(F32, [1])
    bound = model.value(model.operand(F32, [1]), np.array([limit], np.float32))
    out = model.operand(BOOL8, [1])
    ok(model.operation(OperationCode.LESS, [x, bound], [out]))
    return model.finished([x, y], [out])


def branching(lib: Library, yes: str, no: str) -> Model:
    """TANH, then IF of two operations, then ABS."""
    model = Model(lib)
    condition = model.operand(BOOL8, [1])
    a, b, t, chosen, out = (model.operand(F32, SHAPE) for _ in range(5))
    ok(model.operation(OperationCode.TANH, [a], [t]))
    models = [model.submodel(binary(lib, yes)), model.submodel(binary(lib, no))]
    ok(model.operation(OperationCode.IF, [condition, *models, t, b], [chosen]))
    ok(model.operation(OperationCode.ABS, [chosen], [out]))
    return model.finished([condition, a, b], [out])


def looping(lib: Library, limit: float) -> Model:
    """TANH, then x := x + y while x is below the limit, then ABS."""
    model = Model(lib)
    a, b, t, last, out = (model.operand(F32, [1]) for _ in range(5))
    body = Model(lib)
    x, y, result = (body.operand(F32, [1]) for _ in range(3))
    body.add(x, y, result)
    body.finished([x, y], [result])
    ok(model.operation(OperationCode.TANH, [a], [t]))
    models = [model.submodel(first_below(lib, limit)), model.submodel(body)]
    ok(model.operation(OperationCode.WHILE, [*models, t, b], [last]))
    ok(model.operation(OperationCode.ABS, [last], [out]))
    return model.finished([a, b], [out])


def feeds_of(condition: int) -> list[NDArray[np.generic]]:
    data = np.random.default_rng(condition).normal(size=(2, 3)).astype(np.float32)
    return [np.array([condition], np.uint8), data[0], data[1]]


@pytest.mark.parametrize("condition", [0, 1])
def test_a_branch_among_devices(
    load: Loader, capfd: pytest.CaptureFixture[str], condition: int
) -> None:
    lib = load(DESCRIPTION)
    known = lib.devices()
    model = branching(lib, "ADD", "SUB")
    feeds = feeds_of(condition)
    one = outputs_of(model, 1, 1, feeds)  # type: ignore[arg-type]
    capfd.readouterr()
    two = outputs_of(model, 1, [known["plain"], known["flow"]], feeds)  # type: ignore[arg-type]
    assert parts(capfd.readouterr().err) == [(0, "plain"), (1, "flow"), (2, "plain")]
    assert two == one
    assert outputs_of(model, 1, 0, feeds) == one  # type: ignore[arg-type]
    # The other condition gives something else: the branch was looked at.
    other = outputs_of(model, 1, 1, [feeds_of(1 - condition)[0], *feeds[1:]])  # type: ignore[arg-type]
    assert other != one


@pytest.mark.parametrize(("step", "limit"), [*itertools.product((0.5, 3.0), (-5.0, 2.0, 40.0))])
def test_a_loop_among_devices(
    load: Loader, capfd: pytest.CaptureFixture[str], step: float, limit: float
) -> None:
    """No round, one, and many."""
    lib = load(DESCRIPTION)
    known = lib.devices()
    model = looping(lib, limit)
    feeds = [np.array([0.25], np.float32), np.array([step], np.float32)]
    results = []
    for devices in (1, [known["plain"], known["flow"]], 0):
        capfd.readouterr()
        results.append(first_element(model, devices, feeds))
        told = parts(capfd.readouterr().err)
        if isinstance(devices, list):
            assert told == [(0, "plain"), (1, "flow"), (2, "plain")]
    assert len(set(results)) == 1
    rounds = max(0, int(np.ceil((limit - np.tanh(0.25)) / step)))
    value = np.frombuffer(results[0], np.float32)[0]
    assert value == pytest.approx(abs(np.tanh(0.25) + rounds * step), rel=1e-5)


def first_element(
    model: Model, devices: int | list[int], feeds: list[NDArray[np.float32]]
) -> bytes:
    """The one element that the model computes."""
    execution = Execution(model.compile(devices))
    out = np.zeros(1, np.float32)
    for i, array in enumerate(feeds):
        ok(execution.input(i, array))
    ok(execution.output(0, out))
    ok(execution.compute())
    execution.free()
    return out.tobytes()


def test_branches_of_two_devices_need_one_that_has_both(
    load: Loader, capfd: pytest.CaptureFixture[str]
) -> None:
    """IF of ADD and MUL: `flow` lacks MUL and `plain` lacks IF, so neither claims it."""
    lib = load(DESCRIPTION)
    known = lib.devices()
    model = branching(lib, "ADD", "MUL")
    two = (ctypes.c_void_p * 2)(known["plain"], known["flow"])
    claimed = (ctypes.c_bool * 3)()
    ok(lib.Model_getSupportedOperationsForDevices(model.handle, two, 2, claimed))
    assert list(claimed) == [True, False, True]
    handle = ctypes.c_void_p()
    ok(lib.Compilation_createForDevices(model.handle, two, 2, ctypes.byref(handle)))
    later(lib, "Compilation_free", handle)
    refused(lib.Compilation_finish(handle))
    for condition in (0, 1):
        feeds = feeds_of(condition)
        one = outputs_of(model, 1, 1, feeds)  # type: ignore[arg-type]
        three = [known["plain"], known["flow"], known["both"]]
        capfd.readouterr()
        assert outputs_of(model, 1, three, feeds) == one  # type: ignore[arg-type]
        assert parts(capfd.readouterr().err) == [(0, "plain"), (1, "both"), (2, "plain")]
        assert outputs_of(model, 1, 0, feeds) == one  # type: ignore[arg-type]


def test_a_loop_on_a_device_that_fails(load: Loader, capfd: pytest.CaptureFixture[str]) -> None:
    """Without a list another device takes over; with one the failure is the caller's."""
    lib = load(DESCRIPTION.replace("[both]", "fails = execution\n[both]"))  # of `flow`
    known = lib.devices()
    model = looping(lib, 2.0)
    feeds = [np.array([0.25], np.float32), np.array([0.5], np.float32)]
    one = first_element(model, 1, feeds)
    capfd.readouterr()
    assert first_element(model, 0, feeds) == one
    assert "executing on nnapi-reference instead" in capfd.readouterr().err
    with pytest.raises(AssertionError, match="OP_FAILED"):
        first_element(model, [known["plain"], known["flow"]], feeds)


def test_a_claim_covers_the_condition_too(load: Loader) -> None:
    """WHILE whose condition no device has is nobody's but the reference device's."""
    lib = load(DESCRIPTION.replace("WHILE LESS ADD SUB MUL", "WHILE ADD SUB MUL"))
    known = lib.devices()
    model = looping(lib, 2.0)
    claimed = (ctypes.c_bool * 3)()
    one = (ctypes.c_void_p * 1)(known["both"])
    ok(lib.Model_getSupportedOperationsForDevices(model.handle, one, 1, claimed))
    assert list(claimed) == [False, False, False]
