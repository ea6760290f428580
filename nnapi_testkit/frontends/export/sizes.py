"""Symbolic sizes of an exported program: graphs with numbers in their place, and which to try."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Graph, Node

from nnapi_testkit.errors import KitError

__all__ = ["Sizes", "concrete", "labels", "others", "symbols"]

Sizes = Mapping[str, int]
_SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)


def symbols(exported: ExportedProgram, row: Sequence[torch.Tensor]) -> dict[str, int]:
    """The sizes that an input set gives to the program's symbols.

    Raises KitError if a size cannot be had by the program's symbols.
    """
    found: dict[str, int] = {}
    for node, tensor in zip(_inputs(exported), row, strict=False):
        for at, size in enumerate(_shape(node)):
            if not isinstance(size, torch.SymInt):
                continue
            form = size.node.expr
            free = [symbol for symbol in form.free_symbols if str(symbol) not in found]
            if len(free) != 1:
                continue
            # Derived dimensions are linear: two values tell the third.
            ends = [int(form.subs({**_known(form, found), free[0]: end})) for end in (0, 1)]
            step = ends[1] - ends[0]
            number, rest = divmod(int(tensor.shape[at]) - ends[0], step)
            if rest or number < 1:
                raise KitError(
                    f"dimension {at} of input {node.name} is {tensor.shape[at]}, the program"
                    f" has {form} there: give another size"
                )
            found[str(free[0])] = number
    return found


def labels(exported: ExportedProgram) -> dict[str, str]:
    """Where each symbol is first met, as `x.2`: dimension 2 of input x."""
    found: dict[str, str] = {}
    for node in _inputs(exported):
        for at, size in enumerate(_shape(node)):
            if isinstance(size, torch.SymInt):
                for symbol in size.node.expr.free_symbols:
                    found.setdefault(str(symbol), f"{node.name}.{at}")
    return found


def others(exported: ExportedProgram, sizes: Sizes, chosen: set[str]) -> Iterator[dict[str, int]]:
    """Yield other sizes of the chosen symbols within their ranges.

    Twice as large, one more, and an odd number above: what divides by a stride for one of them
    does not for another.
    """
    ranges = {str(symbol): found for symbol, found in exported.range_constraints.items()}
    made = []
    for forms in ((2, 0), (1, 1), (2, 1), (1, -1)):
        row = dict(sizes)
        for name in chosen:
            size, found = sizes[name], ranges.get(name)
            low, high = (found.lower, found.upper) if found is not None else (2, 2**30)
            wanted = size * forms[0] + forms[1]
            for other in (wanted, size + 1, size - 1):
                if other > 0 and bool(low <= other) and bool(other <= high):
                    row[name] = other
                    break
        if all(row[name] != sizes[name] for name in chosen) and row not in made:
            made.append(row)
            yield row


def concrete(graph: Graph, sizes: Sizes) -> Graph:
    """The graph with numbers for symbols; itself where it has none.

    A node's `meta["open"]` tells which dimensions of its result were symbolic.
    """
    if not any(_symbolic(node.meta.get("val")) for node in graph.nodes):
        return graph
    made = Graph()
    kept: dict[Node, Any] = {}
    for node in graph.nodes:
        found = node.meta.get("val")
        number = _number(found, sizes) if isinstance(found, _SYMBOLIC) else None
        if number is not None and node.op == "call_function":
            kept[node] = number
            continue
        copy = made.node_copy(node, lambda item: kept[item])
        copy.name = node.name  # a name like `input` would get a number
        kept[node] = copy
        if isinstance(found, torch.Tensor):
            copy.meta["open"] = tuple(isinstance(size, torch.SymInt) for size in found.shape)
        copy.meta["val"] = _sized(found, sizes)
    return made


def _inputs(exported: ExportedProgram) -> list[Node]:
    names = set(exported.graph_signature.user_inputs)
    nodes = [node for node in exported.graph.nodes if node.op == "placeholder"]
    return [node for node in nodes if node.name in names]


def _shape(node: Node) -> Sequence[Any]:
    found = node.meta.get("val")
    return found.shape if isinstance(found, torch.Tensor) else ()


def _symbolic(found: Any) -> bool:
    if isinstance(found, torch.Tensor):
        return any(isinstance(size, torch.SymInt) for size in found.shape)
    if isinstance(found, list | tuple):
        return any(map(_symbolic, found))
    return isinstance(found, _SYMBOLIC)


def _known(form: Any, sizes: Sizes) -> dict[Any, int]:
    return {s: sizes[str(s)] for s in form.free_symbols if str(s) in sizes}


def _number(found: Any, sizes: Sizes) -> Any:
    """The number behind a symbol; None if data decide it."""
    form = found.node.expr
    made = form.subs(_known(form, sizes))
    if made.free_symbols:
        return None
    kind = {torch.SymInt: int, torch.SymFloat: float}.get(type(found), bool)
    return kind(made)


def _sized(found: Any, sizes: Sizes) -> Any:
    if isinstance(found, list | tuple):
        return type(found)(_sized(item, sizes) for item in found)
    if not isinstance(found, torch.Tensor) or not _symbolic(found):
        return found
    shape = [_number(s, sizes) if isinstance(s, torch.SymInt) else s for s in found.shape]
    if None in shape:
        return found
    return torch.empty(shape, dtype=found.dtype, device="meta")
