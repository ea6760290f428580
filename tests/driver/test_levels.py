"""Feature levels: what the driver's devices claim against what the op files declare."""

from __future__ import annotations

import ctypes
import re
from collections import defaultdict

import numpy as np

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.model.types import Graph, Lifetime
from nnapi_testkit.model.types import Model as Data
from nnapi_testkit.spec.codes import ResultCode
from tests.driver.capi import ChannelQuant, Library, Model, ok
from tests.driver.loading import Loader

# Two notions that no operation has: unknown dimensions belong to functions of level 3, and what
# relaxed means to the function of level 2.
# Shapes of graphs need the level at which their first sample may stand beside others.
NOT_OF_OPERATIONS = ("unknown", "relaxed", "told", "-graph-")
# Taken before level 3 already, but with values that the reference leaves undefined until then.
UNDEFINED_BEFORE = (
    "PAD[quant8-",
    "SPACE_TO_BATCH_ND[quant8-padded",
    "SPACE_TO_BATCH_ND[float32-padded",
)
# A level whose promise is about values, or a scale that no device looks at: see `Op.later`.
PROMISED_OF_VALUES = re.compile(r"L2_NORMALIZATION\[\w+-(zero-|all-zeros)|\w+\[quant8-multiplier")


def built(lib: Library, data: Data) -> Model | None:
    """The model in the driver; None where it is refused."""
    subgraphs: list[Model] = []
    for graph in data.subgraphs:
        made = _graph(lib, graph, subgraphs)
        if made is None:
            return None
        subgraphs.append(made)
    return _graph(lib, data.main, subgraphs)


def _graph(lib: Library, graph: Graph, subgraphs: list[Model]) -> Model | None:
    model = Model(lib)
    for operand in graph.operands:
        dims = operand.dims or None
        index = model.operand(operand.type, dims, operand.scale, operand.zero_point)
        if operand.channel_quant is not None:
            scales = np.array(operand.channel_quant.scales, np.float32)
            quant = ChannelQuant(
                operand.channel_quant.dim,
                scales.size,
                scales.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
            )
            call = lib.Model_setOperandSymmPerChannelQuantParams
            ok(call(model.handle, index, ctypes.byref(quant)))
        if operand.lifetime == Lifetime.CONSTANT:
            model.value(index, np.frombuffer(operand.value, np.uint8))
        elif operand.lifetime == Lifetime.OMITTED:
            ok(lib.Model_setOperandValue(model.handle, index, None, 0))
        elif operand.lifetime == Lifetime.SUBGRAPH:
            inner = subgraphs[operand.subgraph]
            ok(lib.Model_setOperandValueFromModel(model.handle, index, inner.handle))
    for operation in graph.operations:
        ok(model.operation(operation.code, operation.inputs, operation.outputs))
    model.identify(graph.inputs, graph.outputs)
    return model if model.finish() == ResultCode.NO_ERROR else None


def test_devices_of_a_level_claim_what_the_op_files_promise_for_it(load: Loader) -> None:
    lib = load("\n".join(f"[level-{level}]\nlevel = {level}" for level in range(1, 9)))
    known = lib.devices()
    devices = [(ctypes.c_void_p * 1)(known[f"level-{level}"]) for level in range(1, 9)]
    seen: dict[tuple[str, str, int], int] = defaultdict(int)
    differences = []
    for ref in case_index():
        if ref.kind not in ("positive", "graph") or any(
            word in ref.id for word in NOT_OF_OPERATIONS
        ):
            continue
        if PROMISED_OF_VALUES.match(ref.id):
            continue
        key = (ref.operation, ref.cell, ref.level)
        seen[key] += 1
        if seen[key] > 3:
            continue
        data = ref.make().model
        model = built(lib, data)
        assert model is not None, ref.id
        answer = (ctypes.c_bool * len(data.main.operations))()
        claimed = 9
        for level in range(8, 0, -1):
            call = lib.Model_getSupportedOperationsForDevices
            ok(call(model.handle, devices[level - 1], 1, answer))
            if not all(answer):
                break
            claimed = level
        if claimed != ref.level and not (claimed == 2 and ref.id.startswith(UNDEFINED_BEFORE)):
            differences.append(f"{ref.id}: op file {ref.level}, driver {claimed}")
        model.free()
    assert len(seen) > 300
    assert not differences, f"{len(differences)} differ:\n" + "\n".join(differences)
