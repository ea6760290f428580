"""`torch.cond` and `while_loop` as IF and WHILE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.fx import GraphModule, Node

from nnapi_testkit.frontends.export.lower import Lowering, lowers
from nnapi_testkit.frontends.export.sizes import concrete
from nnapi_testkit.frontends.sketch import Refusal, Value
from nnapi_testkit.model.types import Lifetime, Operand
from nnapi_testkit.spec.codes import OperandCode


@lowers("cond")
def _cond(lowering: Lowering, node: Node) -> tuple[Value, ...]:
    predicate, yes, no, listed = node.args[:4]
    values = _carried(lowering, listed)
    graphs = [_subgraph(lowering, branch, values) for branch in (yes, no)]
    operands = [lowering.sketch.read(value) for value in values]
    chosen = lowering.sketch.read(lowering.value(predicate))
    return _finish(lowering, node, "IF", [chosen, *graphs, *operands])


@lowers("while_loop")
def _while(lowering: Lowering, node: Node) -> tuple[Value, ...]:
    condition, body, carried, more = node.args[:4]
    values = _carried(lowering, carried)
    constants = _carried(lowering, more)
    graphs = [
        _subgraph(lowering, condition, [*values, *constants], single=True),
        _subgraph(lowering, body, [*values, *constants]),
    ]
    operands = [lowering.sketch.read(value) for value in (*values, *constants)]
    return _finish(lowering, node, "WHILE", [*graphs, *operands])


def _carried(lowering: Lowering, listed: Any) -> list[Value]:
    return [lowering.value(item) for item in listed]


def _finish(lowering: Lowering, node: Node, code: str, inputs: Sequence[int]) -> tuple[Value, ...]:
    found = []
    for part in node.meta["val"]:
        from nnapi_testkit.frontends.sketch import operand_type

        shape = tuple(int(size) for size in part.shape)
        found.append(lowering.sketch.temporary(shape, operand_type(part.dtype)))
    lowering.sketch.emit(code, inputs, found)
    return tuple(found)


def _subgraph(
    lowering: Lowering, reference: Any, values: Sequence[Value], *, single: bool = False
) -> int:
    """Lower a referenced graph; returns the operand that stands for it."""
    module: Any = lowering.module
    for part in str(reference.target).split("."):
        module = getattr(module, part)
    assert isinstance(module, GraphModule)
    graph = concrete(module.graph, lowering.sizes)
    inner = Lowering(last=False, module=module, graphs=lowering.graphs, sizes=lowering.sizes)
    placeholders = [n for n in graph.nodes if n.op == "placeholder"]
    for place, value in zip(placeholders, values, strict=True):
        inner.values[place] = inner.sketch.input(value.shape, value.type, False, place.name)
    inner.run(list(graph.nodes))
    if inner.refusals:
        raise Refusal("; ".join(inner.refusals))
    result: Any = next(n for n in graph.nodes if n.op == "output").args[0]
    results = [result] if isinstance(result, Node) or single else list(result)
    if single and not isinstance(result, Node):
        results = list(result)
    outputs = [inner.fresh(inner.value(item)) for item in results]
    lowering.graphs.append(inner.sketch.graph(outputs))
    return lowering.sketch.add(
        Operand(OperandCode.MODEL, lifetime=Lifetime.SUBGRAPH, subgraph=len(lowering.graphs) - 1)
    )
