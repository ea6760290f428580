"""What eager PyTorch gives for an exported program: its outputs, and the values on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram
from torch.fx import Interpreter, Node

from nnapi_testkit.errors import KitError, first_line
from nnapi_testkit.frontends.export.lower import DEQUANTIZES, QUANTIZES, Lowering, target_name
from nnapi_testkit.frontends.sketch import NHWC, Value
from nnapi_testkit.model.types import Lifetime
from nnapi_testkit.spec.operands import CODE_RANGE

__all__ = ["coded", "told"]

Real = NDArray[np.float64]
Rows = tuple[Real, ...]


def coded(node: Node) -> bool:
    """Whether a node gives whole numbers of 8 bits."""
    found = node.meta.get("val")
    return isinstance(found, torch.Tensor) and found.dtype in (torch.uint8, torch.int8)


def told(
    exported: ExportedProgram,
    lowering: Lowering,
    results: Sequence[Node],
    values: Sequence[Value],
    sets: Sequence[Sequence[torch.Tensor]],
) -> tuple[tuple[Rows, ...], Mapping[int, Rows], list[list[torch.Tensor]]]:
    """What the source gives for each input set: by output, by operand inside, and from PyTorch.

    A quantized graph tells every value on the way, rounded where the model rounds: the end of a
    deep one has a tolerance as wide as its data. A float graph tells its outputs alone.

    Args:
        results: nodes of the outputs. values: what each of them became.

    The last of the three is what stays in PyTorch and is fed to the model, in the inputs' order.
    """
    names = {target_name(node) for node in exported.graph.nodes}
    shown: dict[int, tuple[Node, Value]] = {}
    if names.intersection((*QUANTIZES, *DEQUANTIZES)):
        shown = _shown(lowering)
    eager: Any = exported.module()
    expected, inside = [], {at: [] for at in shown}  # type: ignore[var-annotated]
    fed: list[list[torch.Tensor]] = []
    with torch.no_grad():
        for row in sets:
            listed = _outputs(eager, row)
            found = _every(exported, row) if shown or lowering.left else {}
            if lowering.left:
                listed = [found[node.name] for node in results]
            given = [(found[node.name], at) for node, at in lowering.cut]
            fed.append([made if at is None else made[at] for made, at in given])
            expected.append(
                tuple(
                    _real(item, value, coded(node))
                    for item, node, value in zip(listed, results, values, strict=True)
                )
            )
            for at, (node, value) in shown.items():
                inside[at].append(_real(found[node.name], value, coded(node)))
    for position, value in enumerate(values if shown else ()):
        inside[lowering.sketch.new[value.operand]] = [row[position] for row in expected]
    return tuple(expected), {at: tuple(rows) for at, rows in inside.items()}, fed


def _shown(lowering: Lowering) -> dict[int, tuple[Node, Value]]:
    """The last node that is held by each operand which an operation writes."""
    sketch = lowering.sketch
    written = {at for operation in sketch.operations for at in operation.outputs}
    found = {}
    for node, value in lowering.values.items():
        if not isinstance(value, Value) or value.constant is not None or value.flat:
            continue
        lifetime = sketch.operands[value.operand].lifetime
        if value.operand in written and lifetime == Lifetime.TEMPORARY:
            found[sketch.new[value.operand]] = (node, value)
    return found


def _outputs(eager: Any, row: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """What the program returns. KitError if it does not take the inputs."""
    try:
        made = eager(*row)
    except Exception as error:  # the user's model: anything may go wrong in it
        raise KitError(
            f"the exported program does not take this input: {first_line(error)}"
        ) from error
    leaves = torch.utils._pytree.tree_leaves(made)
    return [item for item in leaves if isinstance(item, torch.Tensor)]


def _every(exported: ExportedProgram, row: Sequence[torch.Tensor]) -> dict[str, Any]:
    """Every node's value, by its name."""
    found: dict[str, Any] = {}

    class Recorder(Interpreter):
        def run_node(self, node: Node) -> Any:
            made = super().run_node(node)
            # What is there now: a later node may work in place.
            found[node.name] = made.clone() if isinstance(made, torch.Tensor) else made
            return made

    signature = exported.graph_signature
    state: dict[str, Any] = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    data = {**exported.state_dict, **exported.constants}
    fed = iter(row)
    given = [
        data[state[node.name]] if node.name in state else next(fed)
        for node in exported.graph.nodes
        if node.op == "placeholder"
    ]
    Recorder(exported.graph_module).run(*given)
    return found


def _real(tensor: torch.Tensor, value: Value, codes: bool) -> Real:
    """Real values in the order in which the operand holds them, rounded to its codes."""
    plain = tensor.permute(NHWC) if value.last else tensor
    array = plain.contiguous().to(torch.float64).numpy()
    quant = value.quant
    if quant is not None:
        low, high = CODE_RANGE[quant.type]
        scale = float(np.float32(quant.scale))
        if not codes:
            array = np.rint(array / scale) + quant.zero_point
        array = (array.clip(low, high) - quant.zero_point) * scale
    return np.asarray(array).reshape((value.shape if plain.dim() > 4 else array.shape) or (1,))
