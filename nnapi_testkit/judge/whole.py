"""Whether a result holds what was asked for, before any number of it is looked at."""

from __future__ import annotations

import math

from nnapi_testkit.judge.verdict import Verdict, code_name
from nnapi_testkit.model.case import Case, Expected, OutputResult, Result, SetResult
from nnapi_testkit.model.types import Operand
from nnapi_testkit.spec.codes import OperandCode, ResultCode
from nnapi_testkit.spec.operands import DTYPE

__all__ = ["missing", "shape_fault", "timing_fault"]

Fault = tuple[Verdict, str]


def missing(case: Case, answers: int, result: Result) -> Fault | None:
    """Return why executions of a completed case cannot be judged; `None` if all are there.

    Args:
        answers: input sets that the oracle has answered.
    """
    runs = result.executions
    asked = len(case.sets) * max(1, case.repetitions)
    if len(runs) != asked:
        failed = next((run for run in runs if run.code != ResultCode.NO_ERROR), None)
        if failed is not None and len(runs) < asked:
            return Verdict.EXEC_ERROR, f"the execution gave {code_name(failed.code)}"
        return Verdict.INFRA, f"{len(runs)} executions came back, {asked} were asked for"
    if answers != len(case.sets):
        return Verdict.ORACLE_DISPUTE, f"{answers} answers to {len(case.sets)} input sets"
    outputs = len(case.model.main.outputs)
    for run in runs:
        if run.code == ResultCode.NO_ERROR and len(run.outputs) != outputs:
            return Verdict.INFRA, f"{len(run.outputs)} outputs came back of {outputs}"
    return None


def shape_fault(operand: Operand, want: Expected, got: OutputResult, named: bool) -> Fault | None:
    """Return what keeps the bytes of an output from being compared.

    Args:
        named: the device is known by its name, which takes feature level 3: so is then
            `ANeuralNetworksExecution_getOutputOperandRank`.
    """
    shape = want.value.shape
    if got.dims_code != ResultCode.NO_ERROR:
        why = f"asking for its rank and dimensions gave {code_name(got.dims_code)}"
        return Verdict.DIMENSIONS, why
    if got.dims is None and named:
        return Verdict.DIMENSIONS, "no dimensions were reported"
    if got.dims is not None and tuple(got.dims) != shape:
        return Verdict.DIMENSIONS, f"dimensions {list(got.dims)} instead of {list(shape)}"
    opaque = want.exempt is not None and bool(want.exempt.all())
    if got.unwritten > 0 and not opaque:
        return Verdict.UNWRITTEN, f"{got.unwritten} bytes were never written"
    size = math.prod(shape) * DTYPE[OperandCode(operand.type)].itemsize
    if len(got.data) < size:
        return Verdict.INFRA, f"{len(got.data)} bytes came back of {size}"
    return None


def timing_fault(case: Case, run: SetResult) -> Fault | None:
    """Return what is wrong with the durations of a good execution that was measured.

    "Execution time in driver (including time on hardware)" (`DurationCode`): the time on hardware
    is a part of it. A duration that is not available is no fault.
    """
    if not case.measure:
        return None
    if run.untimed:
        return Verdict.EXEC_ERROR, "ANeuralNetworksExecution_getDuration failed"
    if 0 <= run.driver_ns < run.hardware_ns:
        return (
            Verdict.MISMATCH,
            f"{run.hardware_ns} ns on hardware are more than {run.driver_ns} ns in the driver,"
            " which include them",
        )
    return None
