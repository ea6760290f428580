"""The comparators fail when they must, and only then."""

from __future__ import annotations

import numpy as np
import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.compare import Comparison, compare
from nnapi_testkit.judge.profiles import PROFILES, profile
from nnapi_testkit.model.case import Expected
from nnapi_testkit.model.types import Operand
from nnapi_testkit.op.bounds import SMALLEST
from nnapi_testkit.spec.codes import OperandCode

FLOAT32 = Operand(OperandCode.TENSOR_FLOAT32, (1,))
FLOAT16 = Operand(OperandCode.TENSOR_FLOAT16, (1,))
QUANT8 = Operand(OperandCode.TENSOR_QUANT8_ASYMM, (1,), 0.5, 100)
INT32 = Operand(OperandCode.TENSOR_INT32, (1,))
BOOL8 = Operand(OperandCode.TENSOR_BOOL8, (1,))


def judged(
    operand: Operand,
    value: object,
    bound: object,
    actual: object,
    *,
    dtype: str = "<f4",
    name: str = "strict",
    relaxed: bool = False,
    exempt: object = None,
) -> Comparison:
    values = np.atleast_1d(np.asarray(value, dtype=np.float64))
    bounds = np.broadcast_to(np.asarray(bound, dtype=np.float64), values.shape)
    mask = None if exempt is None else np.asarray(exempt)
    data = np.atleast_1d(np.asarray(actual)).astype(dtype).tobytes()
    return compare(operand, Expected(values, bounds, mask), data, PROFILES[name], relaxed)


@pytest.mark.parametrize("name", ["strict", "standard"])
def test_the_bound_is_the_limit(name: str) -> None:
    factor = PROFILES[name].float_factor
    assert judged(FLOAT32, 1.0, 2.0**-20, 1 + 2.0**-20 * factor, name=name).ok
    assert not judged(FLOAT32, 1.0, 2.0**-20, 1 + 2.0**-20 * factor + 2.0**-23, name=name).ok


def test_margin_and_least_tolerance_tell_how_far_off() -> None:
    found = judged(FLOAT32, [1.0, 2.0], 2.0**-10, [1 + 2.0**-8, 2.0])
    assert not found.ok
    assert found.margin == pytest.approx(4.0)
    assert found.tolerance == pytest.approx(2.0**-8)
    assert found.wrong.tolist() == [True, False]


@pytest.mark.parametrize(
    ("expected", "actual", "fine"),
    [
        (np.nan, np.nan, True),
        (np.nan, 0.0, False),
        (0.0, np.nan, False),
        (np.inf, np.inf, True),
        (np.inf, -np.inf, False),
        (np.inf, 3.4028235e38, False),
        (1.0, np.inf, False),
        (-np.inf, np.nan, False),
        (4e38, np.inf, True),
        (4e38, -np.inf, False),
        (3.4e38, np.inf, False),
    ],
)
def test_special_floats(expected: float, actual: float, fine: bool) -> None:
    found = judged(FLOAT32, expected, 1e-6 if np.isfinite(expected) else 0.0, actual)
    assert found.ok is fine
    assert bool(found.nan.any()) == bool(np.isnan(expected) != np.isnan(actual))


def test_an_all_nan_output_does_not_pass() -> None:
    assert not judged(FLOAT32, np.ones(8), 1e30, np.full(8, np.nan)).ok


def test_relaxed_float32_overflows_where_float16_does() -> None:
    assert judged(FLOAT32, 70000.0, 1.0, np.inf, relaxed=True).ok
    assert not judged(FLOAT32, 70000.0, 1.0, np.inf).ok
    assert not judged(FLOAT32, 60000.0, 1.0, np.inf, relaxed=True).ok
    assert judged(FLOAT16, 65520.0, 1.0, np.inf, dtype="<f2").ok


def test_data_that_only_move_keep_the_sign_of_zero() -> None:
    assert not judged(FLOAT32, -0.0, 0.0, 0.0).ok
    assert judged(FLOAT32, -0.0, 0.0, -0.0).ok
    assert judged(FLOAT32, -0.0, SMALLEST, 0.0).ok


def test_exempt_elements_are_counted_not_compared() -> None:
    found = judged(FLOAT32, [1.0, 2.0], 0.0, [1.0, 9.0], exempt=[False, True])
    assert found.ok
    assert (found.compared, found.exempt) == (1, 1)
    assert found.margin == 0


@pytest.mark.parametrize(
    ("real", "code", "fine"),
    [
        (10.0, 120, True),
        (10.0, 121, False),
        (10.24, 120, True),
        (10.26, 120, False),
        (10.25, 120, True),  # a tie goes either way
        (10.25, 121, True),
        (1000.0, 255, True),  # saturates
        (1000.0, 254, False),
        (-1000.0, 0, True),
        (np.inf, 255, True),
        (np.nan, 7, True),
    ],
)
def test_codes_are_the_real_value_rounded(real: float, code: int, fine: bool) -> None:
    assert judged(QUANT8, real, 1e-9, code, dtype="u1").ok is fine


def test_standard_gives_computed_codes_one_of_freedom_and_moved_ones_none() -> None:
    assert judged(QUANT8, 10.0, 1e-9, 121, dtype="u1", name="standard").ok
    assert not judged(QUANT8, 10.0, 1e-9, 122, dtype="u1", name="standard").ok
    assert not judged(QUANT8, 10.0, 0.0, 121, dtype="u1", name="standard").ok


def biased(share: float) -> Comparison:
    """1,000 outputs of which a share is one code too high."""
    codes = 40 + np.arange(1000) % 150
    real = (codes - 100) * 0.5
    wrong = codes + (np.arange(1000) < share * 1000)
    return judged(QUANT8, real, 1e-9, wrong, dtype="u1", name="standard")


def test_a_bias_is_noticed_though_every_code_is_legal() -> None:
    assert biased(0.0).ok
    assert biased(0.02).ok
    found = biased(0.5)
    assert not found.wrong.any()
    assert not found.ok
    assert found.bias == pytest.approx(0.5)


def test_ties_have_no_bias() -> None:
    """A driver that always rounds halves up is not biased: both ways are legal."""
    codes = 40 + np.arange(1000) % 150
    real = (codes + 0.5 - 100) * 0.5
    assert judged(QUANT8, real, 1e-9, codes + 1, dtype="u1", name="standard").ok


def test_integers_and_booleans_are_exact() -> None:
    assert judged(INT32, 7, 0.0, 7, dtype="<i4").ok
    assert not judged(INT32, 7, 0.0, 8, dtype="<i4").ok
    assert judged(INT32, 7, 0.0, 8, dtype="<i4", name="cts").ok
    assert judged(BOOL8, 1, 0.0, 255, dtype="u1").ok
    assert not judged(BOOL8, 0, 0.0, 1, dtype="u1").ok


def test_cts_uses_the_published_figures() -> None:
    assert judged(FLOAT32, 1.0, 0.0, 1 + 1.0e-5, name="cts").ok
    assert not judged(FLOAT32, 1.0, 0.0, 1 + 1.1e-5, name="cts").ok
    assert judged(FLOAT32, 1.0, 0.0, 1.009, name="cts", relaxed=True).ok
    assert judged(QUANT8, 10.0, 0.0, 121, dtype="u1", name="cts").ok


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(KitError, match="strict, standard, cts"):
        profile("loose")
