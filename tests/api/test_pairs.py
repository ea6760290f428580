"""Metamorphic pairs: every relation is there, its case has two ways, and a difference is told."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.agreement import Agreement
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import (
    Answer,
    Ending,
    Expected,
    OutputResult,
    Result,
    SetResult,
    Stage,
)
from nnapi_testkit.op.declare import Scalar, Tensor
from nnapi_testkit.oracle.bind import OracleError
from nnapi_testkit.oracle.propagate import Bounded
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE

LEAST = {"layout": 68, "weights": 50, "batch": 190, "between": 380, "real": 120, "steps": 8}
LEAST |= {"branch": 12, "unrolled": 6}
# What cannot be judged element by element, and what has no input that could come from others.
ALONE = {"BOX_WITH_NMS_LIMIT", "GENERATE_PROPOSALS", "RANDOM_MULTINOMIAL", "IF", "WHILE"}


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


def test_no_operation_is_left_out(refs: list[CaseRef]) -> None:
    """Each relation is there for every operation that it applies to."""
    found = {(relation(ref), ref.operation) for ref in refs}
    for op in catalog().values():
        if op.name in ALONE:
            continue
        tensors = {t.name: t for s in op.signatures for t in s if isinstance(t, Tensor)}
        scalars = {i.name for s in op.signatures for i in s if isinstance(i, Scalar)}
        assert ("between", op.name) in found, op.name
        assert ("layout", op.name) in found or "nchw" not in scalars, op.name
        weights = any(t.weight and t.type != "TENSOR_INT32" for t in tensors.values())
        assert ("weights", op.name) in found or not weights, op.name
        # QUANTIZED_LSTM and lookups in a table have an operand that SLICE or CONCATENATION refuses.
        cut = op.name not in ("QUANTIZED_LSTM", "HASHTABLE_LOOKUP")
        assert ("batch", op.name) in found or not (op.batched and cut), op.name


@pytest.mark.parametrize(
    ("values", "place"), [([1.0, 5.0, 2.0], 1), ([1.0, 5.0, 4.9], 1), ([5.0, 1.0, 5.3], None)]
)
def test_the_place_of_an_extreme_is_open_where_rounding_decides(
    values: list[float], place: int | None
) -> None:
    error = torch.full((3,), 0.04 if place == 1 else 0.2, dtype=torch.float64)
    x = Bounded(torch.tensor(values, dtype=torch.float64), error, 0.0, 0.0)
    if place is None:
        with pytest.raises(OracleError):
            torch.argmax(x, 0)  # type: ignore[call-overload]
    else:
        assert int(torch.argmax(x, 0)) == place  # type: ignore[call-overload]


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
    outputs = tuple(OutputResult(s, a.tobytes(), 0) for s, a in zip(shapes, arrays, strict=True))
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
