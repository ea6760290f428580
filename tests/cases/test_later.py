"""Semantics by feature level: no case asks an older device for what a newer sentence promised.

Each function below is a sentence of `NeuralNetworksTypes.h` that limits something to a feature
level; together they are those of the whole header that are not the level of a type, an operand, an
output or a signature, which the declarations carry (`Cell.since`, `Scalar.level`, ...).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("torch")

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Case, Ending, OutputResult, Result, SetResult, Stage
from nnapi_testkit.model.types import Graph, Operand, Operation
from nnapi_testkit.oracle import answer, follows
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.targets import parse_target

QUANT8 = OperandCode.TENSOR_QUANT8_ASYMM
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
# For seeds other than 0: operations whose shapes, attributes or data could meet a newer sentence.
SEEDED = (
    *CONVOLUTIONS,
    "CONCATENATION",
    "L2_NORMALIZATION",
    "LOCAL_RESPONSE_NORMALIZATION",
    "LSH_PROJECTION",
    "PAD",
    "SOFTMAX",
    "SPACE_TO_BATCH_ND",
)


def needed(case: Case) -> Iterator[tuple[int, str]]:
    """Each newer sentence that the case relies on, with its level."""
    if case.model.relaxed:
        yield 2, "relaxed float32"
    for graph in (case.model.main, *case.model.subgraphs):
        for operand in graph.operands:
            if OperandCode(operand.type).name.startswith("TENSOR") and operand.dims == ():
                yield 3, "a tensor operand type of unspecified rank"
        for operation in graph.operations:
            yield from of_operation(case, graph, operation)
    for execution in case.sets:
        if any(array is not None and array.size == 0 for array in execution.inputs):
            yield 3, "zero-sized input tensors, zero batches"


def numbers(case: Case, graph: Graph, index: int) -> list[int]:
    """The values of an operand of integers, constant or fed by the input sets."""
    if graph.operands[index].value:
        return np.frombuffer(graph.operands[index].value, "<i4").tolist()
    place = graph.inputs.index(index)
    fed = [execution.inputs[place] for execution in case.sets]
    return [n for array in fed if array is not None for n in array.reshape(-1).tolist()]


# The ranks that an operation takes before level 3.
RANKS = {"L2_NORMALIZATION": (4,), "LOCAL_RESPONSE_NORMALIZATION": (4,), "SOFTMAX": (2, 4)}


def of_operation(case: Case, graph: Graph, operation: Operation) -> Iterator[tuple[int, str]]:
    """The sentences about one operation."""
    name = OperationCode(operation.code).name
    inputs = [graph.operands[index] for index in operation.inputs]
    out = graph.operands[operation.outputs[0]]
    rank = len(inputs[0].dims)
    if name in CONVOLUTIONS and _small_scale(inputs, out):
        yield 3, "output_scale > input_scale * filter_scale before level 3"
    if name == "CONCATENATION" and out.type == QUANT8:
        quantizations = {(o.scale, o.zero_point) for o in (*inputs[:-1], out)}
        if len(quantizations) > 1:
            yield 3, "scales and zero points that differ"
    if out.type == QUANT8 and _pads(name, case, graph, operation):
        yield 3, "the pad value is the logical zero"
    if rank not in RANKS.get(name, (rank,)):
        yield 3, f"tensors with rank other than {' or '.join(map(str, RANKS[name]))}"
    if name == "LSH_PROJECTION" and 3 in numbers(case, graph, operation.inputs[3]):
        yield 3, "the offset value for sparse projections"
    if name == "LSTM" and len(inputs) > 23:
        yield 3, "layer normalization"
    if name.startswith("BIDIRECTIONAL_SEQUENCE") and _linked(name, case, graph, operation):
        yield 4, "parallel linking"


def _small_scale(inputs: list[Operand], out: Operand) -> bool:
    """Whether the scale of a convolution's output is at most the product of the others."""
    product = np.float32(inputs[0].scale) * np.float32(inputs[1].scale)
    return {inputs[1].type, out.type} == {QUANT8} and not out.scale > product


def _pads(name: str, case: Case, graph: Graph, operation: Operation) -> bool:
    """Whether an operation pads with zeros."""
    if name == "SPACE_TO_BATCH_ND":
        return any(numbers(case, graph, operation.inputs[2]))
    return name == "PAD"


def _linked(name: str, case: Case, graph: Graph, operation: Operation) -> bool:
    """Whether a cell of two directions takes an auxiliary input without weights of its own."""
    aux, weights = (39, range(40, 48)) if name.endswith("LSTM") else (9, (10, 11))
    fed = {i for i, a in zip(graph.inputs, case.sets[0].inputs, strict=True) if a is not None}

    def present(position: int) -> bool:
        index = operation.inputs[position]
        return index in fed or bool(graph.operands[index].value)

    return present(aux) and not any(present(i) for i in weights)


def zero_rows(ref: CaseRef, case: Case) -> bool:
    """Whether a L2_NORMALIZATION of a case meets an axis whose elements are all zeros."""
    told, all_told = answer(ref, case), answer(None, case)
    masks = [
        (old.exempt, new.exempt)
        for one, other in zip(told.sets, all_told.sets, strict=True)
        for old, new in zip(one, other, strict=True)
    ]
    count = [[0 if mask is None else int(mask.sum()) for mask in pair] for pair in masks]
    return any(old > new for old, new in count)


def too_new(refs: list[CaseRef]) -> list[tuple[str, int, str]]:
    """The cases that rely on a sentence newer than their level."""
    found = []
    for ref in refs:
        if ref.level > 3 or ref.broken is not None or ref.answer_id:
            continue
        case = ref.make()
        if case.expect is Stage.DONE:
            found += [(ref.id, n, text) for n, text in needed(case) if n > ref.level]
    return found


def test_no_case_relies_on_a_newer_sentence() -> None:
    refs = case_index()
    assert too_new(refs) == []
    # The sentences are met, by cases that have their levels.
    met = {
        text
        for ref in refs
        if ref.operation in SEEDED and ref.broken is None
        for _, text in needed(ref.make())
    }
    assert len(met) >= 6, met


@pytest.mark.parametrize("seed", [1, 2])
def test_nor_does_one_of_another_seed(seed: int) -> None:
    assert too_new(case_index(SEEDED, seed=seed, follows=follows)) == []


def test_rules_name_a_level_above_that_of_the_operation() -> None:
    rules = [(op, rule) for op in catalog().values() for rule in op.later]
    assert len(rules) >= 13
    for op, rule in rules:
        assert op.since < rule.level <= 8 and rule.says.endswith("."), op.name
    opening = {op.name for op, rule in rules if rule.opens}
    assert opening == {"L2_NORMALIZATION"}


def doctored(case: Case, result: Result, code: int) -> Result:
    """The result, every code of the logical zero replaced."""
    zero = case.model.main.operands[case.model.main.outputs[0]].zero_point
    runs = []
    for run in result.executions:
        (out,) = run.outputs
        data = bytes(code if byte == zero % 256 else byte for byte in out.data)
        runs.append(SetResult(run.code, (OutputResult(out.dims, data, out.unwritten),)))
    return Result(0, Ending.COMPLETED, Stage.DONE, executions=tuple(runs), device=result.device)


def test_zero_rows_are_left_open_before_level_4() -> None:
    """A device of level 3 may give anything there; it is held to all else, as newer ones to all."""
    index = {ref.id: ref for ref in case_index(["L2_NORMALIZATION"])}
    old = index["L2_NORMALIZATION[quant8-single-depth]"]
    new = index["L2_NORMALIZATION[quant8-zero-rows]"]
    assert (old.level, new.level) == (3, 4)
    cases = [old.make(), new.make()]
    runner = parse_target("host").open()
    results = list(runner.run(cases))
    runner.close()
    expected = {old.id: Verdict.PASS, new.id: Verdict.MISMATCH}
    for ref, case, result in zip((old, new), cases, results, strict=True):
        told = answer(ref, case)
        assert judge(ref, case, told, result).verdict is Verdict.PASS
        # Codes that the device of level 3 chose for zero rows.
        assert judge(ref, case, told, doctored(case, result, 5)).verdict is expected[ref.id]
        broken = doctored(case, result, 5)
        (out,) = broken.executions[0].outputs
        other = bytes(255 - byte for byte in out.data)
        run = SetResult(0, (OutputResult(out.dims, other, out.unwritten),))
        broken = Result(0, Ending.COMPLETED, Stage.DONE, executions=(run, *broken.executions[1:]))
        assert judge(ref, case, told, broken).verdict is Verdict.MISMATCH
    assert zero_rows(old, cases[0]) and not zero_rows(new, cases[1])


def test_an_older_device_need_not_refuse_zero_rows() -> None:
    newer = [ref.id for ref in case_index(["L2_NORMALIZATION"]) if ref.broken and ref.broken.newer]
    assert newer and not any("zero" in name for name in newer)
    runner = parse_target("host#nnapi-level-3").open()
    index = {ref.id: ref for ref in case_index(["L2_NORMALIZATION"])}
    ref = index["L2_NORMALIZATION[quant8-single-depth]"]
    (result,) = runner.run([ref.make()])
    runner.close()
    assert result.device == "nnapi-level-3"
    assert judge(ref, ref.make(), answer(ref, ref.make()), result).verdict is Verdict.PASS
