"""Runners for Android built from this checkout, and what it takes to start them on Linux."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit import paths
from nnapi_testkit.android import ABIS, Abi, Toolchain, build_runner, find_toolchain
from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Case, Execution, MemoryKind
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.targets import RunnerSession

ROOT = Path(__file__).resolve().parents[2]
NATIVE = Path(__file__).parent / "native"
TOY = ROOT / "tests" / "runner" / "native" / "toy_driver.c"


@dataclass(frozen=True)
class Userland:
    """A Linux C library for an ABI: zig's name, loader, library folder, and who executes it."""

    zig: tuple[str, ...]
    loader: str
    folder: str
    emulator: str
    packages: str


USERLANDS = {
    "x86_64": Userland(("x86_64-linux-gnu.2.28",), "/lib64/ld-linux-x86-64.so.2", "", "", "libc6"),
    "x86": Userland(("x86-linux-gnu.2.28",), "/lib/ld-linux.so.2", "", "", "libc6-i386"),
    "arm64-v8a": Userland(
        ("aarch64-linux-gnu.2.28",),
        "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1",
        "/usr/aarch64-linux-gnu/lib",
        "qemu-aarch64",
        "qemu-user libc6-arm64-cross",
    ),
    "armeabi-v7a": Userland(
        ("arm-linux-gnueabi.2.28", "-mcpu=cortex_a7", "-mfloat-abi=softfp"),
        "/usr/arm-linux-gnueabi/lib/ld-linux.so.3",
        "/usr/arm-linux-gnueabi/lib",
        "qemu-arm",
        "qemu-user libc6-armel-cross",
    ),
}


def toolchain_or_skip(kind: str) -> Toolchain:
    try:
        return find_toolchain(kind)
    except KitError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def built() -> Callable[[str, str], Path]:
    """Builds the runner for an ABI with a kind of toolchain, once for these sources."""

    def build(abi: str, kind: str) -> Path:
        folder = ROOT / "build" / "test-android" / paths.android_cache().name / kind / abi
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            path = folder / "nnapi-runner"
            if not path.exists():
                build_runner(ABIS[abi], path, toolchain_or_skip(kind))
        return path

    return build


@pytest.fixture(params=["zig", "clang"])
def kind(request: pytest.FixtureRequest) -> str:
    toolchain_or_skip(request.param)
    return str(request.param)


@pytest.fixture(params=list(ABIS))
def abi(request: pytest.FixtureRequest) -> Abi:
    return ABIS[request.param]


def compile_shared(compiler: list[str], source: Path | str, output: Path, *more: str) -> None:
    done = subprocess.run(
        [*compiler, "-shared", "-fPIC", "-O1", "-o", str(output), str(source),
         f"-I{ROOT / 'emulator' / 'include'}", f"-I{ROOT / 'emulator' / 'runner'}", *more],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def linux_command(abi: str, folder: Path, runner: Path) -> list[str]:
    """Make bionic's stand-in and the toy driver; return the command that starts the runner."""
    land = USERLANDS[abi]
    if platform.machine() != "x86_64":
        pytest.skip("the userlands are those of an x86_64 machine")
    if not Path(land.loader).exists() or (land.emulator and not shutil.which(land.emulator)):
        pytest.skip(f"{abi} code needs: apt-get install {land.packages}")
    zig = toolchain_or_skip("zig").command[0]
    compiler = [zig, "cc", "-target", *land.zig, "-fno-sanitize=all"]
    compile_shared(compiler, NATIVE / "host_bionic.c", folder / "libc.so", "-Wl,-soname,libc.so")
    empty = folder / "empty.c"
    empty.write_text("")
    compile_shared(compiler, empty, folder / "libdl.so", "-Wl,-soname,libdl.so")
    compile_shared(compiler, TOY, folder / "libtoy.so", str(TOY.parent / "hostile.c"), "-lpthread")
    libraries = ":".join(filter(None, (str(folder), land.folder)))
    emulator = [land.emulator] if land.emulator else []
    return [*emulator, land.loader, "--library-path", libraries, str(runner)]


@pytest.fixture
def start_command(abi: Abi, tmp_path: Path, built: Callable[[str, str], Path]) -> list[str]:
    """What starts the runner of each ABI on this machine; beside it lies the toy driver."""
    return linux_command(abi.name, tmp_path, built(abi.name, "zig"))


@pytest.fixture
def started(
    start_command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunnerSession]:
    """The runner of each ABI at work on this machine, with the toy driver."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    words = [*start_command, "--serve", "--library", str(tmp_path / "libtoy.so")]
    words += ["--journal", str(tmp_path / "results")]  # as on a device
    with RunnerSession(lambda cache: [*words, "--cache-dir", cache], "toy", grace=20) as session:
        yield session


@pytest.fixture(scope="session")
def window(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the support library driver and a libnativewindow.so."""
    folder = tmp_path_factory.mktemp("window")
    compile_shared(["cc"], NATIVE / "support_library.c", folder / "libdriver.so", "-ldl")
    compile_shared(["cc"], NATIVE / "native_window.c", folder / "libnativewindow.so")
    return folder


@pytest.fixture
def wrapped(window: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The support library driver around the reference driver, as `sl:PATH` finds it."""
    monkeypatch.setenv("NNAPI_TESTKIT_TEST_WRAPPED", str(paths.driver_library()))
    return window / "libdriver.so"


def add(
    *,
    size: int = 6,
    code: int = 0,
    memory: MemoryKind = MemoryKind.POINTER,
    constant: bool = False,
    repetitions: int = 1,
    first: int = 0,
) -> Case:
    """ADD of `size` float32 values: `first` + i and twice as much.

    With `constant` the second one is no input.
    """
    tensor = OperandCode.TENSOR_FLOAT32
    values = np.arange(first, first + size, dtype=np.float32)
    second = 2 * values
    fixed = Operand(tensor, second.shape, lifetime=Lifetime.CONSTANT, value=second.tobytes())
    graph = Graph(
        operands=(
            Operand(tensor, values.shape, lifetime=Lifetime.INPUT),
            fixed if constant else Operand(tensor, second.shape, lifetime=Lifetime.INPUT),
            Operand(OperandCode.INT32, lifetime=Lifetime.CONSTANT, value=bytes(4)),
            Operand(tensor, values.shape, lifetime=Lifetime.OUTPUT),
        ),
        operations=(Operation(code, (0, 1, 2), (3,)),),
        inputs=(0,) if constant else (0, 1),
        outputs=(3,),
    )
    inputs = (values,) if constant else (values, second)
    return Case(
        id="ADD",
        model=Model(graph),
        sets=(Execution(inputs, (values.shape,)),),
        memory=memory,
        repetitions=repetitions,
        deadline_ms=20_000,
    )


@pytest.fixture(scope="session")
def make_add() -> Callable[..., Case]:
    return add


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in [key for key in os.environ if key.startswith("ANDROID_NDK")]:
        monkeypatch.delenv(name)
    return tmp_path / "cache" / "nnapi-testkit"
