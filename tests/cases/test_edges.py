"""Edges: who is asked, by what, and that the judge blames what must not happen there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Case, Ending, OutputResult, Result, SetResult, Stage
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Tensor
from nnapi_testkit.spec.codes import OperandCode, ResultCode
from nnapi_testkit.spec.operands import DTYPE, FLOATS
from nnapi_testkit.targets import parse_target

REFS = [ref for ref in case_index() if ref.kind is Kind.EDGE]
BY_ID = {ref.id: ref for ref in REFS}
DIVIDED = "DIV[int32-edge-by-zero-floors]"


def test_each_float_operand_of_each_operation_is_filled() -> None:
    """In every cell where an operand that some sample has is a tensor of floats."""
    asked = {ref.id for ref in REFS}
    for op in catalog().values():
        if op.graphs is not None:
            continue
        for cell in op.cells:
            samples = op.samples_for(cell)
            for spec in (spec for signature in op.signatures for spec in signature):
                used = any(sample.operands.get(spec.name) is not None for sample in samples)
                if not isinstance(spec, Tensor) or not used:
                    continue
                if cell.type_of(spec.name, spec.type) not in FLOATS:
                    continue
                key = f"{spec.name}0" if spec.many else spec.name
                start = f"{op.name}[{cell.name}-edge-nonfinite-{key}-"
                assert any(case.startswith(start) for case in asked), start


def test_what_fills_an_operand() -> None:
    """NaN, both infinities and all special values, in that operand alone."""
    ref = next(r for r in REFS if r.id.startswith("FULLY_CONNECTED[float32-edge-nonfinite-filter-"))
    case = ref.make()
    assert len(case.sets) == 4
    (place,) = [i for i, a in enumerate(case.sets[0].inputs) if np.isnan(a).all()]  # type: ignore[arg-type]
    filled = [execution.inputs[place] for execution in case.sets]
    assert np.isposinf(filled[1]).all() and np.isneginf(filled[2]).all()  # type: ignore[arg-type]
    assert np.isnan(filled[3]).any() and np.isfinite(filled[3]).any()  # type: ignore[arg-type]
    for execution in case.sets:
        others = [a for i, a in enumerate(execution.inputs) if i != place and a is not None]
        assert others and all(np.isfinite(array).all() for array in others)


@pytest.mark.parametrize(
    "start",
    [
        "DIV[int32-edge-by-zero",
        "DIV[int32-edge-least-by-minus-one",
        "LOCAL_RESPONSE_NORMALIZATION[float32-edge-radius-largest",
        "ROI_ALIGN[float16-edge-tall-one-bin",
        "ROI_ALIGN[quant8-edge-beyond",
        "ROI_POOLING[float32-edge-thin",
        "ROI_POOLING[float32-edge-empty",
        "HEATMAP_MAX_KEYPOINT[float32-edge-all-equal",
        "GENERATE_PROPOSALS[float32-edge-nothing-large-enough",
        "GENERATE_PROPOSALS[quant8-edge-scores-equal",
        "BOX_WITH_NMS_LIMIT[float16-edge-nothing-selected",
        "BOX_WITH_NMS_LIMIT[quant8-edge-scores-equal",
        "DETECTION_POSTPROCESSING[float32-edge-nothing-selected",
        "DETECTION_POSTPROCESSING[float32-edge-scores-equal",
        "TOPK_V2[int32-edge-all-equal",
        "SOFTMAX[float32-edge-beta-nan",
        "ADD[quant8-edge-scale-tiny",
    ],
)
def test_named_edges_are_asked(start: str) -> None:
    assert any(ref.id.startswith(start) for ref in REFS)


def test_edges_are_what_they_say() -> None:
    """Divisors of zero; the largest radius; a region of one row in a map of 1,200."""
    case = BY_ID[DIVIDED].make()
    assert not case.sets[0].inputs[1].any()  # type: ignore[union-attr]
    start = "LOCAL_RESPONSE_NORMALIZATION[float32-edge-radius-largest-r"
    case = next(ref for ref in REFS if ref.id.startswith(start)).make()
    values = [operand.value for operand in case.model.main.operands]
    assert (2**31 - 1).to_bytes(4, "little") in values
    case = next(r for r in REFS if r.id.startswith("ROI_ALIGN[float16-edge-tall-one-bin")).make()
    assert case.model.main.operands[0].dims == (1, 1200, 3, 1)


def test_edges_need_no_golden() -> None:
    assert not any(ref.has_golden or ref.answered for ref in REFS)


# ---- the judge ----


def found(case: Case, **output: object) -> Result:
    """What a runner reports whose device left zeros; keywords change the first output."""
    operands = [case.model.main.operands[i] for i in case.model.main.outputs]
    runs = []
    for execution in case.sets:
        outputs = []
        for operand, dims in zip(operands, execution.output_dims, strict=True):
            size = int(np.prod(dims)) * DTYPE[OperandCode(operand.type)].itemsize
            outputs.append(OutputResult(dims, bytes(size), unwritten=0))
        outputs[0] = replace(outputs[0], **output)  # type: ignore[arg-type]
        runs.append(SetResult(0, tuple(outputs)))
    return Result(0, Ending.COMPLETED, Stage.DONE, device="d", executions=tuple(runs))


def verdict(ref: CaseRef, result: Result) -> Verdict:
    return judge(ref, ref.make(), None, result, profile="strict").verdict


def test_what_must_not_happen_at_an_edge() -> None:
    ref = BY_ID[DIVIDED]
    case = ref.make()
    assert verdict(ref, found(case)) is Verdict.OBSERVED
    assert verdict(ref, found(case, unwritten=4)) is Verdict.UNWRITTEN
    assert verdict(ref, found(case, overrun=1)) is Verdict.MISMATCH
    assert verdict(ref, found(case, dims=(7,))) is Verdict.DIMENSIONS
    assert verdict(ref, found(case, dims=(2, 4))) is Verdict.DIMENSIONS
    assert verdict(ref, found(case, dims_code=4)) is Verdict.DIMENSIONS
    touched = found(case)
    touched = replace(
        touched, executions=tuple(replace(run, modified_inputs=1) for run in touched.executions)
    )
    assert verdict(ref, touched) is Verdict.MISMATCH
    assert verdict(ref, replace(touched, executions=())) is Verdict.INFRA
    died = Result(0, Ending.CRASHED, Stage.EXECUTION, 8, device="d")
    assert verdict(ref, died) is Verdict.CRASH_RUNNER
    assert verdict(ref, replace(died, ending=Ending.TIMED_OUT)) is Verdict.TIMEOUT
    assert verdict(ref, replace(died, ending=Ending.OUT_OF_MEMORY)) is Verdict.CRASH_RUNNER


def test_where_a_device_may_refuse() -> None:
    """An integer divided by zero; not a weight that is no number."""
    open_ = BY_ID[DIVIDED]
    settled = BY_ID["FULLY_CONNECTED[float32-edge-nonfinite-filter-rank2]"]
    assert open_.refusable and not settled.refusable
    for ref, other in ((open_, Verdict.OBSERVED), (settled, None)):
        failed = tuple(
            SetResult(int(ResultCode.OP_FAILED), run.outputs)
            for run in found(ref.make()).executions
        )
        result = replace(found(ref.make()), executions=failed)
        assert verdict(ref, result) is (other or Verdict.EXEC_ERROR)
        for stage, word in (
            (Stage.MODEL, Verdict.REFUSED),
            (Stage.EXECUTION, Verdict.EXEC_ERROR),
        ):
            stopped = Result(0, Ending.STOPPED, stage, int(ResultCode.BAD_DATA), device="d")
            assert verdict(ref, stopped) is (other or word)


def test_what_is_left_open_has_a_most() -> None:
    """Of nothing selected there may be no row; more than there were boxes there cannot be."""
    start = "BOX_WITH_NMS_LIMIT[float32-edge-nothing-selected"
    ref = next(ref for ref in REFS if ref.id.startswith(start))
    case = ref.make()
    rows = case.sets[0].output_dims[0][0]
    assert verdict(ref, found(case, dims=(0,))) is Verdict.OBSERVED
    assert verdict(ref, found(case, dims=(rows + 1,))) is Verdict.DIMENSIONS


def test_scratch_buffers_may_stay_as_they_are() -> None:
    """Of LSTM's first output nobody reads anything; of the others every byte is written."""
    ref = next(r for r in REFS if r.id.startswith("LSTM[float32-edge-nonfinite-x-"))
    case = ref.make()
    result = found(case, unwritten=8)
    assert verdict(ref, result) is Verdict.OBSERVED
    runs = tuple(
        replace(run, outputs=(*run.outputs[:-1], replace(run.outputs[-1], unwritten=8)))
        for run in result.executions
    )
    assert verdict(ref, replace(result, executions=runs)) is Verdict.UNWRITTEN


@pytest.mark.parametrize("operation", ["DIV", "ROI_ALIGN", "BOX_WITH_NMS_LIMIT", "LSTM"])
def test_the_driver_survives(operation: str) -> None:
    refs = [ref for ref in REFS if ref.operation == operation]
    cases = [ref.make() for ref in refs]
    with parse_target("host").open() as runner:
        for ref, result in zip(refs, runner.run(cases), strict=True):
            assert verdict(ref, result) is Verdict.OBSERVED, ref.id
