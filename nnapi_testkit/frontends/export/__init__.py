"""Models of `torch.export`, and `.pt2` files, as models of the kit's own.

The graph is taken before decomposition, so that composite operators stay one: an LSTM layer is one
operation, batch norm is folded into the convolution before it, activations are fused. What NNAPI
cannot express is refused, all of it at once, or stays in PyTorch (`rest`) with the model cut around
it; `partition` makes parts that run by themselves.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node

from nnapi_testkit.errors import KitError, first_line
from nnapi_testkit.frontends.draft import Quant, refused, staying
from nnapi_testkit.frontends.export import (  # noqa: F401 - their rules register
    control,
    convolution,
    elementwise,
    quantized,
    recurrent,
    reduce,
    shapes,
)
from nnapi_testkit.frontends.export.eager import coded, told
from nnapi_testkit.frontends.export.lower import RULES, Lowering
from nnapi_testkit.frontends.export.sizes import Sizes, concrete, labels, others, symbols
from nnapi_testkit.frontends.opened import fixed, opened
from nnapi_testkit.frontends.sketch import NHWC, Value, operand_array, operand_type
from nnapi_testkit.model.program import InputSet, Program
from nnapi_testkit.model.types import Graph, Model

__all__ = ["RULES", "ExportError", "from_exported", "from_module", "load"]

Tensors = Sequence[torch.Tensor]


class ExportError(KitError):
    """NNAPI cannot express parts of the model; the message names every one of them."""


def load(
    path: Path,
    inputs: Sequence[Tensors] = (),
    *,
    last: bool = True,
    relaxed: bool = False,
    rest: bool = False,
) -> Program:
    """Read a `.pt2` file of `torch.export.save`.

    Args:
        inputs: input sets; by default the example that the file carries.
        last: hold 4-dimensional data channels last, as NNAPI's devices prefer.
        rest: leave to PyTorch what NNAPI cannot express, as for `from_exported`.
    """
    return from_exported(_read(path), inputs, last=last, relaxed=relaxed, name=path.stem, rest=rest)


def _read(path: Path) -> ExportedProgram:
    """Read a file; operators of quantization are made known to PyTorch first, where it has some."""
    try:
        with zipfile.ZipFile(path) as archive:
            graphs = [archive.read(name) for name in archive.namelist() if name.endswith(".json")]
        quantized.known_operators(graphs)
        return torch.export.load(path)
    except KitError:
        raise
    except Exception as error:  # whatever bytes it is: the reader's errors are not of one kind
        raise KitError(f"{path} is no file of torch.export.save: {first_line(error)}") from error


def from_module(
    module: torch.nn.Module,
    inputs: Sequence[Tensors | torch.Tensor],
    *,
    last: bool = True,
    relaxed: bool = False,
    name: str = "",
    dynamic: Any = None,
    rest: bool = False,
) -> Program:
    """Export a module and lower it.

    Args:
        module: in evaluation mode. inputs: input sets; the first one is the example.
        dynamic: which dimensions are symbolic: `dynamic_shapes` of `torch.export.export`.
        rest: leave to PyTorch what NNAPI cannot express, as for `from_exported`.
    """
    if isinstance(inputs, torch.Tensor):
        raise KitError("inputs are a list of input sets, and this is a tensor: write [[x]]")
    sets = [(row,) if isinstance(row, torch.Tensor) else tuple(row) for row in inputs]
    if not sets:
        raise KitError("there is no input to export the model with")
    if module.training:
        raise KitError("the model is in training mode: call model.eval() before")
    try:
        exported = torch.export.export(module, sets[0], dynamic_shapes=dynamic)
    except Exception as error:  # the user's model: anything may go wrong in it
        raise KitError(f"the model cannot be exported: {first_line(error)}") from error
    named = name or type(module).__name__
    return from_exported(exported, sets, last=last, relaxed=relaxed, name=named, rest=rest)


def from_exported(
    exported: ExportedProgram,
    inputs: Sequence[Tensors] = (),
    *,
    last: bool = True,
    relaxed: bool = False,
    name: str = "model",
    rest: bool = False,
) -> Program:
    """Lower an exported program.

    Args:
        inputs: input sets in PyTorch's shapes; by default the program's own example.
        last: hold 4-dimensional data channels last; inputs and outputs too.
        relaxed: let a driver compute float32 in the precision of float16.
        rest: what NNAPI cannot express stays in PyTorch (`Program.left`): what it gives is an
            input of the model, fed with PyTorch's values, and what it reads an output.

    Raises ExportError naming every node that NNAPI cannot express; with `rest` only if nothing is
    left for NNAPI.
    """
    sets = [tuple(row) for row in inputs]
    if not sets and exported.example_inputs:
        sets = [tuple(exported.example_inputs[0])]
    sizes = symbols(exported, sets[0] if sets else ())
    first = _Lowered(exported, sizes, last, name, rest)
    graph, notes = _opened(exported, first, last, name, rest)
    lowering = first.lowering
    program = Program(
        Model(graph, tuple(lowering.graphs), relaxed),
        name,
        tuple(lowering.sketch.origins),
        dict(lowering.sketch.names),
        notes=(*notes, *staying(lowering.left)),
        left=tuple(lowering.left),
    )
    cut = [_cut(lowering, node, at) for node, at in lowering.cut]
    orders = [value.last for value in (*_fed(lowering, exported, first.nodes), *cut)]
    expected, inside, more = told(exported, lowering, first.results, first.values, sets)
    rows = [(*row, *given) for row, given in zip(sets, more, strict=True)]
    return replace(
        program,
        inputs=tuple(program.accept(_arrays(row, orders)) for row in rows),
        expected=expected,
        inner=inside,
        stepwise=bool(inside),
    )


class _Lowered:
    """An exported program lowered for one choice of sizes.

    Attributes:
        nodes: of the source. results: those of the outputs; values: what they became. With
            `rest`, what PyTorch gives is none of them, and what it reads is.
    """

    def __init__(
        self, exported: ExportedProgram, sizes: Sizes, last: bool, name: str, rest: bool
    ) -> None:
        module: Any = exported.graph_module
        self.nodes = list(concrete(exported.graph, sizes).nodes)
        lowering = self.lowering = Lowering(last=last, module=module, graphs=[], sizes=sizes)
        _place(lowering, exported, self.nodes)
        lowering.run(self.nodes)
        self.results = _results(exported, self.nodes)
        if lowering.left:
            self.results = _ends(lowering, self.results)
        if lowering.refusals and not (rest and self.results):
            raise ExportError(refused(name, "node", lowering.refusals))
        lowering.sketch.origin = "output"
        self.values = [
            _plain(lowering, lowering.raw(item) if coded(item) else lowering.value(item))
            for item in self.results
        ]
        outputs = [lowering.fresh(value) for value in self.values]
        self.graph = lowering.sketch.graph(outputs)


def _opened(
    exported: ExportedProgram, first: _Lowered, last: bool, name: str, rest: bool
) -> tuple[Graph, list[str]]:
    """The graph with symbolic dimensions open; those that cannot be are named in a note."""
    sizes = first.lowering.sizes
    graph, why = first.graph, ""
    if not sizes:
        return graph, []
    named = labels(exported)
    chosen: set[str] = set()
    # All at once, else one after another, in the order of the inputs.
    for more in (set(sizes), *({symbol} for symbol in named if symbol in sizes)):
        try:
            rows = [
                _Lowered(exported, other, last, name, rest)
                for other in others(exported, sizes, chosen | more)
            ]
            if any(row.lowering.graphs != first.lowering.graphs for row in rows):
                raise KitError("IF and WHILE need the size as a number")
            graph = opened(first.graph, *(row.graph for row in rows))
        except KitError as error:
            why = why or str(error)
            continue
        chosen |= more
        if chosen == set(sizes):
            return graph, []
    return graph, [
        fixed([f"{named[s]} = {sizes[s]}" for s in named if s in sizes.keys() - chosen], why)
    ]


def _place(lowering: Lowering, exported: ExportedProgram, nodes: Sequence[Node]) -> None:
    """Give each placeholder its value: an input, or a constant of the module's state."""
    signature = exported.graph_signature
    state: dict[str, Any] = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    data = {**exported.state_dict, **exported.constants}
    for node in nodes:
        if node.op != "placeholder":
            continue
        if node.name in state:
            tensor = data[state[node.name]]
            if tensor.dtype == torch.int64 and not tensor.dim():
                tensor = tensor.to(torch.int32)
            lowering.values[node] = lowering.sketch.constant(tensor)
            continue
        found = node.meta["val"]
        if not isinstance(found, torch.Tensor):
            lowering.values[node] = None
            continue
        shape = lowering.shape(node)
        wide = lowering.last and len(shape) == 4
        type = operand_type(found.dtype)
        quant = None
        if coded(node):
            quant = quantized.read_as(lowering, node) or Quant(type, 1.0, 0)
        lowering.values[node] = lowering.sketch.input(shape, type, wide, node.name, quant)


def _fed(lowering: Lowering, exported: ExportedProgram, nodes: Sequence[Node]) -> list[Value]:
    names = set(exported.graph_signature.user_inputs)
    return [
        lowering.values[node]
        for node in nodes
        if node.op == "placeholder"
        and node.name in names
        and isinstance(lowering.values[node], Value)
    ]


def _results(exported: ExportedProgram, nodes: Sequence[Node]) -> list[Node]:
    output = next(node for node in nodes if node.op == "output")
    wanted = set(exported.graph_signature.user_outputs)
    listed: Any = output.args[0]
    return [item for item in listed if isinstance(item, Node) and item.name in wanted]


def _ends(lowering: Lowering, results: Sequence[Node]) -> list[Node]:
    """The outputs of what is left for NNAPI: the source's own, and what PyTorch reads."""
    given = {_cut(lowering, node, at).operand for node, at in lowering.cut}
    found = []
    for node in dict.fromkeys((*results, *lowering.read)):
        value = lowering.values.get(node)
        if isinstance(value, Value) and (value.operand not in given or value.constant is not None):
            found.append(node)
    # What only PyTorch reads again is no input.
    used = {at for operation in lowering.sketch.operations for at in operation.inputs}
    unused = given - used
    lowering.cut = [
        (node, at) for node, at in lowering.cut if _cut(lowering, node, at).operand in used
    ]
    lowering.sketch.inputs = [at for at in lowering.sketch.inputs if at not in unused]
    return found


def _cut(lowering: Lowering, node: Node, at: int | None) -> Value:
    """What a result of a node that stays in PyTorch is fed to."""
    found = lowering.values[node]
    value: Value = found if at is None else found[at]
    return value


def _plain(lowering: Lowering, value: Value) -> Value:
    """What PyTorch reads, in its operand's dimensions where there are more than NNAPI has."""
    if not (value.flat and lowering.left):
        return value
    return replace(value, shape=lowering.sketch.operands[value.operand].dims, flat=False)


def _arrays(row: Tensors, orders: Sequence[bool]) -> InputSet:
    return tuple(
        operand_array(tensor.permute(NHWC) if wide else tensor, operand_type(tensor.dtype)).reshape(
            tuple(tensor.permute(NHWC).shape if wide else tensor.shape) or (1,)
        )
        for tensor, wide in zip(row, orders, strict=True)
    )
