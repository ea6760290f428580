"""Objects of the API in each of their states, and the states in which a function takes them."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnapi_testkit.spec.codes import OperandCode, ResultCode
from tests.driver.capi import (
    Compilation,
    Execution,
    Library,
    Model,
    add_model,
    later,
    ok,
)

READ, WRITE = 1, 2


@dataclass
class World:
    """Makes objects, keeps them and their buffers alive, and lets go of what waits."""

    lib: Library
    keep: list[Any] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    held: list[tuple[int, ctypes.c_void_p]] = field(default_factory=list)
    compiled: Compilation | None = None

    def kept(self, item: Any) -> Any:
        """The item, alive as long as this world."""
        self.keep.append(item)
        return item

    def close(self) -> None:
        """Lets executions that were held back complete, and closes files."""
        for end, event in self.held:
            os.write(end, b"!")
            ok(self.lib.Event_wait(event))
        for fd in self.files:
            os.close(fd)

    def model(self, state: str) -> ctypes.c_void_p:
        """`building`: two operands; `whole`: only finish is missing; `finished`; `refused`."""
        if state == "finished":
            return self._handle(add_model(self.lib))
        model = self.kept(Model(self.lib))
        operands = [model.operand(OperandCode.TENSOR_FLOAT32, (2, 2)) for _ in range(3)]
        if state == "whole":
            model.add(*operands)
            model.identify(operands[:2], operands[2:])
        elif state == "refused":
            assert model.finish() != ResultCode.NO_ERROR
        return self._handle(model)

    def model_with(self, code: int) -> ctypes.c_void_p:
        """A model under construction whose only operand has this type."""
        model = self.kept(Model(self.lib))
        model.operand(code, None if code == OperandCode.MODEL else (2, 2))
        return self._handle(model)

    def compilation(self, state: str) -> ctypes.c_void_p:
        """`building`, `finished`, or `refused`: its time was up before it was compiled."""
        compilation = self.kept(Compilation(self.kept(add_model(self.lib))))
        if state == "refused":
            ok(self.lib.Compilation_setTimeout(compilation.handle, 1))
            assert self.lib.Compilation_finish(compilation.handle) != ResultCode.NO_ERROR
        elif state == "finished":
            ok(self.lib.Compilation_finish(compilation.handle))
        return self._handle(compilation)

    def execution(self, state: str) -> ctypes.c_void_p:
        """`fresh`: no argument is set; `preparing`: all are set; `computing`: held back by a fence;
        `completed`; `reusable`: completed, and may be started again."""
        self.compiled = self.kept(self.kept(add_model(self.lib)).compile())
        execution = self.kept(Execution(self.compiled))
        if state == "fresh":
            return self._handle(execution)
        for index in range(2):
            ok(execution.input(index, np.ones((2, 2), np.float32)))
        ok(execution.output(0, np.zeros((2, 2), np.float32)))
        ok(self.lib.Execution_setMeasureTiming(execution.handle, True))
        if state == "computing":
            event = ctypes.c_void_p()
            fence, end = self.fence(signalled=False)
            waited = (ctypes.c_void_p * 1)(fence)
            ok(
                self.lib.Execution_startComputeWithDependencies(
                    execution.handle, self.kept(waited), 1, 0, ctypes.byref(event)
                )
            )
            later(self.lib, "Event_free", event)
            self.held.append((end, event))
        if state == "reusable":
            ok(self.lib.Execution_setReusable(execution.handle, True))
        if state in ("completed", "reusable"):
            ok(execution.compute())
        return self._handle(execution)

    def burst(self, state: str) -> ctypes.c_void_p:
        """`own`: of the compilation of the newest execution; `foreign`: of another."""
        if state == "own" and self.compiled is not None:
            return self.made("Burst", self.compiled.handle)
        return self.made("Burst", self.compilation("finished"))

    def description(self, state: str) -> ctypes.c_void_p:
        """`empty`: without roles; `building`: with one; `finished`."""
        handle = self.made("MemoryDesc")
        if state != "empty":
            compilation = self.compilation("finished")
            ok(self.lib.MemoryDesc_addInputRole(handle, compilation, 0, 1.0))
        if state == "finished":
            ok(self.lib.MemoryDesc_finish(handle))
        return handle

    def memory(self, state: str) -> ctypes.c_void_p:
        """A page of a file, mapped for `reading`, `writing` or `both`; `device`: memory of another
        compilation's role, without content."""
        if state == "device":
            return self.made("Memory", self.description("finished"), maker="Memory_createFromDesc")
        protection = {"reading": READ, "writing": WRITE, "both": READ | WRITE}[state]
        return self.made(
            "Memory", mmap.PAGESIZE, protection, self.page(), 0, maker="Memory_createFromFd"
        )

    def event(self, state: str) -> ctypes.c_void_p:
        """`fence`: made from a signalled one; `unfenced`: of an execution started alone."""
        if state == "fence":
            return self.fence(signalled=True)[0]
        return self.made("Event", self.execution("preparing"), maker="Execution_startCompute")

    def fence(self, signalled: bool) -> tuple[ctypes.c_void_p, int]:
        """An event from a pipe, and the end that signals it."""
        end, other = self.pipe()
        if signalled:
            os.write(other, b"!")
        return self.made("Event", end, maker="Event_createFromSyncFenceFd"), other

    def signalled(self) -> int:
        """A descriptor that can be read from at once."""
        end, other = self.pipe()
        os.write(other, b"!")
        return end

    def pipe(self) -> tuple[int, int]:
        """The reading and the writing end of a new pipe."""
        ends = os.pipe()
        self.files += ends
        return ends

    def page(self) -> int:
        """The descriptor of a file of one page."""
        fd = os.memfd_create("page")
        self.files.append(fd)
        os.ftruncate(fd, mmap.PAGESIZE)
        return fd

    def made(self, kind: str, *arguments: Any, maker: str = "") -> ctypes.c_void_p:
        """A new object by `maker` (default: `KIND_create`), freed after the test."""
        handle = ctypes.c_void_p()
        ok(getattr(self.lib, maker or f"{kind}_create")(*arguments, ctypes.byref(handle)))
        later(self.lib, f"{kind}_free", handle)
        return handle

    def buffer(self, size: int = 4096) -> Any:
        """Zeros."""
        return self.kept(ctypes.create_string_buffer(size))

    def _handle(self, item: Any) -> ctypes.c_void_p:
        handle: ctypes.c_void_p = self.kept(item).handle
        return handle


@dataclass(frozen=True)
class Kind:
    """A type of object: how to make one, and its states."""

    make: Callable[[World, str], ctypes.c_void_p]
    states: tuple[str, ...]
    wrong: tuple[ResultCode, ...] = (ResultCode.BAD_STATE,)  # what a state that is not right gives


BAD_DATA, BAD_STATE = ResultCode.BAD_DATA, ResultCode.BAD_STATE
KINDS = {
    "Model": Kind(World.model, ("building", "whole", "finished", "refused"), (BAD_STATE, BAD_DATA)),
    "Compilation": Kind(
        World.compilation, ("building", "finished", "refused"), (BAD_STATE, BAD_DATA)
    ),
    "Execution": Kind(
        World.execution,
        ("fresh", "preparing", "computing", "completed", "reusable"),
        (BAD_STATE, BAD_DATA),  # not all arguments set: that is data
    ),
    "Burst": Kind(World.burst, ("own", "foreign"), (BAD_DATA,)),
    "MemoryDesc": Kind(World.description, ("empty", "building", "finished")),
    "Memory": Kind(World.memory, ("both", "reading", "writing", "device"), (BAD_DATA,)),
    "Event": Kind(World.event, ("fence", "unfenced"), (BAD_DATA,)),
}

_BUILDING = "building whole"
_ARGUMENT = "fresh"  # an argument is set once
_SETTER, _STARTER, _RESULT = "preparing fresh", "preparing reusable", "completed reusable"
# Function and parameter: the states in which it is taken, the usual one first. Any other state is
# an error, except those behind a slash: there the call is the caller's fault and not defined, or
# says nothing about the state (a whole model is finished by nobody twice).
STATES: dict[str, str] = {
    "Memory_free.memory": "both reading writing device",
    "Model_free.model": "building whole finished refused",
    "Model_finish.model": "whole / building",
    "Model_addOperand.model": _BUILDING,
    "Model_setOperandValue.model": _BUILDING,
    "Model_setOperandValueFromMemory.model": _BUILDING,
    "Model_setOperandValueFromMemory.memory": "both reading",
    "Model_addOperation.model": _BUILDING,
    "Model_identifyInputsAndOutputs.model": _BUILDING,
    "Model_relaxComputationFloat32toFloat16.model": _BUILDING,
    "Model_getSupportedOperationsForDevices.model": "finished",
    "Model_setOperandSymmPerChannelQuantParams.model": "building / whole",
    "Model_getExtensionOperandType.model": "/ building whole finished refused",
    "Model_getExtensionOperationType.model": "/ building whole finished refused",
    "Model_setOperandExtensionData.model": "/ building whole",
    "Model_setOperandValueFromModel.model": "building / whole",
    "Model_setOperandValueFromModel.value": "finished",
    "Compilation_create.model": "finished",
    "Compilation_createForDevices.model": "finished",
    "Compilation_free.compilation": "building finished refused",
    "Compilation_finish.compilation": "building",
    "Compilation_setPreference.compilation": "building",
    "Compilation_setCaching.compilation": "building",
    "Compilation_setPriority.compilation": "building",
    "Compilation_setTimeout.compilation": "building",
    "Compilation_getPreferredMemoryAlignmentForInput.compilation": "finished",
    "Compilation_getPreferredMemoryPaddingForInput.compilation": "finished",
    "Compilation_getPreferredMemoryAlignmentForOutput.compilation": "finished",
    "Compilation_getPreferredMemoryPaddingForOutput.compilation": "finished",
    "Execution_create.compilation": "finished",
    "Burst_create.compilation": "finished",
    "MemoryDesc_addInputRole.compilation": "finished",
    "MemoryDesc_addOutputRole.compilation": "finished",
    "Execution_free.execution": "preparing fresh completed reusable / computing",
    "Execution_setInput.execution": _ARGUMENT,
    "Execution_setInputFromMemory.execution": _ARGUMENT,
    "Execution_setInputFromMemory.memory": "both reading",
    "Execution_setOutput.execution": _ARGUMENT,
    "Execution_setOutputFromMemory.execution": _ARGUMENT,
    "Execution_setOutputFromMemory.memory": "both writing",
    "Execution_setMeasureTiming.execution": _SETTER,
    "Execution_setTimeout.execution": _SETTER,
    "Execution_setLoopTimeout.execution": _SETTER,
    "Execution_setReusable.execution": _SETTER,
    "Execution_enableInputAndOutputPadding.execution": "fresh",
    "Execution_compute.execution": _STARTER,
    "Execution_startCompute.execution": _STARTER,
    "Execution_startComputeWithDependencies.execution": _STARTER,
    "Execution_startComputeWithDependencies.dependencies": "fence unfenced",
    "Execution_burstCompute.execution": _STARTER,
    "Execution_burstCompute.burst": "own",
    "Execution_getOutputOperandRank.execution": _RESULT,
    "Execution_getOutputOperandDimensions.execution": _RESULT,
    "Execution_getDuration.execution": _RESULT,
    "Burst_free.burst": "own foreign",
    "Event_wait.event": "fence unfenced",
    "Event_free.event": "fence unfenced",
    "Event_getSyncFenceFd.event": "fence",
    "Memory_createFromDesc.desc": "finished",
    "Memory_copy.src": "both reading",
    "Memory_copy.dst": "both writing",
    "MemoryDesc_free.desc": "building empty finished",
    "MemoryDesc_addInputRole.desc": "empty / building",
    "MemoryDesc_addOutputRole.desc": "empty building",
    "MemoryDesc_setDimensions.desc": "building / empty",
    "MemoryDesc_finish.desc": "building / empty",
}


def right_states(place: str) -> tuple[str, ...]:
    """The states in which the parameter (`Function.name`) is taken, the usual one first."""
    return tuple(STATES[place].partition("/")[0].split())


def wrong_states(place: str, kind: Kind) -> tuple[str, ...]:
    """The states in which using the parameter is an error."""
    known = STATES[place].replace("/", " ").split()
    return tuple(state for state in kind.states if state not in known)
