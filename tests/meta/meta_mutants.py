"""Wrong answers on purpose: what a judge has to notice.

A perfect driver is the oracle's own answer, rounded. A mutant is a perfect driver with one
mistake; a judge that lets it pass proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from nnapi_testkit.model.case import (
    Answer,
    Case,
    Ending,
    Expected,
    OutputResult,
    Result,
    SetResult,
    Stage,
)
from nnapi_testkit.model.types import Lifetime, Operand
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, is_tensor


def rounded(operand: Operand, expected: Expected) -> np.ndarray:
    """The expected values in the operand's element type, rounded to nearest."""
    code = OperandCode(operand.type)
    value = expected.value
    if expected.distribution is not None:
        return drawn(expected.distribution[0], value.shape[-1]).astype(DTYPE[code])
    with np.errstate(all="ignore"):
        if code in CODE_RANGE:
            low, high = CODE_RANGE[code]
            codes = np.rint(np.nan_to_num(value / operand.scale)) + operand.zero_point
            return np.clip(codes, low, high).astype(DTYPE[code])
        return value.astype(DTYPE[code])


def drawn(distribution: np.ndarray, count: int) -> np.ndarray:
    """Independent draws of class numbers, [..., count], by probabilities [..., classes]."""
    sums = np.cumsum(distribution, -1)
    uniform = np.random.default_rng(7).random((*distribution.shape[:-1], count)) * sums[..., -1:]
    return (uniform[..., None] >= sums[..., None, :]).sum(-1).clip(max=distribution.shape[-1] - 1)


def outputs_of(case: Case) -> list[Operand]:
    return [case.model.main.operands[i] for i in case.model.main.outputs]


def result_of(case: Case, sets: list[list[np.ndarray]]) -> Result:
    """What the runner would report for a driver that computes these outputs."""
    executions = tuple(
        SetResult(0, tuple(OutputResult(a.shape, a.tobytes(), 0) for a in arrays))
        for arrays in sets
    )
    return Result(0, Ending.COMPLETED, Stage.DONE, device="mutant", executions=executions)


def perfect(case: Case, answer: Answer) -> list[list[np.ndarray]]:
    """The outputs of a driver without a mistake."""
    operands = outputs_of(case)
    return [
        [rounded(operand, expected) for operand, expected in zip(operands, row, strict=True)]
        for row in answer.sets
    ]


def zeros(case: Case, sets: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
    """Real zeros everywhere."""
    operands = outputs_of(case)
    return [
        [
            np.full_like(array, operand.zero_point)
            for operand, array in zip(operands, row, strict=True)
        ]
        for row in sets
    ]


def echo(case: Case, sets: list[list[np.ndarray]]) -> list[list[np.ndarray]] | None:
    """The first input's bytes in the first output; None where the sizes differ."""
    found = []
    for execution, row in zip(case.sets, sets, strict=True):
        source = next((a for a in execution.inputs if a is not None), None)
        if source is None or source.nbytes != row[0].nbytes or not row[0].size:
            return None
        copied = np.frombuffer(source.tobytes(), dtype=row[0].dtype).reshape(row[0].shape)
        found.append([copied, *row[1:]])
    return found


def shifted(sets: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
    """Every output one element further on."""
    return [[np.roll(array.reshape(-1), 1).reshape(array.shape) for array in row] for row in sets]


def without_element(case: Case) -> Iterator[Case]:
    """The case with one element of one input set to the real zero, for several elements."""
    for position, index in enumerate(case.model.main.inputs):
        operand = case.model.main.operands[index]
        if not is_tensor(OperandCode(operand.type)):
            continue
        arrays = [execution.inputs[position] for execution in case.sets]
        size = min((a.size for a in arrays if a is not None), default=0)
        for element in {0, size // 2, size - 1} if size else ():
            sets = []
            for execution in case.sets:
                array = execution.inputs[position]
                assert array is not None
                changed = array.copy()
                flat = changed.reshape(-1)
                flat[element] = operand.zero_point if flat[element] != operand.zero_point else 1
                inputs = list(execution.inputs)
                inputs[position] = changed
                sets.append(replace(execution, inputs=tuple(inputs)))
            yield replace(case, sets=tuple(sets))


def without_weight(case: Case, whole: bool) -> Iterator[Case]:
    """The case with an element of a constant tensor (or, `whole`, all of a 1-D one) zeroed."""
    main = case.model.main
    for index, operand in enumerate(main.operands):
        code = OperandCode(operand.type)
        if operand.lifetime != Lifetime.CONSTANT or not is_tensor(code) or not operand.value:
            continue
        if whole and len(operand.dims) != 1:
            continue
        values = np.frombuffer(operand.value, dtype=DTYPE[code]).copy()
        if whole:
            values[:] = operand.zero_point
        else:
            values[values.size // 2] = operand.zero_point
        if values.tobytes() == operand.value:
            continue
        operands = list(main.operands)
        operands[index] = replace(operand, value=values.tobytes())
        graph = replace(main, operands=tuple(operands))
        yield replace(case, model=replace(case.model, main=graph))
