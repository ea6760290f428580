"""Models divided among several devices: the result is that of one device."""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest
from numpy.typing import NDArray

from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode
from tests.driver.capi import Execution, Library, Model, later, ok, operand_type, refused
from tests.driver.loading import Loader

F32 = OperandCode.TENSOR_FLOAT32
BINARY = ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM")
UNARY = ("TANH", "LOGISTIC", "ABS", "NEG", "RELU6", "SIN")
DESCRIPTION = """
[plus]
operations = ADD SUB TANH
performance = 0.5
[times]
operations = MUL DIV LOGISTIC ABS
performance = 0.5
[rest]
operations = MAXIMUM MINIMUM NEG RELU6 SIN ADD
performance = 0.25
"""


def parts(text: str) -> list[tuple[int, str]]:
    """First operation and device of each part, from the driver's log."""
    found = re.findall(r"part \d+ begins with operation (\d+) on (\S+)", text)
    return [(int(operation), device) for operation, device in found]


def random_graph(lib: Library, seed: int) -> Model:
    """Up to 20 operations on vectors, added in any order; two inputs, up to three outputs."""
    rng = np.random.default_rng(seed)
    model = Model(lib)
    inputs = [model.operand(F32, [3]) for _ in range(2)]
    values = list(inputs)
    operations = []
    for _ in range(int(rng.integers(1, 21))):
        out = model.operand(F32, [3])
        if rng.integers(2):
            chosen = [int(rng.choice(values)) for _ in range(2)]
            name = str(rng.choice(BINARY))
            fuse = [] if name in ("MAXIMUM", "MINIMUM") else [model.int32(int(rng.integers(4)))]
            operations.append((name, [*chosen, *fuse], out))
        else:
            operations.append((str(rng.choice(UNARY)), [int(rng.choice(values))], out))
        values.append(out)
    for i in rng.permutation(len(operations)):
        name, sources, out = operations[i]
        ok(model.operation(OperationCode[name], sources, [out]))
    results = [out for _, _, out in operations]
    outputs = {results[-1], *(int(rng.choice(results)) for _ in range(2))}
    return model.finished(inputs, sorted(outputs))


def outputs_of(
    model: Model, count: int, devices: int | list[int], feeds: list[NDArray[np.float32]]
) -> list[bytes]:
    """The bytes of all outputs."""
    execution = Execution(model.compile(devices))
    results = [np.full(3, 7, np.float32) for _ in range(count)]
    for i, array in enumerate(feeds):
        ok(execution.input(i, array))
    for i, array in enumerate(results):
        ok(execution.output(i, array))
    ok(execution.compute())
    execution.free()
    return [array.tobytes() for array in results]


def test_random_graphs_compute_what_one_device_computes(
    load: Loader, capfd: pytest.CaptureFixture[str]
) -> None:
    lib = load(DESCRIPTION)
    known = lib.devices()
    three = [known["plus"], known["times"], known["rest"]]
    divided = 0
    for seed in range(200):
        model = random_graph(lib, seed)
        rng = np.random.default_rng(seed)
        feeds = [rng.normal(size=3).astype(np.float32) for _ in range(2)]
        count = 0
        probe = Execution(model.compile())
        while probe.output(count, np.zeros(3, np.float32)) == ResultCode.NO_ERROR:
            count += 1
        one = outputs_of(model, count, 1, feeds)
        capfd.readouterr()
        assert outputs_of(model, count, three, feeds) == one, seed
        divided += len(parts(capfd.readouterr().err)) > 1
        assert outputs_of(model, count, 0, feeds) == one, seed
        probe.free()
        model.free()
    assert divided > 100


def test_each_operation_is_on_the_best_device_that_claims_it(
    load: Loader, capfd: pytest.CaptureFixture[str]
) -> None:
    lib = load(DESCRIPTION)
    known = lib.devices()
    model = Model(lib)
    a, b, x, y, z, out = (model.operand(F32, [3]) for _ in range(6))
    ok(model.operation(OperationCode.SUB, [a, b, model.int32(0)], [x]))
    ok(model.operation(OperationCode.ADD, [x, b, model.int32(0)], [y]))
    ok(model.operation(OperationCode.MUL, [y, b, model.int32(0)], [z]))
    ok(model.operation(OperationCode.EXP, [z], [out]))
    model.finished([a, b], [out])
    capfd.readouterr()
    model.compile([known["plus"], known["times"], known["rest"], known["nnapi-reference"]])
    assert parts(capfd.readouterr().err) == [
        (0, "plus"),
        (1, "rest"),
        (2, "times"),
        (3, "nnapi-reference"),
    ]
    # The order of the list decides only between equals.
    model.compile([known["nnapi-reference"], known["times"], known["plus"]])
    assert parts(capfd.readouterr().err) == [(0, "plus"), (2, "times"), (3, "nnapi-reference")]


def test_parts_are_as_long_as_the_graph_allows(
    load: Loader, capfd: pytest.CaptureFixture[str]
) -> None:
    lib = load(DESCRIPTION)
    model = Model(lib)
    a = model.operand(F32, [3])
    ends = [a, a]
    for _ in range(5):  # two chains, one for each device, added in turns
        for chain, name in enumerate(("TANH", "LOGISTIC")):
            out = model.operand(F32, [3])
            ok(model.operation(OperationCode[name], [ends[chain]], [out]))
            ends[chain] = out
    model.finished([a], ends)
    capfd.readouterr()
    model.compile([lib.devices()["plus"], lib.devices()["times"]])
    assert parts(capfd.readouterr().err) == [(0, "plus"), (1, "times")]


def test_a_model_that_the_devices_do_not_cover_is_refused(load: Loader) -> None:
    lib = load(DESCRIPTION)
    known = lib.devices()
    model = Model(lib)
    a, out = model.operand(F32, [3]), model.operand(F32, [3])
    ok(model.operation(OperationCode.EXP, [a], [out]))
    model.finished([a], [out])
    handle = ctypes.c_void_p()
    devices = (ctypes.c_void_p * 2)(known["plus"], known["times"])
    ok(lib.Compilation_createForDevices(model.handle, devices, 2, ctypes.byref(handle)))
    later(lib, "Compilation_free", handle)
    refused(lib.Compilation_finish(handle))
    feed = [np.array([0, 1, 2], np.float32)]
    assert outputs_of(model, 1, 0, feed) == outputs_of(model, 1, 1, feed)  # without a list


def test_a_part_that_fails_is_replaced(load: Loader) -> None:
    lib = load(DESCRIPTION + "fails = execution\n")  # the last one: rest
    known = lib.devices()
    model = Model(lib)
    a, b, t, out = (model.operand(F32, [3]) for _ in range(4))
    ok(model.operation(OperationCode.MUL, [a, b, model.int32(0)], [t]))
    ok(model.operation(OperationCode.NEG, [t], [out]))
    model.finished([a, b], [out, t])
    feeds = [np.array([1, 2, 3], np.float32), np.array([4, 5, 6], np.float32)]
    assert outputs_of(model, 2, 0, feeds) == outputs_of(model, 2, 1, feeds)
    execution = Execution(model.compile([known["times"], known["rest"]]))
    for i, array in enumerate(feeds):
        ok(execution.input(i, array))
    for i in range(2):
        ok(execution.output(i, np.zeros(3, np.float32)))
    refused(execution.compute(), ResultCode.OP_FAILED)


def test_short_outputs_and_unknown_shapes_across_parts(load: Loader) -> None:
    lib = load(DESCRIPTION)
    known = lib.devices()
    model = Model(lib)
    a, t, out = (model.operand(F32, [0]) for _ in range(3))
    ok(model.operation(OperationCode.TANH, [a], [t]))
    ok(model.operation(OperationCode.ABS, [t], [out]))
    model.finished([a], [out])
    execution = Execution(model.compile([known["plus"], known["times"]]))
    ok(execution.input(0, np.zeros(5, np.float32), operand_type(F32, [5])))
    ok(execution.output(0, np.zeros(3, np.float32)))
    refused(execution.compute(), ResultCode.OUTPUT_INSUFFICIENT_SIZE)
    assert execution.shape(0) == (ResultCode.OUTPUT_INSUFFICIENT_SIZE, [5])
