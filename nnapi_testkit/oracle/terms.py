"""A bound taken apart: own rounding, how inputs may be read, the error that they carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnapi_testkit.model.case import Case
from nnapi_testkit.model.types import Graph, Operation
from nnapi_testkit.oracle.bounding import Terms
from nnapi_testkit.oracle.evaluate import WATCH, Read, answer_set
from nnapi_testkit.spec.codes import OperationCode
from nnapi_testkit.spec.levels import NEWEST

__all__ = ["BoundTerms", "bound_terms"]

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BoundTerms:
    """The parts of the bound of one output, in real units and its shape; they add up to it.

    Args:
        operation: the one that computes the output. rule: its acceptance rule in one line.
        own: rounding of the operation itself.
        flush: more, because inputs may be read as zero or, relaxed, as infinite, and scalars
            rounded to half precision.
        carried: what the error of its inputs becomes in the output.
    """

    operation: str
    rule: str
    own: Reals
    flush: Reals
    carried: Reals


def bound_terms(
    case: Case, number: int, level: int = NEWEST, read: Read | None = None
) -> dict[int, BoundTerms]:
    """The parts of the bounds of one input set, by position among the model's outputs.

    Outputs of control flow, and those that are no tensors of reals, have none.

    Args:
        number: of the input set. level, read: as of `answer_case`.
    """
    outputs = {index: at for at, index in enumerate(case.model.main.outputs)}
    found: dict[int, BoundTerms] = {}

    def watch(graph: Graph, operation: Operation, terms: Terms) -> None:
        if graph is not case.model.main:
            return
        for position, index in enumerate(operation.outputs):
            if index in outputs and position < len(terms.whole):
                one = _parts(operation, terms, position)
                if one is not None:
                    found[outputs[index]] = one

    token = WATCH.set(watch)
    try:
        with torch.no_grad():
            answer_set(case.model, case.sets[number], level, read)
    finally:
        WATCH.reset(token)
    return found


def _parts(operation: Operation, terms: Terms, position: int) -> BoundTerms | None:
    rows = [row[position] for row in (terms.own, terms.reread, terms.whole)]
    if not all(torch.is_tensor(row) and row.is_floating_point() for row in rows):
        return None
    flip = position < len(terms.flips) and terms.flips[position]
    own, reread, whole = (_stored(row, flip) for row in rows)
    with np.errstate(invalid="ignore"):
        return BoundTerms(
            OperationCode(operation.code).name,
            terms.binding.op.bound.rule,
            own,
            np.nan_to_num(reread - own, nan=0.0, posinf=np.inf),
            np.nan_to_num(whole - reread, nan=0.0, posinf=np.inf),
        )


def _stored(row: Any, flip: bool) -> Reals:
    """A term in the layout of the model's output."""
    array: Reals = (row.permute(0, 2, 3, 1) if flip else row).to(torch.float64).numpy()
    return array
