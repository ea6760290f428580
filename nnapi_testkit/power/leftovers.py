"""What the table of faults that rewrite results is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nnapi_testkit.model.case import Case, Ending, OutputResult, Result, SetResult
from nnapi_testkit.power.edit import Array, Left, OutputEdit, ResultEdit, every_output
from nnapi_testkit.power.fault import Fault
from nnapi_testkit.spec.codes import OperandCode, ResultCode

ANY = ("*",)
HALF = float(np.finfo(np.float16).max)


def floats(change: Callable[[Array], Array]) -> OutputEdit:
    """A change of every float output."""
    return lambda left: change(left.data) if left.real else None


def float32(change: Callable[[Array], Array]) -> OutputEdit:
    """A change of float32 outputs where no lower precision is allowed."""

    def edit(left: Left) -> Array | None:
        right = left.data.dtype == np.float32 and not left.case.model.relaxed
        return change(left.data) if right else None

    return edit


def codes(change: Callable[[Array], Array]) -> OutputEdit:
    """A change of codes, kept in the limits of their type."""

    def edit(left: Left) -> Array | None:
        if not left.codes:
            return None
        limits = np.iinfo(left.data.dtype)
        return np.clip(change(left.data.astype(np.int64)), limits.min, limits.max)

    return edit


def flat(change: Callable[[Array], None]) -> OutputEdit:
    """A change in place, of the elements in their order."""

    def edit(left: Left) -> Array | None:
        data = left.data.copy().reshape(-1)
        change(data)
        return data.reshape(left.data.shape)

    return edit


def echo(left: Left) -> Array | None:
    """The first input that is large enough."""
    for given in left.inputs:
        if given is not None and given.size >= left.data.size and given.dtype == left.data.dtype:
            return given.reshape(-1)[: left.data.size].reshape(left.data.shape)
    return None


def tail(step: int) -> OutputEdit:
    """Zero what does not fill a vector of `step`."""

    def change(data: Array) -> None:
        if data.size > step and data.size % step:
            data[-(data.size % step) :] = 0

    return flat(change)


def beyond(count: int) -> OutputEdit:
    """Zero what lies beyond `count` elements."""

    def change(data: Array) -> None:
        data[count:] = 0

    return flat(change)


def bfloat16(data: Array) -> Array:
    """Round floats to bfloat16."""
    bits = data.astype(np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(data), rounded.astype(np.uint32).view(np.float32), data)


def to_half_range(data: Array) -> Array:
    """Overflow where float16 does."""
    return np.where(np.abs(data) > HALF, np.copysign(np.inf, data), data)


def first_batch(left: Left) -> Array | None:
    """Repeat the first batch."""
    if left.data.ndim < 2 or left.data.shape[0] < 2:
        return None
    return np.broadcast_to(left.data[:1], left.data.shape)


def last_batch(left: Left) -> Array | None:
    """Zero the last batch."""
    if left.data.ndim < 2 or left.data.shape[0] < 2:
        return None
    data = left.data.copy()
    data[-1] = 0
    return data


def planes(left: Left) -> Array | None:
    """Exchange rows and columns of square planes."""
    if left.data.ndim != 4 or left.data.shape[1] != left.data.shape[2]:
        return None
    return np.swapaxes(left.data, 1, 2)


def channels(left: Left) -> Array | None:
    """Reverse the last axis."""
    return left.data[..., ::-1] if left.data.ndim >= 2 else None


def stale(left: Left) -> Array | None:
    """What the execution before left."""
    same = left.earlier is not None and left.earlier.shape == left.data.shape
    return left.earlier if same else None


def second_differs(left: Left) -> Array | None:
    """Another first element in each repetition."""
    if not left.number or left.case.repetitions < 2:
        return None
    data = left.data.copy().reshape(-1)
    data[:1] = 1 - data[:1] if data.dtype.kind != "b" else ~data[:1]
    return data.reshape(left.data.shape)


def second_output(left: Left) -> Array | None:
    """Zero every output but the first."""
    return np.zeros_like(left.data) if left.position else None


def signs(left: Left) -> Array | None:
    """Read signed codes as unsigned ones."""
    if left.operand.type != OperandCode.TENSOR_QUANT8_ASYMM_SIGNED:
        return None
    return (left.data.view(np.uint8) ^ 0x80).view(np.int8)


def through_float(left: Left) -> Array | None:
    """Round int32 to float32 and back."""
    if left.operand.type != OperandCode.TENSOR_INT32:
        return None
    return np.clip(left.data.astype(np.float32).astype(np.int64), -(2**31), 2**31 - 1)


def outputs(change: Callable[[OutputResult], OutputResult]) -> ResultEdit:
    """A change of what the runner reports of each output."""
    return executions(lambda one: replace(one, outputs=tuple(map(change, one.outputs))))


def executions(change: Callable[[SetResult], SetResult]) -> ResultEdit:
    """A change of what the runner reports of each execution."""

    def edit(case: Case, result: Result) -> Result | None:
        if result.ending is not Ending.COMPLETED:
            return None
        new = tuple(one if one.code else change(one) for one in result.executions)
        return replace(result, executions=new) if new != result.executions else None

    return edit


def unwritten(count: int) -> Callable[[OutputResult], OutputResult]:
    """Report bytes as unwritten; 0 for all."""

    def change(output: OutputResult) -> OutputResult:
        return replace(output, unwritten=count or len(output.data))

    return change


def crash(case: Case, result: Result) -> Result | None:
    """Operations on more than four dimensions end the process behind the driver."""
    if any(len(operand.dims) > 4 for operand in case.model.main.operands):
        return replace(result, ending=Ending.CRASHED, code=11, executions=())
    return None


def service(case: Case, result: Result) -> Result | None:
    """The service dies of a relaxed model."""
    if result.ending is not Ending.COMPLETED or not case.model.relaxed:
        return None
    return replace(result, service="android.hardware.neuralnetworks@1.1-service-qti signal 11")


def refuses(case: Case, result: Result) -> Result | None:
    """A scalar is not taken for a tensor of one element, nor the reverse: a legal model is bad."""
    if result.ending is not Ending.COMPLETED:
        return None
    if not any(operand.dims == (1,) for operand in case.model.main.operands):
        return None
    return stopped(result, "ANeuralNetworksModel_finish")


def stopped(result: Result, function: str) -> Result:
    """A result of a call that was refused."""
    from nnapi_testkit.model.case import Stage

    stage = Stage.MODEL if "Model" in function else Stage.COMPILATION
    return replace(
        result,
        ending=Ending.STOPPED,
        stage=stage,
        code=int(ResultCode.BAD_DATA),
        function=function,
        executions=(),
    )


def claims_too_much(case: Case, result: Result) -> Result | None:
    """Compiling a claimed model of several operations fails."""
    if result.ending is not Ending.COMPLETED or len(case.model.main.operations) < 2:
        return None
    return stopped(result, "ANeuralNetworksCompilation_finish")


def accepts(case: Case, result: Result) -> Result | None:
    """Whatever is broken in a model is overlooked."""
    if result.ending is not Ending.STOPPED or result.code != ResultCode.BAD_DATA:
        return None
    from nnapi_testkit.model.case import Stage

    return replace(result, ending=Ending.COMPLETED, stage=Stage.DONE, code=0, function="")


def wrong_code(case: Case, result: Result) -> Result | None:
    """A refusal with a code that says something else."""
    if result.ending is not Ending.STOPPED or result.code != ResultCode.BAD_DATA:
        return None
    return replace(result, code=int(ResultCode.INCOMPLETE))


def to_either_side(left: Left) -> Array | None:
    """Floats off by 0.4 % to either side."""
    if not left.real:
        return None
    wave = np.where(np.arange(left.data.size) % 2, 1 + 4e-3, 1 - 4e-3)
    moved: Array = left.data * wave.reshape(left.data.shape).astype(left.data.dtype)
    return moved


def fault(
    id: str, what: str, seen: str, edit: OutputEdit | ResultEdit, raw: bool = False, *ops: str
) -> Fault:
    """A row of the table; `raw` for changes of whole results."""
    result = edit if raw else every_output(edit)  # type: ignore[arg-type]
    return Fault(id, what, seen, ops or ANY, "out", result=result)  # type: ignore[arg-type]
