"""Eager PyTorch's word on a case: float64 values with certified bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import first_line
from nnapi_testkit.model.case import Answer, Case
from nnapi_testkit.model.program import InputSet
from nnapi_testkit.model.types import Model
from nnapi_testkit.oracle.bind import OracleError
from nnapi_testkit.process import collecting_rarely
from nnapi_testkit.spec.codes import OperationCode

if TYPE_CHECKING:
    from nnapi_testkit.oracle.chain import Chain

__all__ = ["OracleError", "answer", "answer_alone", "follow", "follows"]


def answer(ref: CaseRef | None, case: Case) -> Answer:
    """The live answer to a case (imports torch on first use).

    The case is for devices of its own level: rules that are newer decide nothing in it.
    """
    # Its import makes very many objects, beside those of an index of cases.
    with collecting_rarely():
        import torch

    from nnapi_testkit.oracle.evaluate import answer_case, answer_contested

    with torch.no_grad():
        if ref is not None and ref.contest is not None:
            code = OperationCode[ref.operation]
            return answer_contested(case, ref.level, code, ref.contest)
        return answer_case(case) if ref is None else answer_case(case, ref.level)


def answer_alone(ref: CaseRef | None, case: Case) -> Answer:
    """The same with one thread of PyTorch's: for the operations of a model, one after another."""
    from nnapi_testkit.oracle.threads import one_thread

    with one_thread():
        return answer(ref, case)


def follow(
    model: Model, order: Sequence[int], inputs: InputSet, samples: int | None = None
) -> Chain:
    """A whole model's values, and the sampled tolerance of its outputs; see `oracle.chain`."""
    from nnapi_testkit.oracle import chain
    from nnapi_testkit.oracle.threads import one_thread

    with one_thread():
        try:
            return chain.follow(model, order, inputs, chain.SAMPLES if samples is None else samples)
        except (LookupError, RuntimeError, ValueError) as error:
            # A reference's word on data that it cannot judge, or torch's on shapes that disagree.
            raise OracleError(f"the oracle cannot follow the model: {first_line(error)}") from error


def follows(case: Case) -> bool:
    """Whether the oracle can answer a case and agrees with the dimensions it expects."""
    try:
        told = answer(None, case)
    except Exception:
        # Whatever a reference raises: attributes and shapes do not belong together.
        return False
    for execution, row in zip(case.sets, told.sets, strict=True):
        for dims, expected in zip(execution.output_dims, row, strict=True):
            # Where dimension 0 follows from the data, the expected dimensions are the most it is.
            if expected.value.shape[1:] != dims[1:] or expected.value.shape[:1] > dims[:1]:
                return False
    return True
