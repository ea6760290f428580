"""Compilations and executions: states, buffers, shapes, timing."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode
from tests.driver.capi import (
    Compilation,
    Execution,
    Library,
    Model,
    add_model,
    ok,
    operand_type,
    refused,
)

F32 = OperandCode.TENSOR_FLOAT32
BAD_STATE = ResultCode.BAD_STATE
NULL = ResultCode.UNEXPECTED_NULL
ONES = np.ones((2, 2), np.float32)
UINT64_MAX = 2**64 - 1


def ready(lib: Library, compilation: Compilation | None = None) -> tuple[Execution, np.ndarray]:
    """An execution of ADD with everything set, and its output."""
    execution = Execution(compilation or add_model(lib).compile())
    result = np.zeros((2, 2), np.float32)
    ok(execution.input(0, ONES))
    ok(execution.input(1, 2 * ONES))
    ok(execution.output(0, result))
    return execution, result


# --- compilations -----------------------------------------------------------------------------


def test_unfinished_models_are_not_compiled(lib: Library) -> None:
    model = Model(lib)
    handle = ctypes.c_void_p(1)
    refused(lib.Compilation_create(model.handle, ctypes.byref(handle)), BAD_STATE)
    assert handle.value is None
    device = (ctypes.c_void_p * 2)(lib.device().value, lib.device().value)
    create = lib.Compilation_createForDevices
    refused(create(model.handle, device, 1, ctypes.byref(handle)), BAD_STATE)
    finished = add_model(lib)
    refused(create(finished.handle, device, 0, ctypes.byref(handle)))
    refused(create(finished.handle, device, 2, ctypes.byref(handle)))
    refused(create(finished.handle, None, 1, ctypes.byref(handle)), NULL)
    refused(create(finished.handle, (ctypes.c_void_p * 1)(None), 1, ctypes.byref(handle)), NULL)
    refused(create(finished.handle, (ctypes.c_void_p * 1)(8), 1, ctypes.byref(handle)))


def test_compilation_properties(lib: Library) -> None:
    compilation = Compilation(add_model(lib))
    handle, token = compilation.handle, bytes(32)
    for value in (0, 1, 2):
        ok(lib.Compilation_setPreference(handle, value))
    for value in (-1, 3):
        refused(lib.Compilation_setPreference(handle, value))
    for value in (90, 100, 110):
        ok(lib.Compilation_setPriority(handle, value))
    refused(lib.Compilation_setPriority(handle, 95))
    ok(lib.Compilation_setTimeout(handle, 10**12))
    ok(lib.Compilation_setTimeout(handle, UINT64_MAX))
    ok(lib.Compilation_setCaching(handle, b"/nonexistent", token))
    refused(lib.Compilation_setCaching(handle, None, token), NULL)
    refused(lib.Compilation_setCaching(handle, b"/nonexistent", None), NULL)
    alignment = ctypes.c_uint32()
    question = lib.Compilation_getPreferredMemoryAlignmentForInput
    refused(question(handle, 0, ctypes.byref(alignment)), BAD_STATE)
    execution = ctypes.c_void_p()
    refused(lib.Execution_create(handle, ctypes.byref(execution)), BAD_STATE)


def test_finished_compilations_do_not_change(lib: Library) -> None:
    handle = add_model(lib).compile().handle
    refused(lib.Compilation_setPreference(handle, 1), BAD_STATE)
    refused(lib.Compilation_setPriority(handle, 100), BAD_STATE)
    refused(lib.Compilation_setTimeout(handle, 1), BAD_STATE)
    refused(lib.Compilation_setCaching(handle, b"/tmp", bytes(32)), BAD_STATE)
    refused(lib.Compilation_finish(handle), BAD_STATE)


def test_timeouts_need_one_chosen_device(lib: Library) -> None:
    compilation = Compilation(add_model(lib), devices=0)
    refused(lib.Compilation_setTimeout(compilation.handle, 10**9))
    ok(lib.Compilation_finish(compilation.handle))
    execution, result = ready(lib, compilation)
    refused(lib.Execution_setTimeout(execution.handle, 10**9))
    refused(lib.Execution_setMeasureTiming(execution.handle, True))
    ok(execution.compute())
    assert (result == 3).all()


def test_compilation_deadline(lib: Library) -> None:
    compilation = Compilation(add_model(lib))
    ok(lib.Compilation_setTimeout(compilation.handle, 1))
    code = ResultCode.MISSED_DEADLINE_PERSISTENT
    refused(lib.Compilation_finish(compilation.handle), code)
    handle = ctypes.c_void_p()
    refused(lib.Execution_create(compilation.handle, ctypes.byref(handle)))


@pytest.mark.parametrize("what", ["Alignment", "Padding"])
@pytest.mark.parametrize(("side", "count"), [("Input", 2), ("Output", 1)])
def test_preferred_memory(lib: Library, what: str, side: str, count: int) -> None:
    handle = add_model(lib).compile().handle
    question = getattr(lib, f"Compilation_getPreferredMemory{what}For{side}")
    value = ctypes.c_uint32()
    for index in range(count):
        ok(question(handle, index, ctypes.byref(value)))
        assert value.value.bit_count() == 1
    refused(question(handle, count, ctypes.byref(value)))
    refused(question(handle, 0, None), NULL)
    refused(question(None, 0, ctypes.byref(value)), NULL)


# --- arguments --------------------------------------------------------------------------------


@pytest.mark.documented
def test_arguments_are_checked(lib: Library) -> None:
    execution = Execution(add_model(lib).compile())
    for call in (execution.input, execution.output):
        refused(call(-1, ONES.copy()))
        refused(call(2, ONES.copy()))
        refused(call(0, np.zeros(3, np.float32)))
        refused(call(0, np.zeros(5, np.float32)))
        refused(call(0, ONES.copy(), operand_type(F32, [4])))
        refused(call(0, ONES.copy(), operand_type(F32, [2, 3])))
        refused(call(0, ONES.copy(), operand_type(OperandCode.TENSOR_INT32, [2, 2])))
        refused(call(0, ONES.copy(), operand_type(OperandCode.TENSOR_INT32, [2, 2], 0.5)))
        ok(call(0, ONES.copy(), operand_type(F32, [2, 2])))
    refused(lib.Execution_setInput(execution.handle, 0, None, None, 16), NULL)
    refused(lib.Execution_setOutput(execution.handle, 0, None, None, 16), NULL)
    refused(execution.output(0, None))  # ADD's output is not optional


def test_an_output_that_may_be_empty_takes_a_buffer_of_no_bytes(lib: Library) -> None:
    for size, code in ((0, ResultCode.NO_ERROR), (2, ResultCode.OUTPUT_INSUFFICIENT_SIZE)):
        model = Model(lib)
        x, out = model.operand(F32, [2]), model.operand(F32, [0])
        begin, count = (model.operand(OperandCode.TENSOR_INT32, [1]) for _ in range(2))
        model.value(begin, np.array([0], np.int32))
        model.value(count, np.array([size], np.int32))
        ok(model.operation(OperationCode.SLICE, [x, begin, count], [out]))
        execution = Execution(model.finished([x], [out]).compile())
        ok(execution.input(0, np.zeros(2, np.float32)))
        ok(execution.output(0, None))
        assert execution.compute() == code
        assert execution.shape(0) == (code, [size])


@pytest.mark.documented
def test_omitted_inputs_must_be_optional(lib: Library) -> None:
    execution, _ = ready(lib)
    ok(execution.input(1, None))
    refused(execution.compute())


def test_unset_arguments_leave_the_execution_in_preparation(lib: Library) -> None:
    execution = Execution(add_model(lib).compile())
    result = np.zeros((2, 2), np.float32)
    refused(execution.compute())
    ok(execution.input(0, ONES))
    ok(execution.output(0, result))
    refused(execution.compute())
    event = ctypes.c_void_p(1)
    refused(lib.Execution_startCompute(execution.handle, ctypes.byref(event)))
    assert event.value is None
    ok(execution.input(1, ONES))
    ok(execution.compute())
    assert (result == 2).all()


def test_inputs_are_not_written_and_outputs_not_read(lib: Library) -> None:
    execution, result = ready(lib)
    left = execution.keep[0]
    result[:] = np.nan
    ok(execution.compute())
    assert (left == 1).all() and (result == 3).all()


@pytest.mark.documented
def test_padding(lib: Library) -> None:
    compilation = add_model(lib).compile()
    execution = Execution(compilation)
    ok(lib.Execution_enableInputAndOutputPadding(execution.handle, True))
    padded = np.full(8, 5, np.float32)
    ok(execution.input(0, np.ones(8, np.float32)))
    ok(execution.input(1, np.ones(5, np.float32)))
    ok(execution.output(0, padded))
    refused(execution.output(0, np.zeros(3, np.float32)))
    refused(execution.input(0, np.zeros(3, np.float32)))
    refused(lib.Execution_enableInputAndOutputPadding(execution.handle, True), BAD_STATE)
    ok(execution.compute())
    assert padded[:4].tolist() == [2, 2, 2, 2]


# --- unknown dimensions -----------------------------------------------------------------------


@pytest.mark.parametrize("declared", [None, [0, 0], [2, 0]])
def test_unknown_dimensions_are_given_with_the_inputs(
    lib: Library, declared: list[int] | None
) -> None:
    compilation = add_model(lib, declared).compile()
    left = np.arange(6, dtype=np.float32).reshape(2, 3)
    execution = Execution(compilation)
    refused(execution.input(0, left))
    ok(execution.input(0, left, operand_type(F32, [2, 3])))
    ok(execution.input(1, np.full((2, 1), 10, np.float32), operand_type(F32, [2, 1])))
    result = np.zeros(10, np.float32)
    ok(execution.output(0, result))
    ok(execution.compute())
    assert execution.shape(0) == (0, [2, 3])
    assert (result[:6].reshape(2, 3) == left + 10).all() and (result[6:] == 0).all()


def test_insufficient_outputs_report_their_shape(lib: Library) -> None:
    compilation = add_model(lib, None).compile()
    execution = Execution(compilation)
    for index in range(2):
        ok(execution.input(index, ONES, operand_type(F32, [2, 2])))
    result = np.full(3, 9, np.float32)
    ok(execution.output(0, result))
    refused(execution.compute(), ResultCode.OUTPUT_INSUFFICIENT_SIZE)
    assert (result == 9).all()
    assert execution.shape(0) == (ResultCode.OUTPUT_INSUFFICIENT_SIZE, [2, 2])


def test_insufficient_output_beside_a_sufficient_one(lib: Library) -> None:
    """Both shapes are known afterwards, also that of the output computed from the first."""
    model = Model(lib)
    a, first, second = (model.operand(F32) for _ in range(3))
    model.add(a, a, first)
    model.add(first, a, second)
    model.finished([a], [first, second])
    execution = Execution(model.compile())
    ok(execution.input(0, ONES, operand_type(F32, [4])))
    ok(execution.output(0, np.zeros(1, np.float32)))
    result = np.zeros(4, np.float32)
    ok(execution.output(1, result))
    refused(execution.compute(), ResultCode.OUTPUT_INSUFFICIENT_SIZE)
    assert execution.shape(0) == (ResultCode.OUTPUT_INSUFFICIENT_SIZE, [4])
    assert execution.shape(1) == (ResultCode.NO_ERROR, [4])


@pytest.mark.documented
def test_shapes_that_contradict_are_refused(lib: Library) -> None:
    """The caller's output dimensions and the computed ones must agree."""
    execution = Execution(add_model(lib, None).compile())
    for index in range(2):
        ok(execution.input(index, ONES, operand_type(F32, [2, 2])))
    ok(execution.output(0, np.zeros(4, np.float32), operand_type(F32, [4, 1])))
    refused(execution.compute())
    refused(execution.shape_code(0), BAD_STATE)


@pytest.mark.documented
def test_incompatible_runtime_shapes_are_refused(lib: Library) -> None:
    execution = Execution(add_model(lib, None).compile())
    ok(execution.input(0, np.zeros(3, np.float32), operand_type(F32, [3])))
    ok(execution.input(1, np.zeros(2, np.float32), operand_type(F32, [2])))
    ok(execution.output(0, np.zeros(3, np.float32)))
    refused(execution.compute())


# --- states -----------------------------------------------------------------------------------


def setters(execution: Execution) -> dict[str, Callable[[], int]]:
    """Every call that modifies an execution."""
    lib, handle = execution.lib, execution.handle
    return {
        "setInput": lambda: execution.input(0, ONES),
        "setOutput": lambda: execution.output(0, ONES.copy()),
        "enablePadding": lambda: lib.Execution_enableInputAndOutputPadding(handle, True),
        "setReusable": lambda: lib.Execution_setReusable(handle, True),
        "setMeasureTiming": lambda: lib.Execution_setMeasureTiming(handle, True),
        "setTimeout": lambda: lib.Execution_setTimeout(handle, 10**9),
        "setLoopTimeout": lambda: lib.Execution_setLoopTimeout(handle, 10**9),
    }


@pytest.mark.parametrize("reusable", [False, True])
def test_computed_executions_do_not_change(lib: Library, reusable: bool) -> None:
    execution, result = ready(lib)
    ok(lib.Execution_setReusable(execution.handle, reusable))
    ok(execution.compute())
    for call in setters(execution).values():
        refused(call(), BAD_STATE)
    result[:] = 0
    if reusable:
        for _ in range(3):
            result[:] = 0
            ok(execution.compute())
            assert (result == 3).all()
    else:
        refused(execution.compute(), BAD_STATE)
        event = ctypes.c_void_p()
        refused(lib.Execution_startCompute(execution.handle, ctypes.byref(event)), BAD_STATE)
        assert (result == 0).all()


def test_results_are_asked_after_completion(lib: Library) -> None:
    execution, _ = ready(lib)
    rank, dims, nanoseconds = ctypes.c_uint32(), (ctypes.c_uint32 * 4)(), ctypes.c_uint64()
    get_rank = lib.Execution_getOutputOperandRank
    get_dims = lib.Execution_getOutputOperandDimensions
    get_duration = lib.Execution_getDuration
    refused(get_rank(execution.handle, 0, ctypes.byref(rank)), BAD_STATE)
    refused(get_dims(execution.handle, 0, dims), BAD_STATE)
    refused(get_duration(execution.handle, 0, ctypes.byref(nanoseconds)), BAD_STATE)
    ok(execution.compute())
    ok(get_rank(execution.handle, 0, ctypes.byref(rank)))
    ok(get_dims(execution.handle, 0, dims))
    assert (rank.value, list(dims)) == (2, [2, 2, 0, 0])
    for index in (-1, 1):
        refused(get_rank(execution.handle, index, ctypes.byref(rank)))
        refused(get_dims(execution.handle, index, dims))
    for code in range(4):
        ok(get_duration(execution.handle, code, ctypes.byref(nanoseconds)))
        assert nanoseconds.value == UINT64_MAX  # not measured
    for code in (-1, 4):
        refused(get_duration(execution.handle, code, ctypes.byref(nanoseconds)))


def test_durations_are_measured(lib: Library) -> None:
    execution, _ = ready(lib)
    ok(lib.Execution_setMeasureTiming(execution.handle, True))
    start = time.perf_counter_ns()
    ok(execution.compute())
    elapsed = time.perf_counter_ns() - start
    hardware, driver = ctypes.c_uint64(), ctypes.c_uint64()
    ok(lib.Execution_getDuration(execution.handle, 0, ctypes.byref(hardware)))
    ok(lib.Execution_getDuration(execution.handle, 1, ctypes.byref(driver)))
    assert 0 < hardware.value <= driver.value <= elapsed


def test_execution_deadline(lib: Library) -> None:
    execution, _ = ready(lib)
    ok(lib.Execution_setTimeout(execution.handle, 1))
    refused(execution.compute(), ResultCode.MISSED_DEADLINE_PERSISTENT)
    generous, result = ready(lib)
    ok(lib.Execution_setTimeout(generous.handle, 10**12))
    ok(generous.compute())
    assert (result == 3).all()


def test_bursts(lib: Library) -> None:
    compilation, other = add_model(lib).compile(), add_model(lib).compile()
    burst = ctypes.c_void_p()
    unfinished = Compilation(add_model(lib))
    refused(lib.Burst_create(unfinished.handle, ctypes.byref(burst)), BAD_STATE)
    ok(lib.Burst_create(compilation.handle, ctypes.byref(burst)))
    for _ in range(3):
        execution, result = ready(lib, compilation)
        ok(lib.Execution_burstCompute(execution.handle, burst))
        assert (result == 3).all()
        refused(lib.Execution_burstCompute(execution.handle, burst), BAD_STATE)
    foreign, _ = ready(lib, other)
    refused(lib.Execution_burstCompute(foreign.handle, burst))
    ok(foreign.compute())
    lib.Burst_free(burst)


def test_concurrent_executions_of_one_compilation(lib: Library) -> None:
    model = Model(lib)
    a, t, out = (model.operand(F32, [1000]) for _ in range(3))
    model.add(a, a, t)
    model.add(t, a, out)
    compilation = model.finished([a], [out]).compile()

    def work(seed: int) -> bool:
        values = np.random.default_rng(seed).standard_normal(1000).astype(np.float32)
        right = True
        for _ in range(50):
            execution, result = Execution(compilation), np.zeros(1000, np.float32)
            ok(execution.input(0, values))
            ok(execution.output(0, result))
            ok(execution.compute())
            execution.free()
            right = right and bool((result == (values + values) + values).all())
        return right

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


# --- null pointers ----------------------------------------------------------------------------

NULL_CALLS: list[tuple[str, tuple[object, ...]]] = [
    ("Model_create", (None,)),
    ("Model_finish", (None,)),
    ("Model_addOperand", (None, None)),
    ("Model_setOperandValue", (None, 0, None, 0)),
    ("Model_setOperandSymmPerChannelQuantParams", (None, 0, None)),
    ("Model_setOperandValueFromMemory", (None, 0, None, 0, 0)),
    ("Model_setOperandValueFromModel", (None, 0, None)),
    ("Model_addOperation", (None, 0, 0, None, 0, None)),
    ("Model_identifyInputsAndOutputs", (None, 0, None, 0, None)),
    ("Model_relaxComputationFloat32toFloat16", (None, True)),
    ("Model_getSupportedOperationsForDevices", (None, None, 0, None)),
    ("Model_getExtensionOperandType", (None, None, 0, None)),
    ("Model_getExtensionOperationType", (None, None, 0, None)),
    ("Model_setOperandExtensionData", (None, 0, None, 0)),
    ("getDeviceCount", (None,)),
    ("getDevice", (0, None)),
    ("Device_getName", (None, None)),
    ("Device_getVersion", (None, None)),
    ("Device_getType", (None, None)),
    ("Device_getFeatureLevel", (None, None)),
    ("Device_getExtensionSupport", (None, None, None)),
    ("Device_wait", (None,)),
    ("Compilation_create", (None, None)),
    ("Compilation_createForDevices", (None, None, 0, None)),
    ("Compilation_setPreference", (None, 0)),
    ("Compilation_setPriority", (None, 100)),
    ("Compilation_setTimeout", (None, 0)),
    ("Compilation_setCaching", (None, None, None)),
    ("Compilation_finish", (None,)),
    ("Burst_create", (None, None)),
    ("Execution_create", (None, None)),
    ("Execution_setInput", (None, 0, None, None, 0)),
    ("Execution_setInputFromMemory", (None, 0, None, None, 0, 0)),
    ("Execution_setOutput", (None, 0, None, None, 0)),
    ("Execution_setOutputFromMemory", (None, 0, None, None, 0, 0)),
    ("Execution_compute", (None,)),
    ("Execution_burstCompute", (None, None)),
    ("Execution_startCompute", (None, None)),
    ("Execution_startComputeWithDependencies", (None, None, 0, 0, None)),
    ("Execution_enableInputAndOutputPadding", (None, True)),
    ("Execution_setReusable", (None, True)),
    ("Execution_setMeasureTiming", (None, True)),
    ("Execution_setTimeout", (None, 0)),
    ("Execution_setLoopTimeout", (None, 0)),
    ("Execution_getDuration", (None, 0, None)),
    ("Execution_getOutputOperandRank", (None, 0, None)),
    ("Execution_getOutputOperandDimensions", (None, 0, None)),
    ("Event_wait", (None,)),
    ("Event_createFromSyncFenceFd", (0, None)),
    ("Event_getSyncFenceFd", (None, None)),
    ("Memory_createFromFd", (1, 1, 0, 0, None)),
    ("Memory_createFromAHardwareBuffer", (None, None)),
    ("Memory_createFromDesc", (None, None)),
    ("Memory_copy", (None, None)),
    ("MemoryDesc_create", (None,)),
    ("MemoryDesc_addInputRole", (None, None, 0, 1.0)),
    ("MemoryDesc_addOutputRole", (None, None, 0, 1.0)),
    ("MemoryDesc_setDimensions", (None, 0, None)),
    ("MemoryDesc_finish", (None,)),
]


@pytest.mark.parametrize(("name", "arguments"), NULL_CALLS, ids=[row[0] for row in NULL_CALLS])
def test_null_is_refused(lib: Library, name: str, arguments: tuple[object, ...]) -> None:
    refused(getattr(lib, name)(*arguments), NULL)


def test_result_pointers_are_set_to_null(lib: Library) -> None:
    for name, arguments in {
        "Compilation_create": (None,),
        "Execution_create": (None,),
        "Burst_create": (None,),
        "Memory_createFromDesc": (None,),
        "Memory_createFromAHardwareBuffer": (None,),
        "Execution_startCompute": (None,),
    }.items():
        result = ctypes.c_void_p(1)
        refused(getattr(lib, name)(*arguments, ctypes.byref(result)), NULL)
        assert result.value is None, name


@pytest.mark.parametrize(
    "name", ["Model", "Compilation", "Execution", "Burst", "Event", "Memory", "MemoryDesc"]
)
def test_freeing_null_does_nothing(lib: Library, name: str) -> None:
    getattr(lib, f"{name}_free")(None)
