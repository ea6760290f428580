"""Cases of more than one operation: what op files of control flow describe as graphs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from nnapi_testkit.cases.build import Slot, draw
from nnapi_testkit.cases.draw import key_of
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.cases.slots import Regime
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Cell, Op, Tensor
from nnapi_testkit.op.graph import GraphSample
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE


def graph_refs(op: Op, cell: Cell, seed: int) -> Iterator[CaseRef]:
    """The graph cases of an operation in one cell."""
    assert op.graphs is not None
    for sample in op.graphs(cell):
        relaxed = (False, True) if cell.main == OperandCode.TENSOR_FLOAT32 else (False,)
        for flag in relaxed:
            words = (cell.name, "relaxed", sample.name) if flag else (cell.name, sample.name)
            case_id = f"{op.name}[{'-'.join(words)}]"
            level = max(op.since, cell.since, sample.level)
            yield CaseRef(
                case_id,
                op.name,
                cell.name,
                level,
                Kind.GRAPH,
                partial(build_graph, sample, flag, case_id, seed),
                sample=sample.name,
            )


def build_graph(sample: GraphSample, relaxed: bool, case_id: str, seed: int) -> Case:
    """The case that a `GraphSample` describes; data not given are drawn like any other's."""
    builder = Builder()
    sample.build(builder)
    model = builder.build(relaxed)
    operands = [model.main.operands[index] for index in model.main.inputs]
    sets = []
    for number, feed in enumerate(sample.sets):
        arrays = []
        for position, operand in enumerate(operands):
            code = OperandCode(operand.type)
            if position in feed.inputs:
                arrays.append(np.ascontiguousarray(feed.inputs[position], dtype=DTYPE[code]))
                continue
            slot = Slot(
                Tensor(f"input{position}", code.name),
                code,
                operand.dims,
                (operand.scale, operand.zero_point),
                None,
                None,
                False,
                f"input{position}",
            )
            arrays.append(draw(slot, key_of(seed, case_id, position, number), Regime.UNIFORM))
        sets.append(Execution(tuple(arrays), feed.output_dims))
    return Case(case_id, model, tuple(sets), loop_timeout_ns=sample.loop_timeout_ns)
