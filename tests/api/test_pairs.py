"""Metamorphic pairs: every relation is there, its case has two ways, and a difference is told."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.agreement import Agreement
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import Answer, Ending, Expected, Output, Result, SetResult, Stage
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE

LEAST = {"layout": 40, "weights": 30, "batch": 30, "between": 100, "real": 20, "steps": 2}
LEAST |= {"branch": 1, "unrolled": 1}


@pytest.fixture(scope="module")
def refs() -> list[CaseRef]:
    return [ref for ref in case_index() if ref.kind == "pair"]


def relation(ref: CaseRef) -> str:
    """The name of the pair's relation."""
    return ref.id.partition("-pair-")[2].removesuffix("]").partition("-")[0]


def test_all_relations(refs: list[CaseRef]) -> None:
    counted = Counter(map(relation, refs))
    assert set(counted) == set(LEAST)
    for name, least in LEAST.items():
        assert counted[name] >= least, name


def test_each_has_two_ways_to_outputs_of_one_type(refs: list[CaseRef]) -> None:
    for ref in refs:
        case = ref.make()
        main = case.model.main
        assert len(main.outputs) % 2 == 0, ref.id
        half = len(main.outputs) // 2
        for a, b in zip(main.outputs[:half], main.outputs[half:], strict=True):
            one, other = main.operands[a], main.operands[b]
            assert (one.type, one.dims, one.scale) == (other.type, other.dims, other.scale)
        code = OperationCode[ref.operation]
        writers = {o.code for o in main.operations if set(o.outputs) & set(main.outputs)}
        assert code in writers, ref.id
        assert len(main.operations) > 1, ref.id


def run(ref: CaseRef, shift: float) -> Record:
    """Both halves as told, the second moved by `shift`; within every single bound."""
    case = ref.make()
    main = case.model.main
    shapes = case.sets[0].output_dims
    codes = [OperandCode(main.operands[i].type) for i in main.outputs]
    wanted = tuple(Expected(np.ones(s), np.full(s, 0.25)) for s in shapes)
    arrays = [np.ones(s, dtype=DTYPE[c]) for s, c in zip(shapes, codes, strict=True)]
    arrays[0] = arrays[0] - np.asarray(min(shift, 0.2), arrays[0].dtype)
    arrays[-1] = arrays[-1] + np.asarray(max(shift - 0.2, 0), arrays[-1].dtype)
    outputs = tuple(Output(s, a.tobytes(), 0) for s, a in zip(shapes, arrays, strict=True))
    answer = Answer((wanted,) * len(case.sets))
    done = (SetResult(0, outputs),) * len(case.sets)
    result = Result(0, Ending.COMPLETED, Stage.DONE, device="d", executions=done)
    record = judge(ref, case, answer, result)
    tight = replace(
        answer, sets=tuple(tuple(replace(e, bound=e.bound * 0.1) for e in s) for s in answer.sets)
    )
    assert record.verdict is Verdict.PASS
    return Agreement().check(ref, case, tight, result, record)


def test_ways_that_differ_are_told(refs: list[CaseRef]) -> None:
    ref = next(ref for ref in refs if ref.id == "IF[float32-pair-branch]")
    assert run(ref, 0.0).verdict is Verdict.PASS
    assert run(ref, 0.04).verdict is Verdict.PASS
    differing = run(ref, 0.3)
    assert differing.verdict is Verdict.MISMATCH
    assert "two ways" in differing.message
