"""Input data: a counter-based generator, the same on every machine and numpy version.

The stream of a key is splitmix64 (Steele, Lea and Flood, 2014) over the counters 1, 2, ...
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = (np.uint64(n) for n in (30, 27, 31, 11))


def key_of(*parts: object) -> int:
    """A 64-bit key from any printable parts."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def bits(key: int, count: int) -> NDArray[np.uint64]:
    """`count` uniform 64-bit words of the stream `key`."""
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * _GAMMA + np.uint64(key)
        z = (z ^ (z >> _S30)) * _MIX1
        z = (z ^ (z >> _S27)) * _MIX2
    result: NDArray[np.uint64] = z ^ (z >> _S31)
    return result


def uniform(key: int, count: int, low: float, high: float) -> NDArray[np.float64]:
    """Uniform real numbers in [low, high)."""
    unit = (bits(key, count) >> _S11).astype(np.float64) * 2.0**-53
    result: NDArray[np.float64] = low + (high - low) * unit
    return result


def integers(key: int, count: int, low: int, high: int) -> NDArray[np.int64]:
    """Uniform integers in [low, high]."""
    span = np.uint64(high - low + 1)
    result: NDArray[np.int64] = ((bits(key, count) >> _S11) % span).astype(np.int64) + low
    return result


def magnitudes(key: int, count: int, low: float = -10.0, high: float = 3.0) -> NDArray[np.float64]:
    """Real numbers of either sign whose binary logarithm is uniform in [low, high)."""
    sign = np.where(bits(key ^ 0x5A5A, count) & np.uint64(1), -1.0, 1.0)
    result: NDArray[np.float64] = sign * np.exp2(uniform(key, count, low, high))
    return result
