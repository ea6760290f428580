"""What a model should give: its frozen TorchScript graph, node by node in float64.

Float nodes run the same eager PyTorch operator on float64 tensors. Quantized nodes compute the
real value from the dequantized operands in float64 and round once, half away from zero, as NNAPI
describes it; PyTorch's quantized kernels (QNNPACK and others) are not used, because they may
differ by a code. A `Touch` sees each node's value and may change it: `rounding` uses that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nnapi_testkit.errors import KitError

__all__ = ["Node", "Touch", "WalkError", "encode", "real", "values", "walk"]

_SIGMOID_SCALE = 1.0 / 256  # LOGISTIC's fixed output scale, in NNAPI and in PyTorch alike
_QUANTIZED_CONV = ("quantized::conv2d", "quantized::conv2d_relu", "quantized::conv_transpose2d")


class WalkError(KitError):
    """A graph holds a node that cannot be evaluated in float64."""


@dataclass(frozen=True)
class Node:
    """One evaluated node.

    Args:
        index: its place in the graph. kind: `aten::conv2d` and the like.
        args: its arguments by name, float64 where they were float tensors.
        scale: of the output's codes; 0 for an output that is not quantized.
        run: the operation on other arguments, before any rounding to codes.
    """

    index: int
    kind: str
    args: dict[str, Any]
    scale: float
    run: Callable[..., torch.Tensor]


# Handed the node and the real value of its output, returns the value to go on with.
Touch = Callable[[Node, torch.Tensor], torch.Tensor]


def walk(
    module: torch.jit.ScriptModule, inputs: Sequence[torch.Tensor], touch: Touch | None = None
) -> tuple[torch.Tensor, ...]:
    """Evaluate a frozen module.

    Args:
        module: as `torch.jit.freeze` returns it. inputs: its arguments.
        touch: see the module's description.

    Returns:
        The outputs in order: float64, quint8, or integers as they are.

    Raises:
        WalkError: a node of an unknown kind.
    """
    found = _evaluated(module, inputs, touch)
    graph: Any = module.graph
    result = found[next(iter(graph.return_node().inputs())).debugName()]
    return tuple(result) if isinstance(result, list | tuple) else (result,)


def values(module: torch.jit.ScriptModule, inputs: Sequence[torch.Tensor]) -> dict[str, Any]:
    """What each value of a frozen module's graph is, by its name, as far as it can be evaluated.

    Args:
        module, inputs: as for `walk`.
    """
    return _evaluated(module, inputs, None, strict=False)


def _evaluated(
    module: torch.jit.ScriptModule,
    inputs: Sequence[torch.Tensor],
    touch: Touch | None,
    *,
    strict: bool = True,
) -> dict[str, Any]:
    graph: Any = module.graph
    found: dict[str, Any] = {}
    names = [value.debugName() for value in graph.inputs()]
    found[names[0]] = module
    if len(names) != len(inputs) + 1:
        raise WalkError(f"the model takes {len(names) - 1} tensors, {len(inputs)} are given")
    for name, tensor in zip(names[1:], inputs, strict=True):
        found[name] = _wide(tensor)
    with torch.no_grad():
        for index, node in enumerate(graph.nodes()):
            given = [value.debugName() for value in node.inputs()]
            if not strict and any(name not in found for name in given):
                continue
            try:
                result = _evaluate(index, node, [found[name] for name in given], touch)
            except Exception:  # of an unknown node's parts: anything
                if strict:
                    raise
                continue
            produced = list(node.outputs())
            parts = result if len(produced) > 1 else [result]
            for value, part in zip(produced, parts, strict=True):
                found[value.debugName()] = part
    return found


def real(tensor: torch.Tensor) -> torch.Tensor:
    """The real values of a tensor, float64."""
    if not tensor.is_quantized:
        return tensor.double()
    codes = tensor.int_repr().double()
    return (codes - tensor.q_zero_point()) * tensor.q_scale()


def encode(value: torch.Tensor, scale: float, zero_point: int) -> torch.Tensor:
    """Round real values to quint8 codes once, half away from zero, saturating."""
    exact = value / scale
    codes = torch.sign(exact) * torch.floor(exact.abs() + 0.5) + zero_point
    made: torch.Tensor = torch._make_per_tensor_quantized_tensor(
        codes.clamp(0, 255).to(torch.uint8), scale, zero_point
    )
    return made


def _wide(value: Any) -> Any:
    if isinstance(value, list):
        return [_wide(item) for item in value]
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.double()
    return value


def _real(value: Any) -> Any:
    if isinstance(value, list):
        return [_real(item) for item in value]
    return real(value) if isinstance(value, torch.Tensor) and value.is_quantized else value


def _evaluate(index: int, node: Any, given: list[Any], touch: Touch | None) -> Any:
    kind = node.kind()
    if kind == "prim::Constant":
        return _wide(node.output().toIValue()) if node.outputsSize() else None
    if kind == "prim::GetAttr":
        return _wide(getattr(given[0], node.s("name")))
    if kind in ("prim::ListConstruct", "prim::TupleConstruct"):
        return given
    if kind == "prim::ListUnpack" or kind == "prim::TupleUnpack":
        return list(given[0])
    if not kind.startswith(("aten::", "quantized::")):
        raise WalkError(f"{kind} cannot be evaluated in float64")
    return _operator(index, kind, node.schema(), given, touch)


def _operator(
    index: int, kind: str, schema_text: str, given: list[Any], touch: Touch | None
) -> Any:
    schema = torch._C.parse_schema(schema_text)
    args = {a.name: value for a, value in zip(schema.arguments, given, strict=True)}
    quantized = _output_codes(kind, args)
    if kind == "aten::dequantize":
        run: Callable[..., Any] = _first
    elif kind in _QUANTIZED_CONV or kind == "quantized::linear":
        args, run = _packed(kind, args)
    elif kind == "aten::quantize_per_tensor":
        args, run = {"self": args["self"]}, _first
    elif kind.startswith("quantized::"):
        args, run = {"qa": args["qa"], "qb": args["qb"]}, _QUANTIZED_BINARY[kind]
    elif kind in ("aten::to", "aten::detach"):
        # The converter drops `to`: only device and float type may change. Others show as an error.
        run = _overload(schema)
        args = {name: value for name, value in args.items() if name != "memory_format"}
    else:
        run = _overload(schema)
    args = {name: _real(value) for name, value in args.items()}
    try:
        result = run(**args)
    except Exception as error:  # torch raises by argument: Runtime, Index, Type, Value
        told = str(error).strip().partition("\n")[0]
        raise WalkError(f"{kind} cannot be evaluated with these inputs: {told}") from error
    if not isinstance(result, torch.Tensor):
        return result  # a size
    result = _wide(result)
    if touch is not None and result.is_floating_point():
        scale = quantized[0] if quantized else 0.0
        result = touch(Node(index, kind, args, scale, run), result)
    return encode(result, *quantized) if quantized else result


def _overload(schema: Any) -> Callable[..., Any]:
    space, name = schema.name.split("::")
    packet = getattr(getattr(torch.ops, space), name)
    overload: Callable[..., Any] = getattr(packet, schema.overload_name or "default")
    return overload


def _output_codes(kind: str, args: dict[str, Any]) -> tuple[float, int] | None:
    """Scale and zero point of a quantized output; None for other outputs."""
    if kind == "aten::dequantize":
        return None
    if kind == "aten::quantize_per_tensor":
        return args["scale"], args["zero_point"]
    if kind.startswith("quantized::"):
        # Every quantized operator takes two operands and then the output's parameters.
        scale, zero_point = list(args.values())[2:4]
        return scale, zero_point
    for value in args.values():
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, torch.Tensor) and first.is_quantized:
            if kind == "aten::sigmoid":
                return _SIGMOID_SCALE, 0
            return first.q_scale(), first.q_zero_point()
    return None


def _first(**args: torch.Tensor) -> torch.Tensor:
    return next(iter(args.values()))


_QUANTIZED_BINARY: dict[str, Callable[..., torch.Tensor]] = {
    "quantized::add": lambda qa, qb: qa + qb,
    "quantized::add_relu": lambda qa, qb: torch.relu(qa + qb),
    "quantized::mul": lambda qa, qb: qa * qb,
}


def _packed(kind: str, args: dict[str, Any]) -> tuple[dict[str, Any], Callable[..., torch.Tensor]]:
    """Unpack the weights of a quantized layer; the bias is rounded to its codes, as in NNAPI."""
    image = next(iter(args.values()))
    packed: Any = next(value for value in args.values() if isinstance(value, torch.ScriptObject))
    state: Any = packed.__getstate__()[0]
    if kind == "quantized::linear":
        weight, bias = state
        options: dict[str, Any] = {}
        run: Callable[..., torch.Tensor] = torch.nn.functional.linear
    else:
        _version, (config, weight), (bias,) = state
        # [dimensions, stride, padding, dilation, output padding, groups, flags], 2 of each here.
        pc = [int(item) for item in config]
        options = {
            "stride": pc[1:3],
            "padding": pc[3:5],
            "dilation": pc[5:7],
            "groups": pc[9],
        }
        run = torch.nn.functional.conv2d
        if kind == "quantized::conv_transpose2d":
            run = torch.nn.functional.conv_transpose2d
        if kind == "quantized::conv2d_relu":
            run = _conv2d_relu
    unit = image.q_scale() * weight.q_scale()
    whole = None if bias is None else torch.round(bias.double() / unit) * unit
    return {"input": image, "weight": weight, "bias": whole, **options}, run


def _conv2d_relu(**args: Any) -> torch.Tensor:
    return torch.relu(torch.nn.functional.conv2d(**args))
