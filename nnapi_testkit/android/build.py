"""Builds the runner for Android, from the source that also makes the runner for Linux."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from nnapi_testkit import paths
from nnapi_testkit.android.abis import ABIS, API_LEVEL, PAGE_SIZE, Abi
from nnapi_testkit.android.elf import read_elf
from nnapi_testkit.android.facts import LIBRARIES, complaints
from nnapi_testkit.android.toolchain import Toolchain, find_toolchain, run
from nnapi_testkit.errors import KitError

__all__ = ["RUNNER", "build_runner", "build_runners", "read_symbols"]

RUNNER = "nnapi-runner"
OWN = ("builtins.c", "start.c")  # in runner/android: what the NDK's start files would do


def build_runners(
    folder: Path | None = None,
    names: Iterable[str] = (),
    kind: str = "",
    tell: Callable[[str], None] = print,
) -> dict[str, Path]:
    """Build the runner for each ABI into `folder`/ABI/nnapi-runner; return the paths.

    Args:
        folder: by default where `nnapi_testkit.paths.android_runner` looks for them.
        names: the ABIs; all four by default.
        kind: of toolchain, see `find_toolchain`.
        tell: is handed one line for each runner.

    Raises:
        KitError: no such ABI, no compiler, or the build failed.
    """
    wanted = tuple(names) or tuple(ABIS)
    for name in wanted:
        if name not in ABIS:
            raise KitError(f"there is no ABI {name!r}: write one of {', '.join(ABIS)}")
    toolchain = find_toolchain(kind)
    folder = folder or paths.android_cache()
    built = {}
    for name in wanted:
        path = folder / name / RUNNER
        build_runner(ABIS[name], path, toolchain)
        tell(f"{name}: {path} ({path.stat().st_size} bytes, {toolchain.kind})")
        built[name] = path
    return built


def build_runner(abi: Abi, output: Path, toolchain: Toolchain) -> None:
    """Build one runner and put it at `output`, whole or not at all.

    The same source and compiler give the same bytes, wherever they lie. Raises KitError when the
    build fails or the result is not what a device can load.
    """
    runner, include = paths.runner_sources()
    with tempfile.TemporaryDirectory(prefix="nnapi-testkit-build-") as name:
        work = Path(name)
        if toolchain.kind == "ndk":
            made = _with_ndk(abi, runner, work, Path(toolchain.command[0]))
        else:
            made = _without_ndk(abi, runner, include, work, toolchain)
        elf = read_elf(made)
        if toolchain.kind == "ndk":  # its libc decides which symbols there are at this level
            wrong = complaints(elf, abi, elf.undefined)
        else:
            wrong = complaints(elf, abi, read_symbols(runner, abi))
        if wrong:
            raise KitError(f"the runner for {abi.name} is not sound: it {'; it '.join(wrong)}")
        _install(made, output)


def read_symbols(runner: Path, abi: Abi, library: str = "") -> frozenset[str]:
    """The symbols of Android that the runner may use, of one library or of all."""
    found = set()
    for line in (runner / "android" / "symbols.txt").read_text().splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if library in ("", words[0]) and abi.name in (words[2:] or [abi.name]):
            found.add(words[1])
    return frozenset(found)


def _without_ndk(abi: Abi, runner: Path, include: Path, work: Path, toolchain: Toolchain) -> Path:
    # Copied, so that no path of this machine gets into the program.
    source = work / "runner"
    shutil.copytree(runner, source, ignore=shutil.ignore_patterns("fuzz"))
    shutil.copytree(include, work / "include")
    compiler = toolchain.compiler(abi)
    own = {"ZIG_LOCAL_CACHE_DIR": str(work / "zig")}
    if "ZIG_GLOBAL_CACHE_DIR" not in os.environ:
        own["ZIG_GLOBAL_CACHE_DIR"] = str(paths.user_cache() / "zig")
    stubs = work / "stubs"
    stubs.mkdir()
    for library in LIBRARIES:
        code = stubs / f"{library}.c"
        names = sorted(read_symbols(runner, abi, library))
        code.write_text("".join(f"void {name}(void);\nvoid {name}(void) {{}}\n" for name in names))
        stub = [*compiler, "-fno-builtin", "-fvisibility=default", "-fPIC", "-shared"]
        stub += [f"-Wl,-soname,{library}", "-o", str(stubs / library), str(code)]
        run(stub, f"building a stub of {library} for {abi.name}", own)
    sources = [*sorted(source.glob("*.c")), *(source / "android" / name for name in OWN)]
    objects = []
    for path in sources:
        objects.append(str(work / f"{path.stem}.o"))
        one = [*compiler, "-fPIE", "-Wall", "-Wextra", f"-I{work / 'include'}", f"-I{source}"]
        run([*one, "-c", str(path), "-o", objects[-1]], f"compiling {path.name}", own)
    made = work / RUNNER
    link = [
        *compiler,
        "-fPIE",
        "-pie",
        f"-Wl,--dynamic-linker={abi.interpreter}",
        f"-Wl,-z,max-page-size={PAGE_SIZE}",
        "-Wl,-z,now",
        "-Wl,-z,noexecstack",
        "-Wl,--hash-style=both",
        "-Wl,--gc-sections",
        "-Wl,-s",
        "-Wl,--build-id=none",
        "-Wl,-e,_start",
        "-o",
        str(made),
        *objects,
        *(str(stubs / library) for library in LIBRARIES),
    ]
    run(link, f"linking the runner for {abi.name}", own)
    return made


def _with_ndk(abi: Abi, runner: Path, work: Path, ndk: Path) -> Path:
    toolchain = ndk / "build" / "cmake" / "android.toolchain.cmake"
    configure = [
        "cmake",
        "-S",
        str(runner),
        "-B",
        str(work / "build"),
        f"-DCMAKE_TOOLCHAIN_FILE={toolchain}",
        f"-DANDROID_ABI={abi.name}",
        f"-DANDROID_PLATFORM=android-{API_LEVEL}",
        "-DCMAKE_BUILD_TYPE=Release",
    ]
    run(configure, f"configuring the NDK build for {abi.name}")
    run(["cmake", "--build", str(work / "build")], f"the NDK build for {abi.name}")
    return work / "build" / RUNNER


def _install(made: Path, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=output.parent, delete=False) as file:
        file.write(made.read_bytes())
    Path(file.name).chmod(0o755)
    Path(file.name).replace(output)
