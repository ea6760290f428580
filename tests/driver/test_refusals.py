"""When the driver refuses: at once, by the end of the model, or only when it computes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import pytest

from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode
from tests.driver.capi import (
    ChannelQuant,
    Compilation,
    Execution,
    Library,
    Model,
    OperandType,
    add_model,
    later,
    ok,
    operand_type,
    refused,
)

FLOAT = OperandCode.TENSOR_FLOAT32
BYTE = OperandCode.TENSOR_QUANT8_ASYMM
INT = OperandCode.TENSOR_INT32
OEM_SCALAR, OEM_TENSOR, OEM_OPERATION = 10000, 10001, 10000

Operands = Callable[[Model], tuple[list[int], list[int]]]


def add(
    dims: tuple[int, ...] = (2,), kind: int = FLOAT, fuse: int = 0, inputs: int = 3
) -> Operands:
    def build(model: Model) -> tuple[list[int], list[int]]:
        other = model.operand(FLOAT, (2,))
        given = [model.operand(kind, dims), other, model.int32(fuse), model.int32(0)]
        return given[:inputs], [model.operand(FLOAT, None)]

    return build


def mul(scale: float) -> Operands:
    def build(model: Model) -> tuple[list[int], list[int]]:
        a, b = (model.operand(BYTE, (2,), 0.5) for _ in range(2))
        return [a, b, model.int32(0)], [model.operand(BYTE, (2,), scale)]

    return build


def pack(second: tuple[int, ...], scale: float) -> Operands:
    def build(model: Model) -> tuple[list[int], list[int]]:
        a, b = model.operand(BYTE, (2,), 0.5), model.operand(BYTE, second, scale)
        return [model.int32(0), a, b], [model.operand(BYTE, None, 0.5)]

    return build


def reverse(axis: tuple[int, ...], scale: float) -> Operands:
    def build(model: Model) -> tuple[list[int], list[int]]:
        inputs = [model.operand(BYTE, (2,), 0.5), model.operand(INT, axis)]
        return inputs, [model.operand(BYTE, (2,), scale)]

    return build


@pytest.mark.parametrize(
    ("code", "operands"),
    [
        (OperationCode.ADD, add(inputs=2)),
        (OperationCode.ADD, add(inputs=4)),
        (OperationCode.ADD, add(kind=OperandCode.TENSOR_FLOAT16)),
        (OperationCode.ADD, add(kind=OEM_TENSOR)),
        (OperationCode.ADD, add(dims=(1, 1, 1, 1, 2))),
        (OperationCode.MUL, mul(0.25)),
        (OperationCode.PACK, pack((2, 1), 0.5)),
        (OperationCode.PACK, pack((2,), 0.25)),
        (OperationCode.REVERSE, reverse((1, 1), 0.5)),
        (OperationCode.REVERSE, reverse((1,), 0.25)),
    ],
)
def test_an_operation_is_refused_at_once(
    field_library: Library, code: int, operands: Operands
) -> None:
    model = Model(field_library)
    refused(model.operation(code, *operands(model)))
    # The model goes on: another operation can be added.
    ok(model.operation(OperationCode.ADD, *add()(model)))


@pytest.fixture(params=["field", "documented"])
def both(request: pytest.FixtureRequest) -> Library:
    """The driver with one reading, then with the other."""
    library: Library = request.getfixturevalue(f"{request.param}_library")
    return library


@pytest.mark.parametrize(("size", "fuse"), [(3, 0), (2, 999), (2, -1)])
def test_shapes_and_values_are_refused_by_the_execution(
    both: Library, size: int, fuse: int
) -> None:
    model = Model(both)
    inputs, outputs = add(dims=(size,), fuse=fuse)(model)
    ok(model.operation(OperationCode.ADD, inputs, outputs))
    model.identify(inputs[:2], outputs)
    if both.documented:
        refused(model.finish())
        return
    ok(model.finish())
    arrays = np.zeros(size, np.float32), np.zeros(2, np.float32)
    code = model.run(*arrays, outputs=[np.zeros(8, np.float32)])
    refused(code, ResultCode.OP_FAILED)


def test_a_missing_input_is_refused_by_the_execution(both: Library) -> None:
    model = Model(both)
    inputs, outputs = add()(model)
    ok(both.Model_setOperandValue(model.handle, inputs[1], None, 0))
    ok(model.operation(OperationCode.ADD, inputs, outputs))
    model.identify(inputs[:1], outputs)
    if both.documented:
        refused(model.finish())
        return
    ok(model.finish())
    code = model.run(np.zeros(2, np.float32), outputs=[np.zeros(2, np.float32)])
    refused(code, ResultCode.OP_FAILED)


def test_the_condition_of_if_may_lack_a_value_until_then(both: Library) -> None:
    branch = add_model(both, (2,))
    model = Model(both)
    condition = model.operand(OperandCode.TENSOR_BOOL8, (1,))
    ok(both.Model_setOperandValue(model.handle, condition, None, 0))
    a, b, out = (model.operand(FLOAT, (2,)) for _ in range(3))
    branches = [model.submodel(branch) for _ in range(2)]
    ok(model.operation(OperationCode.IF, [condition, *branches, a, b], [out]))
    model.identify([a, b], [out])
    if both.documented:
        refused(model.finish())
        return
    ok(model.finish())
    zeros = np.zeros(2, np.float32)
    refused(model.run(zeros, zeros, outputs=[zeros.copy()]), ResultCode.OP_FAILED)


def test_branches_of_another_type_are_refused_at_once(field_library: Library) -> None:
    branch = add_model(field_library, (2,))
    model = Model(field_library)
    condition = model.operand(OperandCode.TENSOR_BOOL8, (1,))
    a, b, out = (model.operand(INT, (2,)) for _ in range(3))
    branches = [model.submodel(branch) for _ in range(2)]
    refused(model.operation(OperationCode.IF, [condition, *branches, a, b], [out]))


@pytest.mark.parametrize("dims", [None, (0, 2), (2, 0)])
@pytest.mark.parametrize("buffer", [False, True])
def test_a_type_leaves_nothing_open_that_the_model_gives(
    both: Library, dims: tuple[int, ...] | None, buffer: bool
) -> None:
    execution = Execution(add_model(both).compile())
    array = np.zeros((2, 2), np.float32) if buffer else None
    for call in (execution.input, execution.output):
        if not both.documented:
            refused(call(0, array, operand_type(FLOAT, dims)))
        elif buffer:
            ok(call(0, array, operand_type(FLOAT, dims)))
    ok(execution.input(1, np.zeros((2, 2), np.float32), operand_type(FLOAT, (2, 2))))


@pytest.mark.parametrize(("dims", "field"), [(None, False), ((0, 2), True), ((2, 2), True)])
def test_a_type_may_tell_more_than_the_model(
    both: Library, dims: tuple[int, ...] | None, field: bool
) -> None:
    execution = Execution(add_model(both, (0, 0)).compile())
    code = execution.output(0, np.zeros((2, 2), np.float32), operand_type(FLOAT, dims))
    ok(code) if field or both.documented else refused(code)


def test_an_argument_is_set_once(both: Library) -> None:
    execution = Execution(add_model(both).compile())
    array = np.zeros((2, 2), np.float32)
    for call in (execution.input, execution.output):
        ok(call(0, array))
        code = call(0, array)
        if both.documented:
            ok(code)
        else:
            refused(code, ResultCode.BAD_STATE)


def test_dimensions_and_their_count_agree(both: Library) -> None:
    one = (ctypes.c_uint32 * 1)(2)
    model = Model(both)
    missing = OperandType(FLOAT, 1, None, 0.0, 0)
    without = ResultCode.UNEXPECTED_NULL if both.documented else ResultCode.BAD_DATA
    refused(both.Model_addOperand(model.handle, ctypes.byref(missing)), without)
    for kind in (FLOAT, OperandCode.INT32):
        uncounted = OperandType(kind, 0, one, 0.0, 0)
        code = both.Model_addOperand(model.handle, ctypes.byref(uncounted))
        if both.documented:
            ok(code)
        else:
            refused(code)


def test_channel_scales_are_not_null(both: Library) -> None:
    model = Model(both)
    operand = model.operand(OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL, (2, 1))
    params = ChannelQuant(0, 2, None)
    code = both.Model_setOperandSymmPerChannelQuantParams(
        model.handle, operand, ctypes.byref(params)
    )
    refused(code, ResultCode.UNEXPECTED_NULL if both.documented else ResultCode.BAD_DATA)


def test_oem_models_are_built_and_not_compiled(both: Library) -> None:
    model = Model(both)
    a, out = model.operand(OEM_TENSOR, (3,), 0.5, 7), model.operand(OEM_TENSOR, (3,))
    scalar = model.value(model.operand(OEM_SCALAR), np.zeros(11, np.uint8))
    ok(model.operation(OEM_OPERATION, [a, scalar], [out]))
    model.finished([a], [out])
    claimed = (ctypes.c_bool * 1)(True)
    device = (ctypes.c_void_p * 1)(both.device().value or 0)
    ok(both.Model_getSupportedOperationsForDevices(model.handle, device, 1, claimed))
    assert not claimed[0]
    refused(both.Compilation_finish(Compilation(model).handle))
    for code in (-1, 106, 9999, 10001):
        refused(model.operation(code, [a], [out]), ResultCode.BAD_STATE)
        refused(Model(both).operation(code, [0], [1]))


def test_roles_come_from_finished_compilations(both: Library) -> None:
    desc = ctypes.c_void_p()
    ok(both.MemoryDesc_create(ctypes.byref(desc)))
    later(both, "MemoryDesc_free", desc)
    unfinished = Compilation(add_model(both))
    due = ResultCode.BAD_STATE if both.documented else ResultCode.BAD_DATA
    for call in (both.MemoryDesc_addInputRole, both.MemoryDesc_addOutputRole):
        refused(call(desc, unfinished.handle, 0, 1.0), due)


@pytest.mark.parametrize(("scale", "agree"), [(0.25, False), (0.5, True)])
def test_roles_have_the_same_channel_scales(both: Library, scale: float, agree: bool) -> None:
    def dequantize(last: float) -> Compilation:
        model = Model(both)
        operand = model.operand(OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL, (2, 1))
        scales = (ctypes.c_float * 2)(1.0, last)
        params = ChannelQuant(0, 2, scales)
        call = both.Model_setOperandSymmPerChannelQuantParams
        ok(call(model.handle, operand, ctypes.byref(params)))
        out = model.operand(FLOAT, (2, 1))
        ok(model.operation(OperationCode.DEQUANTIZE, [operand], [out]))
        return model.finished([operand], [out]).compile()

    desc = ctypes.c_void_p()
    ok(both.MemoryDesc_create(ctypes.byref(desc)))
    later(both, "MemoryDesc_free", desc)
    ok(both.MemoryDesc_addInputRole(desc, dequantize(0.5).handle, 0, 1.0))
    code = both.MemoryDesc_addInputRole(desc, dequantize(scale).handle, 0, 1.0)
    ok(code) if agree else refused(code)


@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        (((2, 0), (2, 3), (2, 4)), (6, 3)),  # the third disagrees with the second
        ((None, (2, 3), (2, 3, 1)), (4, 3)),
    ],
    ids=["dimension", "rank"],
)
def test_what_the_first_input_leaves_open_is_compared_all_the_same(
    documented_library: Library, inputs: tuple[tuple[int, ...] | None, ...], output: tuple[int, ...]
) -> None:
    model = Model(documented_library)
    given = [model.operand(FLOAT, dims) for dims in inputs]
    result = model.operand(FLOAT, output)
    ok(model.operation(OperationCode.CONCATENATION, [*given, model.int32(0)], [result]))
    model.identify(given, [result])
    refused(model.finish())


def test_a_permutation_is_a_list_whatever_the_rank_is(documented_library: Library) -> None:
    model = Model(documented_library)
    given, result = model.operand(FLOAT, None), model.operand(FLOAT, (2, 3))
    order = model.value(model.operand(INT, (1, 2)), np.array([[0, 1]], np.int32))
    ok(model.operation(OperationCode.TRANSPOSE, [given, order], [result]))
    model.identify([given], [result])
    refused(model.finish())
