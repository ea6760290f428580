"""FarmHash's Fingerprint64 (Geoff Pike), the hash that LSH_PROJECTION is built on.

All numbers are unsigned, modulo 2**64, and bytes are read little-endian.
"""

from __future__ import annotations

_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_MASK = 2**64 - 1


def fingerprint64(data: bytes) -> int:
    """The fingerprint of `data`, in [0, 2**64)."""
    size = len(data)
    if size <= 16:
        return _to_16(data)
    if size <= 32:
        return _to_32(data)
    return _to_64(data) if size <= 64 else _longer(data)


def _fetch(data: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _rotate(value: int, shift: int) -> int:
    value &= _MASK
    return (value >> shift | value << (64 - shift)) & _MASK


def _mix(value: int) -> int:
    value &= _MASK
    return value ^ value >> 47


def _join(u: int, v: int, mul: int) -> int:
    a = _mix((u ^ v) * mul)
    return _mix((v ^ a) * mul) * mul & _MASK


def _to_16(s: bytes) -> int:
    size = len(s)
    mul = _K2 + size * 2
    if size >= 8:
        a, b = _fetch(s, 0) + _K2 & _MASK, _fetch(s, size - 8)
        c, d = _rotate(b, 37) * mul + a & _MASK, (_rotate(a, 25) + b) * mul & _MASK
        return _join(c, d, mul)
    if size >= 4:
        return _join(size + (_fetch(s, 0, 4) << 3), _fetch(s, size - 4, 4), mul)
    if size:
        y, z = s[0] + (s[size // 2] << 8), size + (s[-1] << 2)
        return _mix(y * _K2 ^ z * _K0) * _K2 & _MASK
    return _K2


def _to_32(s: bytes) -> int:
    size = len(s)
    mul = _K2 + size * 2
    a, b = _fetch(s, 0) * _K1, _fetch(s, 8)
    c, d = _fetch(s, size - 8) * mul, _fetch(s, size - 16) * _K2
    first = _rotate(a + b, 43) + _rotate(c, 30) + d & _MASK
    return _join(first, a + _rotate(b + _K2, 18) + c & _MASK, mul)


def _to_64(s: bytes) -> int:
    size = len(s)
    mul = _K2 + size * 2
    a, b = _fetch(s, 0) * _K2, _fetch(s, 8)
    c, d = _fetch(s, size - 8) * mul, _fetch(s, size - 16) * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d & _MASK
    z = _join(y, a + _rotate(b + _K2, 18) + c & _MASK, mul)
    e, f = _fetch(s, 16) * mul, _fetch(s, 24)
    g, h = (y + _fetch(s, size - 32)) * mul, (z + _fetch(s, size - 24)) * mul
    first = _rotate(e + f, 43) + _rotate(g, 30) + h & _MASK
    return _join(first, e + _rotate(f + a, 18) + g & _MASK, mul)


def _weak(s: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = (_fetch(s, at + 8 * i) for i in range(4))
    a += w
    b = _rotate(b + a + z, 21)
    c = a
    a += x + y
    return a + z & _MASK, b + _rotate(a, 44) + c & _MASK


def _longer(s: bytes) -> int:
    size = len(s)
    x, y = 81 * _K2 + _fetch(s, 0), 81 * _K1 + 113
    z = _mix(y * _K2 + 113) * _K2
    v, w = (0, 0), (0, 0)
    last = (size - 1) // 64 * 64
    rounds = [(at, _K1) for at in range(0, last, 64)] + [(size - 64, 0)]
    mul, times = _K1, 1
    for at, constant in rounds:
        if not constant:
            mul, times = _K1 + ((z & 0xFF) << 1), 9
            first = w[0] + ((size - 1) & 63)
            v = (v[0] + first, v[1])
            w = (first + v[0], w[1])
        x = _rotate(x + y + v[0] + _fetch(s, at + 8), 37) * mul
        y = _rotate(y + v[1] + _fetch(s, at + 48), 42) * mul
        x = (x ^ w[1] * times) & _MASK
        y = y + v[0] * times + _fetch(s, at + 40) & _MASK
        z = _rotate(z + w[0], 33) * mul & _MASK
        v = _weak(s, at, v[1] * mul, x + w[0])
        w = _weak(s, at + 32, z + w[1], y + _fetch(s, at + 16))
        z, x = x, z
    left = _join(v[0], w[0], mul) + _mix(y) * _K0 + z & _MASK
    return _join(left, _join(v[1], w[1], mul) + x & _MASK, mul)
