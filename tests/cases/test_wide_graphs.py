"""Graphs of many parts, and omitted operands of dimensions [0]."""

from __future__ import annotations

import numpy as np
import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Case, Ending, OutputResult, Result, SetResult, Stage
from nnapi_testkit.model.types import Lifetime
from nnapi_testkit.oracle import answer
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE, is_tensor


def refs(operation: str, word: str) -> list[CaseRef]:
    return [ref for ref in case_index([operation]) if word in ref.id]


@pytest.mark.parametrize(
    ("operation", "word", "operations", "operands", "inputs", "outputs"),
    [
        ("ADD", "chain-of-200", 200, 203, 1, 1),
        ("ADD", "inputs-and-outputs-64", 64, 129, 64, 64),
        ("ADD", "readers-64", 64, 130, 1, 64),
        ("CONCATENATION", "operands-200", 1, 202, 100, 1),
        ("SPLIT", "outputs-64", 1, 67, 1, 64),
    ],
)
def test_how_many_parts(
    operation: str, word: str, operations: int, operands: int, inputs: int, outputs: int
) -> None:
    found = refs(operation, f"-{word}]")
    assert {ref.cell for ref in found} == {"float32", "quant8"}
    for ref in found:
        main = ref.make().model.main
        assert len(main.operations) == operations and len(main.operands) >= operands
        assert (len(main.inputs), len(main.outputs)) == (inputs, outputs)


def left(case: Case, arrays: list[np.ndarray]) -> Result:
    outputs = tuple(OutputResult(a.shape, a.tobytes(), unwritten=0) for a in arrays)
    return Result(0, Ending.COMPLETED, Stage.DONE, device="d", executions=(SetResult(0, outputs),))


@pytest.mark.parametrize("cell", ["float32", "quant8"])
@pytest.mark.parametrize("word", ["inputs-and-outputs-64", "readers-64", "outputs-64"])
def test_a_part_that_is_another_one_is_noticed(word: str, cell: str) -> None:
    """A driver whose table ends at 32, and begins anew: each output beyond is one before it."""
    (ref,) = refs("SPLIT" if word == "outputs-64" else "ADD", f"[{cell}-{word}]")
    case = ref.make()
    told = answer(ref, case)
    arrays = []
    for index, expected in zip(case.model.main.outputs, told.sets[0], strict=True):
        operand = case.model.main.operands[index]
        real = expected.value / (operand.scale or 1.0) + operand.zero_point
        arrays.append(real.astype(DTYPE[OperandCode(operand.type)]))
    assert judge(ref, case, told, left(case, arrays)).verdict is Verdict.PASS
    anew = [arrays[n % 32] for n in range(len(arrays))]
    assert judge(ref, case, told, left(case, anew)).verdict is Verdict.MISMATCH


def test_operands_left_out_of_dimensions_0() -> None:
    found = [ref for ref in case_index() if "-omitted-of-0-" in ref.id]
    assert {"LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN"} <= {
        ref.operation for ref in found
    }
    for ref in found:
        omitted = [
            operand
            for operand in ref.make().model.main.operands
            if operand.lifetime == Lifetime.OMITTED and is_tensor(OperandCode(operand.type))
        ]
        assert omitted and all(operand.dims == (0,) for operand in omitted), ref.id
