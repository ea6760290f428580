"""A small quantizer for PT2E: what NNAPI computes in codes, with the scales that it wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import (
    DerivedQuantizationSpec,
    FixedQParamsQuantizationSpec,
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
    SharedQuantizationSpec,
)

__all__ = ["Small", "quantized"]

WEIGHTED = ("conv2d.default", "conv2d.padding", "linear.default", "conv_transpose2d.input")
CLAMPS = ("relu.default", "relu_.default", "relu6.default", "hardtanh.default", "hardtanh_.default")
PAIRS = ("add.Tensor", "add_.Tensor", "sub.Tensor", "mul.Tensor", "matmul.default", "bmm.default")
ALONE = ("hardswish.default", "hardswish_.default")
KEPT = (
    "adaptive_avg_pool2d.default",
    "avg_pool2d.default",
    "max_pool2d.default",
    "mean.dim",
    "view.default",
    "reshape.default",
    "flatten.using_ints",
    "permute.default",
    "upsample_bilinear2d.vec",
    "cat.default",
)


class Small(Quantizer):  # type: ignore[misc]
    """Every operation that is named above.

    Args:
        dtype: of data: torch.uint8 or torch.int8. channels: weights with a scale a channel.
        derived: biases as int32 at the scale of their products, and not as floats.
        low, high: the codes of data that are used.
    """

    def __init__(
        self,
        dtype: torch.dtype = torch.uint8,
        *,
        channels: bool = True,
        derived: bool = False,
        codes: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        signed = dtype == torch.int8
        low, high = codes or ((-128, 127) if signed else (0, 255))
        self.dtype, self.derived, self.channels = dtype, derived, channels
        self.data = QuantizationSpec(
            dtype, MinMaxObserver, low, high, qscheme=torch.per_tensor_affine
        )
        self.weight = QuantizationSpec(
            torch.int8,
            PerChannelMinMaxObserver if channels else MinMaxObserver,
            -127,
            127,
            qscheme=torch.per_channel_symmetric if channels else torch.per_tensor_symmetric,
            ch_axis=0,
        )
        start = -128 if signed else 0
        self.fixed = {
            name: FixedQParamsQuantizationSpec(
                dtype, scale, start + zero, -128 if signed else 0, 127 if signed else 255
            )
            for name, scale, zero in (
                ("sigmoid.default", 1 / 256, 0),
                ("softmax.int", 1 / 256, 0),
                ("tanh.default", 1 / 128, 128),
            )
        }

    def annotate(self, model: GraphModule) -> GraphModule:
        """Say how each node's inputs and result are quantized."""
        for node in model.graph.nodes:
            kind = str(node.target).removeprefix("aten.")
            data = [item for item in _data(node) if not _weight(item)]
            if kind in WEIGHTED:
                self._weighted(node)
            elif kind in KEPT and data:
                first = (data[0], node)
                shared = SharedQuantizationSpec(first)
                given = dict.fromkeys(data[1:], shared) | {data[0]: self.data}
                _say(node, given, shared)
            elif kind in (*PAIRS, *ALONE) and len(data) == len(_data(node)):
                _say(node, dict.fromkeys(data, self.data), self.data)
            elif kind in self.fixed:
                _say(node, dict.fromkeys(data, self.data), self.fixed[kind])
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing to look at: every annotation is made here."""

    def _weighted(self, node: Node) -> None:
        data, weight, *rest = _data(node)
        given: dict[Node, Any] = {data: self.data, weight: self.weight}
        if rest and self.derived:
            given[rest[0]] = self._bias([(data, node), (weight, node)])
        _say(node, given, self.data)

    def _bias(self, edges: Sequence[tuple[Node, Node]]) -> DerivedQuantizationSpec:
        def parameters(observers: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor]:
            (data, _), (weight, _) = (seen.calculate_qparams() for seen in observers)
            return data * weight, torch.zeros_like(weight, dtype=torch.int64)

        scheme = torch.per_channel_symmetric if self.channels else torch.per_tensor_symmetric
        return DerivedQuantizationSpec(
            list(edges),
            parameters,
            torch.int32,
            -(2**31),
            2**31 - 1,
            scheme,
            ch_axis=0 if self.channels else None,
        )


def _data(node: Node) -> list[Node]:
    first = next(iter(node.args), None)
    listed = first if isinstance(first, list | tuple) else node.args
    return [item for item in listed if isinstance(item, Node)]


def _weight(node: Node) -> bool:
    return node.op == "get_attr"


def _say(node: Node, given: dict[Node, Any], result: Any) -> None:
    """Annotate; the result of an operation that one activation reads alone is that one's."""
    users = list(node.users)
    kind = str(users[0].target).removeprefix("aten.") if users else ""
    late = len(users) == 1 and kind in CLAMPS
    node.meta["quantization_annotation"] = QuantizationAnnotation(
        given, None if late else result, _annotated=True
    )
    if late:
        users[0].meta["quantization_annotation"] = QuantizationAnnotation(
            {}, result, _annotated=True
        )


def quantized(
    model: nn.Module,
    inputs: Sequence[torch.Tensor],
    quantizer: Quantizer | None = None,
    dynamic: Any = None,
    **how: Any,
) -> GraphModule:
    """The model as PT2E leaves it, calibrated with its own inputs.

    Args:
        dynamic: `dynamic_shapes` of the export. how: of `convert_pt2e`.
    """
    exported = torch.export.export(model.eval(), tuple(inputs), dynamic_shapes=dynamic).module()
    prepared = prepare_pt2e(exported, quantizer or Small())
    for scale in (1.0, 0.5, -1.0):
        prepared(*(x * scale if x.is_floating_point() else x for x in inputs))
    made: GraphModule = convert_pt2e(prepared, **how)
    return made
