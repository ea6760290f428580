"""The suite bites: every cell has cases that reject wrong drivers, with bounds that are small."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

pytest.importorskip("torch")

from meta_mutants import (
    echo,
    outputs_of,
    perfect,
    result_of,
    shifted,
    without_element,
    without_weight,
    zeros,
)

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Answer, Case
from nnapi_testkit.oracle import OracleError, answer
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import CODE_RANGE, FLOATS

# Operations whose answer is a matter of distribution or order have tests of their own.
OPERATIONS = sorted(catalog())
# Median allowed error over the output's range.
SMALL = {"float32": 1e-4, "half": 5e-2}


@dataclass
class Power:
    """Which mutants the cases of one cell met, and which they rejected."""

    met: set[str] = field(default_factory=set)
    killed: set[str] = field(default_factory=set)
    ratios: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    large: int = 0


def verdict(ref: CaseRef, case: Case, told: Answer, outputs: list[list[np.ndarray]]) -> Verdict:
    return judge(ref, case, told, result_of(case, outputs), profile="standard").verdict


def same(left: list[list[np.ndarray]], right: list[list[np.ndarray]]) -> bool:
    pairs = (pair for x, y in zip(left, right, strict=True) for pair in zip(x, y, strict=True))
    return all(a.tobytes() == b.tobytes() for a, b in pairs)


def attempt(power: Power, name: str, rejects: Callable[[], bool]) -> None:
    if name in power.killed:
        return
    power.met.add(name)
    if rejects():
        power.killed.add(name)


def challenge(power: Power, ref: CaseRef, case: Case, told: Answer) -> None:
    """Every mutant against one case."""
    right = perfect(case, told)
    if sum(a.size for row in right for a in row) < 2:
        return

    def rejected(outputs: list[list[np.ndarray]] | None) -> bool:
        return outputs is not None and verdict(ref, case, told, outputs).is_failure

    for name, wrong in (
        ("zeros", zeros(case, right)),
        # Draws of one law remain draws of it in any order.
        ("shifted", None if told.sets[0][0].kind == OutputKind.DRAWS else shifted(right)),
        ("echo", echo(case, right)),
    ):
        if wrong is not None and not same(wrong, right):
            attempt(power, name, lambda wrong=wrong: rejected(wrong))
    for name, cases in (
        ("element", without_element(case)),
        ("weight", without_weight(case, whole=False)),
        ("bias", without_weight(case, whole=True)),
    ):
        for other in cases:
            if name in power.killed:
                break
            try:
                changed = perfect(case, answer(ref, other))
            except (OracleError, ValueError, RuntimeError, IndexError, ZeroDivisionError):
                continue  # an attribute tensor that makes no sense any more
            if not same(changed, right):
                attempt(power, name, lambda changed=changed: rejected(changed))


def measure(power: Power, case: Case, told: Answer) -> None:
    """How much error the answer allows, against the range of the outputs."""
    for row in told.sets:
        for operand, expected in zip(outputs_of(case), row, strict=True):
            code = OperandCode(operand.type)
            if code not in FLOATS or expected.value.size < 8 or expected.exempt is not None:
                continue
            value = expected.value
            if not np.isfinite(value).all() or np.ptp(value) == 0:
                continue
            half = case.model.relaxed or code == OperandCode.TENSOR_FLOAT16
            ratio = float(np.median(expected.bound)) / float(np.ptp(value))
            power.ratios["half" if half else "float32"].append(ratio)


@pytest.mark.parametrize("name", OPERATIONS)
def test_cases_reject_wrong_drivers(name: str) -> None:
    """Zeros, echoed input, a zeroed element or weight, a shift, a dropped bias are noticed."""
    cells: dict[str, Power] = defaultdict(Power)
    for ref in (ref for ref in case_index([name]) if ref.has_golden):
        power = cells[ref.cell]
        if ref.kind == "special" or (len(power.ratios) and power.met and power.met == power.killed):
            continue
        case = ref.make()
        told = answer(ref, case)
        assert verdict(ref, case, told, perfect(case, told)) in (Verdict.PASS, Verdict.OBSERVED), (
            f"{ref.id}: the exact answer, rounded, does not pass"
        )
        challenge(power, ref, case, told)
        measure(power, case, told)
    for cell, power in cells.items():
        assert power.met, f"{name} {cell}: no mutant could be built"
        assert power.met == power.killed, f"{name} {cell} lets pass: {power.met - power.killed}"
        for kind, ratios in power.ratios.items():
            assert np.median(ratios) <= SMALL[kind], (
                f"{name} {cell} {kind}: allowed error is {np.median(ratios):.2g} of the range"
            )


@pytest.mark.parametrize("name", OPERATIONS)
def test_large_cases_spread(name: str) -> None:
    """Cells of computed numbers have 1,000 outputs that are spread over the type's codes."""
    for ref in case_index([name]):
        if not ref.id.endswith("-large]") or ref.kind != "positive":
            continue
        case = ref.make()
        told = answer(ref, case)
        sizes = [expected.value.size for expected in told.sets[0]]
        assert max(sizes) >= 1000, f"{ref.id} has only {max(sizes)} outputs"
        for operand, array in zip(outputs_of(case), perfect(case, told)[0], strict=True):
            code = OperandCode(operand.type)
            if code not in CODE_RANGE or "relu" in ref.id or array.size < 1000:
                continue
            low, high = CODE_RANGE[code]
            saturated = np.mean((array == low) | (array == high))
            assert saturated <= 0.1, f"{ref.id}: {saturated:.0%} of the outputs are saturated"
