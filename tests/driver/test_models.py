"""Building models: what is refused, when, and with which code."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode
from tests.driver.capi import (
    TABLE,
    ChannelQuant,
    Library,
    Model,
    add_model,
    indices,
    ok,
    operand_type,
    refused,
)

F32 = OperandCode.TENSOR_FLOAT32


def test_exports_exactly_the_documented_functions(driver_library: Path) -> None:
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", str(driver_library)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert {line.split()[2] for line in listing.splitlines()} == set(TABLE["functions"])


def test_feature_level_and_device(lib: Library) -> None:
    assert lib.getRuntimeFeatureLevel() == 1000008
    count = ctypes.c_uint32()
    ok(lib.getDeviceCount(ctypes.byref(count)))
    assert count.value == 1
    device = lib.device()
    name, version = ctypes.c_char_p(), ctypes.c_char_p()
    kind, level = ctypes.c_int32(), ctypes.c_int64()
    ok(lib.Device_getName(device, ctypes.byref(name)))
    ok(lib.Device_getVersion(device, ctypes.byref(version)))
    ok(lib.Device_getType(device, ctypes.byref(kind)))
    ok(lib.Device_getFeatureLevel(device, ctypes.byref(level)))
    assert (name.value, kind.value, level.value) == (b"nnapi-reference", 2, 1000008)
    assert version.value
    ok(lib.Device_wait(device))
    refused(lib.getDevice(1, ctypes.byref(device)))


@pytest.mark.parametrize(
    ("code", "dims", "scale", "zero"),
    [
        (-1, None, 0, 0),
        (16, None, 0, 0),
        (10000, [1], 0, 0),
        (OperandCode.FLOAT32, [1], 0, 0),
        (OperandCode.INT32, None, 0.5, 0),
        (OperandCode.BOOL, None, 0, 1),
        (F32, [1], 0.5, 0),
        (F32, [1], 0, 1),
        (F32, [65536, 65536, 2], 0, 0),
        (F32, [1] * 17, 0, 0),
        (OperandCode.TENSOR_INT32, [1], -0.5, 0),
        (OperandCode.TENSOR_INT32, [1], 0.5, 1),
        (OperandCode.TENSOR_QUANT8_ASYMM, [1], 0, 0),
        (OperandCode.TENSOR_QUANT8_ASYMM, [1], -1, 0),
        (OperandCode.TENSOR_QUANT8_ASYMM, [1], float("nan"), 0),
        (OperandCode.TENSOR_QUANT8_ASYMM, [1], float("inf"), 0),
        (OperandCode.TENSOR_QUANT8_ASYMM, [1], 1, -1),
        (OperandCode.TENSOR_QUANT8_ASYMM, [1], 1, 256),
        (OperandCode.TENSOR_QUANT8_ASYMM_SIGNED, [1], 1, 128),
        (OperandCode.TENSOR_QUANT8_ASYMM_SIGNED, [1], 1, -129),
        (OperandCode.TENSOR_QUANT16_ASYMM, [1], 1, 65536),
        (OperandCode.TENSOR_QUANT16_SYMM, [1], 1, 1),
        (OperandCode.TENSOR_QUANT8_SYMM, [1], 0, 0),
        (OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL, [1], 1, 0),
        (OperandCode.MODEL, [1], 0, 0),
    ],
)
def test_operand_types_that_are_refused(
    lib: Library, code: int, dims: list[int] | None, scale: float, zero: int
) -> None:
    model = Model(lib)
    kind = operand_type(code, dims, scale, zero)
    refused(lib.Model_addOperand(model.handle, ctypes.byref(kind)))
    # The model is as before: the same operand index is free, and a good model comes out.
    a, b, out = (model.operand(F32, [2]) for _ in range(3))
    model.add(a, b, out)
    model.finished([a, b], [out]).free()


@pytest.mark.documented
def test_missing_dimensions_are_refused(lib: Library) -> None:
    model = Model(lib)
    kind = operand_type(F32, [1])
    kind.dimensions = None
    refused(lib.Model_addOperand(model.handle, ctypes.byref(kind)), ResultCode.UNEXPECTED_NULL)
    model.free()


def test_constants_must_fit(lib: Library) -> None:
    model = Model(lib)
    data = np.zeros(4, np.float32)
    pointer = data.ctypes.data_as(ctypes.c_void_p)
    exact, open_dim, no_rank = (model.operand(F32, dims) for dims in ([4], [0], None))
    sub = model.operand(OperandCode.MODEL)
    ok(lib.Model_setOperandValue(model.handle, exact, pointer, 16))
    refused(lib.Model_setOperandValue(model.handle, exact, pointer, 15))
    refused(lib.Model_setOperandValue(model.handle, exact, pointer, 20))
    refused(lib.Model_setOperandValue(model.handle, open_dim, pointer, 16))
    refused(lib.Model_setOperandValue(model.handle, no_rank, pointer, 16))
    refused(lib.Model_setOperandValue(model.handle, sub, pointer, 16))
    refused(lib.Model_setOperandValue(model.handle, -1, pointer, 16))
    refused(lib.Model_setOperandValue(model.handle, 4, pointer, 16))
    refused(lib.Model_setOperandValue(model.handle, exact, None, 16), ResultCode.UNEXPECTED_NULL)
    model.operand(F32, [4])
    refused(lib.Model_setOperandValue(model.handle, 5, None, 0))  # nothing left out is there
    model.free()


@pytest.mark.parametrize("length", [128, 132])
def test_short_constants_are_copied(lib: Library, length: int) -> None:
    """Up to 128 bytes the value at the call counts; longer ones are read where they lie."""
    count = length // 4
    model = Model(lib)
    a, b, out = (model.operand(F32, [count]) for _ in range(3))
    values = np.ones(count, np.float32)
    model.value(b, values)
    if length <= 128:
        values[:] = 7
    model.add(a, b, out)
    model.finished([a], [out])
    result = np.zeros(count, np.float32)
    ok(model.run(np.ones(count, np.float32), outputs=[result]))
    assert (result == 2).all()


def test_unaligned_buffers_work(lib: Library) -> None:
    model = Model(lib)
    a, b, out = (model.operand(F32, [64]) for _ in range(3))
    raw = np.zeros(64 * 4 + 1, np.uint8)
    view = raw[1:].view()
    view[:] = np.arange(64, dtype=np.float32).view(np.uint8)
    model.keep.append(raw)
    ok(lib.Model_setOperandValue(model.handle, b, ctypes.c_void_p(raw.ctypes.data + 1), 256))
    model.add(a, b, out)
    model.finished([a], [out])
    source, target = raw.copy(), np.zeros(64 * 4 + 1, np.uint8)
    ok(model.run(source[1:], outputs=[target[1:]]))
    assert (target[1:].copy().view(np.float32) == 2 * np.arange(64)).all()


@pytest.mark.documented
def test_channel_parameters(lib: Library) -> None:
    model = Model(lib)
    index = model.operand(OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL, [3, 2])
    other = model.operand(F32, [3, 2])
    scales = (ctypes.c_float * 3)(1, 2, 3)
    bad = (ctypes.c_float * 3)(1, 0, 3)

    def call(operand: int, dim: int, count: int, values: object) -> int:
        params = ChannelQuant(dim, count, values)
        return int(
            lib.Model_setOperandSymmPerChannelQuantParams(
                model.handle, operand, ctypes.byref(params)
            )
        )

    ok(call(index, 0, 3, scales))
    refused(call(index, 1, 3, scales))
    refused(call(index, 2, 3, scales))
    refused(call(index, 0, 2, scales))
    refused(call(index, 0, 3, bad))
    refused(call(other, 0, 3, scales))
    refused(call(9, 0, 3, scales))
    refused(call(index, 0, 3, None), ResultCode.UNEXPECTED_NULL)
    model.free()


def test_indices_are_checked(lib: Library) -> None:
    model = Model(lib)
    a, b, out = (model.operand(F32, [2]) for _ in range(3))
    fuse = model.int32(0)
    refused(model.operation(OperationCode.ADD, [a, b, 99], [out]))
    refused(model.operation(OperationCode.ADD, [a, b, fuse], [99]))
    refused(model.operation(106, [a, b, fuse], [out]))
    refused(model.operation(-1, [a, b, fuse], [out]))
    call = lib.Model_identifyInputsAndOutputs
    refused(call(model.handle, 1, indices([99]), 1, indices([out])))
    refused(call(model.handle, 1, indices([a]), 1, indices([99])))
    refused(call(model.handle, 0, indices([a]), 1, indices([out])))
    refused(call(model.handle, 1, indices([a]), 0, indices([out])))
    refused(call(model.handle, 1, indices([a]), 1, indices([a])))
    refused(call(model.handle, 2, indices([a, a]), 1, indices([out])))
    model.free()


def build(lib: Library, case: str) -> Model:
    """A model that breaks one rule of the graph, or none for case "good"."""
    model = Model(lib)
    a, b, t, out = (model.operand(F32, [2]) for _ in range(4))
    inputs, outputs = [a, b], [out]
    if case == "cycle":
        model.add(a, out, t)
        model.add(t, b, out)
    elif case == "self-cycle":
        model.add(a, t, t)
        model.add(t, b, out)
    else:
        model.add(a, b, t)
        model.add(t, t, out)
    if case == "written twice":
        model.add(a, a, t)
    if case == "writes an input":
        model.add(t, t, b)
    if case == "writes a constant":
        constant = model.value(model.operand(F32, [2]), np.zeros(2, np.float32))
        model.add(t, t, constant)
    if case == "nobody writes":
        model.operand(F32, [2])
    if case == "reads the unwritten":
        loose, more = model.operand(F32, [2]), model.operand(F32, [2])
        model.add(a, loose, more)
    if case == "constant output":
        outputs.append(model.value(model.operand(F32, [2]), np.zeros(2, np.float32)))
    if case == "constant input":
        inputs.append(model.value(model.operand(F32, [2]), np.zeros(2, np.float32)))
    if case == "unwritten output":
        outputs.append(model.operand(F32, [2]))
    if case == "model without value":
        model.operand(OperandCode.MODEL)
    if case == "no channel parameters":
        inputs.append(model.operand(OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL, [2]))
    if case == "no outputs":
        ok(
            lib.Model_addOperation(
                model.handle, 0, 3, indices([a, b, model.int32(0)]), 0, indices([out])
            )
        )
    if case == "omitted input":
        missing = model.operand(F32, [2])
        ok(lib.Model_setOperandValue(model.handle, missing, None, 0))
        model.add(a, missing, model.operand(F32, [2]))
    model.identify(inputs, outputs)
    return model


@pytest.mark.parametrize(
    "case",
    [
        "cycle",
        "self-cycle",
        "written twice",
        "writes an input",
        "writes a constant",
        "nobody writes",
        "reads the unwritten",
        "constant output",
        "constant input",
        "unwritten output",
        "model without value",
        "no channel parameters",
        "no outputs",
        "omitted input",
    ],
)
@pytest.mark.documented
def test_graphs_that_are_refused(lib: Library, case: str) -> None:
    model = build(lib, case)
    refused(model.finish())
    # It stays refused, and nothing is built from it.
    refused(model.finish(), ResultCode.BAD_STATE)
    handle = ctypes.c_void_p()
    refused(lib.Compilation_create(model.handle, ctypes.byref(handle)))
    assert handle.value is None
    model.free()


def test_the_unbroken_graph_computes(lib: Library) -> None:
    model = build(lib, "good")
    ok(model.finish())
    result = np.zeros(2, np.float32)
    ok(model.run(np.array([1, 2], np.float32), np.array([3, 4], np.float32), outputs=[result]))
    assert result.tolist() == [8, 12]


def test_operations_run_in_order_of_dependency(lib: Library) -> None:
    model = Model(lib)
    a, first, second, out = (model.operand(F32, [1]) for _ in range(4))
    model.add(second, second, out)
    model.add(first, a, second)
    model.add(a, a, first)
    model.finished([a], [out])
    result = np.zeros(1, np.float32)
    ok(model.run(np.array([1], np.float32), outputs=[result]))
    assert result[0] == 6


def test_finished_models_do_not_change(lib: Library) -> None:
    model = add_model(lib)
    state = ResultCode.BAD_STATE
    kind = operand_type(F32, [1])
    refused(lib.Model_addOperand(model.handle, ctypes.byref(kind)), state)
    refused(lib.Model_setOperandValue(model.handle, 0, None, 0), state)
    refused(model.operation(OperationCode.ADD, [0, 1, 3], [2]), state)
    refused(
        lib.Model_identifyInputsAndOutputs(model.handle, 1, indices([0]), 1, indices([2])), state
    )
    refused(lib.Model_relaxComputationFloat32toFloat16(model.handle, True), state)
    refused(lib.Model_setOperandExtensionData(model.handle, 0, None, 0), state)
    refused(model.finish(), state)
    model.free()


def test_models_without_inputs_and_outputs_are_refused(lib: Library) -> None:
    model = Model(lib)
    a, b, out = (model.operand(F32, [2]) for _ in range(3))
    model.add(a, b, out)
    refused(model.finish())
    model.free()
    # Nothing else is wrong with one that computes from constants.
    model = Model(lib)
    constant, out = model.operand(F32, [2]), model.operand(F32, [2])
    model.value(constant, np.ones(2, np.float32))
    model.add(constant, constant, out)
    refused(model.finish())
    model.free()


@pytest.mark.parametrize("fuse", [-1, 4])
@pytest.mark.documented
def test_operation_rules_are_checked_at_finish(lib: Library, fuse: int) -> None:
    model = Model(lib)
    a, b, out = (model.operand(F32, [2]) for _ in range(3))
    model.add(a, b, out, fuse)
    model.identify([a, b], [out])
    refused(model.finish())
    model.free()


def test_extensions_are_unknown(lib: Library) -> None:
    model = Model(lib)
    supported = ctypes.c_bool(True)
    ok(lib.Device_getExtensionSupport(lib.device(), b"com.example.none", ctypes.byref(supported)))
    assert not supported.value
    kind = ctypes.c_int32()
    refused(lib.Model_getExtensionOperandType(model.handle, b"com.example", 0, ctypes.byref(kind)))
    refused(
        lib.Model_getExtensionOperationType(model.handle, b"com.example", 0, ctypes.byref(kind))
    )
    model.free()


def test_supported_operations(lib: Library) -> None:
    model = Model(lib)
    a, b, t, out = (model.operand(F32, [2]) for _ in range(4))
    model.add(a, b, t)
    model.add(t, b, out)
    model.identify([a, b], [out])
    devices = (ctypes.c_void_p * 2)(lib.device().value, lib.device().value)
    answer = (ctypes.c_bool * 2)()
    call = lib.Model_getSupportedOperationsForDevices
    refused(call(model.handle, devices, 1, answer), ResultCode.BAD_STATE)
    ok(model.finish())
    ok(call(model.handle, devices, 1, answer))
    assert list(answer) == [True, True]
    refused(call(model.handle, devices, 0, answer))
    refused(call(model.handle, devices, 2, answer))
    model.free()
