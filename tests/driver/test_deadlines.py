"""Timeouts: every operation that can take long looks at the clock while it works."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator

import numpy as np
import pytest

from nnapi_testkit.cases import build
from nnapi_testkit.catalog import catalog
from nnapi_testkit.model.case import Case
from nnapi_testkit.model.types import Lifetime
from nnapi_testkit.spec.codes import OperandCode, ResultCode
from nnapi_testkit.spec.operands import DTYPE, is_tensor
from tests.driver import big
from tests.driver.capi import ChannelQuant, Compilation, Execution, Library, Model, ok
from tests.driver.capi import operand_type as kind_of

DEADLINE = 0.010
# A noisy machine takes longer for the same work, so there are several tries.
SLACK = 0.150
TRIES = 4


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(build, "draw", big.fast)
    yield


def load(lib: Library, case: Case) -> Compilation:
    """The case's model, compiled."""
    model, graph = Model(lib), case.model.main
    values = []
    for i, operand in enumerate(graph.operands):
        dims = operand.dims if is_tensor(OperandCode(operand.type)) else None
        kind = kind_of(operand.type, dims, operand.scale, operand.zero_point)
        ok(lib.Model_addOperand(model.handle, ctypes.byref(kind)))
        if operand.channel_quant is not None:
            scales = operand.channel_quant.scales
            channels = (ctypes.c_float * len(scales))(*scales)
            quant = ChannelQuant(operand.channel_quant.dim, len(scales), channels)
            ok(lib.Model_setOperandSymmPerChannelQuantParams(model.handle, i, ctypes.byref(quant)))
        if operand.lifetime == Lifetime.CONSTANT:
            values.append(np.frombuffer(operand.value, np.uint8))
            data = values[-1].ctypes.data_as(ctypes.c_void_p)
            ok(lib.Model_setOperandValue(model.handle, i, data, len(operand.value)))
        elif operand.lifetime == Lifetime.OMITTED:
            ok(lib.Model_setOperandValue(model.handle, i, None, 0))
    for operation in graph.operations:
        ins, outs = operation.inputs, operation.outputs
        ok(model.operation(operation.code, ins, outs))
    compilation = model.finished(graph.inputs, graph.outputs).compile()
    compilation.values = values  # large constants stay where they are
    return compilation


def timed(compilation: Compilation, case: Case, seconds: float) -> tuple[int, float]:
    """The result code of one execution, and the seconds that the processor worked for it."""
    execution = Execution(compilation)
    lib = execution.lib
    for i, array in enumerate(case.sets[0].inputs):
        assert array is not None
        ok(execution.input(i, array))
    operands = [case.model.main.operands[i] for i in case.model.main.outputs]
    for i, (operand, dims) in enumerate(zip(operands, case.sets[0].output_dims, strict=True)):
        ok(execution.output(i, np.zeros(dims, DTYPE[OperandCode(operand.type)])))
    if seconds:
        ok(lib.Execution_setTimeout(execution.handle, int(seconds * 1e9)))
    start = time.process_time()
    code = execution.compute()
    taken = time.process_time() - start
    execution.free()
    return code, taken


def test_large_cases_are_of_operations() -> None:
    """One without a large case is not measured: a new operation needs no line here to join."""
    assert set(big.BIG) | big.QUICK <= set(catalog())


@pytest.mark.documented
@pytest.mark.parametrize("name", sorted(big.BIG))
def test_a_timeout_ends_the_work(lib: Library, name: str) -> None:
    op = catalog()[name]
    for cell in {op.cells[0].name: op.cells[0], op.cells[-1].name: op.cells[-1]}.values():
        case = big.big_case(op, cell)
        compilation = load(lib, case)
        for number in range(TRIES):
            code, taken = timed(compilation, case, DEADLINE)
            assert code in (ResultCode.NO_ERROR, ResultCode.MISSED_DEADLINE_PERSISTENT)
            if taken < DEADLINE + SLACK:
                break
            assert number + 1 < TRIES, f"{cell.name}: {taken * 1e3:.0f} ms"
        model = compilation.model
        compilation.free()
        model.free()


@pytest.mark.parametrize("name", ["CONV_2D", "SOFTMAX", "TOPK_V2", "LSH_PROJECTION"])
def test_the_large_cases_would_take_longer(lib: Library, name: str) -> None:
    """Otherwise the test above could not fail."""
    op = catalog()[name]
    case = big.big_case(op, op.cells[0])
    code, taken = timed(load(lib, case), case, 0)
    assert code == ResultCode.NO_ERROR
    assert taken > 2 * DEADLINE + 0.05
