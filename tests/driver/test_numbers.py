"""Half floats and quantized rounding of the driver, against NumPy and exact fractions."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
DRIVER = ROOT / "emulator" / "driver"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """numbers.cpp, compiled with the driver's flags."""
    compiler = os.environ.get("CXX") or shutil.which("c++")
    assert compiler, "a C++ compiler is needed"
    path = tmp_path_factory.mktemp("numbers") / "numbers"
    sources = [Path(__file__).with_name("numbers.cpp"), DRIVER / "half.cpp", DRIVER / "error.cpp"]
    flags = ["-std=c++20", "-O2", "-ffp-contract=off"]
    includes = [f"-I{DRIVER}", f"-I{ROOT / 'emulator' / 'include'}"]
    subprocess.run([compiler, *flags, *includes, *map(str, sources), "-o", str(path)], check=True)
    return path


def run(program: Path, mode: str, values: NDArray[Any], kind: type) -> NDArray[Any]:
    """The program's answer for these values."""
    done = subprocess.run(
        [str(program), mode], input=values.tobytes(), capture_output=True, check=True
    )
    return np.frombuffer(done.stdout, kind)


def same_halves(ours: NDArray[Any], theirs: NDArray[Any]) -> None:
    """Equal bits, or both NaN."""
    nan = np.isnan(ours.view(np.float16)) & np.isnan(theirs.view(np.float16))
    assert ((ours == theirs) | nan).all()


def test_every_half_becomes_its_float(program: Path) -> None:
    halves = np.arange(65536, dtype=np.uint16)
    single, bulk = np.split(run(program, "float-from-half", halves, np.float32), 2)
    expected = halves.view(np.float16).astype(np.float32)
    np.testing.assert_array_equal(single, expected)
    np.testing.assert_array_equal(bulk, expected)
    np.testing.assert_array_equal(np.signbit(single), np.signbit(expected))


def test_floats_round_to_the_nearest_half(program: Path) -> None:
    rng = np.random.default_rng(1)
    floats = rng.integers(0, 2**32, 1_000_003, dtype=np.uint64).astype(np.uint32).view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = floats.astype(np.float16).view(np.uint16)
    same_halves(run(program, "half-from-float", floats, np.uint16), expected)


def test_doubles_round_once(program: Path) -> None:
    """Around every midpoint of two halves: double rounding through float would show."""
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)
    middles = (halves[:-1] + halves[1:]) / 2
    nudges = [middles, np.nextafter(middles, 0), np.nextafter(middles, np.inf), halves]
    edges = np.array([65504, 65519.9999, 65520, 65536, 1e300, np.inf, np.nan, 5e-324, 0])
    values = np.concatenate([*nudges, edges])
    values = np.concatenate([values, -values])
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16).view(np.uint16)
    same_halves(run(program, "half-from-double", values, np.uint16), expected)


def exact(a: float, b: float, divisor: float) -> int:
    """round(a * b / divisor), halves away from zero."""
    quotient = Fraction(a) * Fraction(b) / Fraction(divisor)
    magnitude = math.floor(abs(quotient) + Fraction(1, 2))
    return -magnitude if quotient < 0 else magnitude


@pytest.mark.parametrize("mode", ["quotient", "requantize"])
def test_quotients_round_correctly(program: Path, mode: str) -> None:
    """Random scales, scales that make ties, and scales one step beside a tie."""
    rng = np.random.default_rng(2)
    count = 4000
    a = rng.integers(-(2**20), 2**20, 3 * count).astype(np.float64)
    b = rng.random(3 * count).astype(np.float32).astype(np.float64)
    divisor = (rng.random(3 * count) + 0.5).astype(np.float32).astype(np.float64)
    b[count:] = rng.choice([0.5, 1.5, 0.25, 2.5, 0.125], 2 * count)
    divisor[count:] = rng.choice([1.0, 0.5, 2.0], 2 * count)
    near = divisor[2 * count :].astype(np.float32)
    divisor[2 * count :] = np.nextafter(near, np.float32(2)).astype(np.float64)
    values = np.stack([a, b, divisor], axis=1).ravel()
    ours = run(program, mode, values, np.float64)
    expected = [exact(*triple) for triple in zip(a, b, divisor, strict=True)]
    np.testing.assert_array_equal(ours, expected)
