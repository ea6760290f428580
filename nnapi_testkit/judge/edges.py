"""Edges: cases whose values are open, and what a driver has to do all the same."""

from __future__ import annotations

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.verdict import OPEN, Evidence, Verdict, code_name
from nnapi_testkit.judge.whole import missing
from nnapi_testkit.model.case import Case, OutputResult, Result
from nnapi_testkit.model.types import Operand
from nnapi_testkit.spec.codes import ResultCode

__all__ = ["edge", "refused"]

Found = tuple[Verdict, str, Evidence]


def edge(ref: CaseRef, case: Case, result: Result) -> Found:
    """The verdict on executions that came back: OBSERVED, or what must not happen at an edge.

    Outputs are written in full and have the dimensions that the model tells, nothing around them
    and no input is touched. An error code is a failure unless `CaseRef.refusable`.
    """
    absent = missing(case, len(case.sets), result)
    if absent is not None:
        return refused(ref, *absent, Evidence(status_checked=1))
    operands = [case.model.main.operands[i] for i in case.model.main.outputs]
    scratch = _scratch(ref.operation)
    step = max(1, case.repetitions)
    open_ = dims = 0
    why = OPEN
    for number, run in enumerate(result.executions):
        if run.modified_inputs:
            text = f"set {number // step}: {run.modified_inputs} inputs were overwritten"
            return Verdict.MISMATCH, text, Evidence(status_checked=number + 1)
        if run.code != ResultCode.NO_ERROR:
            why = f"set {number // step}: {code_name(run.code)}"
            if not ref.refusable:
                return Verdict.EXEC_ERROR, why, Evidence(status_checked=number + 1)
            why = f"{why}; {ref.refusable}"
            continue
        told = case.sets[number // step].output_dims
        for position, (operand, most, got) in enumerate(
            zip(operands, told, run.outputs, strict=True)
        ):
            fault = _fault(operand, most, got, written=position not in scratch)
            if fault is not None:
                text = f"set {number // step}, output {position}: {fault[1]}"
                return fault[0], text, Evidence(status_checked=number + 1)
            dims += got.dims is not None
            open_ += len(got.data) > 0
    evidence = Evidence(
        exempt=open_, exempt_why=why, dims_checked=dims, status_checked=len(result.executions)
    )
    return Verdict.OBSERVED, why, evidence


def refused(ref: CaseRef, verdict: Verdict, text: str, evidence: Evidence) -> Found:
    """A verdict on an error code: OBSERVED where the device may refuse."""
    if ref.refusable and verdict.meaning.coded:
        return Verdict.OBSERVED, f"{text}; {ref.refusable}", evidence
    return verdict, text, evidence


def _scratch(name: str) -> frozenset[int]:
    """Positions of outputs that are scratch buffers, which nobody has to write."""
    op = catalog().get(name)
    outputs = op.outputs if op is not None else ()
    return frozenset(place for place, output in enumerate(outputs) if output.opaque)


def _fault(
    operand: Operand, most: tuple[int, ...], got: OutputResult, *, written: bool
) -> tuple[Verdict, str] | None:
    if got.dims_code != ResultCode.NO_ERROR:
        why = f"asking for its rank and dimensions gave {code_name(got.dims_code)}"
        return Verdict.DIMENSIONS, why
    if got.dims is not None and not _fits(operand.dims, most, tuple(got.dims)):
        return Verdict.DIMENSIONS, f"dimensions {list(got.dims)} instead of {list(most)}"
    if got.overrun:
        return Verdict.MISMATCH, f"{got.overrun} bytes beyond it were overwritten"
    if got.unwritten > 0 and written:
        return Verdict.UNWRITTEN, f"{got.unwritten} bytes were never written"
    return None


def _fits(declared: tuple[int, ...], most: tuple[int, ...], dims: tuple[int, ...]) -> bool:
    """Whether dimensions are what the model tells, and at most the expected where it is silent."""
    if len(dims) != len(most):
        return False
    told = declared if len(declared) == len(dims) else (0,) * len(dims)
    return all(
        size == fixed if fixed else size <= limit
        for size, fixed, limit in zip(dims, told, most, strict=True)
    )
