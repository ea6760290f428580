"""Eager PyTorch's word on a case: float64 values with certified bounds."""

from __future__ import annotations

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.case import Answer, Case
from nnapi_testkit.oracle.bind import OracleError

__all__ = ["OracleError", "answer"]


def answer(ref: CaseRef | None, case: Case) -> Answer:
    """The live answer to a case (imports torch on first use)."""
    import torch

    from nnapi_testkit.oracle.evaluate import answer_case

    with torch.no_grad():
        return answer_case(case)
