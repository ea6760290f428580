"""Services for runs on the toy driver: six cases, of which the third lets it be hostile.

HOSTILE names what it then does (native/hostile.c). Runner, judge and books are the kit's own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.case import Answer, Case, Execution, Expected
from nnapi_testkit.model.kinds import Kind, Source
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.session.services import Services, standard
from nnapi_testkit.spec.codes import OperandCode

CASES = 6
BAD = 2
DEADLINE_MS = 20_000  # of the hostile case
PLAIN_MS = 20_000  # of the others
FIRST = np.arange(6, dtype=np.float32)
SECOND = 2 * FIRST


def name_of(at: int) -> str:
    return f"ADD[{'hostile' if at == BAD else 'plain'}-{at}]"


def make(at: int) -> Case:
    tensor = partial(Operand, OperandCode.TENSOR_FLOAT32, FIRST.shape)
    graph = Graph(
        operands=(
            tensor(lifetime=Lifetime.INPUT),
            tensor(lifetime=Lifetime.INPUT),
            Operand(OperandCode.INT32, lifetime=Lifetime.CONSTANT, value=bytes(4)),
            tensor(lifetime=Lifetime.OUTPUT),
        ),
        operations=(Operation(9112 if at == BAD else 0, (0, 1, 2), (3,)),),
        inputs=(0, 1),
        outputs=(3,),
    )
    return Case(
        id=name_of(at),
        model=Model(graph),
        sets=(Execution((FIRST, SECOND), (FIRST.shape,)),),
        deadline_ms=DEADLINE_MS if at == BAD else PLAIN_MS,
    )


def index(operations: Collection[str] | None, seed: int) -> Sequence[CaseRef]:
    return [
        CaseRef(name_of(at), "ADD", "float32", 1, Kind.POSITIVE, partial(make, at))
        for at in range(CASES)
    ]


def answer(ref: CaseRef, case: Case) -> Answer:
    value = FIRST.astype(np.float64) + SECOND
    return Answer(((Expected(value, np.full(value.shape, 1e-6)),),), source=Source.GOLDEN)


def services() -> Services:
    return replace(
        standard(), index=index, has_live=lambda: False, golden=lambda: answer,
        older=lambda target, level: "", kept=None,
    )  # fmt: skip
