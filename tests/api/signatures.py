"""Calls made from the table of functions: good arguments for each, and each argument spoilt."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnapi_testkit.spec.codes import OperandCode
from tests.driver.capi import (
    TABLE,
    Compilation,
    Execution,
    Handle,
    Library,
    Model,
    add_model,
    later,
    ok,
)

PREFIX = "ANeuralNetworks"
FUNCTIONS: dict[str, Any] = TABLE["functions"]
FREES = tuple(name for name in FUNCTIONS if name.endswith("_free"))


@dataclass
class World:
    """Objects in the states that functions want, and buffers that outlive the calls."""

    lib: Library
    keep: list[Any] = field(default_factory=list)

    def building(self) -> Model:
        """A model with two operands and no operation, not finished."""
        model = Model(self.lib)
        for _ in range(2):
            model.operand(OperandCode.TENSOR_FLOAT32, (2, 2))
        self.keep.append(model)
        return model

    def compiling(self) -> Compilation:
        """A compilation that is not finished."""
        compilation = Compilation(self.keepers(add_model(self.lib)))
        self.keep.append(compilation)
        return compilation

    def compiled(self) -> Compilation:
        """A finished compilation."""
        compilation: Compilation = self.keepers(add_model(self.lib)).compile()
        self.keep.append(compilation)
        return compilation

    def execution(self, computed: bool = False) -> Execution:
        """An execution with all arguments set, perhaps completed."""
        execution = Execution(self.compiled())
        for index in range(2):
            ok(execution.input(index, np.ones((2, 2), np.float32)))
        ok(execution.output(0, np.zeros((2, 2), np.float32)))
        if computed:
            ok(execution.compute())
        self.keep.append(execution)
        return execution

    def keepers(self, model: Model) -> Model:
        """The model, kept alive."""
        self.keep.append(model)
        return model

    def memory(self) -> ctypes.c_void_p:
        """One page of shared memory."""
        fd = os.memfd_create("page")
        os.ftruncate(fd, mmap.PAGESIZE)
        handle = ctypes.c_void_p()
        ok(self.lib.Memory_createFromFd(mmap.PAGESIZE, 3, fd, 0, ctypes.byref(handle)))
        os.close(fd)
        later(self.lib, "Memory_free", handle)
        return handle

    def description(self, finished: bool) -> ctypes.c_void_p:
        """A memory descriptor with one role."""
        handle = ctypes.c_void_p()
        ok(self.lib.MemoryDesc_create(ctypes.byref(handle)))
        compilation = self.compiled()
        ok(self.lib.MemoryDesc_addInputRole(handle, compilation.handle, 0, 1.0))
        if finished:
            ok(self.lib.MemoryDesc_finish(handle))
        later(self.lib, "MemoryDesc_free", handle)
        return handle

    def event(self) -> ctypes.c_void_p:
        """The event of a started execution."""
        event: ctypes.c_void_p = self.execution().start()
        if not any(handle.handle is event for handle in Handle._living):
            later(self.lib, "Event_free", event)
        return event

    def buffer(self, size: int = 4096) -> Any:
        """Zeros."""
        self.keep.append(ctypes.create_string_buffer(size))
        return self.keep[-1]

    def slot(self) -> Any:
        """Where a function may leave a handle or number; never read."""
        return self.buffer(64)


FINISHED_COMPILATION = {
    "Execution_create",
    "Burst_create",
    "Compilation_getPreferredMemoryAlignmentForInput",
    "Compilation_getPreferredMemoryPaddingForInput",
    "Compilation_getPreferredMemoryAlignmentForOutput",
    "Compilation_getPreferredMemoryPaddingForOutput",
    "MemoryDesc_addInputRole",
    "MemoryDesc_addOutputRole",
}
FINISHED_MODEL = {
    "Compilation_create",
    "Compilation_createForDevices",
    "Model_getSupportedOperationsForDevices",
}
COMPLETED = {
    "Execution_getOutputOperandRank",
    "Execution_getOutputOperandDimensions",
    "Execution_getDuration",
}


def good_arguments(world: World, function: str) -> list[Any]:
    """Arguments with which the function (by its short name) does no harm."""
    lib = world.lib
    row = FUNCTIONS[full(function)]
    made: list[Any] = []
    for kind, name in row["params"]:
        made.append(_argument(world, lib, function, kind, name))
    return made


def full(function: str) -> str:
    """The exported name."""
    return PREFIX + function


def _argument(world: World, lib: Library, function: str, kind: str, name: str) -> Any:
    bare = kind.replace("const ", "").replace(" ", "")
    if bare == "ANeuralNetworksModel*":
        if name == "value" or function in FINISHED_MODEL:
            return world.keepers(add_model(lib)).handle
        if function == "Model_finish":
            return _unfinished(world).handle
        return world.building().handle
    if bare == "ANeuralNetworksCompilation*":
        finished = function in FINISHED_COMPILATION
        return (world.compiled() if finished else world.compiling()).handle
    if bare == "ANeuralNetworksExecution*":
        if function == "Execution_burstCompute":
            execution = world.execution()
            world.keep.append(("burst", execution.compilation))
            return execution.handle
        return world.execution(computed=function in COMPLETED).handle
    if bare == "ANeuralNetworksBurst*":
        compilation = next(
            (item[1] for item in reversed(world.keep) if isinstance(item, tuple)), None
        )
        compilation = compilation or world.compiled()
        burst = ctypes.c_void_p()
        ok(lib.Burst_create(compilation.handle, ctypes.byref(burst)))
        later(lib, "Burst_free", burst)
        return burst
    if bare == "ANeuralNetworksMemory*":
        return world.memory()
    if bare == "ANeuralNetworksMemoryDesc*":
        return world.description(finished=function == "Memory_createFromDesc")
    if bare == "ANeuralNetworksEvent*":
        return world.event()
    if bare == "ANeuralNetworksDevice*":
        return lib.device()
    if bare == "ANeuralNetworksDevice*const*":
        world.keep.append((ctypes.c_void_p * 1)(lib.device()))
        return world.keep[-1]
    if bare == "ANeuralNetworksEvent*const*":
        world.keep.append((ctypes.c_void_p * 1)(world.event()))
        return world.keep[-1]
    if bare.endswith("*"):
        return _data(world, function, bare, name)
    return _number(function, name)


def _unfinished(world: World) -> Model:
    """A whole model, only `finish` is missing."""
    model = Model(world.lib)
    a, b, out = (model.operand(OperandCode.TENSOR_FLOAT32, (2, 2)) for _ in range(3))
    model.add(a, b, out)
    model.identify([a, b], [out])
    world.keep.append(model)
    return model


def _data(world: World, function: str, bare: str, name: str) -> Any:
    from tests.driver.capi import ChannelQuant, operand_type

    if bare == "ANeuralNetworksOperandType*":
        world.keep.append(operand_type(OperandCode.TENSOR_FLOAT32, (2, 2)))
        return ctypes.byref(world.keep[-1])
    if bare == "ANeuralNetworksSymmPerChannelQuantParams*":
        world.keep.append((ctypes.c_float * 2)(0.5, 0.5))
        world.keep.append(ChannelQuant(0, 2, world.keep[-1]))
        return ctypes.byref(world.keep[-1])
    if name == "inputs":
        world.keep.append((ctypes.c_uint32 * 1)(0))
        return world.keep[-1]
    if name == "outputs":
        world.keep.append((ctypes.c_uint32 * 1)(1))
        return world.keep[-1]
    if bare == "char*":
        return ctypes.c_char_p(b"/tmp" if name == "cacheDir" else b"com.example.none")
    return world.buffer() if bare in ("void*", "uint8_t*") else world.slot()


def _number(function: str, name: str) -> Any:
    if name == "length":
        return 16
    if name == "size":
        return mmap.PAGESIZE
    if name in ("fd", "sync_fence_fd"):
        return -1
    if name == "preference":
        return 1
    if name == "priority":
        return 100
    if name == "rank":
        return 2
    if name in ("inputCount", "outputCount", "numDevices", "num_dependencies"):
        return 1
    return {"frequency": 1.0, "duration": 10**9, "protect": 3}.get(name, 0)


def pointers(function: str) -> Iterator[tuple[int, str]]:
    """Position and name of each pointer that a function takes."""
    for position, (kind, name) in enumerate(FUNCTIONS[full(function)]["params"]):
        if kind.rstrip().endswith("*"):
            yield position, name


def indexes(function: str) -> Iterator[tuple[int, str]]:
    """Position and name of each index that a function takes."""
    for position, (kind, name) in enumerate(FUNCTIONS[full(function)]["params"]):
        if name in ("index", "devIndex") and not kind.endswith("*"):
            yield position, name


def lengths(function: str) -> Iterator[tuple[int, str]]:
    """Position and name of each length of a buffer that a function takes."""
    for position, (_, name) in enumerate(FUNCTIONS[full(function)]["params"]):
        if name == "length":
            yield position, name


def short_names() -> list[str]:
    """All functions without their prefix."""
    return [name.removeprefix(PREFIX) for name in FUNCTIONS]


def call(world: World, function: str, arguments: list[Any]) -> Any:
    """The result of the call; what it makes is freed after the test, what it frees is not."""
    result = getattr(world.lib, function.removeprefix("_"))(*arguments)
    row = FUNCTIONS[full(function)]
    if full(function) in FREES and arguments[0] is not None:
        Handle._living[:] = [item for item in Handle._living if item.handle is not arguments[0]]
    kind = row["params"][-1][0].replace(" ", "") if row["params"] else ""
    maker = kind.removesuffix("**").removeprefix(PREFIX)
    if kind.endswith("**") and full(f"{maker}_free") in FREES and result == 0:
        made = ctypes.c_void_p.from_buffer(arguments[-1])
        later(world.lib, f"{maker}_free", ctypes.c_void_p(made.value))
    return result
