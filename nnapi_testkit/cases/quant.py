"""Which scales and zero points generated operands get."""

from __future__ import annotations

import math
import struct

from nnapi_testkit.cases.draw import key_of, uniform
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import ASYMMETRIC, CODE_RANGE, is_quantized

_FLOAT32 = struct.Struct("<f")
# Powers of two and numbers that float32 cannot represent exactly, in units of a 2.5 half range.
_SCALES = (1.0, 0.8, 1.27, 0.6640625)
_SHIFTS = (0, -11, 23, 5)
# Codes that a drawn quantization leaves for the data of an operand that has a domain.
_FEWEST = 16


def default_quant(code: OperandCode, *key: object) -> tuple[float, int]:
    """A scale and zero point that put real values within about [-3, 3]."""
    if not is_quantized(code) or code == OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL:
        return 0.0, 0
    low, high = CODE_RANGE[code]
    pick = key_of("quant", *key)
    scale = float_32(_SCALES[pick % 4] * 5.0 / (high - low))
    if code not in ASYMMETRIC:
        return scale, 0
    shift = _SHIFTS[(pick >> 8) % 4] * (high - low + 1) // 256
    return scale, (low + high + 1) // 2 + shift


def drawn_quant(
    code: OperandCode, domain: tuple[float, float] | None, *key: object
) -> tuple[float, int]:
    """Any scale within a factor of 2 of the default one, and any zero point of the type.

    A zero point that leaves few codes inside `domain` is drawn again; the default one is the last
    resort.
    """
    usual = default_quant(code, *key)
    if not usual[0]:
        return usual
    low, high = CODE_RANGE[code]
    draws = uniform(key_of("drawn", *key), 16, 0.0, 1.0).tolist()
    for share, place in zip(draws[::2], draws[1::2], strict=True):
        scale = float_32(5.0 / (high - low) * 4.0 ** (share - 0.5))
        zero = low + round(place * (high - low)) if code in ASYMMETRIC else 0
        if domain is None:
            return scale, zero
        first = max(low, math.ceil(domain[0] / scale) + zero)
        last = min(high, math.floor(domain[1] / scale) + zero)
        if last - first >= _FEWEST:
            return scale, zero
    return usual


def drawn_span(low: float, high: float, *key: object) -> tuple[float, float]:
    """A real interval for an output near [low, high], each end moved by up to a third."""
    below, above = uniform(key_of("span", *key), 2, 2 / 3, 4 / 3).tolist()
    return low * below, high * above


def span_quant(code: OperandCode, low: float, high: float) -> tuple[float, int]:
    """The scale and zero point whose codes cover the real interval [low, high]."""
    first, last = CODE_RANGE[code]
    if code not in ASYMMETRIC:
        return float_32(max(abs(low), abs(high)) / last), 0
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float_32((high - low) / (last - first))
    return scale, max(first, min(last, round(first - low / scale)))


def amplitude(
    code: OperandCode, quant: tuple[float, int], domain: tuple[float, float] | None
) -> float:
    """Half the width of the real interval that generated data cover."""
    limits = CODE_RANGE.get(code)
    if limits is not None:
        return quant[0] * (limits[1] - limits[0]) / 2 if quant[0] > 0 else 2.0
    if domain is not None:
        return max(abs(domain[0]), abs(domain[1]))
    return 100.0 if code == OperandCode.TENSOR_INT32 else 2.0


def float_32(value: float) -> float:
    """`value` rounded to the float32 that the C API carries."""
    rounded: float = _FLOAT32.unpack(_FLOAT32.pack(value))[0]
    return rounded
