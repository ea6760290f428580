"""The runner under test and drivers that misbehave, built once from this checkout."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit.model.case import Case, Execution, MemoryKind
from nnapi_testkit.model.case import ExecutionPath as ExecutionPath
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.targets import LocalTarget, RunnerSession

ROOT = Path(__file__).resolve().parents[2]
MakeCase = Callable[..., Case]


def _tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is needed to build the runner's test drivers"
    return found


@pytest.fixture(scope="session")
def native() -> Path:
    """The folder with `runner/nnapi-runner` and the test drivers."""
    folder = ROOT / "build" / "test-runner"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several pytest workers build one after another
        source = Path(__file__).parent / "native"
        cmake = _tool("cmake")
        for command in (
            [cmake, "-S", str(source), "-B", str(folder), "-DCMAKE_BUILD_TYPE=RelWithDebInfo"],
            [cmake, "--build", str(folder), "-j2"],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def runner(native: Path) -> Path:
    return native / "runner" / "nnapi-runner"


@pytest.fixture(autouse=True)
def _runner_under_test(runner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNAPI_TESTKIT_RUNNER", str(runner))


@pytest.fixture
def toy(native: Path) -> LocalTarget:
    library = native / "libtoy.so"
    return LocalTarget(f"lib:{library}", lambda: library)


@pytest.fixture
def session(toy: LocalTarget) -> Iterator[RunnerSession]:
    with toy.open(memory_limit_mb=300) as opened:
        yield opened


def _make_case(
    code: int = 0,
    *,
    size: int = 6,
    first: np.ndarray | None = None,
    second: np.ndarray | None = None,
    deadline_ms: int = 10_000,
    repetitions: int = 1,
    path: ExecutionPath = ExecutionPath.COMPUTE,
    memory: MemoryKind = MemoryKind.POINTER,
) -> Case:
    tensor = OperandCode.TENSOR_FLOAT32
    a = np.arange(size, dtype=np.float32) if first is None else first
    b = 2 * np.arange(size, dtype=np.float32) if second is None else second
    graph = Graph(
        operands=(
            Operand(tensor, a.shape, lifetime=Lifetime.INPUT),
            Operand(tensor, b.shape, lifetime=Lifetime.INPUT),
            Operand(OperandCode.INT32, lifetime=Lifetime.CONSTANT, value=bytes(4)),
            Operand(tensor, a.shape, lifetime=Lifetime.OUTPUT),
        ),
        operations=(Operation(code, (0, 1, 2), (3,)),),
        inputs=(0, 1),
        outputs=(3,),
    )
    return Case(
        id=f"ADD[{code}]",
        model=Model(graph),
        sets=(Execution((a, b), (a.shape,)),),
        deadline_ms=deadline_ms,
        repetitions=repetitions,
        path=path,
        memory=memory,
    )


@pytest.fixture(scope="session")
def make_case() -> MakeCase:
    """Makes an ADD of `size` float32 values whose operation code asks the toy for a fault."""
    return _make_case
