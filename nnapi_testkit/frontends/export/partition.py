"""Models that NNAPI cannot express whole: its parts lowered, the rest left to PyTorch.

PyTorch's own partitioner joins neighbours that NNAPI can express; the parts alternate with what
stays, and the result is that of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node
from torch.fx.passes.infra.partitioner import CapabilityBasedPartitioner
from torch.fx.passes.operator_support import OperatorSupportBase

from nnapi_testkit.frontends.export import from_module
from nnapi_testkit.frontends.export.lower import RULES, target_name
from nnapi_testkit.model.program import InputSet, Program

__all__ = ["Part", "Parts", "partition"]

Tensors = Sequence[torch.Tensor]
Run = Callable[[Program, InputSet], Sequence[np.ndarray]]


@dataclass(frozen=True)
class Part:
    """One part for NNAPI.

    Args:
        name: of its submodule. program: the part lowered.
        fed: which of the submodule's arguments are fed; the others are the model's weights.
    """

    name: str
    program: Program
    fed: tuple[int, ...]


@dataclass(frozen=True)
class Parts:
    """A model in parts.

    Args:
        module: the whole, its parts submodules. parts: those that NNAPI runs, in order.
        left: what stays in PyTorch, by kind of node.
    """

    module: GraphModule
    parts: tuple[Part, ...]
    left: tuple[str, ...]

    def run(self, inputs: Tensors, run: Run) -> tuple[torch.Tensor, ...]:
        """Compute the whole, each part by `run`, which is handed a program and its inputs."""
        whole = _Alternating(self.module, {part.name: part for part in self.parts}, run)
        with torch.no_grad():
            found: Any = whole.run(*inputs)
        return (found,) if isinstance(found, torch.Tensor) else tuple(found)


class _Alternating(torch.fx.Interpreter):
    def __init__(self, module: GraphModule, parts: dict[str, Part], run: Run) -> None:
        super().__init__(module)
        self._parts, self._run = parts, run

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        """A part on the driver; anything else as PyTorch does it."""
        part = self._parts.get(target)
        if part is None:
            return super().call_module(target, args, kwargs)
        given = part.program.accept([args[at].detach().numpy() for at in part.fed])
        found = [torch.from_numpy(np.array(array)) for array in self._run(part.program, given)]
        return found[0] if len(found) == 1 else tuple(found)


class _Bound(torch.nn.Module):
    """A part with the model's weights as its own."""

    def __init__(self, part: GraphModule, values: Sequence[Any], fed: Sequence[int]) -> None:
        super().__init__()
        self.part, self.fed, self.count = part, tuple(fed), len(values)
        for at, value in enumerate(values):
            if at not in self.fed:
                self.register_buffer(f"weight{at}", value.detach())

    def forward(self, *given: torch.Tensor) -> Any:
        """The part, with `given` in the places of what is fed."""
        places = dict(zip(self.fed, given, strict=True))
        weights = {at: getattr(self, f"weight{at}") for at in range(self.count) if at not in places}
        return self.part(*(value for _, value in sorted({**places, **weights}.items())))


class _Supported(OperatorSupportBase):
    def __init__(self, refused: set[str]) -> None:
        self._refused = refused

    def is_node_supported(self, submodules: Any, node: Node) -> bool:
        """Whether a rule exists for the node, and it did not refuse this one."""
        if node.op != "call_function" or node.name in self._refused:
            return False
        return target_name(node) in RULES


def partition(exported: ExportedProgram, inputs: Tensors = ()) -> Parts:
    """Split an exported program.

    Args:
        inputs: the example; by default the program's own.

    A node whose rule refuses it stays in PyTorch too: it is told apart by lowering each alone.
    """
    example = tuple(inputs) or tuple(exported.example_inputs[0])
    whole: Any = exported.module()
    refused: set[str] = set()
    while True:
        split = _split(whole, refused)
        values = _values(split, example)
        parts, more = [], set()
        for node in _called(split):
            module = getattr(split, str(node.target))
            sources: Any = node.args
            fed = tuple(at for at, arg in enumerate(sources) if arg.op != "get_attr")
            bound = _Bound(module, [values[arg] for arg in sources], fed).eval()
            given = [values[sources[at]] for at in fed]
            try:
                program = from_module(bound, [given], last=False, name=str(node.target))
            except Exception as refusal:  # the part holds a node that its rule refuses
                more |= _blamed(module, refusal)
                continue
            parts.append(Part(str(node.target), program, fed))
        if not more - refused:
            left = sorted({target_name(n) for n in split.graph.nodes if _stays(n)})
            return Parts(split, tuple(parts), tuple(left))
        refused |= more


def _split(whole: GraphModule, refused: set[str]) -> GraphModule:
    import copy

    module = copy.deepcopy(whole)
    partitioner = CapabilityBasedPartitioner(
        module, _Supported(refused), allows_single_node_partition=True
    )
    split: GraphModule = partitioner.fuse_partitions(partitioner.propose_partitions())
    return split


def _called(split: GraphModule) -> Iterator[Node]:
    for node in split.graph.nodes:
        if node.op == "call_module" and str(node.target).startswith("fused_"):
            yield node


def _stays(node: Node) -> bool:
    return node.op == "call_function" and "getitem" not in str(node.target)


def _values(split: GraphModule, example: Tensors) -> dict[Node, Any]:
    """Every node's value for the example."""
    found: dict[Node, Any] = {}

    class Recorder(torch.fx.Interpreter):
        def run_node(self, node: Node) -> Any:
            found[node] = super().run_node(node)
            return found[node]

    with torch.no_grad():
        Recorder(split).run(*example)
    return found


def _blamed(module: GraphModule, refusal: Exception) -> set[str]:
    """The nodes of a part that a rule refuses; all of them if none can be told apart."""
    names = {node.name for node in module.graph.nodes if node.op == "call_function"}
    told = str(refusal)
    kinds = {target_name(n) for n in module.graph.nodes if target_name(n) in told}
    blamed = {n.name for n in module.graph.nodes if target_name(n) in kinds}
    return blamed or names
