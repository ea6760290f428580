"""Thousands of compilations and executions: memory, descriptors, mappings, threads are counted."""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nnapi_testkit.spec.codes import ResultCode
from tests.driver.capi import Compilation, Execution, Library, Model, add_model, ok, refused
from tests.driver.test_control_flow import constant_add, doubling, if_model

ROUNDS = 3_000
SLACK_KB = 2_048  # what the allocator may keep
RESIDENT_TRIES = 4
LOST_BYTES = 64 * ROUNDS  # of what was allocated and not freed, Python's own share included


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    resident_kb: int
    allocated: int  # bytes, by malloc
    descriptors: int
    mappings: int
    threads: int

    @classmethod
    def now(cls) -> Held:
        """By this process, garbage collected."""
        gc.collect()
        status = Path("/proc/self/status").read_text().splitlines()
        (resident,) = (line for line in status if line.startswith("VmRSS"))
        return cls(
            int(resident.split()[1]),
            allocated_bytes(),
            len(os.listdir("/proc/self/fd")),
            len(Path("/proc/self/maps").read_text().splitlines()),
            len(os.listdir("/proc/self/task")),
        )


class MallInfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def allocated_bytes() -> int:
    """What malloc has handed out and nobody has freed; 0 where the C library does not say."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    mallinfo.restype = MallInfo
    info = mallinfo()
    return int(info.uordblks + info.hblkhd)


def leaves_nothing(work: Callable[[], None]) -> None:
    """Fails if the work leaves anything behind.

    A leak leaves as much each time. Resident memory alone is asked again: the kernel gives pages
    to a large process late, whatever runs in it at that moment.
    """
    grown = []
    for _ in range(RESIDENT_TRIES):
        before = Held.now()
        work()
        after = Held.now()
        assert after.descriptors == before.descriptors
        assert after.threads == before.threads
        assert after.mappings - before.mappings < 20  # the allocator maps what it keeps
        assert after.allocated - before.allocated < LOST_BYTES
        grown.append(after.resident_kb - before.resident_kb)
        if grown[-1] < SLACK_KB:
            return
    raise AssertionError(f"resident memory grew by {grown} KB in {RESIDENT_TRIES} tries")


def repeat(once: Callable[[int], None]) -> None:
    """Calls it thousands of times; after the first hundreds nothing more may stay."""

    def calls(count: int) -> None:
        for number in range(count):
            once(number)

    calls(300)
    leaves_nothing(lambda: calls(ROUNDS))


@dataclass
class Life:
    """A model's whole life; the sums come out right, and everything is freed."""

    lib: Library
    number: int
    folder: str = ""  # of the cache

    def run(self, path: str) -> None:
        """By one path."""
        model = add_model(self.lib)
        compilation = Compilation(model)
        if path == "cached":
            token = (ctypes.c_uint8 * 32)(self.number % 4)
            ok(self.lib.Compilation_setCaching(compilation.handle, self.folder.encode(), token))
        ok(self.lib.Compilation_finish(compilation.handle))
        execution = Execution(compilation)
        number = np.full((2, 2), self.number, np.float32)
        out = np.zeros((2, 2), np.float32)
        set_arguments(execution, path, number, out)
        PATHS[path](self, execution, out)
        assert path == "missed" or (out == 2 * self.number).all()
        execution.free()
        compilation.free()
        model.free()

    def compute(self, execution: Execution, _: NDArray[np.float32]) -> None:
        """At once."""
        ok(execution.compute())

    def start(self, execution: Execution, _: NDArray[np.float32]) -> None:
        """By an event."""
        event = execution.start()
        ok(self.lib.Event_wait(event))
        self.lib.Event_free(event)

    def burst(self, execution: Execution, _: NDArray[np.float32]) -> None:
        """By a burst."""
        burst = ctypes.c_void_p()
        ok(self.lib.Burst_create(execution.compilation.handle, ctypes.byref(burst)))
        ok(self.lib.Execution_burstCompute(execution.handle, burst))
        self.lib.Burst_free(burst)

    def reuse(self, execution: Execution, out: NDArray[np.float32]) -> None:
        """Twice."""
        ok(self.lib.Execution_setReusable(execution.handle, True))
        for _ in range(2):
            out[:] = 0
            ok(execution.compute())

    def fenced(self, execution: Execution, _: NDArray[np.float32]) -> None:
        """After a fence, and with a fence that others can wait for."""
        ends = os.pipe()
        before, event, fence = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int(-1)
        ok(self.lib.Event_createFromSyncFenceFd(ends[0], ctypes.byref(before)))
        ok(
            self.lib.Execution_startComputeWithDependencies(
                execution.handle, (ctypes.c_void_p * 1)(before), 1, 0, ctypes.byref(event)
            )
        )
        ok(self.lib.Event_getSyncFenceFd(event, ctypes.byref(fence)))
        os.write(ends[1], b"!")
        ok(self.lib.Event_wait(event))
        for end in (*ends, fence.value):
            os.close(end)
        self.lib.Event_free(event)
        self.lib.Event_free(before)

    def file(self) -> tuple[ctypes.c_void_p, int]:
        """A page of memory and its file."""
        memory, fd = ctypes.c_void_p(), os.memfd_create("page")
        os.ftruncate(fd, mmap.PAGESIZE)
        ok(self.lib.Memory_createFromFd(16, 3, fd, 0, ctypes.byref(memory)))
        return memory, fd

    def files(self, execution: Execution, out: NDArray[np.float32]) -> None:
        """From one file to another."""
        (source, first), (result, second) = self.file(), self.file()
        os.pwrite(first, np.full(4, self.number, np.float32).tobytes(), 0)
        ok(self.lib.Execution_setInputFromMemory(execution.handle, 0, None, source, 0, 16))
        ok(self.lib.Execution_setOutputFromMemory(execution.handle, 0, None, result, 0, 16))
        ok(execution.compute())
        out[:] = np.frombuffer(os.pread(second, 16, 0), np.float32).reshape(2, 2)
        self.drop((source, first), (result, second))

    def drop(self, *files: tuple[ctypes.c_void_p, int]) -> None:
        """Frees memories and closes their files."""
        for memory, fd in files:
            self.lib.Memory_free(memory)
            os.close(fd)

    def device_memory(self, execution: Execution, out: NDArray[np.float32]) -> None:
        """To memory of the device, and from there to a file."""
        handle = execution.compilation.handle
        description, memory = ctypes.c_void_p(), ctypes.c_void_p()
        ok(self.lib.MemoryDesc_create(ctypes.byref(description)))
        ok(self.lib.MemoryDesc_addOutputRole(description, handle, 0, 1.0))
        ok(self.lib.MemoryDesc_finish(description))
        ok(self.lib.Memory_createFromDesc(description, ctypes.byref(memory)))
        ok(self.lib.Execution_setOutputFromMemory(execution.handle, 0, None, memory, 0, 0))
        ok(execution.compute())
        copy, fd = self.file()
        ok(self.lib.Memory_copy(memory, copy))
        out[:] = np.frombuffer(os.pread(fd, 16, 0), np.float32).reshape(2, 2)
        self.drop((copy, fd))
        self.lib.Memory_free(memory)
        self.lib.MemoryDesc_free(description)

    def missed(self, execution: Execution, _: NDArray[np.float32]) -> None:
        """Too late, by an event that nobody waits for."""
        ok(self.lib.Execution_setTimeout(execution.handle, 1))
        self.lib.Event_free(execution.start())
        refused(execution.compute(), ResultCode.BAD_STATE)


PATHS: dict[str, Callable[[Life, Execution, NDArray[np.float32]], None]] = {
    "compute": Life.compute,
    "start": Life.start,
    "burst": Life.burst,
    "reuse": Life.reuse,
    "fenced": Life.fenced,
    "files": Life.files,
    "device memory": Life.device_memory,
    "cached": Life.compute,
    "missed": Life.missed,
}


@pytest.mark.parametrize("path", PATHS)
def test_thousands_of_lives_leave_nothing(lib: Library, path: str, tmp_path: Path) -> None:
    """Compiled and executed again and again."""
    repeat(lambda number: Life(lib, number, str(tmp_path)).run(path))
    assert len(list(tmp_path.iterdir())) == (4 if path == "cached" else 0)


def set_arguments(
    execution: Execution, path: str, number: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Sets what the path does not set itself: an argument is set once."""
    for index in range(2):
        if (path, index) != ("files", 0):
            ok(execution.input(index, number))
    if path not in ("files", "device memory"):
        ok(execution.output(0, out))


@pytest.mark.parametrize("path", [path for path in PATHS if path != "cached"])
def test_thousands_of_executions_leave_nothing(lib: Library, path: str) -> None:
    """Of one compilation."""
    model = add_model(lib)
    compilation = model.compile()
    number, out = np.full((2, 2), 3, np.float32), np.zeros((2, 2), np.float32)

    def once(_: int) -> None:
        execution = Execution(compilation)
        out[:] = 0
        set_arguments(execution, path, number, out)
        PATHS[path](Life(lib, 3), execution, out)
        assert path == "missed" or (out == 6).all()
        execution.free()

    repeat(once)


def test_models_in_models_leave_nothing(lib: Library) -> None:
    """Referenced models are freed with the last that refers to them."""
    value, out = np.ones(2, np.float32), np.zeros(2, np.float32)

    def once(_: int) -> None:
        yes, no = doubling(lib), constant_add(lib, 5)
        model = if_model(lib, yes, no)
        compilation = model.compile()
        execution = Execution(compilation)
        ok(execution.input(0, np.ones(1, np.bool_)))
        ok(execution.input(1, value))
        ok(execution.output(0, out))
        for item in (yes, no, model, compilation):
            item.free()
        ok(execution.compute())
        assert (out == 2).all()
        execution.free()

    repeat(once)


def test_refusals_leave_nothing(lib: Library) -> None:
    def once(_: int) -> None:
        model = Model(lib)
        model.operand(0)
        refused(model.finish())
        model.free()
        good = add_model(lib)
        compilation = Compilation(good)
        refused(lib.Compilation_setPriority(compilation.handle, 12345))
        none = ctypes.c_void_p()
        refused(lib.Execution_create(compilation.handle, ctypes.byref(none)), ResultCode.BAD_STATE)
        compilation.free()
        good.free()

    repeat(once)


def test_a_lost_descriptor_is_noticed() -> None:
    lost: list[int] = []
    with pytest.raises(AssertionError, match="descriptors"):
        leaves_nothing(lambda: lost.append(os.memfd_create("lost")))
    for descriptor in lost:
        os.close(descriptor)


def test_lost_memory_is_noticed() -> None:
    """A hundred bytes a round."""
    if allocated_bytes() == 0:
        pytest.skip("the C library does not count")
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    lost: list[int] = []
    with pytest.raises(AssertionError, match="allocated"):
        leaves_nothing(lambda: lost.extend(libc.malloc(100) for _ in range(ROUNDS)))
    for address in lost:
        libc.free(address)


def test_lost_mappings_are_noticed() -> None:
    """Of two kinds in turn, or the kernel would join them."""
    lost: list[mmap.mmap] = []

    def lose() -> None:
        lost.extend(mmap.mmap(-1, mmap.PAGESIZE, prot=1 + 2 * (n % 2)) for n in range(50))

    with pytest.raises(AssertionError, match="mappings"):
        leaves_nothing(lose)
    for page in lost:
        page.close()


def test_resident_memory_that_grows_each_time_is_noticed() -> None:
    """One mapping the more, which malloc does not count."""
    lost: list[mmap.mmap] = []

    def lose() -> None:
        page = mmap.mmap(-1, 2 * SLACK_KB * 1024)
        page[:: mmap.PAGESIZE] = bytes(len(page) // mmap.PAGESIZE)
        lost.append(page)

    with pytest.raises(AssertionError, match="resident"):
        leaves_nothing(lose)
    assert len(lost) == RESIDENT_TRIES
    for page in lost:
        page.close()


def test_resident_memory_that_grows_once_is_no_leak() -> None:
    lost: list[mmap.mmap] = []

    def lose() -> None:
        if not lost:
            lost.append(mmap.mmap(-1, 2 * SLACK_KB * 1024))
            lost[0][:: mmap.PAGESIZE] = bytes(len(lost[0]) // mmap.PAGESIZE)

    leaves_nothing(lose)
    lost[0].close()


def test_objects_may_go_in_any_order(lib: Library) -> None:
    """Model and compilation are freed first; what was started still comes out right."""
    model = add_model(lib)
    compilation = model.compile()
    execution = Execution(compilation)
    a, out = np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)
    for index in range(2):
        ok(execution.input(index, a))
    ok(execution.output(0, out))
    model.free()
    compilation.free()
    event = execution.start()
    execution.free()
    ok(lib.Event_wait(event))
    lib.Event_free(event)
    assert (out == 2).all()
