"""What an execution does not do: outputs that do not fit, work past its deadline."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode
from tests.driver.capi import Execution, Library, Model, ok, refused

F32 = OperandCode.TENSOR_FLOAT32


def multinomial(lib: Library, extra: str | None = None) -> Model:
    """RANDOM_MULTINOMIAL of [1, 2] logits with the number of samples as an input; `extra` adds an
    operation that reads the samples, as a second output."""
    model = Model(lib)
    logits = model.operand(F32, [1, 2])
    count = model.operand(OperandCode.INT32)
    seeds = model.value(model.operand(OperandCode.TENSOR_INT32, [2]), np.array([1, 2], np.int32))
    samples = model.operand(OperandCode.TENSOR_INT32, [1, 0])
    ok(model.operation(OperationCode.RANDOM_MULTINOMIAL, [logits, count, seeds], [samples]))
    outputs = [samples]
    if extra is not None:
        outputs.append(model.operand(OperandCode.TENSOR_INT32, [1, 0]))
        ok(model.operation(OperationCode[extra], [samples], [outputs[-1]]))
    return model.finished([logits, count], outputs)


def resident() -> int:
    """The most memory that this process has had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_an_output_that_does_not_fit_is_not_computed(lib: Library) -> None:
    execution = Execution(multinomial(lib).compile())
    samples = 2**29 - 1  # 2 GiB of output, and seconds
    ok(execution.input(0, np.zeros((1, 2), np.float32)))
    ok(execution.input(1, np.array(samples, np.int32)))
    ok(execution.output(0, np.zeros(16, np.int32)))
    before, began = resident(), time.process_time()
    refused(execution.compute(), ResultCode.OUTPUT_INSUFFICIENT_SIZE)
    assert time.process_time() - began < 0.5
    assert resident() - before < 1 << 16
    assert execution.shape(0) == (ResultCode.OUTPUT_INSUFFICIENT_SIZE, [1, samples])
    execution.free()


def test_an_output_that_does_not_fit_is_computed_where_it_is_read(lib: Library) -> None:
    execution = Execution(multinomial(lib, "NEG").compile())
    second = np.zeros(40, np.int32)
    ok(execution.input(0, np.array([[0, -np.inf]], np.float32)))
    ok(execution.input(1, np.array(40, np.int32)))
    ok(execution.output(0, np.zeros(3, np.int32)))
    ok(execution.output(1, second))
    refused(execution.compute(), ResultCode.OUTPUT_INSUFFICIENT_SIZE)
    assert execution.shape(0) == (ResultCode.OUTPUT_INSUFFICIENT_SIZE, [1, 40])
    assert execution.shape(1) == (ResultCode.NO_ERROR, [1, 40])
    execution.free()


def test_a_long_operation_ends_at_its_deadline(lib: Library) -> None:
    execution = Execution(multinomial(lib).compile())
    samples = 2**27
    out = np.zeros(samples, np.int32)
    ok(execution.input(0, np.zeros((1, 2), np.float32)))
    ok(execution.input(1, np.array(samples, np.int32)))
    ok(execution.output(0, out))
    ok(lib.Execution_setTimeout(execution.handle, 20_000_000))
    began = time.process_time()
    refused(execution.compute(), ResultCode.MISSED_DEADLINE_PERSISTENT)
    assert time.process_time() - began < 0.5
    execution.free()


def convolution(lib: Library, nchw: bool = False, quantized: bool = False) -> Model:
    """CONV_2D of 2.4 billion products."""
    model = Model(lib)
    kind = OperandCode.TENSOR_QUANT8_ASYMM if quantized else F32
    scale = 0.5 if quantized else 0.0
    image = (1, 64, 256, 256) if nchw else (1, 256, 256, 64)
    x, out = model.operand(kind, image, scale), model.operand(kind, image, scale)
    weights = np.ones((64, 3, 3, 64), np.uint8 if quantized else np.float32)
    w = model.value(model.operand(kind, weights.shape, scale), weights)
    bias = np.zeros(64, np.int32 if quantized else np.float32)
    bias_kind = OperandCode.TENSOR_INT32 if quantized else F32
    b = model.value(model.operand(bias_kind, [64], scale * scale), bias)
    layout = model.value(model.operand(OperandCode.BOOL), np.array([nchw]))
    scalars = [model.int32(value) for value in (1, 1, 1, 0)]
    ok(model.operation(OperationCode.CONV_2D, [x, w, b, *scalars, layout], [out]))
    return model.finished([x], [out])


def pooling(lib: Library) -> Model:
    """MAX_POOL_2D with large windows."""
    model = Model(lib)
    image = (1, 256, 256, 64)
    x, out = model.operand(F32, image), model.operand(F32, image)
    scalars = [model.int32(value) for value in (1, 1, 1, 15, 15, 0)]
    ok(model.operation(OperationCode.MAX_POOL_2D, [x, *scalars], [out]))
    return model.finished([x], [out])


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (convolution, np.float32),
        (lambda lib: convolution(lib, nchw=True), np.float32),
        (lambda lib: convolution(lib, quantized=True), np.uint8),
        (pooling, np.float32),
    ],
    ids=["CONV_2D", "CONV_2D-nchw", "CONV_2D-quant8", "MAX_POOL_2D"],
)
def test_deadlines_hold_inside_operations(
    lib: Library, make: Callable[[Library], Model], dtype: Any
) -> None:
    compilation = make(lib).compile()
    x, out = np.zeros(64 * 256 * 256, dtype), np.zeros(64 * 256 * 256, dtype)
    times = []
    for timeout, code in ((0, ResultCode.NO_ERROR), (10**6, ResultCode.MISSED_DEADLINE_PERSISTENT)):
        execution = Execution(compilation)
        ok(execution.input(0, x))
        ok(execution.output(0, out))
        ok(lib.Execution_setTimeout(execution.handle, timeout))
        began = time.process_time()
        refused(execution.compute(), code)
        times.append(time.process_time() - began)
    assert times[1] < times[0] / 2, times
