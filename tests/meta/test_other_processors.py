"""The last place of a float64 decides nothing: the suite by the arithmetic of any other processor.

`python -m benchmarks.other_processors` takes all cases and more seeds; here is a share of them, and
all that once depended on a last place. The test of the test takes the allowance away.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from benchmarks.nudged import Nudged
from benchmarks.other_processors import look, with_answers, without_allowance
from nnapi_testkit.answers import moved
from nnapi_testkit.cases.draw import power_of_two
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.compare import compare
from nnapi_testkit.judge.draws import draws_margin
from nnapi_testkit.judge.profiles import PROFILES, profile
from nnapi_testkit.model.case import Answer, Expected
from nnapi_testkit.model.types import Operand
from nnapi_testkit.op.bounds import ARITHMETIC
from nnapi_testkit.op.families.boxes import best
from nnapi_testkit.oracle import answer
from nnapi_testkit.oracle.propagate import Bounded
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind

SEEDS = (0, 1, 2)
SHARE = 60
# One of each kind of fault that the last place once decided.
SENSITIVE = (
    "RANDOM_MULTINOMIAL[float32-rows]",  # a law with bound 0
    "RANDOM_MULTINOMIAL[float32-large-logits]",
    "BOX_WITH_NMS_LIMIT[float32-ties]",  # the order of ties
    "BOX_WITH_NMS_LIMIT[float32-ties-gaussian]",
    "ROI_ALIGN[float32-adaptive]",  # a quotient rounded up
    "ROI_ALIGN[float32-special-fixed]",  # weights that are 0 or nearly so
    "RESIZE_BILINEAR[float32-special-large]",  # a position rounded down
    "DIV[int32-floors]",
    "CAST[float16>quant8-large]",
    "CAST[quant8>float16-special-large]",  # the sign of zero
    "LSH_PROJECTION[quant8-dense]",  # codes from real values
    "EQUAL[quant8-ties]",
    "MAXIMUM[quant8-one-scale]",  # quantized values with bound 0
    "TRANSPOSE[quant8-rank4]",
    "REDUCE_PROD[float32-special-large]",  # products at the ends of the type
    "REDUCE_PROD[float16-special-inner]",
    "MEAN[float32-special-last]",  # sums at the largest number
    "AVERAGE_POOL_2D[float32-special-large]",
    "TRANSPOSE_CONV_2D[quant8_signed-pair-real-explicit]",  # bounds that cancel
    "GENERATE_PROPOSALS[quant8-just-least]",
    "TOPK_V2[quant8_signed-pair-between-rank2]",
)


def refs(names: tuple[str, ...]) -> list[CaseRef]:
    """The cases of these ids; an id that is no case any more is an error."""
    index = case_index({name.partition("[")[0] for name in names})
    found = {ref.id: ref for ref in index}
    return [found[name] for name in names]


def test_every_operation() -> None:
    chosen = [ref for name in catalog() for ref in with_answers(name, SHARE)[:6]]
    tally = look(chosen, SEEDS[:1], 2)
    assert tally.cases > 150
    assert len(tally.functions) > 15, "the functions of the references are not nudged"
    assert (tally.disputes, tally.changed) == ([], [])


def test_what_once_depended_on_the_last_place() -> None:
    tally = look(refs(SENSITIVE), SEEDS, 2)
    assert tally.cases == len(SENSITIVE)
    assert (tally.disputes, tally.changed) == ([], [])


def test_without_allowance_it_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("answers.stale", "judge.compare", "judge.draws"):
        # Only to be undone: what is set there for this test is set by `without_allowance`.
        monkeypatch.setattr(f"nnapi_testkit.{module}.ARITHMETIC", ARITHMETIC)
    without_allowance()
    tally = look(refs(SENSITIVE[:4]), SEEDS, 2)
    assert any("RANDOM_MULTINOMIAL" in line for line in tally.disputes)
    monkeypatch.undo()
    assert look(refs(SENSITIVE[:4]), SEEDS, 2).disputes == []


def test_what_moves_a_result() -> None:
    value = torch.linspace(0.1, 3.0, 500, dtype=torch.float64)
    with Nudged(7) as nudged:
        found = value.exp()
        kept = value.flip(0).clamp(0.5, 2.0).reshape(10, 50)
        bounded = torch.sigmoid(Bounded(value, torch.zeros_like(value), 2.0**-24, 2.0**-126))
    assert set(nudged.functions) >= {"exp", "sigmoid"}
    units = (found.view(torch.int64) - value.exp().view(torch.int64)).tolist()
    assert sorted(set(units)) == [-2, -1, 0, 1, 2]
    assert torch.equal(kept, value.flip(0).clamp(0.5, 2.0).reshape(10, 50))
    assert not torch.equal(bounded.value, torch.sigmoid(value))
    special = torch.tensor([0.0, -0.0, math.inf, math.nan], dtype=torch.float64)
    with Nudged(7):
        same = special + 0.0
    assert same.tolist()[:3] == [0.0, 0.0, math.inf] and math.isnan(same[3])


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize(
    ("code", "value", "next_one"),
    [
        (OperandCode.TENSOR_FLOAT32, 1.0, np.nextafter(np.float32(1), np.float32(2))),
        (OperandCode.TENSOR_FLOAT32, 3e38, np.nextafter(np.float32(3e38), np.float32(0))),
        (OperandCode.TENSOR_FLOAT16, 1.0, np.nextafter(np.float16(1), np.float16(2))),
        (OperandCode.TENSOR_INT32, 2.0**31 - 1, np.int32(2**31 - 2)),
    ],
)
def test_the_next_number_stays_wrong(
    name: str, code: OperandCode, value: float, next_one: np.generic
) -> None:
    rules = profile(name)
    if rules.fixed:
        pytest.skip("a fixed tolerance takes more")
    stored = np.asarray(value).astype(np.asarray(next_one).dtype)
    real = float(stored)
    for expected in (real, real * (1 + 2.0**-50)):
        told = Expected(np.array([expected]), np.zeros(1))
        told = told if code != OperandCode.TENSOR_INT32 else Expected(np.array([real]), np.zeros(1))
        operand = Operand(code, (1,))
        assert compare(operand, told, stored.tobytes(), rules, False).ok
        assert not compare(operand, told, np.asarray(next_one).tobytes(), rules, False).ok


def test_an_exact_zero_keeps_its_sign() -> None:
    told, operand = Expected(np.zeros(1), np.zeros(1)), Operand(OperandCode.TENSOR_FLOAT32, (1,))
    for value, right in ((0.0, True), (-0.0, False), (1e-45, False)):
        data = np.float32(value).tobytes()
        assert compare(operand, told, data, profile("strict"), False).ok is right


@pytest.mark.parametrize("off", [0.0, -1e-15, 1e-15])
def test_a_code_next_to_a_rounding_boundary(off: float) -> None:
    """The middle of two codes takes both, on whichever side of it a processor's value lies."""
    operand = Operand(OperandCode.TENSOR_QUANT8_ASYMM, (1,), scale=0.1, zero_point=7)
    told = Expected(np.array([10.5 * 0.1 * (1 + off)]), np.zeros(1))
    legal = [
        code
        for code in range(256)
        if compare(operand, told, np.uint8(code).tobytes(), profile("strict"), False).ok
    ]
    assert legal == [17, 18]


def test_an_infinity_allows_nothing_else() -> None:
    told = Expected(np.array([math.inf]), np.zeros(1))
    operand = Operand(OperandCode.TENSOR_FLOAT32, (1,))
    for value, right in ((math.inf, True), (-math.inf, False), (1.0, False), (math.nan, False)):
        found = compare(operand, told, np.float32(value).tobytes(), profile("strict"), False)
        assert found.ok is right


def test_a_golden_is_stale_beyond_the_last_places() -> None:
    distribution = np.array([[[0.25, 0.75]], [[0.0, 0.0]]])

    def told(factor: float) -> Answer:
        drawn = Expected(
            np.zeros((1, 4)), np.zeros((1, 4)), None, OutputKind.DRAWS, distribution * factor
        )
        exact = Expected(np.array([3.0]) * factor, np.zeros(1))
        return Answer(((drawn, exact),))

    assert moved(told(1.0), told(1 + 2.0**-50)) == ""
    assert "moved" in moved(told(1.0), told(1 + 2.0**-40))


def test_a_class_of_probability_one_is_drawn() -> None:
    distribution = np.array([[[1 - 2.0**-53]], [[0.0]]])
    assert draws_margin(distribution, np.zeros((1, 64), np.int64)) < 1
    # What never happens stays impossible.
    never = np.array([[[1.0, 0.0]], [[0.0, 0.0]]])
    assert draws_margin(never, np.array([[0, 1, 0, 0]])) > 1


def test_equal_scores_tie() -> None:
    third = 1.0 / 3
    assert best([third, third * (1 + 2.0**-52), 0.9], -1) == [2, 0, 1]


def test_powers_of_two_are_those_of_real_numbers() -> None:
    exponent = np.linspace(-30.0, 30.0, 4001)
    assert np.abs(power_of_two(exponent) / np.exp2(exponent) - 1).max() < 4e-15
    assert power_of_two(np.array([-3.0, 0.0, 7.0])).tolist() == [0.125, 1.0, 128.0]


def test_bounds_are_stored_in_eighths_of_powers_of_two() -> None:
    from nnapi_testkit.answers.container import _bound_of_each, _pack_bounds

    bounds = np.array([0.0, 5e-324, 2.0**-1022, 0.3, 1.0, 2.0 ** (1 / 8), 1e300])
    back = _bound_of_each()[np.frombuffer(_pack_bounds(bounds), "<u2")]
    assert back[0] == 0 and (back >= bounds).all()
    assert (back[1:] <= bounds[1:] * 2.0 ** (1 / 8) * (1 + 1e-12)).all()


def test_the_answers_do_not_depend_on_this_process() -> None:
    """Nudging is undone: the oracle gives the same bits before and after."""
    (ref,) = refs(SENSITIVE[:1])
    case = ref.make()
    before = answer(ref, case)
    with Nudged(3):
        between = answer(ref, case)
    after = answer(ref, case)
    first, second, third = (a.sets[0][0].distribution for a in (before, between, after))
    assert np.array_equal(first, third) and not np.array_equal(first, second)
