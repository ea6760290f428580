"""A third opinion: LiteRT's reference kernels, judged like a driver under `standard`.

Oracle and reference driver are two readings of the documentation; LiteRT is a third one that
nobody here wrote. Where it differs, docs/third-opinion.md says what the documentation says, and
`SETTLED` holds the cases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("ai_edge_litert")

import numpy as np
from litert_calls import ROWS
from litert_models import NotShared, run

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import Case
from nnapi_testkit.model.types import Lifetime, Operand
from nnapi_testkit.op.declare import Scalar
from nnapi_testkit.oracle import answer
from nnapi_testkit.oracle.bind import bind, defaults
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE


@dataclass(frozen=True)
class Settled:
    """A difference that the documentation settles, and how far it may go.

    Args:
        why: what settles it (docs/third-opinion.md).
        output: the only output that differs. error: largest difference. elements: how many differ.
    """

    why: str
    output: int = 0
    error: float = math.inf
    elements: int = 10**9

    def covers(self, record: Record) -> bool:
        """Whether the record shows this difference and no other."""
        return record.mismatched <= self.elements and all(
            found.output == self.output and found.error <= self.error
            for found in record.differences
        )


SETTLED = {
    "DIV[int32-*": Settled("rounded down; LiteRT rounds toward zero", error=1),
    "TOPK_V2[*": Settled("of equal values the larger index is first; LiteRT's is last", output=1),
    "LOCAL_RESPONSE_NORMALIZATION[*": Settled(
        "the sum reaches d + radius; LiteRT stops one before it", error=0.25
    ),
    "GREATER_EQUAL[quant8_signed-large]": Settled("real values, not rounded ones", elements=1),
    "NOT_EQUAL[quant8-second-larger]": Settled("real values, not rounded ones", elements=1),
    "EQUAL[quant8_signed-size32-*": Settled("real values, not rounded ones", elements=1),
    "GREATER[quant8_signed-size33-*": Settled("real values, not rounded ones", elements=1),
    "LESS_EQUAL[quant8-size1031-*": Settled("real values, not rounded ones", elements=1),
    "HARD_SWISH[quant8*-multiplier2e-24-*": Settled(
        "zero is a code; LiteRT's 16-bit multiplier gives its neighbour", error=2.0**23
    ),
    "MEAN[quant8_signed-large]": Settled("within one code, but biased", elements=0),
    "MEAN[quant8-channels-size1031-first]": Settled("within one code, but biased", elements=0),
    "RESIZE_BILINEAR[quant8_signed-large]": Settled("just beyond one code", elements=1, error=0.04),
}
FEWEST = 3
CELLS = ("float32", "int32", "bool8", "quant8", "quant8_signed")


def _one_scale(operand: Operand) -> bool:
    return operand.channel_quant is not None and len(operand.channel_quant.scales) == 1


def operands_of(case: Case) -> dict[str, Any]:
    """Attributes and tensors of the case's operation by name."""
    main = case.model.main
    (operation,) = main.operations
    operands = [main.operands[i] for i in operation.inputs]
    outputs = tuple(int(main.operands[i].type) for i in operation.outputs)
    binding = bind(operation.code, tuple(int(o.type) for o in operands), outputs)
    found: dict[str, Any] = dict(defaults(binding.op, binding.specs))
    found["outputs"] = [main.operands[i] for i in operation.outputs]
    for spec, operand in zip(binding.specs, operands, strict=True):
        if isinstance(spec, Scalar):
            value = np.frombuffer(operand.value, DTYPE[OperandCode(operand.type)])
            found[spec.name] = value[0].item() if value.size else spec.default
        elif spec.many:
            found.setdefault(spec.name, []).append(operand)
        else:
            found[spec.name] = None if operand.lifetime == Lifetime.OMITTED else operand
    if found.get("nchw"):
        raise NotShared("LiteRT has no NCHW")
    if operands[0].type == OperandCode.TENSOR_QUANT8_ASYMM and any(map(_one_scale, operands)):
        # Not told from the scale of a whole tensor, whose codes would be unsigned as the input's.
        raise NotShared("LiteRT has no single channel's scale beside unsigned codes")
    return found


def shared(ref: CaseRef, case: Case) -> bool:
    """Whether LiteRT could be asked at all: one operation on known shapes of NHWC data."""
    words = ("relaxed", "unknown", "float16", "special", "fed-scalars")
    empty = any(0 in dims for execution in case.sets for dims in execution.output_dims)
    return (
        ref.kind == "positive"
        and not any(word in ref.id for word in words)
        and len(case.model.main.operations) == 1
        and not empty
    )


@pytest.mark.parametrize("name", sorted(ROWS))
def test_litert_agrees(name: str) -> None:
    compared, reasons, differing = 0, set(), []
    unmet = {pattern for pattern in SETTLED if pattern.startswith(f"{name}[")}
    for ref in case_index([name]):
        if ref.kind != "positive" or not ref.cell.startswith(CELLS):
            continue
        case = ref.make()
        if not shared(ref, case):
            continue
        try:
            result = run(case, ROWS[name](operands_of(case)))
        except NotShared as reason:
            reasons.add(str(reason))
            continue
        record = judge(ref, case, answer(ref, case), result, profile="standard")
        compared += 1
        # A probe of which every element is open agrees with whatever comes.
        if record.verdict in (Verdict.PASS, Verdict.OBSERVED):
            continue
        pattern = next((p for p in SETTLED if fnmatch(ref.id, p.replace("[", "[[]"))), None)
        if pattern is not None and SETTLED[pattern].covers(record):
            unmet.discard(pattern)
            continue
        differing.append(f"{ref.id}: {record.message} {record.differences[:1]}")
    assert not differing, f"{len(differing)} of {compared}:\n" + "\n".join(differing[:12])
    assert compared >= FEWEST, f"{name}: LiteRT compared {compared} cases: {sorted(reasons)}"
    assert not unmet, f"LiteRT differs no more in {unmet}: take them out of SETTLED"
