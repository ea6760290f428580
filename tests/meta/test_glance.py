"""The first look at an output says what the whole comparison says, in the same bits, or nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnapi_testkit.judge.compare import compare
from nnapi_testkit.judge.glance import glance
from nnapi_testkit.judge.profiles import PROFILES, Profile
from nnapi_testkit.model.case import Expected
from nnapi_testkit.model.types import Lifetime, Operand
from nnapi_testkit.op.bounds import SMALLEST
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, FLOATS

TYPES = [
    OperandCode.TENSOR_FLOAT32,
    OperandCode.TENSOR_FLOAT16,
    OperandCode.TENSOR_QUANT8_ASYMM,
    OperandCode.TENSOR_QUANT8_ASYMM_SIGNED,
    OperandCode.TENSOR_QUANT16_SYMM,
    OperandCode.TENSOR_INT32,
    OperandCode.TENSOR_BOOL8,
]
ODD = (np.nan, np.inf, -np.inf, -0.0, 0.0, 3.5e38, -7e4)
SHAPE = (3, 7)


def drawn(code: OperandCode, dice: np.random.Generator) -> tuple[Operand, Expected, bytes]:
    """An operand, what is expected of it, and the bytes of a driver that is right or nearly so."""
    operand = Operand(code, SHAPE, lifetime=Lifetime.OUTPUT)
    shape = SHAPE if dice.random() < 0.9 else (40, 40)  # enough for the errors' bias
    if code in CODE_RANGE:
        zero = 0 if code == OperandCode.TENSOR_QUANT16_SYMM else int(dice.integers(-9, 9))
        operand = replace(operand, scale=float(np.float32(0.03)), zero_point=zero)
    value = dice.uniform(-4.0, 4.0, shape)
    if code not in FLOATS and code not in CODE_RANGE:
        value = np.rint(value) if code == OperandCode.TENSOR_INT32 else (value > 0) * 1.0
    elif dice.random() < 0.4:
        value[0, :3] = dice.choice(ODD, 3)
    if code in FLOATS:
        with np.errstate(over="ignore"):
            value = value.astype(DTYPE[code]).astype(np.float64)
    bound = np.zeros(shape)
    if dice.random() < 0.7:
        bound = np.abs(dice.normal(0.0, 1e-2, shape)) + 4e-3
        bound[2, :4] = dice.choice([0.0, SMALLEST, 1.0, np.inf], 4)
    exempt = dice.random(shape) < 0.2 if dice.random() < 0.4 else None
    with np.errstate(all="ignore"):
        step = np.where(np.isfinite(bound), bound, 1.0)
        actual = value + step * dice.choice([0.0, 0.4, 1.5, 2.5], p=[0.5, 0.3, 0.1, 0.1])
        if code in CODE_RANGE:
            low, high = CODE_RANGE[code]
            codes = np.rint(np.nan_to_num(actual) / operand.scale) + operand.zero_point
            codes += dice.random() < 0.2
            data = np.clip(codes, low, high).astype(DTYPE[code])
        elif code in FLOATS:
            data = actual.astype(DTYPE[code])
            data[1, 1] = dice.choice([data[1, 1], *ODD], p=[0.86, *[0.02] * 7])
        else:
            data = np.nan_to_num(actual, posinf=1, neginf=0).astype(DTYPE[code])
    truth = code == OperandCode.TENSOR_INT32 and dice.random() < 0.1
    kind = OutputKind.TRUTH if truth else OutputKind.EACH
    return operand, Expected(value, bound, exempt, kind), data.tobytes()


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("code", TYPES, ids=lambda code: code.name)
def test_it_says_the_same_or_nothing(code: OperandCode, name: str) -> None:
    dice = np.random.default_rng(int(code))
    profile: Profile = PROFILES[name]
    spoken = silent = 0
    for _ in range(400):
        operand, expected, data = drawn(code, dice)
        relaxed = bool(dice.random() < 0.3)
        with np.errstate(all="ignore"):
            seen = glance(operand, expected, data, profile, relaxed)
        found = compare(operand, expected, data, profile, relaxed)
        if seen is None:
            silent += 1
            continue
        spoken += 1
        assert found.ok
        assert found.bias is None
        assert not found.clamped
        assert seen == (found.compared, found.exempt, found.margin, found.tolerance)
        assert [type(item) for item in seen] == [int, int, float, float]
    # Both ways are taken: what is right is seen at once, and what is not goes on.
    assert spoken > 50
    assert silent > 5 or code == OperandCode.TENSOR_BOOL8


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.0, 1e-3])
def test_what_is_wrong_is_left_to_the_comparison(wrong: float) -> None:
    expected = Expected(np.zeros(4), np.zeros(4))
    operand = Operand(OperandCode.TENSOR_FLOAT32, (4,))
    right = np.zeros(4, "<f4")
    assert glance(operand, expected, right.tobytes(), PROFILES["standard"], False) is not None
    right[2] = wrong
    assert glance(operand, expected, right.tobytes(), PROFILES["standard"], False) is None
