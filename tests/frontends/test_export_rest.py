"""What NNAPI cannot express stays in PyTorch: the model around it is one, and is judged as any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnapi_testkit.cli import main
from nnapi_testkit.frontends.export import ExportError, from_module
from nnapi_testkit.model.program import Program, operation_name
from nnapi_testkit.models.check import check
from nnapi_testkit.models.coverage import cover
from nnapi_testkit.targets.base import Runner
from tests.mobile.aten import Fn

pytestmark = pytest.mark.usefixtures("quiet")


class Mixed(nn.Module):
    """Four nodes that NNAPI lacks, two of them behind others, between layers that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GELU())
        self.second = nn.Conv2d(8, 4, 1)
        self.line = nn.Conv1d(4, 6, 3)

    def forward(self, x: torch.Tensor) -> Any:
        y = self.second(self.first(x))
        z = torch.erf(y) + y
        return z.cumsum(1), F.relu(self.line(y.flatten(2))), x


def lacks(program: Program) -> list[str]:
    return [left.name.split(" ")[0].split(".")[1] for left in program.left]


def names(program: Program) -> list[str]:
    return [operation_name(o.code) for o in program.model.main.operations]


@pytest.fixture(scope="module")
def mixed() -> nn.Module:
    torch.manual_seed(0)
    return Mixed().eval()


@pytest.mark.parametrize("last", [True, False])
def test_the_model_is_cut_around_what_stays_in_pytorch(
    mixed: nn.Module, last: bool, runner: Runner
) -> None:
    rows = [[torch.rand(1, 3, 6, 5)], [torch.rand(1, 3, 6, 5) - 0.5]]
    program = from_module(mixed, rows, last=last, rest=True)
    assert lacks(program) == ["gelu", "erf", "cumsum", "conv1d"]
    assert names(program).count("CONV_2D") == 2 and "RELU" in names(program)
    assert len(program.model.main.inputs) == 1 + 3  # nobody of NNAPI's reads the running sum
    assert len(program.model.main.outputs) == 4 + 2  # what the four read, and two of the three ends
    wanted = (1, 6, 5, 8) if last else (1, 8, 6, 5)
    assert [array.shape for array in program.inputs[1][1:2] if array is not None] == [wanted]
    report = check(program, runner)
    assert report.passed, report.text()
    assert "4 nodes stay on the CPU: aten.gelu.default (in first.1, " in report.text()


def test_a_wrong_value_from_there_would_be_told(mixed: nn.Module, runner: Runner) -> None:
    """The values that are fed are PyTorch's own: others are no longer the source's result."""
    program = from_module(mixed, [[torch.rand(1, 3, 6, 5)]], rest=True)
    row = tuple(None if array is None else array.copy() for array in program.inputs[0])
    assert row[1] is not None
    row[1][0, 0, 0, 0] += 1
    object.__setattr__(program, "inputs", (row,))
    assert "ORACLE_DISPUTE" in check(program, runner).text()


def test_every_refusal_is_told_those_behind_others_too(mixed: nn.Module) -> None:
    with pytest.raises(ExportError) as caught:
        from_module(mixed, [[torch.rand(1, 3, 6, 5)]])
    told = str(caught.value)
    assert "cannot express 4 nodes" in told
    assert all(kind in told for kind in ("gelu", "erf", "cumsum", "conv1d"))


def test_results_of_several_and_of_unknown_size(runner: Runner) -> None:
    """Each tensor of a tuple is fed; what has no operand stays there with who reads it."""

    def forward(x: torch.Tensor) -> Any:
        found, order = torch.sort(F.relu(x))
        return found * 2 + order, torch.nonzero(x > 0).float() + 1

    x = torch.rand(3, 4) - 0.5
    program = from_module(Fn(forward).eval(), [[x]], rest=True)
    assert lacks(program) == ["sort", "nonzero", "to", "add"]
    assert all("it reads" in left.reason for left in program.left[2:])
    assert len(program.model.main.inputs) == 3
    report = check(program, runner)
    assert report.passed, report.text()


def test_nothing_left_for_nnapi_is_refused() -> None:
    with pytest.raises(ExportError, match=r"cannot express 1 node: aten\.erf"):
        from_module(Fn(torch.erf).eval(), [[torch.rand(3)]], rest=True)


def test_a_refused_branch_leaves_no_graph_behind(runner: Runner) -> None:
    class Branches(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            def no(x: torch.Tensor) -> torch.Tensor:
                return torch.erf(x)

            def yes(x: torch.Tensor) -> torch.Tensor:
                return F.relu(x) + 1

            y: torch.Tensor = torch.cond(x.sum() > 0, yes, no, (x * 2,)) * 3
            return y

    program = from_module(Branches().eval(), [[torch.rand(3)]], rest=True)
    assert not program.model.subgraphs
    assert [left.name.split(" ")[0] for left in program.left][:1] == ["cond"]
    assert check(program, runner).passed


def test_open_sizes_stay_open(runner: Runner) -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        return F.relu(F.gelu(x * 2) + 1)

    batch = torch.export.Dim("batch", max=64)
    sets = [[torch.rand(size, 4)] for size in (2, 5)]
    program = from_module(Fn(forward).eval(), sets, dynamic=(((({0: batch}),),)), rest=True)
    dims = [program.model.main.operands[at].dims for at in program.model.main.inputs]
    assert dims == [(0, 4), (0, 4)]
    assert check(program, runner).passed


def test_work_in_pytorch_counts_in_the_share(mixed: nn.Module, runner: Runner) -> None:
    found = cover(from_module(mixed, [[torch.rand(1, 3, 6, 5)]], rest=True), runner, "host")
    (line,) = [row for row in found.rows if "conv1d" in row.label]
    assert line.macs == 6 * 28 * 4 * 3 and not line.claimed
    mine = 30 * 8 * 27 + 30 * 4 * 8
    assert found.share == pytest.approx(mine / (mine + line.macs))
    assert not found.whole and found.partitions > 1


def test_the_command_line_has_a_row_for_each(
    mixed: nn.Module, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mixed.pt2"
    torch.export.save(torch.export.export(mixed, (torch.rand(1, 3, 6, 5),)), path)
    assert main(["model", "coverage", str(path), "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    left = [row for row in found["rows"] if row["index"] < 0]
    assert [row["label"].split(" ")[0] for row in left] == [
        "aten.gelu.default",
        "aten.erf.default",
        "aten.cumsum.default",
        "aten.conv1d.default",
    ]
    assert main(["model", "check", str(path)]) == 0
    assert "stay on the CPU" in capsys.readouterr().out
