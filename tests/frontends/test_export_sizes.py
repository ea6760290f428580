"""Symbolic sizes of `torch.export`: open dimensions, run in several sizes by one compilation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.export import Dim

from nnapi_testkit.cli import main
from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends.export import from_exported, from_module
from nnapi_testkit.frontends.opened import opened
from nnapi_testkit.model.program import Program, operation_name
from nnapi_testkit.models.check import check
from nnapi_testkit.targets.base import Runner
from tests.frontends.test_export import Fn, _x

pytestmark = pytest.mark.usefixtures("quiet")


class Pooled(nn.Module):
    """A classifier of images of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, groups=8)
        )
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.adaptive_avg_pool2d(self.layers(x), 1).flatten(1)).softmax(-1)


class Tokens(nn.Module):
    """Reshapes by sizes that are read off, a norm, a product: of any batch."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.layer = nn.LayerNorm(6), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        y = self.layer(self.norm(x)).view(batch, length, 2, 2).transpose(1, 2)
        return y.reshape(batch, -1, 2) * 2


def _names(program: Program) -> list[str]:
    return [operation_name(o.code) for o in program.model.main.operations]


BATCH, HIGH, WIDE = Dim("batch", max=64), Dim("high", min=7, max=99), Dim("wide", min=7, max=99)
# Module, example, symbolic dimensions, the shape of the input operand, other shapes to run.
Open = tuple[
    Callable[[], nn.Module], tuple[int, ...], dict[int, Any], tuple[int, ...], list[tuple[int, ...]]
]
OPEN: dict[str, Open] = {
    "batch": (lambda: Fn(torch.tanh), (2, 3), {0: BATCH}, (0, 3), [(5, 3)]),
    "mlp": (lambda: nn.Linear(3, 4), (2, 3), {0: BATCH}, (0, 3), [(5, 3), (1, 3)]),
    "images": (
        Pooled,
        (2, 3, 12, 12),
        {0: BATCH, 2: HIGH, 3: WIDE},
        (0, 0, 0, 3),
        [(1, 3, 17, 12), (3, 3, 8, 21)],
    ),
    "derived": (
        lambda: nn.Conv2d(3, 4, 3),
        (2, 3, 8, 8),
        {2: 2 * Dim("half", min=3, max=40)},
        (2, 0, 8, 3),
        [(2, 3, 14, 8)],
    ),
    "tokens": (Tokens, (2, 5, 6), {0: BATCH}, (0, 5, 6), [(3, 5, 6), (7, 5, 6)]),
    "rest": (lambda: Fn(lambda x: x[:, 1:] + 1), (2, 8), {1: WIDE}, (2, 0), [(2, 9)]),
    "upsampled": (
        lambda: Fn(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")),
        (1, 3, 8, 5),
        {2: HIGH},
        (1, 0, 5, 3),
        [(1, 3, 9, 5)],
    ),
}


@pytest.mark.parametrize("name", OPEN)
def test_one_compilation_serves_several_sizes(name: str, runner: Runner) -> None:
    torch.manual_seed(0)
    module, shape, dims, operand, more = OPEN[name]
    rows = [[_x(*shape)], *([_x(*other)] for other in more)]
    made = module()
    given = ((dims,),) if isinstance(made, Fn) else (dims,)  # `*args` is a tuple of its own
    program = from_module(made.eval(), rows, dynamic=given)
    (at,) = program.model.main.inputs
    assert program.model.main.operands[at].dims == operand and not program.notes
    assert len(program.inputs) == len(rows) == len(program.expected)
    # One case: the model compiled once, an execution for each size.
    report = check(program, runner)
    assert report.passed and not report.conversion, report.text()
    assert {end.set for end in report.ends} == set(range(len(rows)))


def test_a_condition_in_several_sizes(runner: Runner) -> None:
    class Condition(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cond(x.sum() > 0, lambda y: torch.tanh(y), lambda y: y * 2 - 1, (x,))

    program = from_module(Condition().eval(), [[_x(2, 4)], [_x(2, 4) * -1]], dynamic=({0: BATCH},))
    assert program.notes and "IF and WHILE need the size as a number" in program.notes[0]
    assert check(program, runner).passed


EVEN = 2 * Dim("half", min=3, max=40)
CLOSED: dict[str, tuple[Any, str]] = {
    "half": (lambda x: x[:, : x.shape[1] // 2], "SLICE leaves a size open up to the end alone"),
    "two sizes": (lambda x: x.view(x.shape[0], x.shape[1], 1) * 2, "RESHAPE leaves one"),
    "repeated": (lambda x: x.sum(1, keepdim=True).expand(-1, x.shape[1]), "TILE needs the size"),
    "filled": (lambda x: x + torch.full((x.shape[1],), 2.0), "ADD needs the size"),
}


@pytest.mark.parametrize("name", CLOSED)
def test_a_size_that_is_needed_is_named(name: str, runner: Runner) -> None:
    """Dimension 0 stays open where it can; what cannot is fixed at the example's size."""
    function, words = CLOSED[name]
    program = from_module(Fn(function).eval(), [[_x(2, 8)]], dynamic=(({0: BATCH, 1: EVEN},),))
    dims = program.model.main.operands[program.model.main.inputs[0]].dims
    assert words in program.notes[0] and "args_0.1 = 4" in program.notes[0]
    assert dims == (0, 8)
    with pytest.raises(KitError):
        program.accept([_x(2, 10).numpy()])
    report = check(program, runner)
    assert report.passed and not report.conversion, report.text()


def test_padding_that_depends_on_the_size_is_seen(runner: Runner) -> None:
    """Rounded up, the last window reaches as far beyond as the size leaves of its stride."""
    model = nn.MaxPool2d(3, 3, ceil_mode=True).eval()
    program = from_module(model, [[_x(1, 3, 8, 6)]], dynamic=({2: EVEN},))
    assert "MAX_POOL_2D needs the size as a number" in program.notes[0]
    assert check(program, runner).passed


def test_a_slice_of_half_is_not_one_to_the_end() -> None:
    """Both sizes halved: -1 would take all that is left."""

    def graph(size: int) -> Any:
        program = from_module(Fn(lambda x: x[:, : size // 2]).eval(), [[_x(2, size)]])
        return program.model.main

    with pytest.raises(KitError) as error:
        opened(graph(6), graph(8))
    assert "up to the end alone" in str(error.value)


def test_a_file_in_the_size_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported = torch.export.export(
        Pooled().eval(), (torch.rand(2, 3, 12, 12),), dynamic_shapes=({0: BATCH, 2: HIGH},)
    )
    path = tmp_path / "net.pt2"
    torch.export.save(exported, path)
    command = ["model", "check", str(path), "--layout", "nhwc"]
    assert main(command) == 0
    assert main([*command, "--input", "5,3,17,12"]) == 0
    capsys.readouterr()
    assert main([*command, "--input", "5,3,17,13"]) == 2
    told = capsys.readouterr().err
    assert "does not take this input" in told and told.count("\n") == 1


def test_quantized_and_open(runner: Runner) -> None:
    pytest.importorskip("torchao", reason="quantizes the model: pip install 'nnapi-testkit[pt2e]'")
    from tests.frontends.quantizer import quantized

    torch.manual_seed(0)
    x, dynamic = _x(2, 3, 8, 8), ({0: BATCH},)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)).eval()
    converted = quantized(net, [x], dynamic=dynamic)
    exported = torch.export.export(converted, (x,), dynamic_shapes=dynamic)
    program = from_exported(exported, [(x,), (_x(5, 3, 8, 8),)])
    assert _names(program) == ["QUANTIZE", "CONV_2D", "MAX_POOL_2D", "DEQUANTIZE"]
    assert program.model.main.operands[program.model.main.inputs[0]].dims[0] == 0
    report = check(program, runner)
    assert report.passed and not report.conversion, report.text()
