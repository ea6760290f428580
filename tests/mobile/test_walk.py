"""The float64 walk and the sampled tolerances, against PyTorch and against what is known."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.mobile import samples
from nnapi_testkit.mobile.compare import ExactOutput, compare, worst
from nnapi_testkit.mobile.convert import as_torchscript, freeze
from nnapi_testkit.mobile.rounding import FLOAT16_U, FLOAT32_U, SAFETY, movement
from nnapi_testkit.mobile.walk import WalkError, encode, walk


class Fn(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> object:
        return self.function(x)  # type: ignore[operator]


def frozen(model: nn.Module, *inputs: torch.Tensor) -> torch.jit.ScriptModule:
    return freeze(as_torchscript(model.eval(), inputs))


def test_walk_is_eager_in_float64() -> None:
    model, inputs = samples.sample("convnet")
    (found,) = walk(frozen(model, *inputs), inputs)
    with torch.no_grad():
        wanted = model.double()(inputs[0].double())
    assert found.dtype == torch.float64
    # The frozen weights are float32; both computations are float64.
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_walk_reports_what_it_cannot_do() -> None:
    model, inputs = samples.sample("linear")
    module = frozen(model, *inputs)
    with pytest.raises(WalkError, match="takes 1 tensors, 2 are given"):
        walk(module, [inputs[0], inputs[0]])
    with pytest.raises(WalkError, match=r"^aten::linear cannot be evaluated with these inputs"):
        walk(module, [torch.rand(2, 65)])

    class Loop(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            while bool(x.sum() < 9):
                x = x + x
            return x

    with pytest.raises(WalkError, match="prim::Loop"):
        walk(freeze(torch.jit.script(Loop().eval())), [torch.ones(2)])


def test_codes_round_half_away_from_zero_and_saturate() -> None:
    value = torch.tensor([0.5, 1.5, -0.5, -1.5, 0.49, 500.0, -500.0], dtype=torch.float64)
    codes = encode(value, 1.0, 100).int_repr()
    assert codes.tolist() == [101, 102, 99, 98, 100, 255, 0]


def test_movement_of_a_product_is_near_its_bound() -> None:
    x, layer = torch.rand(3, 50), nn.Linear(50, 20)
    sampled = movement(frozen(layer, x), [x])
    with torch.no_grad():
        size = F.linear(x.double(), layer.weight.double().abs(), layer.bias.double().abs())
    bound = float((4 * 50**0.5 + 2) * FLOAT32_U * size.max())
    assert 0.8 * SAFETY * bound < sampled.tolerances[0] <= SAFETY * bound
    relaxed = movement(frozen(layer, x), [x], FLOAT16_U)
    assert relaxed.tolerances[0] == pytest.approx(sampled.tolerances[0] * 2**13)
    assert relaxed.coarse and not sampled.coarse


def test_data_that_move_are_exact() -> None:
    x = torch.rand(2, 3, 4, 5)
    for function in (F.relu, lambda t: t.flatten(1), lambda t: F.max_pool2d(t, 2, 2)):
        assert movement(frozen(Fn(function), x), [x]).tolerances == (0.0,)


def test_the_same_tolerance_every_time() -> None:
    model, inputs = samples.sample("mlp")
    module = frozen(model, *inputs)
    assert movement(module, inputs).tolerances == movement(module, inputs).tolerances


def expected(tolerance: float = 0.01, eager: torch.Tensor | None = None) -> ExactOutput:
    return ExactOutput(torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64), tolerance, eager)


def verdict(actual: list[float], given: ExactOutput | None = None) -> Verdict:
    return compare(0, 0, given or expected(), torch.tensor(actual)).verdict


def test_compare() -> None:
    nan = float("nan")
    assert verdict([1.0, -2.009, 3.0]) is Verdict.PASS
    assert verdict([1.0, -2.011, 3.0]) is Verdict.MISMATCH
    assert verdict([1.0, nan, 3.0]) is Verdict.NAN_MISMATCH
    assert verdict([1.0, float("inf"), 3.0]) is Verdict.MISMATCH
    assert verdict([1.0, -2.0]) is Verdict.DIMENSIONS
    assert verdict([1.0, -2.0, 3.0], expected(0.5)) is Verdict.OBSERVED
    assert verdict([9.0, -2.0, 3.0], expected(0.5)) is Verdict.MISMATCH
    ints = compare(0, 0, expected(), torch.tensor([1, -2, 3]))
    assert ints.verdict is Verdict.DIMENSIONS and "type should be float" in ints.text()


def test_eager_outside_the_tolerance_is_a_dispute() -> None:
    odd = torch.tensor([1.0, -2.5, 3.0])
    assert verdict([1.0, -2.0, 3.0], expected(0.01, odd)) is Verdict.ORACLE_DISPUTE
    assert verdict([1.0, -2.5, 3.0], expected(0.01, odd)) is Verdict.ORACLE_DISPUTE
    assert verdict([7.0, -2.5, 3.0], expected(0.01, odd)) is Verdict.MISMATCH


def test_codes_are_compared_as_codes() -> None:
    def codes(*values: int) -> torch.Tensor:
        raw = torch.tensor(values, dtype=torch.uint8)
        return torch._make_per_tensor_quantized_tensor(raw, 0.1, 128)

    given = ExactOutput(codes(10, 20, 250), 0.1, coarse=True)
    assert compare(0, 0, given, codes(11, 19, 250)).verdict is Verdict.PASS
    report = compare(0, 0, given, codes(10, 22, 250))
    assert report.verdict is Verdict.MISMATCH and "max error 2 codes at [1]" in report.text()


def test_the_worst_of_several_outputs() -> None:
    good = compare(0, 0, expected(), torch.tensor([1.0, -2.0, 3.0]))
    bad = compare(0, 1, expected(), torch.tensor([1.0, -2.0, 9.0]))
    vague = compare(0, 2, expected(0.5), torch.tensor([1.0, -2.0, 3.0]))
    assert worst((good, vague, bad)) is Verdict.MISMATCH
    assert worst((good, vague)) is Verdict.OBSERVED
    assert worst((good,)) is Verdict.PASS
    assert worst(()) is Verdict.NOT_RUN
