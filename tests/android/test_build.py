"""The runners for Android as files: what a device's loader asks for, and that builds repeat."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nnapi_testkit import paths
from nnapi_testkit.android import ABIS, Abi, build_runner, complaints, find_toolchain, read_elf
from nnapi_testkit.android.build import read_symbols
from nnapi_testkit.android.elf import Note, Segment
from nnapi_testkit.errors import KitError

RUNNER = Path(__file__).resolve().parents[2] / "emulator" / "runner"
Built = Callable[[str, str], Path]


def test_a_device_can_load_it(abi: Abi, kind: str, built: Built) -> None:
    path = built(abi.name, kind)
    elf = read_elf(path)
    assert complaints(elf, abi, read_symbols(RUNNER, abi)) == []
    assert elf.interpreter == ("/system/bin/linker64" if abi.bits == 64 else "/system/bin/linker")
    assert elf.needed == ("libc.so", "libdl.so")
    assert all(segment.alignment % 16384 == 0 for segment in elf.loads)
    (note,) = (note for note in elf.notes if note.name == "Android")
    assert (note.kind, note.value[:4], len(note.value)) == (1, (27).to_bytes(4, "little"), 132)
    assert not elf.has_tls
    assert path.stat().st_mode & 0o111
    assert path.stat().st_size < 200_000


def test_the_same_bytes_each_time(abi: Abi, kind: str, built: Built, tmp_path: Path) -> None:
    again = tmp_path / "elsewhere" / "nnapi-runner"
    build_runner(abi, again, find_toolchain(kind))
    assert again.read_bytes() == built(abi.name, kind).read_bytes()


def test_no_path_of_this_machine(abi: Abi, kind: str, built: Built) -> None:
    data = built(abi.name, kind).read_bytes()
    assert b"nnapi-testkit-build" not in data
    assert str(RUNNER).encode() not in data


def test_every_listed_symbol_is_used(built: Built) -> None:
    used = set()
    for abi in ABIS.values():
        used |= read_elf(built(abi.name, "zig")).undefined
    listed = set().union(*(read_symbols(RUNNER, abi) for abi in ABIS.values()))
    idle = {name for name in listed - used if not name.startswith("__aeabi_")}
    assert idle == set()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"machine": 3}, "machine 3"),
        ({"kind": 2}, "position-independent"),
        ({"interpreter": "/lib64/ld-linux-x86-64.so.2"}, "loader"),
        ({"needed": ("libc.so", "libc++_shared.so")}, "libc++_shared.so"),
        ({"needed": ("libdl.so",)}, "needs libdl.so"),
        ({"segments": (Segment(1, 5, 0, 0, 10, 10, 4096),)}, "aligned to 4096"),
        ({"segments": (Segment(1, 5, 100, 0, 10, 10, 16384),)}, "off its alignment"),
        ({"segments": (Segment(1, 7, 0, 0, 10, 10, 16384),)}, "writable and executable"),
        ({"segments": (Segment(7, 4, 0, 0, 8, 8, 8),)}, "thread-local"),
        ({"notes": ()}, "Android notes"),
        ({"notes": (Note("Android", 1, (29).to_bytes(4, "little")),)}, "Android notes"),
        ({"undefined": frozenset()}, "takes no symbol"),
        ({"undefined": frozenset({"malloc", "getrandom"})}, "uses getrandom"),
    ],
)
def test_each_fact_is_looked_at(change: dict[str, object], said: str, built: Built) -> None:
    abi = ABIS["x86_64"]
    elf = replace(read_elf(built("x86_64", "zig")), **change)  # type: ignore[arg-type]
    assert any(said in line for line in complaints(elf, abi, read_symbols(RUNNER, abi)))


def test_a_linux_program_is_not_sound() -> None:
    abi = ABIS["x86_64"]
    assert len(complaints(read_elf(paths.runner()), abi, read_symbols(RUNNER, abi))) >= 4


def test_what_is_no_elf_file(tmp_path: Path) -> None:
    for name, data in (
        ("short", b"\x7fELF"),
        ("text", b"hello"),
        ("cut", b"\x7fELF\2\1" + bytes(40)),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(KitError, match="not a little-endian ELF file"):
            read_elf(path)
    with pytest.raises(KitError, match="cannot be read"):
        read_elf(tmp_path / "missing")


class TestCommand:
    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nnapi_testkit.cli", "build-runners", *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def test_builds_where_they_are_looked_for(self, no_cache: Path, kind: str) -> None:
        with pytest.raises(KitError, match="run nnapi-testkit build-runners"):
            paths.android_runner("x86_64")
        done = self.run("x86_64", "--toolchain", kind)
        assert done.returncode == 0, done.stderr
        assert paths.android_runner("x86_64").is_relative_to(no_cache)
        assert str(paths.android_runner("x86_64")) in done.stdout

    def test_another_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        done = self.run("arm64-v8a", "--output", str(tmp_path))
        assert done.returncode == 0, done.stderr
        monkeypatch.setenv("NNAPI_TESTKIT_ANDROID_RUNNERS", str(tmp_path))
        assert paths.android_runner("arm64-v8a") == tmp_path / "arm64-v8a" / "nnapi-runner"
        with pytest.raises(KitError, match="has no x86/nnapi-runner"):
            paths.android_runner("x86")

    def test_unknown_names(self) -> None:
        done = self.run("mips")
        assert done.returncode == 2
        assert "there is no ABI 'mips': write one of arm64-v8a" in done.stderr
        assert done.stderr.count("\n") == 1

    def test_an_ndk_that_is_none(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path))
        done = self.run("x86_64")
        assert done.returncode == 2
        assert "which is no NDK" in done.stderr

    def test_an_ndk_that_is_set(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A stand-in for an NDK: its toolchain file is zig, its libc our own headers."""
        zig = find_toolchain("zig")
        script = tmp_path / "cc"
        flags = "-target x86_64-linux-android -ffreestanding -nostdinc -fno-sanitize=all"
        stubs = tmp_path / "stubs"
        script.write_text(
            f'#!/bin/sh\nexec {zig.command[0]} cc {flags} -isystem {zig.headers} "$@"\n'
        )
        script.chmod(0o755)
        stubs.mkdir()
        folder = tmp_path / "build" / "cmake"
        folder.mkdir(parents=True)
        own = " ".join(str(RUNNER / "android" / name) for name in ("start.c", "builtins.c"))
        for name in ("libc", "libdl"):
            code = "".join(
                f"void {s}(void) {{}}\n" for s in read_symbols(RUNNER, ABIS["x86_64"], f"{name}.so")
            )
            (stubs / f"{name}.c").write_text(code)
            subprocess.run(
                [script, "-nostdlib", "-fno-builtin", "-shared", f"-Wl,-soname,{name}.so",
                 "-o", stubs / f"{name}.so", stubs / f"{name}.c"],
                check=True,
            )  # fmt: skip
        (folder / "android.toolchain.cmake").write_text(
            f"""set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER {script})
set(CMAKE_C_COMPILER_WORKS 1)
set(ANDROID 1)
add_compile_options(-fPIE)
add_compile_definitions(NNAPI_RUNNER_OWN_HEADERS=1)
set(CMAKE_C_STANDARD_LIBRARIES "{own} {stubs}/libc.so {stubs}/libdl.so")
set(CMAKE_EXE_LINKER_FLAGS
  "-L{stubs} -nostdlib -pie -Wl,--dynamic-linker=/system/bin/linker64 -Wl,--hash-style=both")
"""
        )
        monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path))
        done = self.run("x86_64", "--output", str(tmp_path / "out"))
        assert done.returncode == 0, done.stderr + done.stdout
        assert "ndk" in done.stdout
        elf = read_elf(tmp_path / "out" / "x86_64" / "nnapi-runner")
        assert all(segment.alignment == 16384 for segment in elf.loads)
