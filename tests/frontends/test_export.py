"""`torch.export` lowered: whole models, each kind of node, refusals, files, parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnapi_testkit.cli import main
from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends.export import ExportError, from_exported, from_module
from nnapi_testkit.frontends.export.lower import RULES
from nnapi_testkit.frontends.export.partition import partition
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.program import InputSet, Program, operation_name
from nnapi_testkit.models.check import check
from nnapi_testkit.models.steps import array_of
from nnapi_testkit.targets.base import Runner
from tests.frontends.zoo import ZOO, make
from tests.mobile.aten import Fn

pytestmark = pytest.mark.usefixtures("quiet")


class Sequence(nn.Module):
    def __init__(self, **how: Any) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 4, **how)

    def forward(self, x: torch.Tensor) -> Any:
        found, (hidden, _) = self.lstm(x)
        return found, hidden


class Reused(nn.Module):
    """A layer's result that is read as it is, too, where dropout stands between."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop = nn.Conv2d(4, 4, 1), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return F.relu(self.drop(y)) + y


def names(program: Program) -> list[str]:
    return [operation_name(o.code) for o in program.model.main.operations]


@pytest.mark.parametrize("name", ZOO)
def test_each_model_is_lowered_whole_and_right(name: str, runner: Runner) -> None:
    model, inputs = make(name)
    report = check(from_module(model, [inputs], name=name), runner)
    assert report.passed and not report.conversion, report.text()


def _x(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


IMAGE = _x(1, 4, 6, 5)
KINDS: dict[str, tuple[Any, tuple[torch.Tensor, ...]]] = {
    "lstm": (Sequence(batch_first=True), (_x(2, 6, 5),)),
    "lstm both ways": (Sequence(num_layers=2, bidirectional=True), (_x(6, 2, 5),)),
    **{
        name: (getattr(F, name), (IMAGE,))
        for name in ("relu", "relu6", "sigmoid", "tanh", "hardswish", "hardsigmoid", "silu")
    },
    **{name: (getattr(F, name), (IMAGE,)) for name in ("elu", "leaky_relu", "hardtanh")},
    **{name: (getattr(torch, name), (IMAGE,)) for name in ("exp", "abs", "neg", "floor", "sin")},
    **{name: (getattr(torch, name), (IMAGE.abs() + 0.1,)) for name in ("sqrt", "rsqrt", "log")},
    "gelu": (lambda x: F.gelu(x, approximate="tanh"), (IMAGE,)),
    "alpha": (lambda x, y: torch.add(x, y, alpha=2), (_x(2, 3), _x(3))),
    "numbers": (lambda x: 1 - (x + 1.5 - x * 2 / 3), (IMAGE,)),
    "broadcast": (lambda x, y: x * y, (IMAGE, _x(4, 1, 1))),
    "powers": (lambda x: x**2 + (x.abs() + 0.1) ** 1.5, (_x(3, 4),)),
    "clamp": (lambda x: x.clamp(-0.5, 0.7).clamp(min=-0.1), (_x(3, 4),)),
    "extremes": (lambda x, y: torch.maximum(x, y) - torch.minimum(x, y), (_x(3, 4), _x(4))),
    "compare": (lambda x, y: (x > y) | (x == y) & (x <= 1), (_x(3, 4), _x(3, 1))),
    "where": (lambda x, y: torch.where(x > 0, x, y), (_x(3, 4), _x(4))),
    "cast": (lambda x: (x * 3).to(torch.int32) + 1, (_x(3, 4),)),
    "groups": (nn.Conv2d(4, 8, 3, padding=1, groups=2), (IMAGE,)),
    "depthwise": (nn.Conv2d(4, 8, 3, padding=1, stride=2, groups=4), (IMAGE,)),
    "dilation": (nn.Conv2d(4, 8, 3, padding=2, dilation=2), (IMAGE,)),
    "same": (nn.Conv2d(4, 8, (3, 2), padding="same"), (IMAGE,)),
    "batch norm": (nn.BatchNorm2d(4), (IMAGE,)),
    "instance norm": (nn.InstanceNorm2d(4, affine=True), (IMAGE,)),
    "layer norm": (nn.LayerNorm((6, 5)), (IMAGE,)),
    "transposed": (nn.ConvTranspose2d(4, 3, 3, 2, padding=1, output_padding=1), (IMAGE,)),
    "transposed and relu": (
        nn.Sequential(nn.ConvTranspose2d(4, 3, 3, 2), nn.ReLU()),
        (IMAGE,),
    ),
    "max pool": (nn.MaxPool2d(3, 2, 1), (IMAGE,)),
    "max pool, ceiled": (nn.MaxPool2d(3, 2, ceil_mode=True), (_x(1, 4, 6, 6),)),
    "average pool": (nn.AvgPool2d(2), (IMAGE,)),
    "adaptive": (nn.AdaptiveAvgPool2d((2, 1)), (IMAGE,)),
    "nearest": (lambda x: F.interpolate(x, scale_factor=2), (IMAGE,)),
    "bilinear": (lambda x: F.interpolate(x, size=(7, 9), mode="bilinear"), (IMAGE,)),
    "corners": (
        lambda x: F.interpolate(x, size=(7, 9), mode="bilinear", align_corners=True),
        (IMAGE,),
    ),
    "pad": (lambda x: F.pad(F.pad(x, (1, 2, 0, 1)), (1, 1), value=3.0), (IMAGE,)),
    "reflect": (lambda x: F.pad(x, (1, 2, 1, 1), mode="reflect"), (IMAGE,)),
    "pixels": (lambda x: F.pixel_shuffle(x, 2), (IMAGE,)),
    "channels": (lambda x: F.channel_shuffle(x, 2), (IMAGE,)),
    "shapes": (lambda x: x.view(2, -1).unsqueeze(1).squeeze(), (_x(2, 3, 4),)),
    "permute": (lambda x: x.permute(0, 2, 3, 1), (IMAGE,)),
    "five": (
        lambda x: x.view(2, 3, 2, 2, 2).permute(0, 1, 3, 4, 2).select(1, 1).flatten(1),
        (_x(2, 3, 2, 4),),
    ),
    "cat": (lambda x, y: torch.cat([x, y], 1), (IMAGE, _x(1, 2, 6, 5))),
    "stack": (lambda x, y: torch.stack([x, y], 1), (_x(3, 4), _x(3, 4))),
    "chunk": (lambda x: torch.chunk(x, 2, 1), (IMAGE,)),
    "split": (lambda x: x.split([1, 3], 1), (_x(2, 4),)),
    "unbind": (lambda x: x.unbind(1), (_x(2, 3, 4),)),
    "slice": (lambda x: (x[:, 1:, ::2], x[..., -1], x[:, :, 1:-1]), (IMAGE,)),
    "embedding": (nn.Embedding(10, 4), (torch.tensor([[1, 2], [3, 9]]),)),
    "select": (lambda x: torch.index_select(x, 1, torch.tensor([2, 0])), (_x(2, 3, 4),)),
    "flip": (lambda x: x.flip(1), (_x(2, 3),)),
    "means": (lambda x: (x.mean((2, 3)), x.mean(), x.mean(1, True)), (IMAGE,)),
    "sums": (lambda x: (x.sum(1, keepdim=True), x.prod(1), x.norm(dim=1)), (_x(3, 4),)),
    "best": (lambda x: (x.amax(-1) + x.amin(-1), x.argmax(1), x.topk(2)), (_x(3, 5),)),
    "truth": (lambda x: ((x > 0).any(1), (x > 0).all(1)), (_x(3, 4),)),
    "softmax": (lambda x: (x.softmax(1), x.log_softmax(-1)), (IMAGE,)),
    "linear": (nn.Linear(4, 5, bias=False), (_x(2, 3, 4),)),
    "matmul": (torch.matmul, (_x(2, 3, 4), _x(2, 4, 5))),
    "attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        (_x(1, 2, 3, 4), _x(1, 2, 3, 4) + 1, _x(1, 2, 3, 4) - 1),
    ),
    "expand": (lambda x: (x.expand(2, 3, 4), x.repeat(2, 3)), (_x(3, 1),)),
    "identity": (lambda x: (x, x + torch.full_like(x, 2)), (_x(3),)),
    "prelu": (nn.PReLU(4), (IMAGE,)),
    "read before an activation": (Reused(), (IMAGE,)),
    "bytes as numbers": (
        lambda x: x.to(torch.float32) / 255,
        (torch.arange(24, dtype=torch.uint8).reshape(1, 2, 3, 4),),
    ),
}


@pytest.mark.parametrize("last", [True, False], ids=["nhwc", "nchw"])
@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_node(name: str, last: bool, runner: Runner) -> None:
    torch.manual_seed(0)
    made, inputs = KINDS[name]
    module = made if isinstance(made, nn.Module) else Fn(made)
    report = check(from_module(module.eval(), [inputs], last=last, name=name), runner)
    assert report.passed and not report.conversion, report.text()


class Choice(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda y: torch.tanh(y), lambda y: y * 2 - 1, (x,))


def test_a_condition_is_an_if_and_takes_both_branches(runner: Runner) -> None:
    x = _x(2, 4).abs()
    program = from_module(Choice().eval(), [[x], [-x]])
    assert "IF" in names(program) and len(program.model.subgraphs) == 2
    report = check(program, runner)
    assert report.passed and not report.conversion, report.text()
    torch.testing.assert_close(torch.from_numpy(program.expected[0][0]).float(), torch.tanh(x))
    torch.testing.assert_close(torch.from_numpy(program.expected[1][0]).float(), -2 * x - 1)


def test_a_loop_is_a_while_and_turns_as_often_as_the_data_say(runner: Runner) -> None:
    model, (_, x) = make("while")
    counts = [torch.tensor([start], dtype=torch.int32) for start in (0, 3, 9)]
    program = from_module(model, [[count, x] for count in counts])
    assert "WHILE" in names(program)
    report = check(program, runner)
    assert report.passed and not report.conversion, report.text()
    assert [int(row[0][0]) for row in program.expected] == [4, 4, 9]


def test_named_mobile_models_are_lowered_whole() -> None:
    """At least 10 of 12; what stays of the others has its CPU parts."""
    whole = []
    for name in ZOO:
        model, inputs = make(name)
        exported = torch.export.export(model, tuple(inputs))
        try:
            whole.append(from_exported(exported, name=name).name)
        except ExportError:
            assert partition(exported).parts, name
    assert len(ZOO) >= 12 and len(whole) >= 10


def test_about_sixty_kinds_of_nodes_have_rules() -> None:
    assert len({name.split(".")[1] for name in RULES if name.startswith("aten.")}) >= 60


def test_batch_norm_is_folded_and_activations_are_fused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU6()).eval()
    assert names(from_module(model, [_x(1, 3, 6, 6)])) == ["CONV_2D"]


def test_channels_last_needs_no_transposes() -> None:
    model, inputs = make("MobileNetV2")
    assert "TRANSPOSE" not in names(from_module(model, [inputs]))


def test_an_lstm_is_one_operation() -> None:
    program = from_module(
        Fn(lambda x: x).eval() and Sequence(batch_first=True).eval(), [_x(2, 6, 5)]
    )
    assert names(program).count("UNIDIRECTIONAL_SEQUENCE_LSTM") == 1


def test_operations_know_their_modules() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)).eval()
    program = from_module(model, [_x(1, 3)])
    assert program.label(1) == "#1 FULLY_CONNECTED aten.linear.default (in 1)"


def test_all_refusals_are_told_with_their_cures() -> None:
    class Both(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.gelu(x) + torch.erf(x) + torch.cumsum(x, 0)

    with pytest.raises(ExportError) as error:
        from_module(Both().eval(), [_x(3)])
    told = str(error.value)
    assert "cannot express 3 nodes" in told and "\n" not in told
    assert "aten.gelu.default" in told and "use approximate='tanh'" in told
    assert "aten.erf.default" in told and "aten.cumsum.default" in told


@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        (nn.Linear(3, 3), [_x(1, 3)], "call model.eval()"),
        (nn.AvgPool2d(3, padding=1).eval(), [IMAGE], "count_include_pad=False"),
        (nn.MaxPool2d(2, dilation=2).eval(), [IMAGE], "dilation"),
        (nn.Conv2d(4, 4, 1, padding=1).eval(), [IMAGE], "padding as large as the filter"),
        (Fn(lambda x: x.double()).eval(), [IMAGE], "torch.float64"),
    ],
)
def test_what_cannot_be_is_one_line(model: nn.Module, inputs: Any, words: str) -> None:
    with pytest.raises(KitError) as error:
        from_module(model, [inputs])
    assert words in str(error.value) and "\n" not in str(error.value)


def test_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, inputs = make("convnet")
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(model, tuple(inputs)), path)
    assert main(["model", "check", str(path), "--layout", "nhwc"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "PASS"
    (tmp_path / "no.pt2").write_bytes(b"nothing")
    assert main(["model", "check", str(tmp_path / "no.pt2")]) == 2
    assert "is no file of torch.export.save" in capsys.readouterr().err
    assert main(["model", "check", str(path), "--flexible", "0"]) == 2


def _driver(runner: Runner) -> Callable[[Program, InputSet], list[np.ndarray]]:
    def run(program: Program, inputs: InputSet) -> list[np.ndarray]:
        graph = program.model.main
        dims = tuple(graph.operands[at].dims for at in graph.outputs)
        case = Case(program.name, program.model, (Execution(inputs, dims),))
        result = next(iter(runner.run([case])))
        outputs = result.executions[0].outputs
        return [
            array_of(graph.operands[at], output, shape)
            for at, output, shape in zip(graph.outputs, outputs, dims, strict=True)
        ]

    return run


def test_what_nnapi_cannot_do_stays_in_pytorch(runner: Runner) -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.erf(torch.relu(self.first(x)))
            return torch.tanh(self.second(y)) * 2

    torch.manual_seed(0)
    model, x = Mixed().eval(), _x(5, 4)
    parts = partition(torch.export.export(model, (x,)))
    assert parts.left == ("aten.erf.default",)
    assert len(parts.parts) == 2
    for part in parts.parts:
        assert check(part.program, runner).passed
    (found,) = parts.run([x], _driver(runner))
    torch.testing.assert_close(found, model(x).detach())
