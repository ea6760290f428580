"""How far legal rounding can move a model's outputs.

A worst-case bound of a whole network multiplies the amplification of every layer and says nothing
after twenty of them. So the tolerance is sampled (Monte Carlo arithmetic: D. S. Parker, UCLA
CSD-970002, 1997). Each node has a certified bound for its own rounding; a sample evaluates the
model in float64 while every element of every node is moved by a random part of that bound, with a
random sign. The tolerance of an output is `SAFETY` times the largest movement that any element of
it showed in `SAMPLES` samples. A single operation gets about four times its certified bound; a
deep model gets what its own weights make of rounding.

Bounds of a node, with unit roundoff u and n the length of its sum (Higham, Accuracy and Stability
of Numerical Algorithms, chapters 2 to 4):

* convolution, matrix product, mean, average pooling: min(n, 4 sqrt(n)) + 2 times u times the same
  operation on absolute values. The root is the probabilistic bound (Higham and Mary, SIAM J. Sci.
  Comput. 41, 2019, theorem 2.4 with lambda = 4), which holds for sums in any order;
* add, sub: u (|a| + |b|); mul, div, prelu: 3 u |y|;
* sigmoid: u y (8 + 2 |x|); softmax: u y (n + 8 + 4 max|x|); log_softmax: u (n + 8 + 4 max|x|);
* data that only move, comparisons, size: nothing;
* quantized outputs: half a code before rounding, so that about a quarter of all codes move by
  one, far more than a driver with one rounding error here and there. That is generous already:
  `SAFETY` is not applied to models with quantized layers, but their tolerance is at least one code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nnapi_testkit.mobile.walk import Node, real, walk

__all__ = ["FLOAT16_U", "FLOAT32_U", "SAFETY", "SAMPLES", "Sampled", "movement"]

FLOAT32_U = 2.0**-24
FLOAT16_U = 2.0**-11
SAMPLES = 4
SAFETY = 4.0

_MOVES = frozenset(
    (
        *("aten::unsqueeze", "aten::to", "aten::detach", "aten::reshape", "aten::flatten"),
        *("aten::slice", "aten::size", "aten::cat", "aten::relu", "aten::hardtanh"),
        *("aten::max_pool2d", "aten::upsample_nearest2d"),
    )
)
_PRODUCTS = ("aten::conv2d", "aten::_convolution", "aten::linear", "aten::addmm")
_MEANS = ("aten::mean", "aten::avg_pool2d", "aten::adaptive_avg_pool2d")
_SUMS = ("aten::add", "aten::sub")


@dataclass(frozen=True)
class Sampled:
    """A model's exact outputs and what legal rounding does to them.

    Args:
        outputs: see `walk`. tolerances: for each output the largest legal distance of any
            element, in real units; 0 where every operation on the way is exact.
        coarse: whether layers are quantized or computed in half precision.
    """

    outputs: tuple[torch.Tensor, ...]
    tolerances: tuple[float, ...]
    coarse: bool = False


def movement(
    module: torch.jit.ScriptModule, inputs: Sequence[torch.Tensor], u: float = FLOAT32_U
) -> Sampled:
    """Evaluate a frozen module, and sample how far rounding may move its outputs.

    Args:
        module: as `torch.jit.freeze` returns it. inputs: its arguments.
        u: unit roundoff of the arithmetic that the driver may use for float32.
    """
    bounds: dict[int, torch.Tensor] = {}
    codes: list[float] = []  # scales of the quantized layers that round, in order

    def measure(node: Node, value: torch.Tensor) -> torch.Tensor:
        bound = node_bound(node, value, u)
        if bound is not None:
            bounds[node.index] = bound
            if node.scale:
                codes.append(node.scale)
        return value

    outputs = walk(module, inputs, measure)
    moved = [0.0] * len(outputs)
    for sample in range(SAMPLES if bounds else 0):
        generator = torch.Generator().manual_seed(sample)

        def shake(
            node: Node, value: torch.Tensor, generator: torch.Generator = generator
        ) -> torch.Tensor:
            bound = bounds.get(node.index)
            if bound is None:
                return value
            random = torch.rand(value.shape, generator=generator, dtype=torch.float64)
            return value + (2 * random - 1) * bound

        for index, output in enumerate(walk(module, inputs, shake)):
            distance = (real(output) - real(outputs[index])).abs()
            distance = distance[distance.isfinite()]  # NaN and infinity stay what they are
            if distance.numel():
                moved[index] = max(moved[index], float(distance.max()))
    return Sampled(
        outputs,
        tuple(
            max(most, output.q_scale() if output.is_quantized else codes[-1])
            if codes
            else SAFETY * most
            for most, output in zip(moved, outputs, strict=True)
        ),
        bool(codes) or u > FLOAT32_U,
    )


def node_bound(node: Node, value: torch.Tensor, u: float) -> torch.Tensor | None:
    """The bound of one node's own rounding; None if it is exact. See the module's description."""
    if node.kind in _MOVES:
        return None
    if node.scale:
        return torch.full_like(value, node.scale / 2)
    if node.kind in _PRODUCTS:
        return _summing(_terms(node), u) * node.run(**_absolute(node.args))
    if node.kind in _MEANS:
        return _summing(_terms(node, value), u) * node.run(**_absolute(node.args))
    if node.kind in _SUMS:
        left, right = _plain(node.args["self"]), _plain(node.args["other"])
        return u * (left.abs() + right.abs())
    if node.kind == "aten::sigmoid":
        size: torch.Tensor = node.args["self"].abs()
        return u * value.abs() * (8 + 2 * size)
    if node.kind in ("aten::softmax", "aten::log_softmax"):
        x, dim = node.args["self"], node.args["dim"]
        factor: torch.Tensor = x.shape[dim] + 8 + 4 * x.abs().amax(dim, keepdim=True)
        return u * factor * (value.abs() if node.kind == "aten::softmax" else 1)
    return 3 * u * value.abs()


def _summing(n: int, u: float) -> float:
    return (min(n, 4 * math.sqrt(n)) + 2) * u


def _terms(node: Node, value: torch.Tensor | None = None) -> int:
    """The number of terms that are added up for one element."""
    args = node.args
    if node.kind in ("aten::linear", "aten::conv2d"):
        weight = args["weight"]
        return int(weight.numel() // weight.shape[0])
    if node.kind == "aten::_convolution":
        weight = args["weight"]
        if args["transposed"]:
            return int(weight.numel() // weight.shape[1])
        return int(weight.numel() // weight.shape[0])
    if node.kind == "aten::addmm":
        return int(args["mat1"].shape[1])
    if node.kind == "aten::avg_pool2d":
        kernel = args["kernel_size"]
        return int(kernel[0] * kernel[-1])
    assert value is not None
    return int(args["self"].numel() // max(value.numel(), 1))


def _absolute(args: dict[str, Any]) -> dict[str, Any]:
    return {
        name: item.abs() if isinstance(item, torch.Tensor) else item for name, item in args.items()
    }


def _plain(value: Any) -> torch.Tensor:
    return torch.as_tensor(value, dtype=torch.float64)
