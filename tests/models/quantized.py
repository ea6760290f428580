"""A float model made one of 8-bit codes: ranges from one input, what has no codes stays in float.

Written for tests: any program of a front end becomes a quantized one, so that faults can be planted
in the same models in both.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nnapi_testkit.model.program import Program
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.models.steps import in_order
from nnapi_testkit.oracle import follow
from nnapi_testkit.spec.codes import OperandCode, OperationCode

_C = OperationCode
_FLOAT, _CODES = OperandCode.TENSOR_FLOAT32, OperandCode.TENSOR_QUANT8_ASYMM
# Data inputs by position (the others are weights, bias and scalars); None for all.
_ANY = {_C.ADD: 2, _C.SUB: 2, _C.MUL: 2, _C.CONCATENATION: None, _C.HARD_SWISH: 1}
_WEIGHTS = frozenset({_C.CONV_2D, _C.DEPTHWISE_CONV_2D, _C.GROUPED_CONV_2D, _C.FULLY_CONNECTED})
# The result's codes mean what the input's do.
_KEPT = frozenset(
    {
        *(_C.RESHAPE, _C.TRANSPOSE, _C.MAX_POOL_2D, _C.AVERAGE_POOL_2D, _C.RELU, _C.RELU6, _C.MEAN),
        *(_C.SPLIT, _C.SLICE, _C.CHANNEL_SHUFFLE, _C.RESIZE_BILINEAR, _C.RESIZE_NEAREST_NEIGHBOR),
    }
)
_FIXED = {_C.SOFTMAX: (1 / 256, 0), _C.LOGISTIC: (1 / 256, 0), _C.TANH: (1 / 128, 128)}


def quantized(program: Program) -> Program:
    """The model with codes in every operation that has them, float inputs and outputs."""
    return _Quantizer(program).build()


def _range(values: np.ndarray) -> tuple[float, int]:
    """Scale and zero point that hold the values and 0."""
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = min(0.0, finite.min(initial=0)), max(0.0, finite.max(initial=0))
    scale = float(np.float32(max((high - low) / 255, 1e-9)))
    return scale, int(np.clip(np.rint(-low / scale), 0, 255))


class _Quantizer:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.graph = program.model.main
        self.order = in_order(self.graph)
        self.values = follow(program.model, self.order, program.inputs[0], 0).values
        self.operands: list[Operand] = []
        self.operations: list[Operation] = []
        self.real: dict[int, int] = {}  # operand of the float model: the same, here
        self.codes: dict[int, int] = {}  # the same in codes

    def build(self) -> Program:
        for at in self.graph.inputs:
            self.real[at] = self.add(self.graph.operands[at])
        for index in self.order:
            self.operation(self.graph.operations[index])
        outputs = tuple(self.as_real(at) for at in self.graph.outputs)
        for at in outputs:
            self.operands[at] = replace(self.operands[at], lifetime=Lifetime.OUTPUT)
        inputs = tuple(self.real[at] for at in self.graph.inputs)
        graph = Graph(tuple(self.operands), tuple(self.operations), inputs, outputs)
        model: Model = replace(self.program.model, main=graph)
        name = f"{self.program.name} in codes"
        return Program(model, name, inputs=self.program.inputs[:1])

    def add(self, operand: Operand) -> int:
        self.operands.append(operand)
        return len(self.operands) - 1

    def put(self, code: OperationCode | int, inputs: list[int], outputs: list[int]) -> None:
        self.operations.append(Operation(int(code), tuple(inputs), tuple(outputs)))

    def operation(self, operation: Operation) -> None:
        code = OperationCode(operation.code)
        main = self.graph.operands[operation.inputs[0]]
        known = code in _ANY or code in _WEIGHTS or code in _KEPT or code in _FIXED
        constant = code in _WEIGHTS and all(
            self.graph.operands[at].lifetime == Lifetime.CONSTANT for at in operation.inputs[1:3]
        )
        if known and main.type == _FLOAT and (constant or code not in _WEIGHTS):
            self.in_codes(code, operation)
            return
        inputs = [self.as_real(at) for at in operation.inputs]
        outputs = [self.result(at) for at in operation.outputs]
        self.put(code, inputs, outputs)

    def result(self, at: int) -> int:
        self.real[at] = self.add(replace(self.graph.operands[at], lifetime=Lifetime.TEMPORARY))
        return self.real[at]

    def in_codes(self, code: OperationCode, operation: Operation) -> None:
        inputs = []
        count = _ANY.get(code, 1)
        for position, at in enumerate(operation.inputs):
            operand = self.graph.operands[at]
            data = operand.type == _FLOAT and (count is None or position < count)
            if code in _WEIGHTS and position == 1:
                inputs.append(self.as_codes(at))
            elif code in _WEIGHTS and position == 2:
                inputs.append(self.bias(operand, inputs))
            else:
                inputs.append(self.as_codes(at) if data else self.as_real(at))
        outputs = []
        for at in operation.outputs:
            first = self.operands[inputs[0]]
            how = (first.scale, first.zero_point) if code in _KEPT else _range(self.values[at])
            outputs.append(self.coded(at, *_FIXED.get(code, how)))
        self.put(code, inputs, outputs)

    def coded(self, at: int, scale: float, zero: int) -> int:
        operand = replace(
            self.graph.operands[at],
            type=_CODES,
            scale=scale,
            zero_point=zero,
            lifetime=Lifetime.TEMPORARY,
        )
        self.codes[at] = self.add(operand)
        return self.codes[at]

    def bias(self, operand: Operand, inputs: list[int]) -> int:
        scale = float(np.float32(self.operands[inputs[0]].scale * self.operands[inputs[1]].scale))
        real = np.frombuffer(operand.value, np.float32).astype(np.float64)
        value = np.rint(real / scale).clip(-(2**31), 2**31 - 1).astype(np.int32).tobytes()
        kind = OperandCode.TENSOR_INT32
        return self.add(replace(operand, type=kind, scale=scale, value=value))

    def as_codes(self, at: int) -> int:
        if at in self.codes:
            return self.codes[at]
        operand = self.graph.operands[at]
        if operand.lifetime == Lifetime.CONSTANT:
            real = np.frombuffer(operand.value, np.float32)
            scale, zero = _range(real)
            value = np.clip(np.rint(real / scale) + zero, 0, 255).astype(np.uint8).tobytes()
            new = replace(operand, type=_CODES, scale=scale, zero_point=zero, value=value)
            self.codes[at] = self.add(new)
            return self.codes[at]
        real_at = self.as_real(at)
        self.put(_C.QUANTIZE, [real_at], [self.coded(at, *_range(self.values[at]))])
        return self.codes[at]

    def as_real(self, at: int) -> int:
        if at in self.real:
            return self.real[at]
        if at in self.codes and self.graph.operands[at].lifetime != Lifetime.CONSTANT:
            codes = self.codes[at]
            self.put(_C.DEQUANTIZE, [codes], [self.result(at)])
        else:
            self.real[at] = self.add(self.graph.operands[at])
        return self.real[at]
