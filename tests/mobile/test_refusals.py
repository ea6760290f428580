"""All refusals of a model at once: each with module, operator, line and cure."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnapi_testkit.cli import main
from nnapi_testkit.mobile import files
from nnapi_testkit.mobile.convert import ConversionError, Layout, convert
from nnapi_testkit.mobile.refusals import Refused


class Block(nn.Module):
    """Two layers that the converter does not take, of different kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(4, 4, 3, padding=2, dilation=2)
        self.act = nn.Hardswish()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.act(self.wide(x))
        return y


class Many(nn.Module):
    """Five refusals between operators that the converter takes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Linear(4, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.blocks(self.first(x))
        return torch.relu(self.head(F.adaptive_avg_pool2d(y, 1).flatten(1)))


class Numbers(nn.Module):
    """What follows a refused node is looked at too: a number, alpha, another rank."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        z = torch.tanh(x)
        z = torch.add(z, x, alpha=2)
        z = z + y
        return F.leaky_relu(z * 2.0)


def refusals(
    model: nn.Module, *inputs: torch.Tensor, layout: Layout = "nchw", flexible: tuple[int, ...] = ()
) -> tuple[Refused, ...]:
    with pytest.raises(ConversionError) as caught:
        convert(model.eval(), inputs, layout=layout, flexible=[flexible] if flexible else ())
    return caught.value.refused


def kinds(found: tuple[Refused, ...]) -> list[str]:
    return [item.operator for item in found]


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_every_refusal_is_listed_in_order(layout: Layout) -> None:
    found = refusals(Many(), torch.rand(1, 3, 12, 12), layout=layout)
    assert [(item.operator, item.module) for item in found] == [
        ("aten::_convolution", "blocks.0.wide"),
        ("aten::hardswish", "blocks.0.act"),
        ("aten::_convolution", "blocks.1.wide"),
        ("aten::hardswish", "blocks.1.act"),
        ("aten::linear", "head"),
    ]
    assert all(item.reason and item.cure for item in found)
    assert "Dilation" in found[0].reason and "ReLU6" in found[1].cure
    assert "one of zeros" in found[4].cure


def test_the_text_is_one_line_and_a_list() -> None:
    with pytest.raises(ConversionError) as caught:
        convert(Many().eval(), [torch.rand(1, 3, 12, 12)])
    first, *others = str(caught.value).splitlines()
    assert first == "PyTorch's NNAPI converter refuses 5 nodes of 3 kinds:"
    assert len(others) == 5 and all(line.startswith("  aten::") for line in others)
    assert "(in module blocks.1.act, test_refusals.py:" in others[3]


@pytest.mark.parametrize("script", [False, True])
def test_a_saved_file_tells_modules_too(script: bool, tmp_path: Path) -> None:
    """A graph that was loaded bears no names of scopes, traced or scripted."""
    x = torch.rand(1, 3, 12, 12)
    made = torch.jit.script(Many().eval()) if script else torch.jit.trace(Many().eval(), x)
    torch.jit.save(made, tmp_path / "many.pt")
    found = refusals(files.load(tmp_path / "many.pt").module, x)
    # Scripts hold functions that traces do not: conditions on shapes, refused where they stand.
    told = list(dict.fromkeys(item.module for item in found if item.module))
    modules = ["blocks.0.wide", "blocks.0.act", "blocks.1.wide", "blocks.1.act", "head"]
    assert told == modules


def test_what_reads_a_refused_result_is_looked_at() -> None:
    found = refusals(Numbers(), torch.rand(2, 4), torch.rand(4))
    assert kinds(found) == ["aten::tanh", "aten::add", "aten::add", "aten::mul", "aten::leaky_relu"]
    told = [item.text() for item in found]
    assert "alpha" in told[1] and "rank" in told[2] and "make it a tensor" in told[3]
    assert all("test_refusals.py:" in item.line for item in found)


def test_only_what_is_refused_is_listed() -> None:
    """A chain of good nodes behind a bad one brings no refusal of its own."""
    model = nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.Hardswish(), nn.Conv2d(4, 4, 1), nn.ReLU6(), nn.MaxPool2d(2, 2)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2), nn.Softmax(1)),
    )
    for layout in ("nchw", "nhwc"):
        assert kinds(refusals(model, torch.rand(1, 3, 9, 9), layout=layout)) == ["aten::hardswish"]


def test_inputs_results_and_sizes_are_listed_too() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [torch.erf(x), torch.cumsum(x, 0)]

    found = refusals(Odd(), torch.rand(3, dtype=torch.float64))
    assert kinds(found) == ["input 0", "aten::erf", "aten::cumsum", "the model"]
    assert "float32" in found[0].cure and "tuple" in found[3].cure


def test_open_dimensions_hide_no_unknown_operator() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Hardswish(), nn.Conv2d(4, 4, 1), nn.GELU())
    found = refusals(model, torch.rand(1, 3, 9, 9), flexible=(0, 2, 3))
    assert kinds(found) == ["aten::hardswish", "aten::gelu"]


def test_a_quantized_model(capfd: pytest.CaptureFixture[str]) -> None:
    class Codes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.quantize_per_tensor(x, 0.1, 10, torch.quint8)
            y = torch.tanh(torch.relu(y)).dequantize()
            return F.hardtanh(y, -2.0, 2.0)

    files.use_qnnpack()
    found = refusals(Codes(), torch.rand(1, 3, 4, 4))
    assert kinds(found) == ["aten::quantize_per_tensor", "aten::tanh", "aten::hardtanh"]
    assert "nhwc" in found[0].cure
    capfd.readouterr()


def test_the_command_prints_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, given = tmp_path / "many.pt", torch.rand(1, 3, 12, 12)
    files.save(torch.jit.trace(Many().eval(), given), path, inputs=[[given]])  # type: ignore[no-untyped-call]
    for command in (["convert", str(path), "-o", str(tmp_path / "no.pt")], ["check", str(path)]):
        assert main(["model", *command]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert "refuses 5 nodes of 3 kinds:" in lines[0] and len(lines) == 6
