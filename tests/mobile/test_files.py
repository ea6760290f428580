"""Model files: bundled inputs, what is no model, and the command line around them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nnapi_testkit.cli import main
from nnapi_testkit.errors import KitError
from nnapi_testkit.mobile import files, samples
from nnapi_testkit.mobile.convert import as_torchscript
from nnapi_testkit.mobile.inputs import random_inputs


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "mlp.pt"
    model, inputs = samples.sample("mlp")
    files.save(as_torchscript(model, inputs), path, inputs=[inputs])
    return path


def test_bundled_inputs_are_pytorchs_own(model_file: Path) -> None:
    loaded = torch.jit.load(model_file)
    _, inputs = samples.sample("mlp")
    (given,) = loaded.get_all_bundled_inputs()
    assert torch.equal(given[0], inputs[0])
    assert loaded.get_num_bundled_inputs() == 1


def test_inputs_of_every_type_come_back(tmp_path: Path) -> None:
    model, inputs = samples.sample("mlp_quantized")
    path = tmp_path / "model.pt"
    files.save(as_torchscript(model, inputs), path, inputs=[inputs])
    loaded = files.load(path)
    assert not loaded.converted and loaded.answers is None
    assert torch.equal(loaded.inputs[0][0].int_repr(), inputs[0].int_repr())
    assert loaded.inputs[0][0].q_scale() == inputs[0].q_scale()


def test_bundling_again_replaces(model_file: Path, tmp_path: Path) -> None:
    loaded = files.load(model_file)
    other = torch.rand(1, 64)
    files.save(loaded.module, tmp_path / "again.pt", inputs=[[other]])
    (given,) = files.load(tmp_path / "again.pt").inputs
    assert torch.equal(given[0], other)


_RUN_THEN_SAVE = """
import ctypes, sys
from pathlib import Path
from nnapi_testkit import paths
from nnapi_testkit.mobile import files, samples
from nnapi_testkit.mobile.convert import convert
ctypes.CDLL(str(paths.driver_library()), ctypes.RTLD_GLOBAL)
model, inputs = samples.sample("linear")
module = convert(model, inputs).module
module(*inputs)
try:
    files.save(module, Path(sys.argv[1]))
except files.ModelFileError as error:
    print(error)
"""


def test_a_module_that_has_run_cannot_be_saved(tmp_path: Path) -> None:
    """PyTorch cannot write a compilation; the error says when to save."""
    words = [sys.executable, "-W", "ignore", "-c", _RUN_THEN_SAVE, str(tmp_path / "model.pt")]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(words, capture_output=True, text=True, cwd=root, check=True)
    assert "it has run already" in done.stdout
    assert "before its first call" in done.stdout


def test_files_that_are_no_models(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no model")
    state = tmp_path / "state.pt"
    torch.save({"weight": torch.rand(3)}, state)
    cut = tmp_path / "cut.pt"
    model, inputs = samples.sample("linear")
    files.save(as_torchscript(model, inputs), cut)
    cut.write_bytes(cut.read_bytes()[:-200])
    for path in (text, state, cut):
        with pytest.raises(KitError, match=r"is not a TorchScript model .*save the model with"):
            files.load(path)
    with pytest.raises(KitError, match="check the path"):
        files.load(tmp_path / "missing.pt")
    with pytest.raises(KitError, match="is a folder"):
        files.load(tmp_path)
    with pytest.raises(KitError, match="cannot be written"):
        files.save(as_torchscript(model, inputs), tmp_path / "no" / "folder.pt")


def test_random_inputs() -> None:
    first, second, third = random_inputs(["2,3", "4:int32", "1,2:quint8@0.5,3"])
    assert first.shape == (2, 3) and first.dtype == torch.float32 and first.abs().max() <= 1
    assert second.dtype == torch.int32
    assert (third.q_scale(), third.q_zero_point()) == (0.5, 3)
    assert torch.equal(first, random_inputs(["2,3"])[0])
    for text in ("", "2x3", "2,3:float16", "2,,3", "2,0", "3:quint8@0,1", "3:quint8@x,1"):
        with pytest.raises(KitError):
            random_inputs([text])


def test_check_command(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "runtime", str(model_file), "--runs", "1"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "PASS"
    assert "max error" in out and "ratio" in out and "FULLY_CONNECTED 3" in out


def test_convert_then_check(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "converted.pt"
    assert main(["model", "convert", str(model_file), "-o", str(made)]) == 0
    assert "6 operations, 1 input set(s) with answers" in capsys.readouterr().out
    assert main(["model", "runtime", str(made), "--runs", "0"]) == 0
    assert main(["model", "convert", str(made), "-o", str(made)]) == 2
    assert "is converted already" in capsys.readouterr().err


def test_sample_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "linear.pt"
    assert main(["model", "sample", "linear", str(path)]) == 0
    assert files.load(path).inputs[0][0].shape == (4, 64)
    assert main(["model", "sample", "vgg", str(path)]) == 2
    assert "choose one of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--input", "3,65"], "aten::linear cannot be evaluated with these inputs"),
        (["--input", "3;65"], "is no input: write SHAPE"),
        (["--target", "lib:/nowhere/lib.so"], "there is no library"),
        (["--target", "adb:1234"], "on this machine only"),
        (["--flexible", "7"], "dimension 7 cannot be flexible"),
        (["--input", "3,64", "--input", "3,64"], "takes 1 tensors, 2 are given"),
    ],
)
def test_check_errors(
    arguments: list[str], words: str, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "runtime", str(model_file), *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert words in error and "\n" not in error and error.startswith("nnapi-testkit: ")


def test_a_file_without_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, inputs = samples.sample("linear")
    path = tmp_path / "bare.pt"
    files.save(as_torchscript(model, inputs), path)
    assert main(["model", "runtime", str(path)]) == 2
    assert "name their shapes" in capsys.readouterr().err
    assert main(["model", "runtime", str(path), "--input", "4,64", "--runs", "0"]) == 0
