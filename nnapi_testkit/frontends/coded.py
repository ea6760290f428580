"""Graphs that say in floats what is computed in codes: dequantize, operator, quantize.

A value between is held as codes, and a rule that is made for them is tried with the quantization of
its result first; where NNAPI's operation is another one (the scale of its result is fixed, say),
the codes are made real, as the graph has it. ONNX (QDQ) and PyTorch (PT2E) share what is here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnapi_testkit.frontends.draft import Quant, Refusal, undocumented
from nnapi_testkit.frontends.sketch import Value
from nnapi_testkit.frontends.steps import Steps
from nnapi_testkit.model.types import ChannelQuant
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import CODE_RANGE

__all__ = ["CodedSteps", "Codes", "Filter", "bias", "bounded", "dense_codes", "filters", "softened"]

_C = OperandCode
_SIGNED = _C.TENSOR_QUANT8_ASYMM_SIGNED
_INT32 = (-(2**31), 2**31 - 1)


@dataclass(frozen=True)
class Codes:
    """A constant of codes: real value = (codes - zero) * scale, per tensor or along `axis`."""

    codes: NDArray[Any]
    scale: NDArray[np.float64]
    zero: NDArray[np.int64]
    axis: int

    @property
    def channels(self) -> bool:
        """Whether each slice along `axis` has a scale of its own."""
        return self.scale.size > 1

    def real(self) -> torch.Tensor:
        """The real values, in float32."""
        shape: tuple[int, ...] = ()
        if self.channels:
            shape = (1,) * self.axis + (-1,) + (1,) * (self.codes.ndim - self.axis - 1)
        whole = self.codes.astype(np.int64) - self.zero.reshape(shape)
        return torch.from_numpy(np.asarray(whole * self.scale.reshape(shape), np.float32))


@dataclass(kw_only=True)
class CodedSteps(Steps):
    """A lowering whose values may be codes.

    Args:
        mode: the quantization of the result that a rule is asked for; None for real values.
    """

    mode: Quant | None = None
    _real: dict[int, Value] = field(default_factory=dict)

    def in_codes_or_reals(self, quant: Quant | None, lower: Callable[[], Any]) -> Any:
        """What a rule gives: in codes where the graph and NNAPI have them, else in reals.

        Args:
            quant: of the result, where the rule is made for codes and the graph rounds to them.
        """
        if quant is not None:
            self.mode = quant
            try:
                return self.tried(lower)
            except Refusal:
                pass  # in reals, then
            finally:
                self.mode = None
        return self.tried(lower)

    def tried(self, lower: Callable[[], Any]) -> Any:
        """What a rule gives; Refusal, and nothing left of it, if it emits what NNAPI has not."""
        mark = self._mark()
        try:
            made = lower()
            for operation in self.sketch.operations[mark[1] :]:
                problem = undocumented(operation, self.sketch.operands)
                if problem:
                    raise Refusal(problem)
        except Refusal:
            self._reset(mark)
            raise
        return made

    def real(self, value: Value) -> Value:
        """A value as real numbers: DEQUANTIZE where it is held as codes."""
        if value.quant is None:
            return value
        if value.constant is not None:
            raise Refusal("a constant of codes")
        made = self._real.get(value.operand)
        if made is None or made.last != value.last:
            at = self.sketch.read(value, value.last)
            type = _C.TENSOR_FLOAT32
            made = self.sketch.make("DEQUANTIZE", [at], value.shape, type, last=value.last)
            self._real[value.operand] = made
        return replace(made, shape=value.shape)

    def rounded(self, value: Value, quant: Quant) -> Value:
        """A value as codes of this quantization: QUANTIZE where it is held otherwise."""
        if value.quant == quant:
            return replace(value, fused=None)  # the operation before it rounds to these codes
        value = self.real(value)
        at = self.sketch.read(value, value.last)
        return self.sketch.make(
            "QUANTIZE", [at], value.shape, quant.type, last=value.last, quant=quant
        )

    def coded(self, held: Codes | None) -> Value:
        """A constant of codes with one scale, in the type of what the rule is asked for."""
        if held is None or held.channels or self.mode is None:
            raise Refusal("a constant is not quantized, or by channel")
        signed = self.mode.type == _SIGNED
        shift = (-128 if held.codes.dtype == np.uint8 else 0) if signed else 0
        shift += 128 if not signed and held.codes.dtype == np.int8 else 0
        codes = (held.codes.astype(np.int64) + shift).astype(np.int8 if signed else np.uint8)
        quant = Quant(self.mode.type, float(held.scale), int(held.zero) + shift)
        return self.sketch.constant(torch.from_numpy(np.asarray(codes)), quant)

    def _mark(self) -> tuple[Any, ...]:
        sketch = self.sketch
        lengths = (len(sketch.operands), len(sketch.operations), len(sketch.inputs))
        return (*lengths, dict(sketch._turned), dict(sketch._constants), dict(self._real))

    def _reset(self, mark: tuple[Any, ...]) -> None:
        sketch = self.sketch
        operands, operations, inputs, turned, constants, real = mark
        del sketch.operands[operands:], sketch.inputs[inputs:]
        del sketch.operations[operations:], sketch.origins[operations:]
        sketch._turned, sketch._constants, self._real = turned, constants, real


class Filter:
    """Weights of an operation on codes.

    Attributes:
        codes: in the type of the operation's filters. scales: of their real values; one, or one
            for each output channel. quant: of the operand, channels along dimension 0.
    """

    def __init__(self, held: Codes, axis: int, signed: bool) -> None:
        codes = held.codes.astype(np.int64)
        self.scales: NDArray[np.float64] = held.scale
        if held.channels:
            if held.axis != axis % codes.ndim:
                raise Refusal("weights quantized by other channels than NNAPI's")
            zero = held.zero.reshape((1,) * held.axis + (-1,) + (1,) * (codes.ndim - held.axis - 1))
            self.codes: NDArray[Any] = codes - zero
            low, high = CODE_RANGE[_C.TENSOR_QUANT8_SYMM_PER_CHANNEL]
            if self.codes.min() < low or self.codes.max() > high:
                raise Refusal("weights quantized by channel, beyond symmetric codes")
            self.codes = self.codes.astype(np.int8)
            self.type = _C.TENSOR_QUANT8_SYMM_PER_CHANNEL
            self.zero = 0
            return
        # The filter has the signedness of the input: codes and zero point move together.
        now = held.codes.dtype == np.int8
        shift = 0 if now == signed else -128 if signed else 128
        self.codes = (codes + shift).astype(np.int8 if signed else np.uint8)
        self.type = _SIGNED if signed else _C.TENSOR_QUANT8_ASYMM
        self.zero = int(held.zero) + shift

    def quant(self, dim: int = 0) -> Quant:
        """The operand's quantization; `dim` is where its output channels are."""
        if self.type == _C.TENSOR_QUANT8_SYMM_PER_CHANNEL:
            scales = tuple(float(scale) for scale in self.scales.reshape(-1))
            return Quant(self.type, 0.0, 0, ChannelQuant(dim, scales))
        return Quant(self.type, float(self.scales), self.zero)


def filters(lowering: CodedSteps, held: Codes | None, axis: int) -> Filter:
    """The weights of an operation on codes; `axis` is that of output channels. Refusal if real."""
    if held is None or held.codes.dtype not in (np.int8, np.uint8) or lowering.mode is None:
        raise Refusal("weights that are not quantized to 8 bits")
    return Filter(held, axis, lowering.mode.type == _SIGNED)


def bias(
    lowering: CodedSteps,
    given: Codes | NDArray[Any] | None,
    input_scale: float,
    weights: Filter,
    size: int,
) -> int:
    """The operand of a bias: int32 at the scale of the products, rounded to it if it is another.

    Args:
        given: codes of their own scale, real values, or None for zeros.
    """
    scale = np.broadcast_to(np.float64(np.float32(input_scale)) * weights.scales, (size,))
    codes = np.zeros(size, np.int64)
    if isinstance(given, Codes):
        ratio = np.broadcast_to(given.scale, (size,)) / scale
        close = np.abs(ratio - 1) < 1e-5
        whole = given.codes.astype(np.int64).reshape(-1) - given.zero
        codes = np.where(close, whole, np.rint(whole * ratio)).astype(np.int64)
    elif given is not None:
        codes = np.rint(given.reshape(-1).astype(np.float64) / scale).astype(np.int64)
    codes = np.broadcast_to(codes, (size,))
    if codes.min(initial=0) < _INT32[0] or codes.max(initial=0) > _INT32[1]:
        raise Refusal("a bias beyond 32 bits at the scale of its products")
    quant = Quant(_C.TENSOR_INT32, 0.0 if weights.scales.size > 1 else float(scale[0]))
    return lowering.sketch.array(codes.astype(np.int32), _C.TENSOR_INT32, quant)


def dense_codes(
    lowering: CodedSteps,
    value: Value,
    held: Codes,
    offset: Codes | NDArray[Any] | None,
    shape: tuple[int, ...],
) -> Value:
    """FULLY_CONNECTED of codes; weights by channel make it CONV_2D, which has them.

    Args:
        held: weights, [out, in]. offset: as for `bias`. shape: of the result.
    """
    assert value.quant is not None
    sketch = lowering.sketch
    weights = filters(lowering, held, 0)
    out, size = weights.codes.shape
    flat = math.prod(value.shape[:-1])
    at = bias(lowering, offset, value.quant.scale, weights, out)
    value = lowering.reshaped(replace(value, fused=None), (flat, size))
    if held.channels:
        return _as_convolution(lowering, value, weights, at, shape)
    filter_ = sketch.array(weights.codes, weights.type, weights.quant())
    inputs = [sketch.read(value), filter_, at, sketch.int32(0)]
    made = sketch.make(
        "FULLY_CONNECTED", inputs, (flat, out), value.type, quant=lowering.mode, fused=3
    )
    return made if shape == (flat, out) else lowering.reshaped(made, shape)


def _as_convolution(
    lowering: CodedSteps, value: Value, weights: Filter, offset: int, shape: tuple[int, ...]
) -> Value:
    """A product with a scale for each column: each row is one pixel."""
    sketch = lowering.sketch
    flat, size = value.shape
    out = len(weights.codes)
    wide = [flat, 1, 1, size]
    pixels = sketch.make(
        "RESHAPE", [sketch.read(value), sketch.ints(wide)], wide, value.type, quant=value.quant
    )
    filter_ = sketch.array(weights.codes.reshape(out, 1, 1, size), weights.type, weights.quant())
    numbers = [0, 0, 0, 0, 1, 1, 0]
    inputs = [pixels.operand, filter_, offset, *map(sketch.int32, numbers)]
    made = sketch.make(
        "CONV_2D", inputs, (flat, 1, 1, out), value.type, quant=lowering.mode, fused=9
    )
    return lowering.reshaped(made, shape)


def bounded(lowering: CodedSteps, code: str, value: Value, steps: int) -> Value:
    """LOGISTIC or TANH: codes of its result have one scale, 1 / steps, from the lowest code."""
    mode = lowering.mode
    if mode is not None:
        zero = (-128 if mode.type == _SIGNED else 0) + (128 if steps == 128 else 0)
        if mode != Quant(mode.type, 1 / steps, zero):
            raise Refusal(f"NNAPI's {code} gives codes of scale 1/{steps}")
    at = lowering.sketch.read(value, value.last)
    return lowering.sketch.make(code, [at], value.shape, value.type, last=value.last, quant=mode)


def softened(quant: Quant | None) -> Quant | None:
    """The quantization of a SOFTMAX's result; Refusal if NNAPI has another."""
    if quant is not None:
        zero = -128 if quant.type == _SIGNED else 0
        if quant != Quant(quant.type, 1 / 256, zero):
            raise Refusal("NNAPI's SOFTMAX gives codes of scale 1/256")
    return quant
