"""Each function with each pointer null, in each wrong state, each index and length out of range.

The calls are made from the prototypes in nnapi.json: a new function is tested the day it is added.
"""

from __future__ import annotations

import ctypes

import pytest

from nnapi_testkit.spec.codes import ResultCode
from tests.api.signatures import (
    FREES,
    FUNCTIONS,
    PREFIX,
    World,
    call,
    good_arguments,
    indexes,
    lengths,
    pointers,
    short_names,
)
from tests.driver.capi import Library, add_model, later, ok, refused

NAMES = short_names()
# Pointers that the reference lets be null.
MAY_BE_NULL = {
    ("Execution_setInput", "type"),
    ("Execution_setInputFromMemory", "type"),
    ("Execution_setOutput", "type"),
    ("Execution_setOutputFromMemory", "type"),
}
NULLS = [
    (name, position, what)
    for name in NAMES
    for position, what in pointers(name)
    if PREFIX + name not in FREES and (name, what) not in MAY_BE_NULL
]
INDEXES = [(name, position) for name in NAMES for position, _ in indexes(name)]
LENGTHS = [(name, position) for name in NAMES for position, _ in lengths(name)]
CODES = set(ResultCode)


@pytest.fixture
def world(lib: Library) -> World:
    return World(lib)


def test_the_library_exports_all(lib: Library) -> None:
    assert len(FUNCTIONS) >= 67
    for name in FUNCTIONS:
        assert hasattr(lib._library, name)


@pytest.mark.parametrize("name", NAMES)
def test_good_arguments_give_a_result_code(world: World, name: str) -> None:
    """The starting point of all the others: these arguments themselves are no reason to refuse."""
    result = call(world, name, good_arguments(world, name))
    if FUNCTIONS[PREFIX + name]["returns"] == "int":
        assert result in CODES
        assert result != ResultCode.UNEXPECTED_NULL


@pytest.mark.parametrize(("name", "position", "what"), NULLS)
def test_a_null_pointer_is_refused(world: World, name: str, position: int, what: str) -> None:
    arguments = good_arguments(world, name)
    arguments[position] = None
    code = call(world, name, arguments)
    if name == "Model_setOperandExtensionData" and what == "data":
        # There is no operand of an extension: that may be told first.
        assert code in (ResultCode.UNEXPECTED_NULL, ResultCode.BAD_DATA)
        return
    refused(code, ResultCode.UNEXPECTED_NULL)


@pytest.mark.parametrize("name", [name.removeprefix(PREFIX) for name in FREES])
def test_freeing_null_does_nothing(world: World, name: str) -> None:
    call(world, name, [None])


@pytest.mark.parametrize(("name", "position"), INDEXES)
@pytest.mark.parametrize("index", [2, 3, 1000, 2**31 - 1, -1, -(2**31)])
def test_an_index_out_of_range_is_refused(
    world: World, name: str, position: int, index: int
) -> None:
    arguments = good_arguments(world, name)
    arguments[position] = index
    assert call(world, name, arguments) in (ResultCode.BAD_DATA, ResultCode.BAD_STATE)


@pytest.mark.parametrize(("name", "position"), LENGTHS)
@pytest.mark.parametrize("length", [0, 1, 15, 17, 4097, 2**31, 2**63])
def test_a_mismatched_length_is_refused(
    world: World, name: str, position: int, length: int
) -> None:
    arguments = good_arguments(world, name)
    arguments[position] = length
    assert call(world, name, arguments) != ResultCode.NO_ERROR


BUILDING = [
    name
    for name in NAMES
    if name.startswith("Model_set")
    or name in ("Model_addOperand", "Model_addOperation", "Model_identifyInputsAndOutputs")
    or name in ("Model_relaxComputationFloat32toFloat16", "Model_finish")
]


@pytest.mark.parametrize("name", BUILDING)
def test_a_finished_model_is_not_changed(world: World, name: str) -> None:
    arguments = good_arguments(world, name)
    arguments[0] = world.keepers(add_model(world.lib)).handle
    assert call(world, name, arguments) in (ResultCode.BAD_STATE, ResultCode.BAD_DATA)
    if not name.endswith(("ExtensionData", "QuantParams")):
        refused(call(world, name, arguments), ResultCode.BAD_STATE)


@pytest.mark.parametrize(
    "name",
    [
        "Compilation_create",
        "Compilation_createForDevices",
        "Model_getSupportedOperationsForDevices",
    ],
)
def test_an_unfinished_model_is_not_used(world: World, name: str) -> None:
    arguments = good_arguments(world, name)
    arguments[0] = world.building().handle
    refused(call(world, name, arguments), ResultCode.BAD_STATE)


SETTERS = [name for name in NAMES if name.startswith("Compilation_set")] + ["Compilation_finish"]
GETTERS = [name for name in NAMES if name.startswith("Compilation_get")]


@pytest.mark.parametrize("name", SETTERS)
def test_a_finished_compilation_is_not_changed(world: World, name: str) -> None:
    arguments = good_arguments(world, name)
    arguments[0] = world.compiled().handle
    refused(call(world, name, arguments), ResultCode.BAD_STATE)


@pytest.mark.parametrize("name", [*GETTERS, "Execution_create", "Burst_create"])
def test_an_unfinished_compilation_is_not_used(world: World, name: str) -> None:
    arguments = good_arguments(world, name)
    arguments[0] = world.compiling().handle
    assert call(world, name, arguments) in (ResultCode.BAD_STATE, ResultCode.BAD_DATA)


EXECUTION_SETTERS = [
    name
    for name in NAMES
    if name.startswith("Execution_set") or name == "Execution_enableInputAndOutputPadding"
]
STARTERS = [
    "Execution_compute",
    "Execution_startCompute",
    "Execution_startComputeWithDependencies",
    "Execution_burstCompute",
]


@pytest.mark.parametrize("name", EXECUTION_SETTERS + STARTERS)
def test_a_completed_execution_is_not_used_again(world: World, name: str) -> None:
    arguments = good_arguments(world, name)
    if name in STARTERS:
        handle = ctypes.c_void_p(arguments[0].value)
        ok(world.lib.Execution_compute(handle))
    else:
        arguments[0] = world.execution(computed=True).handle
    refused(call(world, name, arguments), ResultCode.BAD_STATE)


@pytest.mark.parametrize(
    "name",
    [
        "Execution_getOutputOperandRank",
        "Execution_getOutputOperandDimensions",
        "Execution_getDuration",
    ],
)
def test_nothing_is_known_before_an_execution(world: World, name: str) -> None:
    arguments = good_arguments(world, name)
    arguments[0] = world.execution().handle
    refused(call(world, name, arguments), ResultCode.BAD_STATE)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in NAMES
        if name.startswith("MemoryDesc_") and name not in ("MemoryDesc_create", "MemoryDesc_free")
    ],
)
def test_a_finished_descriptor_is_not_changed(world: World, name: str) -> None:
    arguments = good_arguments(world, name)
    arguments[0] = world.description(finished=True)
    refused(call(world, name, arguments), ResultCode.BAD_STATE)


def test_an_unfinished_descriptor_makes_no_memory(world: World) -> None:
    arguments = good_arguments(world, "Memory_createFromDesc")
    arguments[0] = world.description(finished=False)
    refused(call(world, "Memory_createFromDesc", arguments), ResultCode.BAD_STATE)


def test_a_model_that_was_refused_stays_refused(world: World) -> None:
    model = world.building()
    assert model.finish() != ResultCode.NO_ERROR
    handle = ctypes.c_void_p()
    code = world.lib.Compilation_create(model.handle, ctypes.byref(handle))
    assert code in (ResultCode.BAD_DATA, ResultCode.BAD_STATE)
    assert not handle.value


@pytest.mark.parametrize("size", [1, 2, 3])
def test_devices_must_not_repeat(world: World, size: int) -> None:
    device = world.lib.device().value
    devices = (ctypes.c_void_p * size)(*[device] * size)
    handle = ctypes.c_void_p()
    model = world.keepers(add_model(world.lib))
    code = world.lib.Compilation_createForDevices(model.handle, devices, size, ctypes.byref(handle))
    assert code == (ResultCode.NO_ERROR if size == 1 else ResultCode.BAD_DATA)
    later(world.lib, "Compilation_free", handle)


def test_every_pointer_index_and_length_is_met() -> None:
    """Counted from the table, so that nothing is filtered away unseen."""
    taken = sum(len(list(pointers(name))) for name in NAMES)
    assert len(NULLS) == taken - len(FREES) - len(MAY_BE_NULL)
    assert len(INDEXES) == sum(
        name in ("index", "devIndex")
        for row in FUNCTIONS.values()
        for kind, name in row["params"]
        if not kind.endswith("*")
    )
    assert len(LENGTHS) >= 7
