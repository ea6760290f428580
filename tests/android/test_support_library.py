"""Support library drivers (`sl:PATH`) and hardware buffers, with the reference driver inside."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit import paths
from nnapi_testkit.model.case import Case, Ending, MemoryKind
from nnapi_testkit.model.case import ExecutionPath as ExecutionPath
from nnapi_testkit.targets import TargetError, parse_target

MakeAdd = Callable[..., Case]


def total(case: Case) -> bytes:
    return (3 * np.arange(case.sets[0].inputs[0].size, dtype=np.float32)).tobytes()


class TestTable:
    def test_the_device_is_listed(self, wrapped: Path) -> None:
        with parse_target(f"sl:{wrapped}").open() as runner:
            names = [device.name for device in runner.devices()]
            facts = runner.describe()
        assert names == ["nnapi-reference"]
        assert facts["library"] == str(wrapped)
        assert facts["runtime_feature_level"] == 1000008
        # The functions a support library leaves out by its definition.
        assert "ANeuralNetworksCompilation_create" in facts["missing_functions"]  # type: ignore[operator]
        assert "ANeuralNetworksMemory_createFromFd" not in facts["missing_functions"]  # type: ignore[operator]

    @pytest.mark.parametrize("memory", [MemoryKind.POINTER, MemoryKind.SHARED, MemoryKind.DEVICE])
    def test_it_adds(self, wrapped: Path, make_add: MakeAdd, memory: MemoryKind) -> None:
        cases = [make_add(size=n, memory=memory, constant=c) for n in (5, 400) for c in (0, 1)]
        with parse_target(f"sl:{wrapped}#nnapi-reference").open() as runner:
            for case, result in zip(cases, runner.run(cases), strict=True):
                assert result.ending is Ending.COMPLETED, result
                assert result.device == "nnapi-reference"
                assert bytes(result.executions[0].outputs[0].data) == total(case)

    def test_a_path_it_lacks_is_unsupported(self, wrapped: Path, make_add: MakeAdd) -> None:
        case = replace(make_add(), path=ExecutionPath.START_WAIT)
        with parse_target(f"sl:{wrapped}").open() as runner:
            (result,) = runner.run([case])
        assert result.ending is Ending.UNSUPPORTED
        assert result.function == "ANeuralNetworksExecution_startCompute"

    def test_a_hole_in_the_table(self, wrapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NNAPI_TESTKIT_TEST_OMITTED", "ANeuralNetworksModel_finish")
        with pytest.raises(TargetError, match="leaves out ANeuralNetworksModel_finish"):
            parse_target(f"sl:{wrapped}").open()

    def test_no_table(self, wrapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NNAPI_TESTKIT_TEST_WRAPPED", "/nowhere.so")
        with pytest.raises(TargetError, match="ANeuralNetworks_getSLDriverImpl gives no table"):
            parse_target(f"sl:{wrapped}").open()

    def test_a_library_of_symbols_is_none(self) -> None:
        with pytest.raises(TargetError, match="not a support library driver"):
            parse_target(f"sl:{paths.driver_library()}").open()

    def test_a_support_library_has_no_symbols(self, wrapped: Path) -> None:
        with pytest.raises(TargetError, match="not an NNAPI library"):
            parse_target(f"lib:{wrapped}").open()

    def test_the_path_is_missing(self) -> None:
        with pytest.raises(TargetError, match="write sl:/path"):
            parse_target("sl:").open()

    def test_the_suite_judges_it(self, wrapped: Path, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "nnapi_testkit.cli", "run", "-o", "RESHAPE",
             "-t", f"sl:{wrapped}",
             "--oracle", "golden", "--report", str(tmp_path / "report")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "nnapi-reference" in done.stdout


@pytest.mark.parametrize(
    ("kept", "memory", "dims", "ending"),
    [
        ("specified", MemoryKind.DYNAMIC, (0,), Ending.UNSUPPORTED),
        ("specified", MemoryKind.DYNAMIC, (5,), Ending.COMPLETED),
        ("specified", MemoryKind.DEVICE, (0,), Ending.COMPLETED),
        ("none", MemoryKind.DEVICE, (5,), Ending.STOPPED),  # for which there is no excuse
    ],
)
def test_memory_of_unknown_size_may_be_refused(
    wrapped: Path,
    make_add: MakeAdd,
    monkeypatch: pytest.MonkeyPatch,
    kept: str,
    memory: MemoryKind,
    dims: tuple[int, ...],
    ending: Ending,
) -> None:
    monkeypatch.setenv("NNAPI_TESTKIT_TEST_MEMORY", kept)
    case = make_add(size=5, memory=memory)
    main = case.model.main
    operands = list(main.operands)
    (out,) = main.outputs
    operands[out] = replace(operands[out], dims=dims)
    model = replace(case.model, main=replace(main, operands=tuple(operands)))
    with parse_target(f"sl:{wrapped}").open() as runner:
        (result,) = runner.run([replace(case, model=model)])
    assert result.ending is ending, result
    if ending is not Ending.COMPLETED:
        assert result.function == "ANeuralNetworksMemory_createFromDesc"


class TestHardwareBuffers:
    @pytest.fixture(autouse=True)
    def _native_window(self, window: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LD_LIBRARY_PATH", str(window))

    @pytest.mark.parametrize("constant", [False, True])
    @pytest.mark.parametrize(  # a support library has no startCompute
        "path", [path for path in ExecutionPath if path is not ExecutionPath.START_WAIT]
    )
    def test_values_travel_in_them(
        self, wrapped: Path, make_add: MakeAdd, constant: bool, path: ExecutionPath
    ) -> None:
        case = make_add(
            size=500, memory=MemoryKind.AHARDWARE_BUFFER, constant=constant, repetitions=3
        )
        with parse_target(f"sl:{wrapped}").open() as runner:
            (result,) = runner.run([replace(case, path=path)])
        assert result.ending is Ending.COMPLETED, result
        assert len(result.executions) == 3
        for execution in result.executions:
            assert bytes(execution.outputs[0].data) == total(case)
            assert execution.outputs[0].overrun == 0
            assert execution.modified_inputs == 0

    def test_the_suite_runs_by_them(self, wrapped: Path) -> None:
        """Inputs, outputs and constants of the suite's own cases, where the platform has them."""
        done = suite(f"sl:{wrapped}", "ADD", "CONV_2D", "GENERATE_PROPOSALS")
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"PASS: \d+ PASS", done.stdout), done.stdout

    def test_the_allocator_refuses(
        self, wrapped: Path, make_add: MakeAdd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NNAPI_TESTKIT_TEST_BLOB", "none")
        with parse_target(f"sl:{wrapped}").open() as runner:
            (result,) = runner.run([make_add(memory=MemoryKind.AHARDWARE_BUFFER)])
        assert result.ending is Ending.BAD_CASE
        assert "AHardwareBuffer_allocate" in result.text

    def test_they_are_believed_after_a_trial(self, wrapped: Path) -> None:
        facts = parse_target(f"sl:{wrapped}").describe()
        assert (facts["hardware_buffers"], facts["no_hardware_buffers"]) == (True, "")

    @pytest.mark.parametrize(
        ("fault", "why"),
        [
            ("none", "AHardwareBuffer_allocate of 4096 bytes returned -12"),
            ("abort", "the allocation of an AHardwareBuffer ended its process: signal 6"),
            ("hang", "the allocation of an AHardwareBuffer hangs"),
            ("forget", "an AHardwareBuffer does not hold what is written to it"),
        ],
    )
    def test_the_symbol_alone_is_not_believed(
        self, wrapped: Path, monkeypatch: pytest.MonkeyPatch, fault: str, why: str
    ) -> None:
        monkeypatch.setenv("NNAPI_TESTKIT_TEST_BLOB", fault)
        facts = parse_target(f"sl:{wrapped}").describe()
        assert facts["hardware_buffers"] is False
        assert facts["no_hardware_buffers"] == why
        done = run("run", "ADD", "-k", "hardware-buffers or float32-both", f"sl:{wrapped}")
        assert f"need hardware buffers, which the target has not: {why}" in done.stdout

    def test_a_driver_that_takes_none(self, make_add: MakeAdd) -> None:
        """The reference driver on Linux refuses them: an answer of the driver, not of the kit."""
        with parse_target("host").open() as runner:
            (result,) = runner.run([make_add(memory=MemoryKind.AHARDWARE_BUFFER)])
        assert result.ending is Ending.STOPPED
        assert result.function == "ANeuralNetworksMemory_createFromAHardwareBuffer"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    *command, target = words
    where = ["--target", target, "--oracle", "golden"]
    return subprocess.run(
        [sys.executable, "-m", "nnapi_testkit.cli", *command, *where],
        capture_output=True,
        text=True,
        check=False,
    )


def suite(target: str, *operations: str) -> subprocess.CompletedProcess[str]:
    """The suite's cases with hardware buffers; a support library has no startCompute."""
    words = ["-k", "hardware-buffers and not start-wait", "--oracle", "golden", "--jobs", "1"]
    command = [sys.executable, "-m", "nnapi_testkit.cli", "run", *operations]
    return subprocess.run(
        [*command, "--target", target, *words], capture_output=True, text=True, check=False
    )


def test_the_suite_leaves_them_out_where_there_are_none() -> None:
    done = suite("host", "ADD")
    assert done.returncode != 0
    assert "needs hardware buffers, which the target does not have" in done.stderr + done.stdout


def test_no_platform_no_buffers(wrapped: Path, make_add: MakeAdd) -> None:
    with parse_target(f"sl:{wrapped}").open() as runner:
        (result,) = runner.run([make_add(memory=MemoryKind.AHARDWARE_BUFFER)])
    assert result.ending is Ending.BAD_CASE
    assert "AHardwareBuffer needs Android 10 or later: libnativewindow.so" in result.text
