"""The types of cells: in which order a reader meets them, and which share a matrix column."""

from __future__ import annotations

from collections.abc import Iterable

from nnapi_testkit.op.cell import first_type

__all__ = ["column_of", "in_order"]

# What most operations have comes first; other types follow by name.
_FIRST = ("float32", "float16", "quant8", "quant8_signed", "int32", "bool8")
OTHERS = "others"


def column_of(cell: str) -> str:
    """Return the type of a cell's first tensor, `float32` of `float32>quant8`, or `others`.

    Pairs of types (`>` before an output type, `/` before another operand's) and rare types
    belong to few operations each; columns of their own would leave the matrix mostly empty.
    """
    column = first_type(cell)
    return column if column in _FIRST else OTHERS


def in_order(cells: Iterable[str]) -> list[str]:
    """Return types in reading order: the common ones, then the others, pairs after their first."""

    def rank(cell: str) -> tuple[int, str, str]:
        column = first_type(cell)
        return _FIRST.index(column) if column in _FIRST else len(_FIRST), column, cell

    return sorted(cells, key=rank)
