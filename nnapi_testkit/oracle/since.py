"""The feature level that an operation of a model needs."""

from __future__ import annotations

from nnapi_testkit.model.types import Graph, Lifetime, Model
from nnapi_testkit.oracle.bind import OracleError, bind
from nnapi_testkit.spec.codes import OperationCode

__all__ = ["needed_level"]

_CONTROL = {OperationCode.IF, OperationCode.WHILE}
_CONTROL_SINCE = 4  # NeuralNetworks.h: "Available since NNAPI feature level 4"


def needed_level(model: Model, index: int) -> int:
    """Return the feature level (1 to 8) since when NNAPI has the operation in these types.

    IF and WHILE need that of the graphs they refer to as well; 0 where nothing is known.
    """
    return _level(model, model.main, index)


def _level(model: Model, graph: Graph, index: int) -> int:
    operation = graph.operations[index]
    operands = graph.operands
    if operation.code in _CONTROL:
        inner = [
            model.subgraphs[operands[at].subgraph]
            for at in operation.inputs
            if operands[at].lifetime == Lifetime.SUBGRAPH
        ]
        levels = [_level(model, part, at) for part in inner for at in range(len(part.operations))]
        return max([_CONTROL_SINCE, *levels])
    try:
        binding = bind(
            operation.code,
            tuple(int(operands[at].type) for at in operation.inputs),
            tuple(int(operands[at].type) for at in operation.outputs),
        )
    except OracleError:
        return 0
    levels = [binding.op.since, binding.cell.since]
    levels += [spec.level for spec in binding.specs]
    outputs = binding.op.outputs
    levels += [
        outputs[min(position, len(outputs) - 1)].level for position in range(len(operation.outputs))
    ]
    return max(levels)
