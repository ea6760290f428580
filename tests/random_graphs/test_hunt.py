"""Hunts: a right driver raises no alarm, a wrong one is found, kept and named once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nnapi_testkit.cli import main
from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Case, Ending, Result, Stage
from nnapi_testkit.power.catalogue import catalogue
from nnapi_testkit.random_graphs.hunt import Hunt, nothing_judged
from nnapi_testkit.spec.codes import OperationCode
from nnapi_testkit.targets.base import Runner
from tests.random_graphs.wrong import Wrong, alone


def test_a_right_driver_raises_no_alarm(runner: Runner) -> None:
    report = Hunt(60, seed=11, profile="strict").run(runner)
    assert not report.failed and not report.errors
    assert report.graphs == 60
    # Bounds as wide as the results judge nothing: they are few.
    assert report.right > 50 * report.open
    assert len(report.kinds) > 200


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_graphs_for_older_devices_hold_nothing_newer(runner: Runner, level: int) -> None:
    report = Hunt(12, seed=level, level=level, profile="strict").run(runner)
    assert not report.failed and report.right


class Edited:
    """A driver with a fault of the catalogue on the way in."""

    def __init__(self, inner: Runner, name: str) -> None:
        self._inner, self._fault = inner, catalogue()[name]

    def run(self, cases: Sequence[Case]) -> Iterator[Result]:
        assert self._fault.case is not None
        return self._inner.run([self._fault.case(case) or case for case in cases])


@pytest.mark.parametrize(
    ("fault", "operation"),
    [
        ("operands-exchanged", "SUB"),
        ("minimum-for-maximum", "MAXIMUM"),
        ("relu6-for-relu", "RELU"),
        ("bias-dropped", "FULLY_CONNECTED"),
        ("paddings-exchanged", "PAD"),
    ],
)
def test_faults_of_the_catalogue_are_found(runner: Runner, fault: str, operation: str) -> None:
    hunt = Hunt(12, seed=2, operations=(operation, "RELU", "ABS"))
    report = hunt.run(Edited(runner, fault))  # type: ignore[arg-type]
    assert report.findings
    for finding in report.findings:
        assert finding.shrunk.graph.operations == 1
    assert any(operation in finding.where for finding in report.findings)


def test_a_failure_is_named_once_and_kept(runner: Runner, tmp_path: Path) -> None:
    hunt = Hunt(30, seed=5, most=12, operations=("ABS", "NEG", "RSQRT"))
    report = hunt.run(Wrong(runner, alone(OperationCode.ABS)))  # type: ignore[arg-type]
    assert report.failed > len(report.findings) >= 1
    names = [finding.where for finding in report.findings]
    assert len(set(names)) == len(names)
    assert all(name.startswith("ABS[") for name in names)
    folder = tmp_path / "kept"
    report.findings[0].save(folder, "standard")
    # The bundled driver is right, so that what was kept passes on it.
    assert main(["replay", str(folder)]) == 0
    saved = json.loads((folder / "record.json").read_text())
    assert saved["record"]["verdict"] == "MISMATCH"


class Claims:
    """A driver that does not claim some operations."""

    def __init__(self, inner: Runner, without: frozenset[OperationCode]) -> None:
        self._inner, self._without = inner, without

    def run(self, cases: Sequence[Case]) -> Iterator[Result]:
        for case, result in zip(cases, self._inner.run(cases), strict=True):
            flags = tuple(o.code not in self._without for o in case.model.main.operations)
            if all(flags):
                yield result
            else:
                code = next(o.code for o in case.model.main.operations if o.code in self._without)
                yield replace(
                    result,
                    ending=Ending.UNSUPPORTED,
                    stage=Stage.SUPPORT,
                    code=int(code),
                    executions=(),
                    support=flags,
                )


def test_what_is_not_claimed_is_left_out(runner: Runner) -> None:
    without = frozenset({OperationCode.RESHAPE, OperationCode.MUL})
    report = Hunt(20, seed=6).run(Claims(runner, without))  # type: ignore[arg-type]
    assert not report.failed and report.graphs + report.left_out == 20 and report.graphs > 10
    assert {name.partition("[")[0] for name in report.unclaimed} == {"RESHAPE", "MUL"}
    assert not any(kind.startswith(("RESHAPE ", "MUL ")) for kind in report.kinds)


class Silent:
    """A driver that reports no dimensions of what the model leaves open."""

    def __init__(self, inner: Runner) -> None:
        self._inner = inner

    def run(self, cases: Sequence[Case]) -> Iterator[Result]:
        for result in self._inner.run(cases):
            runs = tuple(
                replace(run, outputs=tuple(replace(output, dims=None) for output in run.outputs))
                for run in result.executions
            )
            yield replace(result, executions=runs)


def test_dimensions_that_are_not_reported_are_a_failure(runner: Runner) -> None:
    hunt = Hunt(8, seed=1, most=6, operations=("BOX_WITH_NMS_LIMIT", "ABS"))
    report = hunt.run(Silent(runner))  # type: ignore[arg-type]
    assert report.verdicts["DIMENSIONS"]
    assert any("BOX_WITH_NMS_LIMIT" in finding.where for finding in report.findings)
    assert all(finding.record.verdict.value == "DIMENSIONS" for finding in report.findings)


def test_nothing_judged_is_an_error(runner: Runner) -> None:
    report = Hunt(3, seed=1).run(Claims(runner, frozenset(OperationCode)))  # type: ignore[arg-type]
    with pytest.raises(KitError, match="nothing was judged: the device runs no graph"):
        nothing_judged(report)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["random", "--graphs", "4", "--operations", "6", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["graphs"] == 4 and told["failed"] == 0 and told["right"] > 3
    assert main(["random", "--graphs", "2", "--operations", "3"]) == 0
    assert "2 graphs of 1 to 3 operations, seed 0" in capsys.readouterr().out
    for words, line in (
        (["--graphs", "0"], "--graphs must be at least 1"),
        (["--operations", "201"], "--operations must be from 1 to 200"),
        (["--level", "0"], "--level counts from 1"),
        (["-o", "NONESUCH"], "NONESUCH"),
    ):
        assert main(["random", *words]) == 2
        assert line in capsys.readouterr().err
