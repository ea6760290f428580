"""Refusals in a model whose first operation is valid: a driver has to look at the others too.

A few of an operation's refusals, spread over its constraints, once more behind a RELU that has an
input and an output of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from nnapi_testkit.cases.edits import with_main
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.types import Lifetime, Operand, Operation
from nnapi_testkit.spec.codes import OperandCode, OperationCode

__all__ = ["behind_refs"]

OPERATIONS = ("ADD", "CONV_2D", "FULLY_CONNECTED", "RESHAPE", "SOFTMAX", "TRANSPOSE")
EACH = 3
SHAPE = (2,)


def behind_refs(name: str, refused: Sequence[CaseRef]) -> Iterator[CaseRef]:
    """Some of the refusals of an operation, if it is one of those that are asked."""
    if name not in OPERATIONS:
        return
    for ref in refused[:: max(1, len(refused) // EACH)][:EACH]:
        case_id = ref.id.replace("-refused-", "-refused-behind-valid-", 1)
        yield replace(ref, id=case_id, make=partial(_make, ref, case_id))


def _make(ref: CaseRef, case_id: str) -> Case:
    """The refused model, which begins with RELU of an input of its own."""
    case = ref.make()
    main = case.model.main
    source, result = len(main.operands), len(main.operands) + 1
    tensor = Operand(OperandCode.TENSOR_FLOAT32, SHAPE)
    model = with_main(
        case.model,
        operands=(
            *main.operands,
            replace(tensor, lifetime=Lifetime.INPUT),
            replace(tensor, lifetime=Lifetime.OUTPUT),
        ),
        operations=(Operation(OperationCode.RELU, (source,), (result,)), *main.operations),
        inputs=(*main.inputs, source),
        outputs=(*main.outputs, result),
    )
    return replace(case, id=case_id, model=model, sets=tuple(map(_fed, case.sets)))


def _fed(execution: Execution) -> Execution:
    """The set with the input and the output of the first operation."""
    offered, given = execution.output_bytes, execution.input_bytes
    return replace(
        execution,
        inputs=(*execution.inputs, np.array([-1, 2], "<f4")),
        output_dims=(*execution.output_dims, SHAPE),
        output_bytes=None if offered is None else (*offered, None),
        input_bytes=None if given is None else (*given, None),
    )
