"""Whole models: linear, perceptron, convolutional, MobileNetV2; float and quantized."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.mobile import files, samples
from nnapi_testkit.mobile.check import CheckSettings, ModelReport, answers_for, check, check_loaded
from nnapi_testkit.mobile.convert import Layout, as_torchscript, convert
from nnapi_testkit.mobile.runtime import Runtime, library_of

FLOAT = ("linear", "mlp", "convnet")
BOTH: tuple[Layout, ...] = ("nchw", "nhwc")


def _judged(report: ModelReport) -> None:
    assert report.passed, report.text()
    assert report.outputs and all(output.elements for output in report.outputs)


@pytest.mark.parametrize("layout", BOTH)
@pytest.mark.parametrize("name", FLOAT)
def test_float_sample(name: str, layout: Layout, runtime: Runtime) -> None:
    model, inputs = samples.sample(name)
    report = check(model, [inputs], CheckSettings(layout=layout), runtime)
    _judged(report)
    # Tight enough to notice one wrong weight.
    assert all(out.tolerance <= 1e-4 * out.largest for out in report.outputs)


@pytest.mark.parametrize("name", ["convnet_quantized", "mlp_quantized"])
def test_quantized_sample(name: str, runtime: Runtime) -> None:
    model, inputs = samples.sample(name)
    report = check(model, [inputs], CheckSettings(layout="nhwc"), runtime)
    _judged(report)


def test_quantized_perceptron_nchw_and_lite(runtime: Runtime) -> None:
    model, inputs = samples.sample("mlp_quantized")
    _judged(check(model, [inputs], CheckSettings(layout="nchw", lite=True), runtime))


def test_mobilenet_v2_at_full_size(runtime: Runtime) -> None:
    model, inputs = samples.sample("mobilenet_v2")
    answers = answers_for(model, convert(model, inputs), [inputs])
    for layout in BOTH:
        report = check(model, [inputs], CheckSettings(layout=layout), runtime, answers)
        _judged(report)
        assert report.operations["CONV_2D"] == 35
        assert report.operations["DEPTHWISE_CONV_2D"] == 17
        assert report.outputs[0].shape == (1, 1000)
        assert report.outputs[0].tolerance < 2e-3 * report.outputs[0].largest


def test_mobilenet_v2_quantized(runtime: Runtime) -> None:
    torch.manual_seed(3)
    model = samples.scaled(samples.MobileNetV2(100, 0.5, quantizable=True))
    images = [torch.rand(1, 3, 96, 96) for _ in range(3)]
    quantized = samples.quantize(model, images[1:])
    report = check(quantized, [images[:1]], CheckSettings(layout="nhwc"), runtime)
    _judged(report)
    assert report.operations["ADD"] == 10


@pytest.mark.parametrize("layout", BOTH)
def test_flexible_image(layout: Layout, runtime: Runtime) -> None:
    """Batch, height and width stay open until the first call; each size compiles anew."""
    torch.manual_seed(4)
    model = nn.Sequential(
        *(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.ConvTranspose2d(6, 4, 2, 2)),
        *(nn.AvgPool2d(2, 2), nn.Sigmoid(), nn.Conv2d(4, 4, 3, groups=4)),
    ).eval()
    sets = [[torch.rand(n, 3, h, w)] for n, h, w in ((1, 16, 20), (3, 12, 9), (2, 25, 8))]
    report = check(model, sets, CheckSettings(layout=layout, flexible=((0, 2, 3),)), runtime)
    _judged(report)
    assert [output.shape[0] for output in report.outputs] == [1, 3, 2]


def test_flexible_batch_of_a_perceptron(runtime: Runtime) -> None:
    model, inputs = samples.sample("mlp")
    sets = [[inputs[0][:1]], [inputs[0]], [torch.rand(9, 64)]]
    _judged(check(model, sets, CheckSettings(flexible=((0,),)), runtime))


def test_several_input_sets_share_a_compilation(runtime: Runtime) -> None:
    model, _ = samples.sample("linear")
    _judged(check(model, [[torch.rand(4, 64) + i] for i in range(3)], runtime=runtime))


def test_relaxed_computation_widens_the_tolerance(runtime: Runtime) -> None:
    model, inputs = samples.sample("linear")
    exact = check(model, [inputs], runtime=runtime).outputs[0]
    relaxed = check(model, [inputs], CheckSettings(relaxed=True), runtime)
    _judged(relaxed)
    assert relaxed.outputs[0].tolerance > 1000 * exact.tolerance


def test_times_are_taken(runtime: Runtime) -> None:
    model, inputs = samples.sample("convnet")
    report = check(model, [inputs], CheckSettings(runs=2), runtime)
    _judged(report)
    assert report.ratio and report.ratio > 0
    assert "ratio" in report.text()


@pytest.mark.parametrize("lite", [False, True], ids=["torchscript", "lite"])
def test_saved_and_loaded_back(lite: bool, runtime: Runtime, tmp_path: Path) -> None:
    model, inputs = samples.sample("convnet")
    other = [torch.rand(2, 3, 32, 32)]
    sets = [inputs, other]
    converted = convert(model, inputs)
    path = tmp_path / "converted.pt"
    answers = answers_for(model, converted, sets)
    files.save(converted.module, path, inputs=sets, answers=answers, lite=lite)

    loaded = files.load(path)
    assert loaded.converted
    assert len(loaded.inputs) == 2 and torch.equal(loaded.inputs[1][0], other[0])
    report = check_loaded(path, loaded, (), CheckSettings(lite=lite), runtime=runtime)
    _judged(report)
    assert len(report.outputs) == 2
    # PyTorch's own loader and runtime agree without this package's files.
    outcome = runtime.run(path, sets, lite=lite)
    with torch.no_grad():
        torch.testing.assert_close(outcome.outputs[1][0], model(*other))


def test_answers_of_another_model_do_not_fit(runtime: Runtime, tmp_path: Path) -> None:
    """The answers in a file are used: those of a model with one other weight are a MISMATCH."""
    model, inputs = samples.sample("linear")
    converted = convert(copy.deepcopy(model), inputs)  # it shares its weights with its source
    with torch.no_grad():
        assert isinstance(model, nn.Linear)
        model.weight[3, 5] += 0.01
    answers = answers_for(model, convert(model, inputs), [inputs])
    path = tmp_path / "converted.pt"
    files.save(converted.module, path, inputs=[inputs], answers=answers)
    report = check_loaded(path, files.load(path), (), CheckSettings(), runtime=runtime)
    assert report.verdict is Verdict.MISMATCH
    assert report.outputs[0].index[1] == 3


def test_converted_file_needs_answers_or_its_original(runtime: Runtime, tmp_path: Path) -> None:
    model, inputs = samples.sample("linear")
    scripted = as_torchscript(model, inputs)
    original, path = tmp_path / "original.pt", tmp_path / "converted.pt"
    files.save(scripted, original, inputs=[inputs])
    files.save(convert(model, inputs).module, path, inputs=[inputs])
    with pytest.raises(KitError, match="--eager"):
        check_loaded(path, files.load(path), (), CheckSettings())
    _judged(
        check_loaded(path, files.load(path), (), CheckSettings(), files.load(original), runtime)
    )
    with pytest.raises(KitError, match="is converted too"):
        check_loaded(path, files.load(path), (), CheckSettings(), files.load(path))


def test_nothing_to_judge_is_no_pass(runtime: Runtime) -> None:
    model = nn.Linear(4, 3).eval()
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    report = check(model, [[torch.rand(2, 4)]], runtime=runtime)
    assert report.verdict is Verdict.OBSERVED
    assert "all zeros" in report.text()


def test_nan_and_infinity(monkeypatch: pytest.MonkeyPatch) -> None:
    # Devices cut what is infinite to the largest number; the documentation does not.
    monkeypatch.setenv("NNAPI_REFERENCE_READINGS", "documented")
    x = torch.tensor([[1.0, float("nan"), float("inf"), -float("inf"), -2.0, 3.0]])
    with Runtime(library_of("host"), timeout=120) as runtime:
        report = check(nn.ReLU().eval(), [[x]], runtime=runtime)
    _judged(report)
    assert report.outputs[0].largest == 3.0
