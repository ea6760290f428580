"""Each example runs as its users run it: right on the reference driver, float and quantized."""

from __future__ import annotations

import importlib
import sys
import types
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import examples
from examples.common import Example, lowered, main
from examples.png import png
from nnapi_testkit.model.program import operation_name

FOLDER = Path(examples.__file__ or "").parent
PARTS = ("__init__", "blocks", "common", "png")  # modules that are no example
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in PARTS)
QUANTIZED = [
    "efficientnet_lite",
    "mobilenet_v2",
    "mobilenet_v3",
    "perceptron",
    "segmentation",
    "vision_transformer",
]


def example(name: str) -> Example:
    found: Example = importlib.import_module(f"examples.{name}").EXAMPLE
    return found


def test_every_kind_of_net_is_there() -> None:
    assert len(NAMES) == 12
    assert [name for name in NAMES if example(name).quantized] == QUANTIZED


@pytest.mark.parametrize("name", [name for name in NAMES if name != "segmentation"])
def test_each_example_is_right(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(example(name), []) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{example(name).name}: ") and "feature level" in first
    assert second.startswith("PASS: each operation is right")
    if name in ("condition", "loop"):
        assert first.endswith("feature level 4")  # IF and WHILE, and what is in their graphs


@pytest.mark.parametrize("name", [name for name in QUANTIZED if name != "segmentation"])
def test_each_quantized_example_is_right(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    assert main(example(name), ["--quantized"]) == 0
    assert "quantized: " in capsys.readouterr().out


@pytest.mark.parametrize("how", [[], ["--quantized"]], ids=["float", "quantized"])
def test_a_stream_of_30_frames_and_a_picture(
    how: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if how:
        pytest.importorskip("onnxruntime")
    from examples import segmentation

    path = tmp_path / "mask.png"
    assert segmentation.main([*how, "-o", str(path)]) == 0
    assert "30 frames: the largest difference" in capsys.readouterr().out
    size = segmentation.SIZE
    pixels = _pixels(path.read_bytes(), 6 * size, 3 * size)
    inputs, masks, away = pixels[:size], pixels[size : 2 * size], pixels[2 * size :]
    assert len(np.unique(inputs.reshape(-1, 3), axis=0)) > 100
    assert masks.min() == 0 and masks.max() == 255 and away.max() == 255
    assert (masks[:, :size] != masks[:, -size:]).any()  # the figure has moved


def _pixels(data: bytes, width: int, height: int) -> np.ndarray:
    """Read back what `png` writes."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR"
    assert int.from_bytes(data[16:20], "big") == width
    length = int.from_bytes(data[33:37], "big")
    lines = np.frombuffer(zlib.decompress(data[41 : 41 + length]), np.uint8)
    return lines.reshape(height, 1 + 3 * width)[:, 1:].reshape(height, width, 3)


def test_pictures_hold_what_they_are_given() -> None:
    given = np.linspace(-0.1, 1.1, 2 * 3 * 3).reshape(2, 3, 3)
    wanted = np.rint(given.clip(0, 1) * 255).astype(np.uint8)
    assert (_pixels(png(given), 3, 2) == wanted).all()


@pytest.mark.parametrize("name", ["mobilenet_v3", "fbnet", "loop", "mask_rcnn"])
def test_files_in_the_formats_that_there_are(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnx")
    assert main(example(name), ["--save", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    wanted = {"mobilenet_v3": {".pt2", ".onnx"}, "mask_rcnn": set()}.get(name, {".pt2"})
    assert {path.suffix for path in tmp_path.iterdir()} == wanted
    assert (".onnx: " in told) == (".onnx" not in wanted) or name == "mask_rcnn"
    assert ".tflite" in told


def test_litert_torch_writes_what_pytorch_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it is installed; what it does not take has its reason, and no other file suffers."""
    asked = []

    class Made:
        def export(self, path: str) -> None:
            Path(path).write_bytes(b"TFL3")

    class Litert(types.ModuleType):
        def convert(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Made:
            asked.append(module(*inputs).shape)
            if len(asked) > 1:
                raise RuntimeError("no lowering\nmore")
            return Made()

    monkeypatch.setitem(sys.modules, "litert_torch", Litert("litert_torch"))
    for wanted, told in (
        ({".pt2", ".onnx", ".tflite"}, "wrote "),
        ({".pt2", ".onnx"}, "no .tflite: litert-torch says no lowering"),
    ):
        folder = tmp_path / str(len(asked))
        assert main(example("perceptron"), ["--save", str(folder)]) == 0
        assert {path.suffix for path in folder.iterdir()} == wanted
        assert capsys.readouterr().out.splitlines()[-1].startswith(told)
    assert len(asked) == 2


def test_the_detectors_end_in_their_operations() -> None:
    for name, wanted in (
        ("mask_rcnn", {"GENERATE_PROPOSALS", "ROI_ALIGN", "BOX_WITH_NMS_LIMIT"}),
        ("ssd", {"DETECTION_POSTPROCESSING"}),
        ("condition", {"IF"}),
        ("loop", {"WHILE"}),
    ):
        found = lowered(example(name)).model.main.operations
        assert wanted <= {operation_name(operation.code) for operation in found}


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (["--quantized"], "has no quantized form"),
        (["--target", "lib:/nowhere.so"], "there is no library"),
    ):
        assert main(example("tagger"), arguments) == 2
        told = capsys.readouterr().err
        assert words in told and told.count("\n") == 1
