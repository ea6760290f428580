"""Devices from a description file: what they say of themselves, claim, refuse; delays, failures."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode
from tests.driver.capi import Compilation, Execution, Library, Model, add_model, ok, refused
from tests.driver.loading import Loader

F32, F16 = OperandCode.TENSOR_FLOAT32, OperandCode.TENSOR_FLOAT16
U8, I8 = OperandCode.TENSOR_QUANT8_ASYMM, OperandCode.TENSOR_QUANT8_ASYMM_SIGNED

DESCRIPTION = """
# comments and empty lines are skipped
[only-float]
type = gpu
version = 1.2.3
level = 3
types = float        # TENSOR_INT32 and TENSOR_BOOL8 included

[only-quantized]
types = quantized

[a-few]
type = other
operations = MUL IF LESS
level = 5

[old]
level = 1
[six]
level = 6
"""


def supported(lib: Library, model: Model, *names: str) -> list[bool]:
    """What these devices together claim of a finished model."""
    known = lib.devices()
    devices = (ctypes.c_void_p * len(names))(*[known[name] for name in names])
    answer = (ctypes.c_bool * 64)()
    ok(lib.Model_getSupportedOperationsForDevices(model.handle, devices, len(names), answer))
    return list(answer)


def binary(lib: Library, name: str, kind: OperandCode, scale: float = 0.0) -> Model:
    """A model of one element-wise operation with a fused activation."""
    model = Model(lib)
    a, b, out = (model.operand(kind, [2], scale) for _ in range(3))
    ok(model.operation(OperationCode[name], [a, b, model.int32(0)], [out]))
    return model.finished([a, b], [out])


def unary(lib: Library, name: str, kind: OperandCode = F32) -> Model:
    """A model of one operation without parameters."""
    model = Model(lib)
    a, out = model.operand(kind, [2]), model.operand(kind, [2])
    ok(model.operation(OperationCode[name], [a], [out]))
    return model.finished([a], [out])


def test_what_devices_say(load: Loader) -> None:
    lib = load(DESCRIPTION)
    rows = {}
    for name, device in lib.devices().items():
        version, kind, level = ctypes.c_char_p(), ctypes.c_int32(), ctypes.c_int64()
        ok(lib.Device_getVersion(device, ctypes.byref(version)))
        ok(lib.Device_getType(device, ctypes.byref(kind)))
        ok(lib.Device_getFeatureLevel(device, ctypes.byref(level)))
        ok(lib.Device_wait(device))
        assert version.value
        rows[name] = (kind.value, level.value, version.value)
    assert list(rows) == [
        "nnapi-reference",
        "only-float",
        "only-quantized",
        "a-few",
        "old",
        "six",
    ]
    assert rows["nnapi-reference"][:2] == (2, 1000008)
    assert rows["only-float"] == (3, 29, b"1.2.3")
    assert rows["only-quantized"][:2] == (4, 1000008)
    assert rows["a-few"][:2] == (1, 31)
    assert rows["old"][1:] == (27, b"UNKNOWN")  # the documentation's word for older devices
    assert rows["six"][1] == 1000006


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("type = gpu", ":1: a [name] must come before 'type = gpu'"),
        ("[a]\nspeed = 2", ":2: unknown key 'speed'"),
        ("[a]\nnonsense", ":2: write [name] or key = value, not 'nonsense'"),
        ("[a]\ntype = npu", ":2: write other, cpu, gpu or accelerator, not 'npu'"),
        ("[a]\ntype =", ":2: give a value to 'type'"),
        ("[a]\nlevel = 9", ":2: out of range or no number: '9'"),
        ("[a]\nlevel = 2.5", ":2: write a feature level from 1 to 8, not '2.5'"),
        ("[a]\nlevel = two", ":2: out of range or no number: 'two'"),
        ("[a]\nlevel = nan", ":2: out of range or no number: 'nan'"),
        ("[a]\noperations = ADD CONV2D", ":2: write names like CONV_2D, not 'CONV2D'"),
        ("[a]\ntypes = double", ":2: write float, quantized or names like TENSOR_FLOAT32"),
        ("[a]\nexecution_ms = -1", ":2: out of range or no number: '-1'"),
        ("[a]\nfails = always", ":2: write never, compilation or execution, not 'always'"),
        ("[a]\n[a]", ":2: there is already a device 'a'"),
        ("[nnapi-reference]", ":1: there is already a device 'nnapi-reference'"),
        ("[a", ":1: write a device as [name], not '[a'"),
        ("[]", ":1: write a device as [name], not '[]'"),
        ("\n".join(f"[d{i}]" for i in range(40)), ":32: more than 31 devices, drop 'd31'"),
    ],
)
def test_a_mistake_in_the_file_is_told(
    load: Loader, capfd: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    lib = load(text)
    assert said in capfd.readouterr().err
    count = ctypes.c_uint32(77)
    refused(lib.getDeviceCount(ctypes.byref(count)), ResultCode.OP_FAILED)
    refused(lib.getDevice(0, ctypes.byref(ctypes.c_void_p())), ResultCode.OP_FAILED)


def test_a_missing_file_is_told(
    load: Loader, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lib = load(path=tmp_path / "nowhere.ini")
    assert "nowhere.ini: cannot be read" in capfd.readouterr().err
    refused(lib.getDeviceCount(ctypes.byref(ctypes.c_uint32())), ResultCode.OP_FAILED)


def test_types_are_claimed_honestly(load: Loader) -> None:
    lib = load(DESCRIPTION)
    floats, codes = binary(lib, "ADD", F32), binary(lib, "ADD", U8, 0.5)
    assert supported(lib, floats, "only-float")[0]
    assert not supported(lib, floats, "only-quantized")[0]
    assert supported(lib, codes, "only-quantized")[0]
    assert not supported(lib, codes, "only-float")[0]
    # The union of several devices.
    assert supported(lib, codes, "only-float", "only-quantized")[0]


def test_operations_are_claimed_honestly(load: Loader) -> None:
    lib = load(DESCRIPTION)
    assert supported(lib, binary(lib, "MUL", F32), "a-few")[0]
    assert not supported(lib, binary(lib, "ADD", F32), "a-few")[0]
    model = Model(lib)
    a, b, t, out = (model.operand(F32, [2]) for _ in range(4))
    model.add(a, b, t)
    ok(model.operation(OperationCode.MUL, [t, b, model.int32(0)], [out]))
    model.finished([a, b], [out])
    assert supported(lib, model, "a-few")[:2] == [False, True]
    assert supported(lib, model, "a-few", "old")[:2] == [True, True]


@pytest.mark.parametrize(
    ("since", "make"),
    [
        (1, lambda lib: binary(lib, "ADD", F32)),
        (1, lambda lib: binary(lib, "ADD", U8, 0.5)),
        (2, lambda lib: binary(lib, "SUB", F32)),
        (3, lambda lib: binary(lib, "ADD", F16)),
        (3, lambda lib: unary(lib, "EXP")),
        (4, lambda lib: binary(lib, "ADD", I8, 0.5)),
        (4, lambda lib: unary(lib, "HARD_SWISH")),
    ],
    ids=["ADD", "ADD-quant8", "SUB", "ADD-float16", "EXP", "ADD-signed", "HARD_SWISH"],
)
def test_nothing_newer_than_the_level_is_claimed(
    load: Loader, since: int, make: Callable[[Library], Model]
) -> None:
    lib = load("\n".join(f"[level-{level}]\nlevel = {level}" for level in range(1, 9)))
    model = make(lib)
    for level in range(1, 9):
        claimed = supported(lib, model, f"level-{level}")[0]
        assert claimed == (level >= since), level
        compilation = Compilation(model, [lib.devices()[f"level-{level}"]])
        code = lib.Compilation_finish(compilation.handle)
        assert code == (ResultCode.NO_ERROR if claimed else ResultCode.BAD_DATA)


def branches(lib: Library, inner: str) -> Model:
    """IF with two equal branches of one operation."""
    model = Model(lib)
    condition = model.operand(OperandCode.TENSOR_BOOL8, [1])
    a, b, out = (model.operand(F32, [2]) for _ in range(3))
    then, other = (model.submodel(binary(lib, inner, F32)) for _ in range(2))
    ok(model.operation(OperationCode.IF, [condition, then, other, a, b], [out]))
    return model.finished([condition, a, b], [out])


def test_support_is_told_in_the_order_of_addition(load: Loader) -> None:
    """Whatever the order is in which the operations are executed."""
    lib = load("[a-few]\noperations = MUL")
    model = Model(lib)
    a, middle, out = (model.operand(F32, [2]) for _ in range(3))
    fuse = model.int32(0)
    ok(model.operation(OperationCode.MUL, [a, middle, fuse], [out]))
    ok(model.operation(OperationCode.ADD, [a, a, fuse], [middle]))
    model.finished([a], [out])
    assert supported(lib, model, "a-few")[:2] == [True, False]


def test_control_flow_needs_what_is_inside(load: Loader) -> None:
    lib = load(DESCRIPTION)
    assert supported(lib, branches(lib, "MUL"), "a-few")[0]
    assert not supported(lib, branches(lib, "ADD"), "a-few")[0]
    assert not supported(lib, branches(lib, "MUL"), "only-float")[0]  # of level 3


def test_a_device_refuses_what_it_does_not_claim(load: Loader) -> None:
    lib = load(DESCRIPTION)
    compilation = Compilation(binary(lib, "ADD", F32), [lib.devices()["a-few"]])
    refused(lib.Compilation_finish(compilation.handle))
    refused(lib.Execution_create(compilation.handle, ctypes.byref(ctypes.c_void_p())))


def computed(model: Model, devices: int | list[int]) -> tuple[int, list[float]]:
    """Result code and output of the sum of two vectors."""
    execution = Execution(model.compile(devices))
    a, b, out = (
        np.array([1, 2], np.float32),
        np.array([10, 20], np.float32),
        np.zeros(2, np.float32),
    )
    ok(execution.input(0, a))
    ok(execution.input(1, b))
    ok(execution.output(0, out))
    return execution.compute(), out.tolist()


def test_a_device_that_fails_to_execute(load: Loader, capfd: pytest.CaptureFixture[str]) -> None:
    lib = load("[broken]\nfails = execution\nperformance = 0.1")
    model = add_model(lib, [2])
    assert computed(model, [lib.devices()["broken"]])[0] == ResultCode.OP_FAILED
    capfd.readouterr()
    assert computed(model, 0) == (ResultCode.NO_ERROR, [11, 22])
    assert "broken fails to execute: executing on nnapi-reference" in capfd.readouterr().err


def test_a_device_that_fails_to_compile(load: Loader, capfd: pytest.CaptureFixture[str]) -> None:
    lib = load("[broken]\nfails = compilation\nperformance = 0.1")
    model = add_model(lib, [2])
    compilation = Compilation(model, [lib.devices()["broken"]])
    refused(lib.Compilation_finish(compilation.handle), ResultCode.OP_FAILED)
    capfd.readouterr()
    assert computed(model, 0) == (ResultCode.NO_ERROR, [11, 22])
    assert "broken fails to compile: compiling for nnapi-reference" in capfd.readouterr().err


def test_without_a_list_the_best_device_is_taken(
    load: Loader, capfd: pytest.CaptureFixture[str]
) -> None:
    lib = load("[fast]\nperformance = 0.5\noperations = ADD\n[slow]\nperformance = 2")
    assert computed(add_model(lib, [2]), 0) == (ResultCode.NO_ERROR, [11, 22])
    assert "part 1 begins with operation 0 on fast" in capfd.readouterr().err
    assert lib.devices()["slow"]


def test_a_slow_device_takes_its_time(load: Loader) -> None:
    lib = load("[slow]\nexecution_ms = 60\ncompilation_ms = 60")
    slow = [lib.devices()["slow"]]
    model = add_model(lib, [2])
    began = time.monotonic()
    compilation = model.compile(slow)
    assert time.monotonic() - began >= 0.06
    execution = Execution(compilation)
    ok(lib.Execution_setMeasureTiming(execution.handle, True))
    for i in range(2):
        ok(execution.input(i, np.zeros(2, np.float32)))
    ok(execution.output(0, np.zeros(2, np.float32)))
    ok(execution.compute())
    duration = ctypes.c_uint64()
    ok(lib.Execution_getDuration(execution.handle, 1, ctypes.byref(duration)))
    assert duration.value >= 60_000_000


def test_deadlines_end_the_waiting_of_a_slow_device(load: Loader) -> None:
    lib = load("[slow]\nexecution_ms = 60000\n[late]\ncompilation_ms = 60000")
    model, known = add_model(lib, [2]), lib.devices()
    missed = ResultCode.MISSED_DEADLINE_PERSISTENT
    began = time.monotonic()
    execution = Execution(model.compile([known["slow"]]))
    ok(lib.Execution_setTimeout(execution.handle, 30_000_000))
    for i in range(2):
        ok(execution.input(i, np.zeros(2, np.float32)))
    ok(execution.output(0, np.zeros(2, np.float32)))
    refused(execution.compute(), missed)
    compilation = Compilation(model, [known["late"]])
    ok(lib.Compilation_setTimeout(compilation.handle, 30_000_000))
    refused(lib.Compilation_finish(compilation.handle), missed)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(("level", "timed", "measured"), [(2, 0, 0), (3, 0, 1), (4, 1, 1)])
def test_older_devices_ignore_timeouts_and_timing(
    load: Loader, level: int, timed: int, measured: int
) -> None:
    lib = load(f"[one]\nlevel = {level}")
    device = [lib.devices()["one"]]
    hasty = Compilation(add_model(lib, [2]), device)
    ok(lib.Compilation_setTimeout(hasty.handle, 1))
    assert (lib.Compilation_finish(hasty.handle) != 0) == timed
    compilation = add_model(lib, [2]).compile(device)
    for timeout, duration in ((0, 0), (1, 0), (0, 1)):  # of the execution, of a fenced one
        execution = Execution(compilation)
        for i in range(2):
            ok(execution.input(i, np.zeros(2, np.float32)))
        ok(execution.output(0, np.zeros(2, np.float32)))
        ok(lib.Execution_setMeasureTiming(execution.handle, True))
        ok(lib.Execution_setTimeout(execution.handle, timeout))
        event = ctypes.c_void_p()
        start = lib.Execution_startComputeWithDependencies
        ok(start(execution.handle, None, 0, duration, ctypes.byref(event)))
        code, time_spent = lib.Event_wait(event), ctypes.c_uint64()
        lib.Event_free(event)
        assert (code != 0) == (timed and timeout + duration > 0)
        ok(lib.Execution_getDuration(execution.handle, 1, ctypes.byref(time_spent)))
        assert (time_spent.value != 2**64 - 1) == (measured and code == 0)


def test_timing_needs_one_device(load: Loader) -> None:
    lib = load(DESCRIPTION)
    known = lib.devices()
    both = [known["nnapi-reference"], known["six"]]
    compilation = Compilation(add_model(lib, [2]), both)
    refused(lib.Compilation_setTimeout(compilation.handle, 10**9))
    ok(lib.Compilation_finish(compilation.handle))
    execution = Execution(compilation)
    refused(lib.Execution_setMeasureTiming(execution.handle, True))
    refused(lib.Execution_setTimeout(execution.handle, 10**9))
