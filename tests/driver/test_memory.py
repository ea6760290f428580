"""Memory objects and device memory."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator

import numpy as np
import pytest

from nnapi_testkit.spec.codes import OperandCode, ResultCode
from tests.driver.capi import (
    Compilation,
    Execution,
    Library,
    Model,
    add_model,
    indices,
    later,
    ok,
    operand_type,
    refused,
)

F32 = OperandCode.TENSOR_FLOAT32
BOTH = mmap.PROT_READ | mmap.PROT_WRITE
PAGE = mmap.PAGESIZE
BAD_STATE = ResultCode.BAD_STATE
ONES = np.ones((2, 2), np.float32)


class File:
    """Two pages of shared memory behind a descriptor, and a NumPy view of them."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("nnapi")
        os.truncate(self.fd, 2 * PAGE)
        self.map = mmap.mmap(self.fd, 2 * PAGE)
        self.floats = np.frombuffer(self.map, np.float32)

    def memory(
        self, lib: Library, size: int = 2 * PAGE, protect: int = BOTH, offset: int = 0
    ) -> ctypes.c_void_p:
        """An NNAPI memory object over a part of the file."""
        handle = ctypes.c_void_p()
        ok(lib.Memory_createFromFd(size, protect, self.fd, offset, ctypes.byref(handle)))
        return handle


@pytest.fixture
def file() -> Iterator[File]:
    """A fresh file."""
    created = File()
    yield created
    os.close(created.fd)


# --- memory from descriptors ------------------------------------------------------------------


def test_memory_arguments_are_checked(lib: Library, file: File) -> None:
    handle = ctypes.c_void_p(1)

    def create(size: int, protect: int, fd: int, offset: int) -> int:
        handle.value = 1
        return int(lib.Memory_createFromFd(size, protect, fd, offset, ctypes.byref(handle)))

    refused(create(0, BOTH, file.fd, 0))
    refused(create(8, 64, file.fd, 0))
    refused(create(8, BOTH, -1, 0))
    refused(create(8, BOTH, 10**6, 0))
    refused(create(8, BOTH, file.fd, 8))
    refused(create(2 * PAGE + 1, BOTH, file.fd, 0))
    refused(create(PAGE + 1, BOTH, file.fd, PAGE))
    refused(create(8, BOTH, file.fd, 4 * PAGE))
    assert handle.value is None
    reading, writing = os.pipe()
    refused(create(8, BOTH, reading, 0), ResultCode.UNMAPPABLE)
    os.close(reading)
    os.close(writing)
    ok(create(8, 0, file.fd, PAGE))
    lib.Memory_free(handle)


def test_inputs_and_outputs_in_memory(lib: Library, file: File) -> None:
    memory, second = file.memory(lib), file.memory(lib, PAGE, BOTH, PAGE)
    file.floats[:8] = np.arange(8)
    execution = Execution(add_model(lib).compile())
    handle = execution.handle
    ok(lib.Execution_setInputFromMemory(handle, 0, None, memory, 0, 16))
    ok(lib.Execution_setInputFromMemory(handle, 1, None, memory, 16, 16))
    ok(lib.Execution_setOutputFromMemory(handle, 0, None, second, 32, 16))
    ok(execution.compute())
    start = PAGE // 4 + 8
    assert file.floats[start : start + 4].tolist() == [4, 6, 8, 10]
    assert not file.floats[start - 8 : start].any() and not file.floats[start + 4 :].any()
    lib.Memory_free(memory)
    lib.Memory_free(second)


@pytest.mark.documented
def test_regions_are_checked(lib: Library, file: File) -> None:
    memory, none = file.memory(lib), file.memory(lib, PAGE, 0)
    read, write = file.memory(lib, PAGE, mmap.PROT_READ), file.memory(lib, PAGE, mmap.PROT_WRITE)
    execution = Execution(add_model(lib).compile())
    for call in (lib.Execution_setInputFromMemory, lib.Execution_setOutputFromMemory):
        handle = execution.handle
        refused(call(handle, 0, None, None, 0, 16), ResultCode.UNEXPECTED_NULL)
        refused(call(handle, 0, None, memory, 2 * PAGE - 12, 16))
        refused(call(handle, 0, None, memory, 2**64 - 4, 16))
        refused(call(handle, 0, None, memory, 0, 12))
        refused(call(handle, 0, None, none, 0, 16))
        refused(call(handle, 3, None, memory, 0, 16))
        ok(call(handle, 0, None, memory, 2 * PAGE - 16, 16))
    refused(lib.Execution_setInputFromMemory(execution.handle, 0, None, write, 0, 16))
    refused(lib.Execution_setOutputFromMemory(execution.handle, 0, None, read, 0, 16))
    for handle in (memory, none, read, write):
        lib.Memory_free(handle)


def test_regions_need_no_alignment(lib: Library, file: File) -> None:
    """The reference knows preferred alignments only: "a driver may ... do memory copying"."""
    memory, raw = file.memory(lib), file.floats.view(np.uint8)
    for first in (1, 18, 35):
        raw[first : first + 16] = np.arange(4, dtype=np.float32).view(np.uint8)
    model = Model(lib)
    a, b, c, sum_, out = (model.operand(F32, [4]) for _ in range(5))
    ok(lib.Model_setOperandValueFromMemory(model.handle, c, memory, 35, 16))
    model.add(a, b, sum_)
    model.add(sum_, c, out)
    execution = Execution(model.finished([a, b], [out]).compile())
    ok(lib.Execution_setInputFromMemory(execution.handle, 0, None, memory, 1, 16))
    ok(lib.Execution_setInputFromMemory(execution.handle, 1, None, memory, 18, 16))
    ok(lib.Execution_setOutputFromMemory(execution.handle, 0, None, memory, 103, 16))
    ok(execution.compute())
    assert raw[103:119].copy().view(np.float32).tolist() == [0, 3, 6, 9]
    assert not raw[51:103].any() and not raw[119:200].any()
    lib.Memory_free(memory)


def test_constants_in_memory(lib: Library, file: File) -> None:
    memory = file.memory(lib)
    file.floats[:8] = np.arange(8)
    model = Model(lib)
    a, b, out = (model.operand(F32, [4]) for _ in range(3))
    call = lib.Model_setOperandValueFromMemory
    refused(call(model.handle, b, None, 16, 16), ResultCode.UNEXPECTED_NULL)
    refused(call(model.handle, b, memory, 2 * PAGE - 8, 16))
    refused(call(model.handle, b, memory, 16, 12))
    refused(call(model.handle, 9, memory, 16, 16))
    ok(call(model.handle, b, memory, 16, 16))
    model.add(a, b, out)
    model.finished([a], [out])
    compilation = model.compile()
    lib.Memory_free(memory)  # the mapping lives on while the model uses it
    execution, result = Execution(compilation), np.zeros(4, np.float32)
    ok(execution.input(0, np.ones(4, np.float32)))
    ok(execution.output(0, result))
    ok(execution.compute())
    assert result.tolist() == [5, 6, 7, 8]


def test_descriptors_are_duplicated_and_released(lib: Library) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        file = File()
        memory = file.memory(lib)
        os.close(file.fd)
        lib.Memory_free(memory)
        del file.floats
        file.map.close()
    assert len(os.listdir("/proc/self/fd")) == before


# --- device memory ----------------------------------------------------------------------------


def describe(lib: Library, *roles: tuple[Compilation, str, int]) -> ctypes.c_void_p:
    """A memory descriptor with these roles, not finished."""
    desc = ctypes.c_void_p()
    ok(lib.MemoryDesc_create(ctypes.byref(desc)))
    for compilation, side, index in roles:
        ok(getattr(lib, f"MemoryDesc_add{side}Role")(desc, compilation.handle, index, 1.0))
    return desc


def device_memory(lib: Library, *roles: tuple[Compilation, str, int]) -> ctypes.c_void_p:
    """Device memory for these roles."""
    desc, memory = describe(lib, *roles), ctypes.c_void_p()
    ok(lib.MemoryDesc_finish(desc))
    ok(lib.Memory_createFromDesc(desc, ctypes.byref(memory)))
    lib.MemoryDesc_free(desc)
    return memory


@pytest.mark.documented
def test_descriptors_of_memory_are_checked(lib: Library) -> None:
    compilation = add_model(lib).compile()
    unfinished = Compilation(add_model(lib))
    other = add_model(lib, (3,)).compile()
    desc, memory = describe(lib), ctypes.c_void_p()
    refused(lib.MemoryDesc_finish(desc))  # no roles
    add = lib.MemoryDesc_addInputRole
    refused(add(desc, unfinished.handle, 0, 1.0), BAD_STATE)
    refused(add(desc, None, 0, 1.0), ResultCode.UNEXPECTED_NULL)
    refused(add(desc, compilation.handle, 2, 1.0))
    for frequency in (0.0, -1.0, 1.5, float("nan")):
        refused(add(desc, compilation.handle, 0, frequency))
    ok(add(desc, compilation.handle, 0, 0.5))
    refused(add(desc, compilation.handle, 0, 0.5))  # twice
    refused(add(desc, other.handle, 0, 1.0))  # other dimensions
    ok(lib.MemoryDesc_addOutputRole(desc, compilation.handle, 0, 1.0))
    refused(lib.MemoryDesc_setDimensions(desc, 2, indices([2, 3])))
    refused(lib.MemoryDesc_setDimensions(desc, 1, indices([4])))
    refused(lib.MemoryDesc_setDimensions(desc, 1, indices([2])))  # equal as far as it goes
    ok(lib.MemoryDesc_setDimensions(desc, 2, indices([2, 0])))
    refused(lib.Memory_createFromDesc(desc, ctypes.byref(memory)), BAD_STATE)
    ok(lib.MemoryDesc_finish(desc))
    refused(lib.MemoryDesc_finish(desc), BAD_STATE)
    refused(add(desc, compilation.handle, 1, 1.0), BAD_STATE)
    refused(lib.MemoryDesc_setDimensions(desc, 2, indices([2, 2])), BAD_STATE)
    lib.MemoryDesc_free(desc)


@pytest.mark.parametrize("dims", [(2, 2), None])
def test_device_memory_between_executions(lib: Library, dims: tuple[int, int] | None) -> None:
    compilation = add_model(lib, dims).compile()
    memory = device_memory(lib, (compilation, "Output", 0), (compilation, "Input", 1))
    kind = ctypes.byref(operand_type(F32, [2, 2]))

    def execution(first: str) -> tuple[Execution, np.ndarray]:
        created, result = Execution(compilation), np.zeros((2, 2), np.float32)
        ok(created.input(0, ONES, operand_type(F32, [2, 2])))
        if first == "write":
            ok(created.input(1, ONES, operand_type(F32, [2, 2])))
            ok(lib.Execution_setOutputFromMemory(created.handle, 0, kind, memory, 0, 0))
        else:
            ok(lib.Execution_setInputFromMemory(created.handle, 1, None, memory, 0, 0))
            ok(created.output(0, result))
        return created, result

    early, _ = execution("read")
    refused(early.compute())  # uninitialized
    writing, _ = execution("write")
    ok(writing.compute())
    reading, result = execution("read")
    ok(reading.compute())
    assert (result == 3).all()
    handle = reading.handle
    fresh = Execution(compilation).handle
    refused(lib.Execution_setInputFromMemory(fresh, 0, None, memory, 0, 0))  # no such role
    refused(lib.Execution_setInputFromMemory(fresh, 1, None, memory, 0, 16))
    refused(lib.Execution_setInputFromMemory(handle, 1, None, memory, 0, 0), BAD_STATE)
    model = Model(lib)
    index = model.operand(F32, [2, 2])
    refused(lib.Model_setOperandValueFromMemory(model.handle, index, memory, 0, 16))
    lib.Memory_free(memory)


def test_failed_execution_uninitializes_device_memory(lib: Library) -> None:
    compilation = add_model(lib).compile()
    memory = device_memory(lib, (compilation, "Output", 0))
    file = File()
    target = file.memory(lib, 16)
    for timeout, code in ((0, ResultCode.NO_ERROR), (1, ResultCode.BAD_DATA)):
        execution = Execution(compilation)
        ok(execution.input(0, ONES))
        ok(execution.input(1, ONES))
        ok(lib.Execution_setOutputFromMemory(execution.handle, 0, None, memory, 0, 0))
        ok(lib.Execution_setTimeout(execution.handle, timeout))
        assert (execution.compute() == 0) == (timeout == 0)
        assert lib.Memory_copy(memory, target) == code
    assert file.floats[:4].tolist() == [2, 2, 2, 2]
    later(lib, "Memory_free", memory, target)


@pytest.mark.parametrize("source", ["uninitialized", "unreadable"])
def test_failed_copy_uninitializes_device_memory(lib: Library, file: File, source: str) -> None:
    compilation = add_model(lib).compile()
    device, empty = (device_memory(lib, (compilation, "Input", 0)) for _ in range(2))
    good, unreadable = file.memory(lib, 16), file.memory(lib, 16, mmap.PROT_WRITE)
    refused(lib.Memory_copy(device, device))  # to itself, and still nothing is in it
    ok(lib.Memory_copy(good, device))
    ok(lib.Memory_copy(device, device))
    ok(lib.Memory_copy(device, good))
    refused(lib.Memory_copy(empty if source == "uninitialized" else unreadable, device))
    refused(lib.Memory_copy(device, good))
    later(lib, "Memory_free", device, empty, good, unreadable)


def test_a_copy_brings_its_shape(lib: Library, file: File) -> None:
    """Device memory of open dimensions has those of the last copy, or of the last execution."""
    compilation = add_model(lib, None).compile()
    source, target = (
        device_memory(lib, (compilation, "Output", 0), (compilation, "Input", 1)) for _ in range(2)
    )
    for dims in ((2, 3), (3, 2), (6,), (1, 4)):
        kind = operand_type(F32, dims)
        writing, reading = Execution(compilation), Execution(compilation)
        ones, result = np.ones(dims, np.float32), np.zeros(dims, np.float32)
        for index in range(2):
            ok(writing.input(index, ones, kind))
        ok(lib.Execution_setOutputFromMemory(writing.handle, 0, None, source, 0, 0))
        ok(writing.compute())
        ok(lib.Memory_copy(source, target))
        ok(reading.input(0, ones, kind))
        ok(lib.Execution_setInputFromMemory(reading.handle, 1, None, target, 0, 0))
        ok(reading.output(0, result))
        ok(reading.compute())
        assert reading.shape(0) == (0, list(dims))
        assert (result == 3).all()
    later(lib, "Memory_free", source, target)


def test_descriptors_of_too_much_memory_are_refused(lib: Library) -> None:
    desc = describe(lib, (add_model(lib, None).compile(), "Input", 0))
    ok(lib.MemoryDesc_setDimensions(desc, 3, indices([2**31, 2**31, 4])))  # 2^66 bytes
    refused(lib.MemoryDesc_finish(desc))
    lib.MemoryDesc_free(desc)


def test_copies(lib: Library, file: File) -> None:
    compilation, other = add_model(lib).compile(), add_model(lib, (3,)).compile()
    device, second = (device_memory(lib, (compilation, "Input", 0)) for _ in range(2))
    third = device_memory(lib, (other, "Input", 0))
    small, large = file.memory(lib, 16), file.memory(lib, 32)
    copy = file.memory(lib, 16, BOTH, PAGE)
    file.floats[:4] = [1, 2, 3, 4]
    refused(lib.Memory_copy(device, small))  # uninitialized
    refused(lib.Memory_copy(large, device))
    refused(lib.Memory_copy(small, large))
    ok(lib.Memory_copy(small, device))
    refused(lib.Memory_copy(device, large))
    refused(lib.Memory_copy(device, third))
    ok(lib.Memory_copy(device, second))
    ok(lib.Memory_copy(second, copy))
    assert file.floats[PAGE // 4 : PAGE // 4 + 4].tolist() == [1, 2, 3, 4]
    refused(lib.Memory_copy(large, device))
    refused(lib.Memory_copy(device, second))  # the failed copy made it uninitialized
    read, write = file.memory(lib, 16, mmap.PROT_READ), file.memory(lib, 16, mmap.PROT_WRITE)
    refused(lib.Memory_copy(small, read))
    refused(lib.Memory_copy(write, small))
    later(lib, "Memory_free", device, second, third, small, large, copy, read, write)


def test_hardware_buffers_are_not_available(lib: Library) -> None:
    memory = ctypes.c_void_p(1)
    buffer = ctypes.create_string_buffer(8)
    call = lib.Memory_createFromAHardwareBuffer
    refused(call(buffer, ctypes.byref(memory)), ResultCode.UNMAPPABLE)
    assert memory.value is None
