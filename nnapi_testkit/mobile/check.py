"""One model from its conversion to a verdict: what it should give, what the driver gives."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.mobile import files
from nnapi_testkit.mobile.compare import ExactOutput, OutputReport, compare, worst
from nnapi_testkit.mobile.convert import Converted, Layout, convert, operations, run
from nnapi_testkit.mobile.files import Answers, InputSets, Loaded, ModelFileError
from nnapi_testkit.mobile.rounding import FLOAT16_U, FLOAT32_U, movement
from nnapi_testkit.mobile.runtime import Runtime, library_of
from nnapi_testkit.oracle.threads import one_thread

__all__ = ["CheckSettings", "ModelReport", "answers_for", "check", "check_loaded"]


@dataclass(frozen=True)
class CheckSettings:
    """How a model is converted and run.

    Args:
        target: `host` or `lib:PATH`. layout, flexible, relaxed: see `convert`.
        lite: save and load in the format of PyTorch's lite interpreter.
        runs: timed calls; 0 measures no time. timeout: seconds for the whole model.
        threads: of PyTorch, for the driver's process and for the eager time.
    """

    target: str = "host"
    layout: Layout = "nchw"
    flexible: tuple[tuple[int, ...], ...] = ()
    relaxed: bool = False
    lite: bool = False
    runs: int = 0
    timeout: float = 300.0
    threads: int = 1


@dataclass(frozen=True)
class ModelReport:
    """What a check found.

    Args:
        verdict: the worst of all outputs, or why there are none. message: of the latter.
        library: the driver that was loaded. layout: see `convert`.
        operations: NNAPI operations in the model, by name.
        outputs: one report for each output of each input set.
        seconds, eager_seconds: the fastest call of the first input set, if time was measured.
    """

    verdict: Verdict
    library: Path
    message: str = ""
    layout: Layout | None = None
    operations: Mapping[str, int] = field(default_factory=dict)
    outputs: tuple[OutputReport, ...] = ()
    seconds: float | None = None
    eager_seconds: float | None = None
    threads: int = 1

    @property
    def passed(self) -> bool:
        """Whether every output was compared and is right."""
        return self.verdict.is_pass

    @property
    def ratio(self) -> float | None:
        """Time on the driver over time of eager PyTorch; None if not both were measured."""
        if self.seconds is None or not self.eager_seconds:
            return None
        return self.seconds / self.eager_seconds

    def text(self) -> str:
        """The report for people, one fact a line, the verdict last."""
        listed = ", ".join(f"{name} {count}" for name, count in sorted(self.operations.items()))
        lines = [f"driver: {self.library}"]
        if self.operations:
            order = f", {self.layout}" if self.layout else ""
            lines.append(f"model: {sum(self.operations.values())} operations{order}: {listed}")
        lines += [output.text() for output in self.outputs]
        if self.seconds is not None:
            line = f"time: {self.seconds * 1e3:.2f} ms on the driver"
            if self.eager_seconds is not None and self.ratio is not None:
                line += f", {self.eager_seconds * 1e3:.2f} ms in PyTorch, ratio {self.ratio:.2f}"
            plural = "s" if self.threads != 1 else ""
            lines.append(f"{line} ({self.threads} thread{plural})")
        lines.append(self.verdict.value + (f": {self.message}" if self.message else ""))
        return "\n".join(lines)


def check(
    model: torch.nn.Module,
    inputs: InputSets,
    settings: CheckSettings | None = None,
    runtime: Runtime | None = None,
    answers: Answers | None = None,
) -> ModelReport:
    """Convert a model, run it through PyTorch's NNAPI runtime, compare with eager PyTorch.

    Args:
        model: an nn.Module or TorchScript module in evaluation mode.
        inputs: one or more input sets; the first one is the example for the conversion. A tensor
            in the place of a set is a set of one.
        settings: see there. runtime: an open one to reuse; else one is opened for `target`.
        answers: of `answers_for`, if they are known; they do not depend on the layout.

    Raises:
        ConversionError: the model cannot be converted. TargetError: the driver cannot be loaded.
        Every other trouble is a verdict.
    """
    settings = settings or CheckSettings()
    files.use_qnnpack()
    if isinstance(inputs, torch.Tensor):
        raise ModelFileError("inputs are a list of input sets, and this is a tensor: write [[x]]")
    if not inputs:
        raise ModelFileError("there is no input to run the model with")
    inputs = [(row,) if isinstance(row, torch.Tensor) else row for row in inputs]
    with one_thread():
        converted = convert(
            model,
            inputs[0],
            layout=settings.layout,
            flexible=settings.flexible,
            relaxed=settings.relaxed,
        )
    if answers is None:
        answers = answers_for(model, converted, inputs, settings.relaxed)
    with tempfile.TemporaryDirectory(prefix="nnapi-model-") as name:
        folder = Path(name)
        eager = None
        files.save(converted.module, folder / "converted.pt", lite=settings.lite)
        if settings.runs:
            eager = folder / "eager.pt"
            files.save(converted.source, eager)
        report = _run(
            folder / "converted.pt",
            inputs,
            answers,
            settings,
            runtime,
            eager,
            converted.operations,
        )
    return replace(report, layout=settings.layout)


def check_loaded(
    path: Path,
    loaded: Loaded,
    inputs: InputSets,
    settings: CheckSettings,
    original: Loaded | None = None,
    runtime: Runtime | None = None,
) -> ModelReport:
    """Check a model from a file, converted or not, with the given inputs or its own.

    Args:
        path: the file that `loaded` was read from. inputs: empty for the bundled ones.
        original: the model that a converted file was made from, if the file has no answers.
        runtime: see `check`.

    Raises:
        ModelFileError: no inputs, or a converted file without answers and original.
    """
    if not inputs and not loaded.inputs:
        raise ModelFileError(
            f"{path} carries no inputs: name their shapes, as in --input 1,3,224,224"
        )
    if not loaded.converted:
        return check(loaded.module, inputs or loaded.inputs, settings, runtime)
    return _check_converted(path, loaded, inputs, settings, original, runtime)


def _check_converted(
    path: Path,
    loaded: Loaded,
    inputs: InputSets,
    settings: CheckSettings,
    original: Loaded | None,
    runtime: Runtime | None,
) -> ModelReport:
    """Check a file that was converted before, against its own answers or its original."""
    given = inputs or loaded.inputs
    if original is not None:
        if original.converted:
            raise ModelFileError("the model to compare with is converted too: name its original")
        # Converting again gives the graph that the answers are computed from.
        again = convert(original.module, given[0], layout=settings.layout)
        answers = answers_for(original.module, again, given, settings.relaxed)
    elif loaded.answers is not None and not inputs:
        answers = loaded.answers
    else:
        raise ModelFileError(
            f"{path} is converted and says nothing about these inputs: name the model it was made"
            " from, as in --eager ORIGINAL.pt"
        )
    return _run(path, given, answers, settings, runtime, None, operations(loaded.module))


def answers_for(
    model: torch.nn.Module, converted: Converted, inputs: InputSets, relaxed: bool = False
) -> Answers:
    """What a converted model should return for each input set: exact, eager, tolerance."""
    with one_thread():
        return tuple(_answers(model, converted, given, relaxed) for given in inputs)


def _answers(
    model: torch.nn.Module,
    converted: Converted,
    given: Sequence[torch.Tensor],
    relaxed: bool,
) -> tuple[ExactOutput, ...]:
    sampled = movement(converted.source, given, FLOAT16_U if relaxed else FLOAT32_U)
    eager = run(model, given)
    return tuple(
        ExactOutput(exact, tolerance, one, sampled.coarse)
        for exact, tolerance, one in zip(sampled.outputs, sampled.tolerances, eager, strict=True)
    )


def _run(
    path: Path,
    inputs: InputSets,
    answers: Answers,
    settings: CheckSettings,
    runtime: Runtime | None,
    eager: Path | None,
    counts: Mapping[str, int],
) -> ModelReport:
    if runtime is None:
        library = library_of(settings.target)
        with Runtime(library, timeout=settings.timeout, threads=settings.threads) as opened:
            return _run(path, inputs, answers, settings, opened, eager, counts)
    outcome = runtime.run(path, inputs, runs=settings.runs, eager=eager, lite=settings.lite)
    reports: tuple[OutputReport, ...] = ()
    verdict = outcome.verdict
    if verdict.is_pass:
        reports = _compare_all(answers, outcome.outputs)
        verdict = worst(reports)
    return ModelReport(
        verdict,
        runtime.library,
        outcome.message,
        operations=counts,
        outputs=reports,
        seconds=outcome.seconds,
        eager_seconds=outcome.eager_seconds,
        threads=runtime.threads,
    )


def _compare_all(
    answers: Answers, outputs: Sequence[Sequence[torch.Tensor]]
) -> tuple[OutputReport, ...]:
    reports = []
    for index, (expected, actual) in enumerate(zip(answers, outputs, strict=True)):
        if len(expected) != len(actual):
            raise KitError(f"the model has {len(expected)} outputs, the driver gave {len(actual)}")
        reports += [
            compare(index, output, one, got)
            for output, (one, got) in enumerate(zip(expected, actual, strict=True))
        ]
    return tuple(reports)
