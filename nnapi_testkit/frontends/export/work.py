"""Multiply-accumulates of nodes that stay in PyTorch: their part of a model's work."""

from __future__ import annotations

import math

import torch
from torch.fx import Node

__all__ = ["multiply_accumulates"]

_PRODUCTS = ("mm", "bmm", "matmul", "addmm", "baddbmm", "linear")


def multiply_accumulates(node: Node) -> int:
    """Multiply-accumulates of a convolution or matrix product; 0 for other nodes.

    Where a size depends on data nothing is counted.
    """
    kind = str(node.target).split(".")[1] if "." in str(node.target) else ""
    shapes = []
    for item in (*node.all_input_nodes, node):
        found = item.meta.get("val")
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else ()
        if not all(isinstance(size, int) for size in shape):
            return 0
        shapes.append(shape)
    result, taken = shapes[-1], shapes[:-1]
    if kind.startswith("conv_transpose") and len(taken) > 1:
        return math.prod(taken[0]) * math.prod(taken[1][1:])
    if kind.startswith("conv") and len(taken) > 1:
        return math.prod(result) * math.prod(taken[1][1:])
    if kind in _PRODUCTS and len(taken) > 1:
        first = taken[1] if kind in ("addmm", "baddbmm") else taken[0]
        return math.prod(result) * first[-1]
    return 0
