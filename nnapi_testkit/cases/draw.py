"""Input data: a counter-based generator, the same on every machine and numpy version.

The stream of a key is splitmix64 (Steele, Lea and Flood, 2014) over the counters 1, 2, ...
"""

from __future__ import annotations

import math
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.array(0xBF58476D1CE4E5B9, np.uint64)
_MIX2 = np.array(0x94D049BB133111EB, np.uint64)
# Arrays of no dimension: unlike numpy's scalars they need no conversion in each call.
_S30, _S27, _S31, _S11 = (np.array(n, np.uint64) for n in (30, 27, 31, 11))


def key_of(*parts: object) -> int:
    """A 64-bit key from any printable parts."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def bits(key: int, count: int) -> NDArray[np.uint64]:
    """`count` uniform 64-bit words of the stream `key`."""
    # Arrays of integers wrap around without a warning.
    steps = _STEPS[:count] if count <= _STEPS.size else _steps(count)
    z = steps + np.uint64(key)
    shifted = z >> _S30
    z ^= shifted
    z *= _MIX1
    np.right_shift(z, _S27, shifted)
    z ^= shifted
    z *= _MIX2
    np.right_shift(z, _S31, shifted)
    z ^= shifted
    return z


def _steps(count: int) -> NDArray[np.uint64]:
    counters: NDArray[np.uint64] = np.arange(1, count + 1, dtype=np.uint64)
    return counters * _GAMMA


# Most tensors are small; their counters are multiplied once.
_STEPS = _steps(4096)


def uniform(key: int, count: int, low: float, high: float) -> NDArray[np.float64]:
    """Uniform real numbers in [low, high)."""
    words = bits(key, count)
    words >>= _S11
    result = words.astype(np.float64)
    # Of the same bits as `(high - low) * (words * 2**-53)`: powers of two round nothing.
    result *= (high - low) * 2.0**-53
    result += low
    return result


def integers(key: int, count: int, low: int, high: int) -> NDArray[np.int64]:
    """Uniform integers in [low, high]."""
    span = np.uint64(high - low + 1)
    words = bits(key, count)
    words >>= _S11
    words %= span
    result = words.view(np.int64)  # below 2^53
    result += low
    return result


def magnitudes(key: int, count: int, low: float = -10.0, high: float = 3.0) -> NDArray[np.float64]:
    """Real numbers of either sign whose binary logarithm is uniform in [low, high)."""
    sign = np.where(bits(key ^ 0x5A5A, count) & np.uint64(1), -1.0, 1.0)
    return sign * power_of_two(uniform(key, count, low, high))


def power_of_two(exponent: NDArray[np.float64]) -> NDArray[np.float64]:
    """2 to the power of each exponent, to 1e-15 of it, in the same bits everywhere.

    Maths libraries differ in the last place of `exp2`, which would make other inputs where it lies
    next to the middle of two float32. This series of exp(x ln 2) adds and multiplies only.
    """
    whole = np.floor(exponent)
    x = (exponent - whole) * math.log(2)
    total = np.ones_like(x)
    for n in range(18, 0, -1):
        total = total * x / n + 1.0
    result: NDArray[np.float64] = np.ldexp(total, whole.astype(np.int64))
    return result
