"""Wrong drivers: a runner that rewrites a model on its way to the reference driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nnapi_testkit.model.case import Case, Result
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE
from nnapi_testkit.targets.base import Runner

Edit = Callable[[Model], Model]
_C = OperationCode


@dataclass
class Faulty:
    """Runs edited models; counts how many cases it was handed."""

    inner: Runner
    edit: Edit
    runs: int = field(default=0)

    def run(self, cases: Sequence[Case]) -> Iterator[Result]:
        self.runs += len(cases)
        return self.inner.run([replace(case, model=self.edit(case.model)) for case in cases])


def _main(model: Model, graph: Graph) -> Model:
    return replace(model, main=graph)


def _operand(graph: Graph, at: int, **changes: object) -> Graph:
    operands = list(graph.operands)
    operands[at] = replace(operands[at], **changes)  # type: ignore[arg-type]
    return replace(graph, operands=tuple(operands))


def _own(graph: Graph, index: int, position: int, **changes: object) -> Graph:
    """Change one input of one operation; other operations that share the operand keep it."""
    operation = graph.operations[index]
    changed = replace(graph.operands[operation.inputs[position]], **changes)  # type: ignore[arg-type]
    inputs = list(operation.inputs)
    inputs[position] = len(graph.operands)
    operations = list(graph.operations)
    operations[index] = Operation(operation.code, tuple(inputs), operation.outputs)
    operands = (*graph.operands, changed)
    return replace(graph, operands=operands, operations=tuple(operations))


def other_code(index: int, code: OperationCode) -> Edit:
    """Another operation of the same signature in its place."""

    def edit(model: Model) -> Model:
        operations = list(model.main.operations)
        operations[index] = replace(operations[index], code=int(code))
        return _main(model, replace(model.main, operations=tuple(operations)))

    return edit


def other_constant(index: int, position: int, change: Callable[[np.ndarray], np.ndarray]) -> Edit:
    """Another value of a constant that the operation reads."""

    def edit(model: Model) -> Model:
        operand = model.main.operands[model.main.operations[index].inputs[position]]
        array = np.frombuffer(operand.value, DTYPE[OperandCode(operand.type)]).copy()
        made = np.ascontiguousarray(change(array), array.dtype).tobytes()
        return _main(model, _own(model.main, index, position, value=made))

    return edit


def constants(model: Model, index: int) -> list[tuple[int, Operand]]:
    """The constant tensors that an operation reads, by position."""
    graph = model.main
    found = []
    for position, at in enumerate(graph.operations[index].inputs):
        operand = graph.operands[at]
        if operand.lifetime == Lifetime.CONSTANT and operand.dims:
            found.append((position, operand))
    return found


def _one(at: int, change: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    def edit(array: np.ndarray) -> np.ndarray:
        array[at] = change(array[at])
        return array

    return edit


TWINS = {
    _C.RELU: _C.RELU1,
    _C.RELU6: _C.RELU1,
    _C.RELU1: _C.RELU,
    _C.ADD: _C.SUB,
    _C.SUB: _C.ADD,
    _C.MUL: _C.ADD,
    _C.MAXIMUM: _C.MINIMUM,
    _C.MAX_POOL_2D: _C.AVERAGE_POOL_2D,
    _C.LOGISTIC: _C.RELU,
    _C.TANH: _C.RELU1,
}
# Where the fused activation stands, by operation and number of inputs.
FUSED = {
    (_C.FULLY_CONNECTED, 4): 3,
    (_C.ADD, 3): 2,
    (_C.MUL, 3): 2,
    (_C.SUB, 3): 2,
    (_C.CONV_2D, 11): 9,
    (_C.CONV_2D, 10): 9,
    (_C.CONV_2D, 7): 6,
    (_C.DEPTHWISE_CONV_2D, 12): 10,
    (_C.DEPTHWISE_CONV_2D, 11): 10,
    (_C.DEPTHWISE_CONV_2D, 8): 7,
}


def faults(model: Model, index: int, random: np.random.Generator) -> Iterator[tuple[str, Edit]]:
    """Yield wrong ways to compute operation `index`, named."""
    operation = model.main.operations[index]
    code = OperationCode(operation.code)
    twin = TWINS.get(code)
    if twin is not None:
        yield f"computes {twin.name}", other_code(index, twin)
    position = FUSED.get((code, len(operation.inputs)))
    if position is not None:
        value = model.main.operands[operation.inputs[position]].value
        now = int(np.frombuffer(value, np.int32)[0])
        for other in (2, 1):
            if other != now:
                word = f"fuses activation {other} instead of {now}"
                yield word, other_constant(index, position, lambda a, o=other: a * 0 + o)
                break
    for place, operand in constants(model, index):
        kind = OperandCode(operand.type)
        size = int(np.prod(operand.dims))
        at = int(random.integers(size))
        if kind == OperandCode.TENSOR_FLOAT32:
            yield (
                f"doubles element {at} of input {place}",
                other_constant(index, place, _one(at, lambda x: 2 * x)),
            )
            yield (
                f"flips a sign in input {place}",
                other_constant(index, place, _one(at, lambda x: -x)),
            )
            yield (
                f"one percent in input {place}",
                other_constant(index, place, lambda a: (a * 1.01).astype(a.dtype)),
            )
        elif kind in (OperandCode.TENSOR_QUANT8_ASYMM, OperandCode.TENSOR_QUANT8_ASYMM_SIGNED):
            yield (
                f"a bit of input {place}",
                other_constant(index, place, _one(at, lambda x: int(x) ^ 64)),
            )
