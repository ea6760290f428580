"""Each function with each pointer null, each object in each wrong state, each number out of range.

The calls are made from the prototypes in nnapi.json: a function that is added there is tested the
same day, and `test_nothing_is_uncovered` fails until the tables say what its parameters may be.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nnapi_testkit.spec.codes import ResultCode
from tests.api import signatures
from tests.api.objects import KINDS, STATES, Kind, World, right_states, wrong_states
from tests.api.signatures import (
    FREES,
    FUNCTIONS,
    INDEXED,
    MAY_BE_NULL,
    NOT_HERE,
    NULL_CODES,
    NUMBERS,
    PREFIX,
    Numbers,
    Parameter,
    call,
    full,
    good_arguments,
    numbers,
    parameters,
    short_names,
    uncovered,
)
from tests.driver.capi import Execution, Library, Model, add_model, later, ok, refused
from tests.driver.test_control_flow import endless

NAMES = short_names()
ALL = list(parameters())
NULLS = [p for p in ALL if p.pointer and full(p.function) not in FREES]
OBJECTS = [p for p in ALL if p.handle is not None]
PLAIN = [(p, numbers(p)) for p in ALL if not p.pointer]
CODES = set(ResultCode)


def marks(rows: list[tuple[Parameter, object]]) -> list[object]:
    """The rows with ids that name function, parameter and value."""
    return [pytest.param(p, value, id=f"{p.place}-{value}") for p, value in rows]


def kind_of(parameter: Parameter) -> Kind:
    return KINDS[parameter.handle or ""]


def spoilt(known: Numbers | None) -> tuple[object, ...]:
    return () if known is None else known.bad


BAD_NUMBERS = marks([(p, value) for p, known in PLAIN for value in spoilt(known)])
GOOD_NUMBERS = marks([(p, value) for p, known in PLAIN if known for value in known.good[1:]])
WRONG_STATES = marks([(p, state) for p in OBJECTS for state in wrong_states(p.place, kind_of(p))])
RIGHT_STATES = marks([(p, state) for p in OBJECTS for state in right_states(p.place)])


@pytest.fixture
def world(lib: Library) -> Iterator[World]:
    made = World(lib)
    yield made
    made.close()


def succeeds(world: World, function: str, arguments: list[object]) -> None:
    """The call does what it is for, or says that this is not to be had here."""
    result = call(world, function, arguments)
    if FUNCTIONS[full(function)]["returns"] == "int":
        refused(result, NOT_HERE.get(function, ResultCode.NO_ERROR))


def test_the_library_exports_all(lib: Library) -> None:
    assert len(FUNCTIONS) >= 67
    for name in FUNCTIONS:
        assert hasattr(lib._library, name)


@pytest.mark.parametrize("name", NAMES)
def test_good_arguments_are_good(world: World, name: str) -> None:
    """The starting point of all the others: what they refuse is refused for one reason."""
    succeeds(world, name, good_arguments(world, name))


@pytest.mark.parametrize("parameter", NULLS, ids=lambda p: p.place)
def test_a_null_pointer_is_refused(world: World, parameter: Parameter) -> None:
    arguments = good_arguments(world, parameter.function)
    arguments[parameter.position] = None
    if parameter.place in MAY_BE_NULL:
        return succeeds(world, parameter.function, arguments)
    expected = NULL_CODES.get(parameter.place, (ResultCode.UNEXPECTED_NULL,))
    assert call(world, parameter.function, arguments) in expected


@pytest.mark.parametrize("name", [name.removeprefix(PREFIX) for name in FREES])
def test_freeing_null_does_nothing(world: World, name: str) -> None:
    call(world, name, [None])


@pytest.mark.parametrize(("parameter", "value"), BAD_NUMBERS)
def test_a_number_out_of_range_is_refused(
    world: World, parameter: Parameter, value: object
) -> None:
    arguments = good_arguments(world, parameter.function)
    arguments[parameter.position] = value
    known = numbers(parameter)
    assert known is not None
    assert call(world, parameter.function, arguments) in known.codes


@pytest.mark.parametrize(("parameter", "value"), GOOD_NUMBERS)
def test_numbers_at_the_limits_are_taken(world: World, parameter: Parameter, value: object) -> None:
    arguments = good_arguments(world, parameter.function)
    arguments[parameter.position] = value
    succeeds(world, parameter.function, arguments)


@pytest.mark.parametrize(("parameter", "state"), WRONG_STATES)
def test_a_wrong_state_is_refused(world: World, parameter: Parameter, state: str) -> None:
    arguments = good_arguments(world, parameter.function, {parameter.name: state})
    code = call(world, parameter.function, arguments)
    assert code in kind_of(parameter).wrong, ResultCode(code).name


@pytest.mark.parametrize(("parameter", "state"), RIGHT_STATES)
def test_each_right_state_is_taken(world: World, parameter: Parameter, state: str) -> None:
    succeeds(
        world,
        parameter.function,
        good_arguments(world, parameter.function, {parameter.name: state}),
    )


# What the reference says of states by name: these codes are BAD_STATE and nothing else.
def test_states_have_their_own_code(world: World) -> None:
    for function, state in (
        ("Compilation_create", "building"),
        ("Model_addOperand", "finished"),
        ("Compilation_setPriority", "finished"),
        ("Execution_create", "building"),
        ("Execution_setInput", "computing"),
        ("Execution_compute", "completed"),
        ("Execution_getDuration", "preparing"),
        ("MemoryDesc_finish", "finished"),
    ):
        first = next(parameters(function)).name
        arguments = good_arguments(world, function, {first: state})
        refused(call(world, function, arguments), ResultCode.BAD_STATE)


# Counts.


@pytest.mark.parametrize("size", [1, 2, 3])
def test_devices_must_not_repeat(world: World, size: int) -> None:
    device = world.lib.device().value
    devices = (ctypes.c_void_p * size)(*[device] * size)
    handle = ctypes.c_void_p()
    model = world.kept(add_model(world.lib))
    code = world.lib.Compilation_createForDevices(model.handle, devices, size, ctypes.byref(handle))
    assert code == (ResultCode.NO_ERROR if size == 1 else ResultCode.BAD_DATA)
    later(world.lib, "Compilation_free", handle)


def test_an_index_of_a_device_ends_with_their_number(world: World) -> None:
    count = ctypes.c_uint32()
    ok(world.lib.getDeviceCount(ctypes.byref(count)))
    device = ctypes.c_void_p()
    ok(world.lib.getDevice(count.value - 1, ctypes.byref(device)))
    refused(world.lib.getDevice(count.value, ctypes.byref(device)))


@pytest.mark.parametrize(("inputs", "outputs"), [([], [2]), ([0, 1], []), ([], [])])
def test_a_model_has_inputs_and_outputs(
    world: World, inputs: list[int], outputs: list[int]
) -> None:
    """Every model must have at least one input and one output: told at once or when finished."""
    model = world.kept(Model(world.lib))
    a, b, out = (model.operand(3, (2, 2)) for _ in range(3))
    model.add(a, b, out)
    code = world.lib.Model_identifyInputsAndOutputs(
        model.handle,
        len(inputs),
        (ctypes.c_uint32 * 2)(*inputs),
        len(outputs),
        (ctypes.c_uint32 * 2)(*outputs),
    )
    assert code == ResultCode.BAD_DATA or model.finish() == ResultCode.BAD_DATA


def test_an_operation_has_as_many_operands_as_documented(world: World) -> None:
    for count in (0, 1, 2, 4):
        model = world.kept(Model(world.lib))
        a, b, out = (model.operand(3, (2, 2)) for _ in range(3))
        code = model.operation(0, [a, b, model.int32(0), model.int32(0)][:count], [out])
        if code == ResultCode.NO_ERROR:
            model.identify([a, b], [out])
            code = model.finish()
        refused(code)


# Lifetimes.


def test_a_reusable_execution_computes_again_what_lies_there_then(world: World) -> None:
    execution = world.execution("fresh")
    first, second = np.ones((2, 2), np.float32), np.full((2, 2), 5, np.float32)
    out = np.zeros((2, 2), np.float32)
    for index, array in enumerate((first, second)):
        ok(world.lib.Execution_setInput(execution, index, None, array.ctypes.data, 16))
    ok(world.lib.Execution_setOutput(execution, 0, None, out.ctypes.data, 16))
    ok(world.lib.Execution_setReusable(execution, True))
    for value in (1, 2, 3):
        first[:] = value
        ok(world.lib.Execution_compute(execution))
        assert (out == value + 5).all()


def test_a_burst_does_one_thing_at_a_time(world: World) -> None:
    """While it computes (here a loop that only its timeout ends) it takes no other execution."""
    looping = endless(world.lib)
    ok(world.lib.Execution_setLoopTimeout(looping.handle, 10**9))
    another = world.kept(Execution(looping.compilation))
    ok(another.input(0, np.zeros(1, np.float32)))
    ok(another.output(0, np.zeros(1, np.float32)))
    ok(world.lib.Execution_setLoopTimeout(another.handle, 10**6))
    ok(world.lib.Execution_setReusable(another.handle, True))
    burst = world.made("Burst", looping.compilation.handle)

    def computed() -> int:
        # The short one may hold the burst just now; the long one then tries once more.
        while (
            code := world.lib.Execution_burstCompute(looping.handle, burst)
        ) == ResultCode.BAD_STATE:
            time.sleep(0.001)
        return int(code)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(computed)
        while world.lib.Execution_burstCompute(another.handle, burst) != ResultCode.BAD_STATE:
            assert not first.done()
            time.sleep(0.001)
        assert first.result() in (
            ResultCode.MISSED_DEADLINE_PERSISTENT,
            ResultCode.MISSED_DEADLINE_TRANSIENT,
        )


# The tables.


def test_nothing_is_uncovered() -> None:
    assert uncovered() == []


@pytest.mark.parametrize(
    ("row", "missing"),
    [
        (["int32_t", "flavour"], "flavour"),
        (["uint32_t", "index"], "index"),
        (["ANeuralNetworksModel*", "model"], "model"),
        (["const ANeuralNetworksEvent* const*", "events"], "events"),
    ],
)
def test_a_new_function_is_missed(
    monkeypatch: pytest.MonkeyPatch, row: list[str], missing: str
) -> None:
    """The test above can fail: for an index, too, of which it is not said what it counts."""
    more = {**FUNCTIONS, f"{PREFIX}Model_season": {"since": 9, "returns": "int", "params": [row]}}
    monkeypatch.setattr(signatures, "FUNCTIONS", more)
    assert uncovered() == [f"Model_season.{missing}"]


def test_the_tables_speak_of_what_there_is() -> None:
    """No row of a function or parameter that has gone or is misspelt."""
    places = {p.place for p in ALL}
    names = {p.name for p in ALL}
    assert set(STATES) <= places
    assert {place for place in NUMBERS if "." in place} <= places
    assert {name for name in NUMBERS if "." not in name} <= names
    assert MAY_BE_NULL | set(NULL_CODES) <= places
    assert set(NOT_HERE) | set(INDEXED) <= set(NAMES)
    for place, text in STATES.items():
        kind = next(p.handle for p in ALL if p.place == place)
        assert set(text.replace("/", " ").split()) <= set(KINDS[kind or ""].states), place
    assert len(NULLS) + len(FREES) == sum(p.pointer for p in ALL)
