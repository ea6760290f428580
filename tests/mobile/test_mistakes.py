"""What users get wrong, and what used to be answered in the words of another program."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nnapi_testkit import mobile
from nnapi_testkit.cli import main
from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends import export, torchscript
from nnapi_testkit.mobile import files, samples
from nnapi_testkit.mobile.check import CheckSettings, check
from nnapi_testkit.mobile.convert import ConversionError, as_torchscript, convert
from nnapi_testkit.mobile.runtime import Runtime
from tests.mobile.aten import Fn


def _saved(name: str, folder: Path) -> str:
    path = folder / f"{name}.pt"
    model, inputs = samples.sample(name)
    files.save(as_torchscript(model, inputs), path, inputs=[inputs])
    return str(path)


def _told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a command that ends with the code for errors."""
    assert main(["model", *arguments]) == 2
    text = capsys.readouterr().err.strip()
    assert "\n" not in text
    return text


@pytest.mark.parametrize("command", ["check", "runtime"])
def test_advice_is_about_this_command_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = _told([command, _saved("convnet_quantized", tmp_path)], capsys)
    assert "convert with the layout nhwc" in told and "nnapi_nhwc" not in told


def test_open_sizes_of_the_documented_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    perceptron = _saved("mlp", tmp_path)
    for command in (["check"], ["runtime", "--runs", "0"]):
        assert main(["model", *command, perceptron, "--flexible", "0"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == "PASS"
    assert main(["model", "check", _saved("mobilenet_v2", tmp_path), "--flexible", "0", "2"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "refuses 36 nodes of 2 kinds" in lines[0]
    assert all("leave out --flexible" in line for line in lines[1:])


@pytest.mark.parametrize("given", [["1,9"], ["1,8", "1,8"]], ids=["shape", "number"])
@pytest.mark.parametrize("command", ["check", "coverage", "bench", "runtime", "convert"])
def test_inputs_that_the_model_does_not_take(
    command: str, given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "linear.pt"
    torch.jit.save(torch.jit.trace(nn.Linear(8, 3).eval(), torch.rand(1, 8)), path)
    more = ["-o", str(tmp_path / "out.pt")] if command == "convert" else []
    told = _told([command, str(path), *(f"--input={text}" for text in given), *more], capsys)
    assert "internal error" not in told
    assert "cannot be multiplied" in told if len(given) == 1 else "argument" in told or "2" in told


def test_one_input_set_given_bare(runtime: Runtime) -> None:
    model, x = nn.Linear(4, 3).eval(), torch.rand(2, 4)
    assert check(model, [x], runtime=runtime).passed  # type: ignore[list-item]
    for call in (check, torchscript.from_module, export.from_module):
        with pytest.raises(KitError, match=r"write \[\[x\]\]"):
            call(model, x)  # type: ignore[operator]


def _pt2(path: Path) -> None:
    torch.export.save(torch.export.export(nn.Linear(4, 3).eval(), (torch.rand(2, 4),)), path)


FORMATS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "net.pt2": (_pt2, "torch.export"),
    "renamed.pt": (_pt2, "torch.export"),
    "net.onnx": (lambda path: path.write_bytes(b"\x08\x07" * 50), "ONNX"),
    "net.tflite": (lambda path: path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(50)), "TensorFlow Lite"),
    "other.pt": (lambda path: path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(50)), "TensorFlow Lite"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMATS)
def test_files_of_other_formats_are_known(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, wanted = FORMATS[name]
    path = tmp_path / name
    write(path)
    for command in (["runtime", str(path)], ["convert", str(path), "-o", str(tmp_path / "x.pt")]):
        told = _told(command, capsys)
        assert f"is a model of {wanted}" in told and "use model check" in told


def test_no_word_of_the_unpacker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut.pt"
    path.write_bytes(Path(_saved("linear", tmp_path)).read_bytes()[:-200])
    told = _told(["check", str(path)], capsys)
    assert "is not a TorchScript model" in told and "miniz" not in told


@pytest.mark.parametrize("command", ["check", "runtime"])
def test_a_scripted_file_in_training_mode(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "training.pt"
    torch.jit.save(torch.jit.script(nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))), path)  # type: ignore[no-untyped-call]
    told = _told([command, str(path), "--input", "2,4"], capsys)
    assert "call model.eval() before it is converted or saved" in told


def test_the_example_of_the_description_runs() -> None:
    """As it stands, with a small net in the place of the user's."""
    lines = (mobile.__doc__ or "").splitlines()
    code = textwrap.dedent("\n".join(line for line in lines if line.startswith("    ")))
    assert len(ast.parse(code).body) == 3
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 8), nn.ReLU())
    exec(compile(code, "description", "exec"), {"model": model, "torch": torch})


@pytest.mark.parametrize("reshape", ["reshape", "flatten"])
def test_elements_in_another_order_are_refused_and_blame_no_driver(
    reshape: str, runtime: Runtime
) -> None:
    """Channels last lie in another order than the matrix that PyTorch makes of them."""
    functions: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "reshape": lambda x: torch.relu(x).reshape(x.shape[0], -1),
        "flatten": lambda x: torch.relu(x).flatten(1),
    }
    model = Fn(functions[reshape]).eval()
    with pytest.raises(ConversionError, match=r"(only|not) supported on NHWC") as error:
        convert(model, [torch.rand(2, 3, 4, 5)], layout="nhwc")
    assert "layout nchw" in str(error.value)
    for shape in ((2, 3, 1, 1), (2, 1, 4, 5)):
        report = check(model, [[torch.rand(shape)]], CheckSettings(layout="nhwc"), runtime)
        assert report.passed, report.text()
