"""Every path and kind of memory, and the parts of a model, against the reference driver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest

from nnapi_testkit.model.case import Case, Ending, Execution, ExecutionPath, MemoryKind, Stage
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode
from nnapi_testkit.targets import RunnerSession, host_target

FLOAT = OperandCode.TENSOR_FLOAT32
NO_ACTIVATION = Operand(OperandCode.INT32, lifetime=Lifetime.CONSTANT, value=bytes(4))
MEMORIES = [MemoryKind.POINTER, MemoryKind.SHARED, MemoryKind.DEVICE]


@pytest.fixture(scope="module")
def host(runner: FilePath) -> Iterator[RunnerSession]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNAPI_TESTKIT_RUNNER", str(runner))
        with host_target().open() as session:
            yield session


def only(session: RunnerSession, case: Case) -> list[np.ndarray]:
    (result,) = session.run([case])
    assert result.ending is Ending.COMPLETED, result
    assert result.stage is Stage.DONE
    outputs = []
    for execution in result.executions:
        assert execution.modified_inputs == 0
        for output in execution.outputs:
            assert output.unwritten == 0
            assert output.overrun == 0
            assert output.dims is not None
            outputs.append(np.frombuffer(output.data, np.float32).reshape(output.dims))
    return outputs


def add_case(dims: tuple[int, ...], model_dims: tuple[int, ...], **settings: object) -> Case:
    a = np.arange(np.prod(dims), dtype=np.float32).reshape(dims)
    graph = Graph(
        (
            Operand(FLOAT, model_dims, lifetime=Lifetime.INPUT),
            Operand(FLOAT, model_dims, lifetime=Lifetime.INPUT),
            NO_ACTIVATION,
            Operand(FLOAT, model_dims, lifetime=Lifetime.OUTPUT),
        ),
        (Operation(OperationCode.ADD, (0, 1, 2), (3,)),),
        (0, 1),
        (3,),
    )
    sets = (Execution((a, a), (dims,)), Execution((a, -a), (dims,)))
    return Case("ADD[test]", Model(graph), sets, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("memory", MEMORIES, ids=lambda m: m.name.lower())
@pytest.mark.parametrize("path", ExecutionPath, ids=lambda p: p.name.lower())
def test_paths_and_memories(host: RunnerSession, path: ExecutionPath, memory: MemoryKind) -> None:
    case = add_case((2, 3), (2, 3), path=path, memory=memory, repetitions=2, measure=True)
    first, again, second, second_again = only(host, case)
    expected = 2 * np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(again, expected)
    np.testing.assert_array_equal(second, 0 * expected)
    np.testing.assert_array_equal(second_again, 0 * expected)


@pytest.mark.parametrize(
    "memory", [*MEMORIES[:2], MemoryKind.DYNAMIC], ids=lambda m: m.name.lower()
)
@pytest.mark.parametrize("model_dims", [(0, 3), (2, 0), (0, 0), ()])
@pytest.mark.parametrize("told", [False, True])
def test_unknown_dimensions(
    host: RunnerSession, model_dims: tuple[int, ...], told: bool, memory: MemoryKind
) -> None:
    case = add_case((2, 3), model_dims, memory=memory)
    case = replace(case, sets=tuple(replace(s, set_output_dims=told) for s in case.sets))
    first, _ = only(host, case)
    assert first.shape == (2, 3)


def test_a_small_buffer_reports_what_is_needed(host: RunnerSession) -> None:
    case = add_case((2, 3), (0, 3))
    case = replace(case, sets=(replace(case.sets[0], output_bytes=(8,)),))
    (result,) = host.run([case])
    assert (result.ending, result.stage) == (Ending.STOPPED, Stage.EXECUTION)
    assert result.code == ResultCode.OUTPUT_INSUFFICIENT_SIZE
    assert result.executions[0].outputs[0].dims == (2, 3)


def test_a_larger_buffer_keeps_its_rest(host: RunnerSession) -> None:
    case = add_case((2, 3), (0, 3))
    case = replace(case, sets=(replace(case.sets[0], output_bytes=(40,)),))
    (result,) = host.run([case])
    output = result.executions[0].outputs[0]
    assert result.ending is Ending.COMPLETED
    assert (len(output.data), output.dims, output.unwritten) == (40, (2, 3), 0)


def test_padding(host: RunnerSession) -> None:
    (first, _) = only(host, add_case((2, 3), (2, 3), padding=True))
    assert first.shape == (2, 3)


@pytest.mark.parametrize("memory", MEMORIES, ids=lambda m: m.name.lower())
@pytest.mark.parametrize("size", [1, 32, 33, 1000])
def test_constants_by_copy_and_by_reference(
    host: RunnerSession, size: int, memory: MemoryKind
) -> None:
    b = np.arange(size, dtype=np.float32) * 3
    graph = Graph(
        (
            Operand(FLOAT, (size,), lifetime=Lifetime.INPUT),
            Operand(FLOAT, (size,), lifetime=Lifetime.CONSTANT, value=b.tobytes()),
            NO_ACTIVATION,
            Operand(FLOAT, (size,), lifetime=Lifetime.OUTPUT),
        ),
        (Operation(OperationCode.ADD, (0, 1, 2), (3,)),),
        (0,),
        (3,),
    )
    case = Case("ADD[c]", Model(graph), (Execution((b,), ((size,),)),), memory=memory)
    np.testing.assert_array_equal(only(host, case)[0], 2 * b)


@pytest.mark.parametrize("condition", [True, False])
def test_referenced_models(host: RunnerSession, condition: bool) -> None:
    def branch(code: OperationCode) -> Graph:
        return Graph(
            (
                Operand(FLOAT, (3,), lifetime=Lifetime.INPUT),
                NO_ACTIVATION,
                Operand(FLOAT, (3,), lifetime=Lifetime.OUTPUT),
            ),
            (Operation(code, (0, 0, 1), (2,)),),
            (0,),
            (2,),
        )

    main = Graph(
        (
            Operand(OperandCode.TENSOR_BOOL8, (1,), lifetime=Lifetime.INPUT),
            Operand(OperandCode.MODEL, lifetime=Lifetime.SUBGRAPH, subgraph=0),
            Operand(OperandCode.MODEL, lifetime=Lifetime.SUBGRAPH, subgraph=1),
            Operand(FLOAT, (3,), lifetime=Lifetime.INPUT),
            Operand(FLOAT, (3,), lifetime=Lifetime.OUTPUT),
        ),
        (Operation(OperationCode.IF, (0, 1, 2, 3), (4,)),),
        (0, 3),
        (4,),
    )
    model = Model(main, (branch(OperationCode.ADD), branch(OperationCode.MUL)))
    x = np.array([1.0, 3.0, 5.0], np.float32)
    flag = np.array([condition], np.uint8)
    case = Case("IF[test]", model, (Execution((flag, x), ((3,),)),))
    np.testing.assert_array_equal(only(host, case)[0], x + x if condition else x * x)


def test_refused_models_stop_where_they_are_refused(host: RunnerSession) -> None:
    case = add_case((2, 3), (2, 3))
    graph = case.model.main
    wrong = replace(graph.operations[0], inputs=(0, 1))
    bad = replace(case, model=Model(replace(graph, operations=(wrong,))))
    (result,) = host.run([bad])
    assert result.ending is Ending.STOPPED
    assert result.stage is Stage.MODEL
    assert result.code == ResultCode.BAD_DATA


def test_wrong_input_shapes_are_handed_over(host: RunnerSession) -> None:
    case = add_case((2, 3), (2, 3))
    wrong = np.zeros((3, 3), np.float32)
    second = case.sets[0].inputs[1]
    (result,) = host.run([replace(case, sets=(Execution((wrong, second), ((2, 3),)),))])
    assert result.ending is Ending.STOPPED
    assert (result.stage, result.code) == (Stage.EXECUTION, ResultCode.BAD_DATA)


def test_a_token_turns_caching_on(host: RunnerSession) -> None:
    only(host, add_case((2, 3), (2, 3), cache_token=bytes(range(32))))


def test_hardware_buffers_are_not_here(host: RunnerSession) -> None:
    (result,) = host.run([add_case((2,), (2,), memory=MemoryKind.AHARDWARE_BUFFER)])
    assert result.ending is Ending.BAD_CASE
    assert "AHardwareBuffer" in result.text
