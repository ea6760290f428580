"""A docker daemon of our own, an image of Debian packages with a stub emulator, profiles for it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit import paths
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.targets.docker import Engine, target
from nnapi_testkit.targets.docker.engine import Container

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
IMAGE = "nnapi-testkit/stub:1"
STUB = f"""\
[stub]
about = "a loopback device for an emulator"
image = "{IMAGE}"
command = ["sh", "/entrypoint.sh"]
memory_mb = 512
cpus = 1
boot_seconds = 60
life_seconds = 600
[stub.environment]
EMULATOR_ACCEL = "off"
"""


def load(name: str) -> object:
    spec = importlib.util.spec_from_file_location(f"docker_tests_{name}", HERE / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def daemon() -> Iterator[object]:
    """The daemon, with the stub's image; skips only after dockerd itself has failed."""
    module = load("daemon")
    try:
        running = module.Daemon()  # type: ignore[attr-defined]
    except module.DaemonFailed as error:  # type: ignore[attr-defined]
        pytest.skip(f"dockerd failed; the end of its log:\n{error}")
    try:
        archive = running.folder / "stub.tar"
        subprocess.run(
            [sys.executable, HERE / "make_image.py", archive, paths.driver_library()],
            check=True,
        )
        running.client.api.import_image_from_file(
            str(archive), repository="nnapi-testkit/stub", tag="1"
        )
        archive.unlink()
        yield running
    finally:
        running.stop()


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes the stub's profile with other settings; returns `docker:stub`."""
    path = tmp_path / "profiles.toml"
    monkeypatch.setenv("NNAPI_TESTKIT_PROFILES", str(path))

    def write(more: str = "", **settings: object) -> str:
        text = STUB
        for key, value in settings.items():
            lines = [line for line in text.splitlines() if not line.startswith(f"{key} =")]
            lines.insert(1, f"{key} = {value}")
            text = "\n".join(lines) + "\n"
        path.write_text(text + more)
        return "docker:stub"

    write()
    return write


@pytest.fixture
def docker_here(daemon: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The daemon as the kit finds it; checks that a test leaves no container behind."""
    monkeypatch.setenv("DOCKER_HOST", daemon.socket)  # type: ignore[attr-defined]
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    pool = target.Pool()
    monkeypatch.setattr(target, "_POOL", pool)
    engine = Engine()
    yield engine
    pool.close()
    left: list[Container] = engine.emulators()
    for container in left:
        engine.remove(container.id)
    assert left == []


@pytest.fixture
def add() -> Callable[..., Case]:
    """Makes an ADD of `size` float32 values: i and 2 * i."""

    def make(size: int = 6) -> Case:
        tensor = OperandCode.TENSOR_FLOAT32
        first = np.arange(size, dtype=np.float32)
        graph = Graph(
            operands=(
                Operand(tensor, first.shape, lifetime=Lifetime.INPUT),
                Operand(tensor, first.shape, lifetime=Lifetime.INPUT),
                Operand(OperandCode.INT32, lifetime=Lifetime.CONSTANT, value=bytes(4)),
                Operand(tensor, first.shape, lifetime=Lifetime.OUTPUT),
            ),
            operations=(Operation(0, (0, 1, 2), (3,)),),
            inputs=(0, 1),
            outputs=(3,),
        )
        return Case(
            id="ADD",
            model=Model(graph),
            sets=(Execution((first, 2 * first), (first.shape,)),),
            deadline_ms=20_000,
        )

    return make
