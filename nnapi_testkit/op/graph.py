"""How an op file describes a case of several operations (control flow)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nnapi_testkit.op.declare import Shape


@dataclass(frozen=True, slots=True)
class Feed:
    """One input set of a graph.

    Args:
        output_dims: the dimensions each output will have.
        inputs: explicit values by input position (codes for integers); the rest is drawn.
    """

    output_dims: tuple[Shape, ...]
    inputs: Mapping[int, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GraphSample:
    """A named graph.

    Args:
        build: gets a `nnapi_testkit.model.builder.Builder` and adds operands and operations.
        sets: its input sets.
    """

    name: str
    build: Callable[[Any], None]
    sets: tuple[Feed, ...]
    level: int = 1
    loop_timeout_ns: int = 0
