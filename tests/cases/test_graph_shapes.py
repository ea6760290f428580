"""Shapes of graphs: each is noticed where a driver gets it wrong, and all operations have them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from math import prod

import numpy as np
import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.catalog import catalog
from nnapi_testkit.model.case import Case, Result
from nnapi_testkit.model.types import Graph, Lifetime
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE
from tests.cases.wrong_drivers import Judged, on_main, refs_of

OPERATIONS = ("ADD", "CONV_2D", "SOFTMAX", "MAXIMUM")


def zeros(graph: Graph, index: int) -> tuple[Graph, int]:
    """The graph with one more constant, of zeros, like the operand."""
    operand = graph.operands[index]
    size = DTYPE[OperandCode(operand.type)].itemsize * prod(operand.dims)
    made = replace(operand, lifetime=Lifetime.CONSTANT, value=bytes(size))
    return replace(graph, operands=(*graph.operands, made)), len(graph.operands)


def reading(graph: Graph, at: int, position: int, index: int) -> Graph:
    """The graph whose operation `at` reads another operand in one place."""
    operations = list(graph.operations)
    inputs = list(operations[at].inputs)
    inputs[position] = index
    operations[at] = replace(operations[at], inputs=tuple(inputs))
    return replace(graph, operations=tuple(operations))


@pytest.mark.parametrize("name", OPERATIONS)
def test_results_that_are_read_and_not_handed_out(judged: Judged, name: str) -> None:
    """A driver that keeps what another operation reads to itself."""

    def spoil(case: Case, result: Result) -> Result:
        read = {index for o in case.model.main.operations for index in o.inputs}
        sets = []
        for execution in result.executions:
            outputs = [
                replace(output, data=b"\xa5" * len(output.data)) if index in read else output
                for index, output in zip(case.model.main.outputs, execution.outputs, strict=True)
            ]
            sets.append(replace(execution, outputs=tuple(outputs)))
        return replace(result, executions=tuple(sets))

    judged.noticed(refs_of(name, "graph-output-read"), spoil=spoil)


@pytest.mark.parametrize("name", OPERATIONS)
def test_readers_of_outputs_that_are_not_there_yet(judged: Judged, name: str) -> None:
    """A driver whose operations read outputs of the model before they are copied there."""

    def early(graph: Graph) -> Graph:
        for at, operation in enumerate(graph.operations):
            for position, index in enumerate(operation.inputs):
                if index in graph.outputs:
                    graph, blank = zeros(graph, index)
                    graph = reading(graph, at, position, blank)
        return graph

    judged.noticed(refs_of(name, "graph-output-read"), on_main(early))


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_run_as_they_are_listed(judged: Judged, name: str) -> None:
    def listed(graph: Graph) -> Graph:
        made = {i for i, o in enumerate(graph.operands) if o.lifetime != Lifetime.TEMPORARY}
        made -= set(graph.outputs)
        for at, operation in enumerate(graph.operations):
            for position, index in enumerate(operation.inputs):
                if index not in made:
                    graph, blank = zeros(graph, index)
                    graph = reading(graph, at, position, blank)
            made |= set(operation.outputs)
        return graph

    judged.noticed(refs_of(name, "graph-reversed"), on_main(listed))


@pytest.mark.parametrize("name", ("ADD", "CONCATENATION", "SUB"))
def test_an_operand_that_is_read_once(judged: Judged, name: str) -> None:
    """A driver that fills in one place of each operand, and leaves the other empty."""

    def once(graph: Graph) -> Graph:
        operation = graph.operations[-1]
        first, second = [
            position
            for position, index in enumerate(operation.inputs)
            if operation.inputs.count(index) == 2
        ]
        assert operation.inputs[first] in graph.inputs
        graph, blank = zeros(graph, operation.inputs[second])
        return reading(graph, len(graph.operations) - 1, second, blank)

    judged.noticed(refs_of(name, "graph-one-operand-twice"), on_main(once))


@pytest.mark.parametrize("name", OPERATIONS)
def test_inputs_counted_without_those_that_nobody_reads(judged: Judged, name: str) -> None:
    """A driver that binds the data of input k to the k-th input that is read."""

    def shifted(case: Case) -> Case:
        read = {index for o in case.model.main.operations for index in o.inputs}
        sets = []
        for execution in case.sets:
            arrays = list(execution.inputs)
            for at, index in enumerate(case.model.main.inputs):
                if index in read:
                    array, before = arrays[at], execution.inputs[at - 1]
                    assert array is not None and before is not None
                    raw = np.resize(np.frombuffer(before.tobytes(), "u1"), array.nbytes)
                    arrays[at] = raw.view(array.dtype).reshape(array.shape)
            sets.append(replace(execution, inputs=tuple(arrays)))
        return replace(case, sets=tuple(sets))

    judged.noticed(refs_of(name, "graph-unread-inputs"), shifted)


@pytest.mark.parametrize("name", ("RELU", "SOFTMAX", "LOGISTIC", "ADD"))
def test_an_input_that_is_overwritten_by_the_result(judged: Judged, name: str) -> None:
    """A driver that computes in place although the input is read once more."""

    def in_place(graph: Graph) -> Graph:
        first = graph.operations[0]
        return reading(graph, len(graph.operations) - 1, 0, first.outputs[0])

    refs = [ref for ref in refs_of(name, "graph-input-handed-on") if ref.cell == "float32"]
    judged.noticed(refs, on_main(in_place))


@pytest.mark.parametrize("name", ("CONV_2D", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D"))
def test_constants_that_are_gone_after_their_first_reader(judged: Judged, name: str) -> None:
    def gone(graph: Graph) -> Graph:
        for position, index in enumerate(graph.operations[1].inputs):
            operand = graph.operands[index]
            if operand.lifetime == Lifetime.CONSTANT and len(operand.dims) > 1:
                graph, blank = zeros(graph, index)
                graph = reading(graph, 1, position, blank)
        return graph

    judged.noticed(refs_of(name, "graph-constants-shared"), on_main(gone))


@pytest.mark.parametrize("name", OPERATIONS)
def test_two_operations_taken_for_one(judged: Judged, name: str) -> None:
    """A driver that finds the second operation equal to the first but for its data."""

    def merged(graph: Graph) -> Graph:
        first, second = graph.operations
        return replace(graph, operations=(first, replace(second, inputs=first.inputs)))

    judged.noticed(refs_of(name, "graph-constants-shared"), on_main(merged))


def test_another_output_than_the_one_that_is_read(judged: Judged) -> None:
    def other(graph: Graph) -> Graph:
        split, reader = graph.operations
        unread = next(index for index in split.outputs if index not in reader.inputs)
        return reading(graph, 1, 0, unread)

    judged.noticed(refs_of("SPLIT", "graph-only"), on_main(other))


def test_a_branch_that_gets_its_second_operand_empty(judged: Judged) -> None:
    def once(graph: Graph) -> Graph:
        x, again = graph.operations[0].inputs[3:]
        assert x == again
        graph, blank = zeros(graph, x)
        return reading(graph, 0, 4, blank)

    refs = [ref for ref in refs_of("IF", "graph-one-operand-twice") if ref.cell == "float32"]
    judged.noticed(refs, on_main(once))


def test_branches_that_stay_as_they_were_taken_first(judged: Judged) -> None:
    """A driver that keeps the first condition of a compilation."""

    def kept(case: Case) -> Case:
        first = case.sets[0].inputs[0]
        sets = (replace(s, inputs=(first, *s.inputs[1:])) for s in case.sets)
        return replace(case, sets=tuple(sets))

    refs = refs_of("IF", "graph-one-operand-twice", "graph-crosswise")
    # x or x is x and x.
    judged.noticed([r for r in refs if "bool8-graph-one-operand" not in r.id], kept)


def test_a_loop_whose_constant_variable_moves(judged: Judged) -> None:
    """A driver that keeps one buffer for a variable and for what stays, as they are one operand."""

    def doubling(case: Case) -> Case:
        body = case.model.subgraphs[1]
        add = body.operations[0]
        # x + y where both are one buffer: x + x.
        changed = replace(add, inputs=(add.inputs[0], add.inputs[0], *add.inputs[2:]))
        body = replace(body, operations=(changed, *body.operations[1:]))
        return replace(case, model=replace(case.model, subgraphs=(case.model.subgraphs[0], body)))

    refs = [ref for ref in refs_of("WHILE", "graph-one-operand-twice") if ref.cell != "bool8"]
    judged.noticed(refs, doubling)


def test_every_operation_has_shapes_in_a_real_and_a_quantized_cell() -> None:
    words: dict[tuple[str, str], set[str]] = defaultdict(set)
    for ref in case_index():
        if "-graph-" in ref.id:
            words[ref.operation, ref.cell].add(ref.id.split("-graph-")[1])
    without = set(catalog()) - {name for name, _ in words}
    # Draws are judged as a whole: what stands around them would be judged by them.
    assert without == {"RANDOM_MULTINOMIAL"}
    for name, op in catalog().items():
        if name in without:
            continue
        cells = {cell.name: cell.main for cell in op.cells}
        used = {cells[cell] for operation, cell in words if operation == name}
        for code in (OperandCode.TENSOR_FLOAT32, OperandCode.TENSOR_QUANT8_ASYMM):
            assert code in used or code not in cells.values(), f"{name} has no shape in {code.name}"
    assert all(len(found) >= 2 for key, found in words.items()), words


def test_levels_are_those_of_all_operations_in_the_graph() -> None:
    signed = OperandCode.TENSOR_QUANT8_ASYMM_SIGNED
    for ref in refs_of("ADD", "-graph-") + refs_of("BATCH_MATMUL", "-graph-"):
        case = ref.make()
        codes = {OperationCode(o.code) for o in case.model.main.operations}
        assert OperationCode[ref.operation] in codes
        if any(operand.type == signed for operand in case.model.main.operands):
            assert ref.level >= 4
