"""A saved case in a debugger: its C file built with symbols, one process, a breakpoint set."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Stage

__all__ = ["DEBUGGERS", "command", "on_device", "program"]

DEBUGGERS = ("gdb", "lldb")
# Where a case that ended in a stage is worth a look.
BREAKPOINTS = {
    Stage.MODEL: "ANeuralNetworksModel_finish",
    Stage.SUPPORT: "ANeuralNetworksModel_getSupportedOperationsForDevices",
    Stage.COMPILATION: "ANeuralNetworksCompilation_finish",
}
COMPUTE = "ANeuralNetworksExecution_compute"
FLAGS = ("-std=c11", "-g", "-O0")


def breakpoint_of(stage: str) -> str:
    """The function to stop in for a record's stage: the last one that the case called."""
    found = {known.name: function for known, function in BREAKPOINTS.items()}
    return found.get(stage, COMPUTE)


def program(folder: Path, library: Path) -> Path:
    """Build the folder's `repro.c` with symbols against a library; return the program.

    Raises:
        KitError: no compiler, or the file does not compile or link.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise KitError("there is no C compiler: install gcc or clang to debug a case")
    target = (folder / "repro-debug").absolute()
    words = [compiler, *FLAGS, "repro.c", "-o", str(target), str(library.absolute()), "-lm"]
    words.append(f"-Wl,-rpath,{library.absolute().parent}")
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        first = next(iter(done.stderr.strip().splitlines()), "no message")
        raise KitError(f"{folder / 'repro.c'} does not build: {first}")
    return target


def command(debugger: str, stage: str, built: Path, device: str) -> list[str]:
    """The debugger's command line: it stops in the function where the case ended.

    Args:
        stage: of the saved record.
        device: name of the NNAPI device; "" for the first that is listed.
    """
    function = breakpoint_of(stage)
    arguments = [str(built), *([device] if device else [])]
    if debugger == "lldb":
        return ["lldb", "-o", f"breakpoint set -n {function}", "-o", "run", "--", *arguments]
    # The library is not loaded yet: the breakpoint waits for it.
    steps = ["-ex", "set breakpoint pending on", "-ex", f"break {function}", "-ex", "run"]
    return ["gdb", *steps, "--args", *arguments]


def on_device(debugger: str, stage: str, adb: Sequence[str], device: str) -> list[str]:
    """Lines to paste for a device over adb, where the machine has an NDK and the device a server.

    Args:
        adb: the start of an adb command for that device.
    """
    function, to = breakpoint_of(stage), "/data/local/tmp"
    adb_ = shlex.join(adb)
    program_ = shlex.join([f"{to}/repro", *([device] if device else [])])
    lines = [
        "$NDK/toolchains/llvm/prebuilt/linux-x86_64/bin/clang --target=aarch64-linux-android30"
        " -std=c11 -g -O0 repro.c -o repro -lneuralnetworks -lm",
        f"{adb_} push repro {to}/repro",
        f"{adb_} forward tcp:5039 tcp:5039",
    ]
    if debugger == "lldb":
        lines += [
            f"{adb_} push $NDK/toolchains/llvm/prebuilt/linux-x86_64/lib/clang/*/lib/linux/aarch64"
            f"/lldb-server {to}",
            f"{adb_} shell {to}/lldb-server gdbserver :5039 -- {program_} &",
            f"lldb -o 'gdb-remote 5039' -o 'breakpoint set -n {function}' -o continue repro",
        ]
    else:
        lines += [
            f"{adb_} shell gdbserver64 :5039 {program_} &",
            "gdb -ex 'set breakpoint pending on' -ex 'target remote :5039'"
            f" -ex 'break {function}' -ex continue repro",
        ]
    return lines
