"""What graphs are made of: each operation in each of its cells, with the samples of its file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from nnapi_testkit.cases.build import choose_signature, level_of
from nnapi_testkit.cases.derive import Base
from nnapi_testkit.cases.slots import holds_weights
from nnapi_testkit.catalog import catalog, operation
from nnapi_testkit.op.declare import Cell, Op, Sample, Tensor

__all__ = ["FLOW", "Part", "highest_rank", "names", "parts", "takes"]

FLOW = ("IF", "WHILE")


@dataclass(frozen=True)
class Part:
    """An operation in one of its cells, with the samples that a device of the level can run."""

    op: Op
    cell: Cell
    samples: tuple[Sample, ...]

    @property
    def name(self) -> str:
        """`OPERATION[cell]`."""
        return f"{self.op.name}[{self.cell.name}]"


@cache
def parts(name: str, level: int) -> tuple[Part, ...]:
    """The parts of an operation for devices of a feature level; none of control flow."""
    op = operation(name)
    found = []
    for cell in op.cells if op.graphs is None else ():
        samples = tuple(
            sample
            for sample in Base(op, cell).samples
            if sample.contest is None
            and not holds_weights(op, sample)
            and level_of(op, cell, sample, choose_signature(op, sample)) <= level
        )
        if samples:
            found.append(Part(op, cell, samples))
    return tuple(found)


@cache
def names(level: int) -> tuple[str, ...]:
    """The operations that graphs for devices of a feature level are made of."""
    return tuple(
        name
        for name, op in catalog().items()
        if (op.since <= level if name in FLOW else parts(name, level))
    )


@cache
def takes(name: str, main: str, level: int, without: frozenset[str] = frozenset()) -> bool:
    """Whether an operation takes a type at a feature level, on a device that claims not all."""
    op = operation(name)
    if op.since > level or name in without:
        return False
    return any(
        cell.main.name == main and cell.since <= level and f"{name}[{cell.name}]" not in without
        for cell in op.cells
    )


@cache
def highest_rank(name: str) -> int:
    """The highest rank that the first tensor of an operation may have; 5 where none is named."""
    first = operation(name).signatures[0][0]
    assert isinstance(first, Tensor)
    return first.rank[1]
