"""Calls made from the table of functions: good arguments for each, and each argument spoilt."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nnapi_testkit.spec.codes import OperandCode, ResultCode
from tests.api.objects import KINDS, STATES, World, right_states
from tests.driver.capi import TABLE, ChannelQuant, Handle, later, operand_type

PREFIX = "ANeuralNetworks"
FUNCTIONS: dict[str, Any] = TABLE["functions"]
FREES = tuple(name for name in FUNCTIONS if name.endswith("_free"))
BAD_DATA, UNEXPECTED_NULL = ResultCode.BAD_DATA, ResultCode.UNEXPECTED_NULL

# Functions that refuse even good arguments here: no AHardwareBuffer, no extension.
NOT_HERE = {
    "Memory_createFromAHardwareBuffer": ResultCode.UNMAPPABLE,
    "Model_getExtensionOperandType": BAD_DATA,
    "Model_getExtensionOperationType": BAD_DATA,
    "Model_setOperandExtensionData": BAD_DATA,
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of one function of the table."""

    function: str  # without prefix
    position: int
    kind: str  # its C type without const and spaces
    name: str

    @property
    def place(self) -> str:
        """`Function.name`, as tables here write it."""
        return f"{self.function}.{self.name}"

    @property
    def pointer(self) -> bool:
        """Whether it can be null."""
        return self.kind.endswith("*")

    @property
    def handle(self) -> str | None:
        """The kind of object that it refers to, if that has states."""
        bare = self.kind.replace("*const*", "*")
        kind = bare.removesuffix("*").removeprefix(PREFIX)
        return kind if kind in KINDS and bare.count("*") == 1 else None


@dataclass(frozen=True)
class Numbers:
    """What a number may be (the first is the usual one), and what it must not be."""

    good: tuple[Any, ...]
    bad: tuple[Any, ...] = ()
    codes: tuple[ResultCode, ...] = (BAD_DATA,)


PAGE = mmap.PAGESIZE
_INT32_OUT = (2**31 - 1, -1, -(2**31))
_LENGTH = Numbers((16,), (0, 1, 15, 17, 4097, 2**31, 2**63, 2**64 - 1))
_OFFSET = Numbers((0, PAGE - 16), (PAGE - 12, PAGE, 2**32, 2**63, 2**64 - 1))
_TRUTH = Numbers((True, False))
_DURATION = Numbers((10**9, 0, 2**63, 2**64 - 1))
# By name, or by function and name where functions differ.
NUMBERS: dict[str, Numbers] = {
    "devIndex": Numbers((0,), (32, 1000, 2**31, 2**32 - 1)),
    "length": _LENGTH,
    "offset": _OFFSET,
    # What is read of a memory must lie in it; a value of 128 bytes or less is no exception.
    "Model_setOperandExtensionData.length": Numbers((16,), (0, 1, 2**63)),
    "Memory_createFromFd.size": Numbers((PAGE,), (0, PAGE + 1, 2**40, 2**63, 2**64 - 1)),
    "Memory_createFromFd.protect": Numbers((3, 1, 2), (4, 8, 64, -1)),
    "Memory_createFromFd.offset": Numbers((0,), (1, PAGE // 2, PAGE, 2**40, 2**63)),
    "Memory_createFromFd.fd": Numbers((-2,), (-1, -(2**31), 2**31 - 1)),  # -2: see argument()
    "sync_fence_fd": Numbers((-2,), (-1, -(2**31), 2**31 - 1)),
    # FLOOR, which takes one operand: a wrong number of them is refused at once.
    "Model_addOperation.type": Numbers((8,), (-1, 106, 9999, *_INT32_OUT)),
    # A count that takes in the third entry, which names no operand; for none see test_lifecycle.
    "inputCount": Numbers((1,), (3,)),
    "outputCount": Numbers((1,), (3,)),
    "numDevices": Numbers((1,), (0, 2, 3)),  # all entries are the same device
    "num_dependencies": Numbers((1, 0), (3,), (UNEXPECTED_NULL,)),  # the third entry is null
    "preference": Numbers((1, 0, 2), (3, 1000, *_INT32_OUT)),
    "priority": Numbers((100, 90, 110), (0, 1, 95, 111, *_INT32_OUT)),
    "durationCode": Numbers((0, 1, 2, 3), (4, 1000, *_INT32_OUT)),
    "rank": Numbers((2,), (1, 3, 4, 2**31)),
    "frequency": Numbers((1.0, 1e-30), (0.0, -1.0, 1.5, float("inf"), float("nan"))),
    "operandCodeWithinExtension": Numbers((0, 2**16 - 1)),
    "operationCodeWithinExtension": Numbers((0, 2**16 - 1)),
    "duration": _DURATION,
    "allow": _TRUTH,
    "measure": _TRUTH,
    "enable": _TRUTH,
    "reusable": _TRUTH,
}
# How many things an index can name: operands of the model, its inputs, its outputs.
INDEXED = {
    "Model_setOperandValue": 3,
    "Model_setOperandValueFromMemory": 3,
    "Model_setOperandExtensionData": 3,
    "Model_setOperandSymmPerChannelQuantParams": 1,
    "Model_setOperandValueFromModel": 1,
    "Execution_setInput": 2,
    "Execution_setInputFromMemory": 2,
    "Execution_setOutput": 1,
    "Execution_setOutputFromMemory": 1,
    "Execution_getOutputOperandRank": 1,
    "Execution_getOutputOperandDimensions": 1,
    "MemoryDesc_addInputRole": 2,
    "MemoryDesc_addOutputRole": 1,
    "Compilation_getPreferredMemoryAlignmentForInput": 2,
    "Compilation_getPreferredMemoryPaddingForInput": 2,
    "Compilation_getPreferredMemoryAlignmentForOutput": 1,
    "Compilation_getPreferredMemoryPaddingForOutput": 1,
}


def _indexes(kind: str, count: int) -> Numbers:
    beyond = (count, count + 1, 1000, 2**31 - 1)
    out = (2**31, 2**32 - 1) if kind == "uint32_t" else (-1, -(2**31))
    return Numbers((0, count - 1), beyond + out)


# Pointers that the reference lets be null.
MAY_BE_NULL = {
    "Execution_setInput.type",
    "Execution_setInputFromMemory.type",
    "Execution_setOutput.type",
    "Execution_setOutputFromMemory.type",
}
# There is no operand of an extension: that may be told first.
NULL_CODES = {"Model_setOperandExtensionData.data": (UNEXPECTED_NULL, BAD_DATA)}


def short_names() -> list[str]:
    """All functions without their prefix."""
    return [name.removeprefix(PREFIX) for name in FUNCTIONS]


def full(function: str) -> str:
    """The exported name."""
    return PREFIX + function


def parameters(function: str | None = None) -> Iterator[Parameter]:
    """The parameters of a function, or of all."""
    for name in short_names() if function is None else [function]:
        for position, (kind, what) in enumerate(FUNCTIONS[full(name)]["params"]):
            bare = kind.replace("const ", "").replace(" ", "")
            yield Parameter(name, position, bare, what)


def numbers(parameter: Parameter) -> Numbers | None:
    """What is known of a number; None: the table above has not heard of it."""
    if parameter.name == "index" and parameter.function in INDEXED:
        return _indexes(parameter.kind, INDEXED[parameter.function])
    return NUMBERS.get(parameter.place) or NUMBERS.get(parameter.name)


def good_arguments(world: World, function: str, state: dict[str, str] | None = None) -> list[Any]:
    """Arguments with which the function succeeds, if it can here; `state` chooses the states of
    objects by the names of their parameters, others are as the function wants them."""
    chosen = state or {}
    return [argument(world, p, chosen.get(p.name)) for p in parameters(function)]


def argument(world: World, parameter: Parameter, state: str | None = None) -> Any:
    """A good argument."""
    if parameter.handle is not None:
        made = _object(world, parameter, state)
        if parameter.kind.endswith("*const*"):
            return world.kept((ctypes.c_void_p * 4)(made, made, None))
        return made
    if parameter.pointer:
        return _data(world, parameter)
    known = numbers(parameter)
    assert known is not None, f"{parameter.place}: say in NUMBERS what it may be"
    if known.good[0] == -2:
        return world.page() if parameter.name == "fd" else world.signalled()
    return known.good[0]


# Operand 0 of a model that is built for these functions.
_OPERANDS = {
    "Model_setOperandSymmPerChannelQuantParams": OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL,
    "Model_setOperandValueFromModel": OperandCode.MODEL,
}


def _object(world: World, parameter: Parameter, state: str | None) -> ctypes.c_void_p:
    assert parameter.handle is not None
    if state is None:
        known = right_states(parameter.place) or tuple(STATES[parameter.place].split()[1:])
        state = known[0]
    if state == "building" and parameter.name == "model" and parameter.function in _OPERANDS:
        return world.model_with(_OPERANDS[parameter.function])
    return KINDS[parameter.handle].make(world, state)


def _data(world: World, parameter: Parameter) -> Any:
    kind, name = parameter.kind, parameter.name
    if kind == "ANeuralNetworksDevice*":
        return world.lib.device()
    if kind == "ANeuralNetworksDevice*const*":
        return world.kept((ctypes.c_void_p * 4)(*[world.lib.device().value] * 4))
    if kind == "ANeuralNetworksOperandType*":
        return ctypes.byref(world.kept(operand_type(OperandCode.TENSOR_FLOAT32, (2, 2))))
    if kind == "ANeuralNetworksSymmPerChannelQuantParams*":
        scales = world.kept((ctypes.c_float * 2)(0.5, 0.5))
        return ctypes.byref(world.kept(ChannelQuant(0, 2, scales)))
    if name == "inputs":
        return world.kept((ctypes.c_uint32 * 4)(0, 1, 1000, 1001))
    if name == "outputs":
        return world.kept((ctypes.c_uint32 * 4)(2, 1, 1000, 1001))
    if kind == "char*":
        return ctypes.c_char_p(b"/tmp" if name == "cacheDir" else b"com.example.none")
    return world.buffer()


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


def uncovered() -> list[str]:
    """Parameters of which the tables here say nothing: no test spoils them."""
    missing = []
    for parameter in parameters():
        if parameter.handle is not None:
            covered = parameter.place in STATES
        elif parameter.pointer:
            covered = True  # null is all that a plain pointer can be besides good
        else:
            covered = numbers(parameter) is not None
        if not covered:
            missing.append(parameter.place)
    return missing
