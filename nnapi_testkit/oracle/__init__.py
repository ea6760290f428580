"""Eager PyTorch's word on a case: float64 values with certified bounds."""

from __future__ import annotations

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.case import Answer, Case
from nnapi_testkit.oracle.bind import OracleError

__all__ = ["OracleError", "answer", "follows"]


def answer(ref: CaseRef | None, case: Case) -> Answer:
    """The live answer to a case (imports torch on first use)."""
    import torch

    from nnapi_testkit.oracle.evaluate import answer_case

    with torch.no_grad():
        return answer_case(case)


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
