"""Faults planted in nets as phones run them, in float and in codes: the benchmark's short form."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.localize import changes
from nnapi_testkit.frontends.export import from_module
from nnapi_testkit.models.check import check
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.targets.base import Runner
from tests.frontends.zoo import make
from tests.models.faulty import Faulty, faults
from tests.models.quantized import quantized


@pytest.mark.parametrize("codes", [False, True], ids=["float", "codes"])
@pytest.mark.parametrize("name", ["convnet", "EfficientNet-lite"])
def test_the_wrong_operation_is_named(runner: Runner, name: str, codes: bool) -> None:
    model, inputs = make(name, 3)
    program = from_module(model, [inputs], name=name)
    program = quantized(program) if codes else program
    report = check(program, runner)
    assert report.passed, report.text()
    types = {int(operand.type) for operand in program.model.main.operands}
    assert (int(OperandCode.TENSOR_QUANT8_ASYMM) in types) == codes
    found = 0
    for step in report.steps[-6:]:
        alone = faults(step.case.model, 0, np.random.default_rng(1))
        for (what, edit), (_, other) in zip(
            faults(program.model, step.index, np.random.default_rng(1)), alone, strict=True
        ):
            if not changes(runner, step.case, other):
                continue
            wrong = Faulty(runner, edit)
            told = check(program, wrong, samples=0)  # type: ignore[arg-type]
            assert [item.index for item in told.wrong] == [step.index], what
            assert wrong.runs == 2
            found += 1
    assert found >= 2


def test_a_model_in_codes_has_them_where_they_are() -> None:
    """What has no quantized form stays in float between DEQUANTIZE and QUANTIZE."""
    model, inputs = make("vision transformer", 0)
    program = quantized(from_module(model, [inputs], name="vit"))
    kinds = [OperationCode(operation.code).name for operation in program.model.main.operations]
    assert {"QUANTIZE", "DEQUANTIZE", "RSQRT", "MUL"} <= set(kinds)
