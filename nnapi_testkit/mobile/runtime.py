"""PyTorch's NNAPI runtime in a process of its own, so that a driver's crash costs one result."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from nnapi_testkit import paths
from nnapi_testkit.closing import Closing
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.mobile.files import InputSets
from nnapi_testkit.spec.codes import ResultCode
from nnapi_testkit.targets import TargetError
from nnapi_testkit.targets.local import check_library

__all__ = ["Outcome", "Runtime", "library_of"]

# The name by which PyTorch looks for NNAPI.
_SONAME = "libneuralnetworks.so"
_START_SECONDS = 120.0
_TAIL = 300


@dataclass(frozen=True)
class Outcome:
    """What became of one model.

    Args:
        verdict: PASS when everything was executed (nothing is compared yet), else REFUSED,
            EXEC_ERROR, CRASH_RUNNER, TIMEOUT, or INFRA when the file could not be loaded.
        message: why it is not PASS, one line.
        outputs: by input set, by output.
        seconds, eager_seconds: the fastest timed call on the driver, and of the eager module.
    """

    verdict: Verdict
    message: str = ""
    outputs: tuple[tuple[torch.Tensor, ...], ...] = ()
    seconds: float | None = None
    eager_seconds: float | None = None


def library_of(target: str) -> Path:
    """Return the library of `host` or `lib:PATH`.

    PyTorch's runtime loads a library into its own process and lets the driver choose the device,
    so other targets, and a named device, are errors.
    """
    kind, _, rest = target.partition(":")
    if "#" in target:
        raise TargetError(f"{target}: PyTorch's runtime cannot choose a device: leave out #...")
    if target == "host":
        return paths.driver_library()
    if kind == "lib" and rest:
        path = Path(rest).expanduser().absolute()
        check_library(path, Path(sys.executable).resolve())
        return path.resolve()
    raise TargetError(f"models run on this machine only: write host or lib:PATH, not {target!r}")


def _named(error: str) -> str:
    """PyTorch's text of an NNAPI error, with function and code by name."""
    missing = re.search(r"enforce fail at \S+ nnapi->(\w+)", error)
    if missing:
        return f"the library has no ANeuralNetworks{missing[1]}, which PyTorch needs"
    found = re.search(r"(?:(\w+?) ?failed with error |NNAPI returned error: )(\d+)", error)
    if not found or int(found[2]) not in {code.value for code in ResultCode}:
        return error
    function = f"ANeuralNetworks{found[1]}" if found[1] else "NNAPI"
    return f"{function} returned {ResultCode(int(found[2])).name}"


class Runtime(Closing):
    """The child process; it starts with the first model and again after a crash.

    Args:
        library: the driver. timeout: seconds for one model. threads: of PyTorch in the child.
    """

    def __init__(self, library: Path, *, timeout: float = 300.0, threads: int = 1) -> None:
        self.library = library
        self.timeout = timeout
        self.threads = threads
        self._folder = tempfile.TemporaryDirectory(prefix="nnapi-mobile-")
        self._process: subprocess.Popen[str] | None = None
        self._replies = -1
        self._pending = b""
        self._log: IO[bytes] | None = None
        link = Path(self._folder.name) / _SONAME
        link.symlink_to(library)
        self._link = link

    def run(
        self,
        model: Path,
        inputs: InputSets,
        *,
        runs: int = 0,
        eager: Path | None = None,
        lite: bool = False,
    ) -> Outcome:
        """Load a converted model from its file and execute it on every input set.

        Args:
            model: written by `files.save`. inputs: as the module takes them.
            runs: timed calls on the first set, after two to warm up.
            eager: a TorchScript file to time as well, in the same process.
            lite: load with PyTorch's lite interpreter.

        Raises:
            TargetError: the library cannot be loaded.
        """
        if self._process is None:
            self._start()
        folder = Path(self._folder.name)
        given, taken = folder / "inputs.pt", folder / "outputs.pt"
        torch.save([list(tensors) for tensors in inputs], given)
        taken.unlink(missing_ok=True)
        answer = self._ask(
            {
                "model": str(model),
                "inputs": str(given),
                "outputs": str(taken),
                "runs": runs,
                "eager": str(eager) if eager else "",
                "lite": lite,
            }
        )
        if isinstance(answer, Outcome):
            return answer
        if not answer["ok"]:
            stage, error = str(answer["stage"]), str(answer["error"])
            verdict = {"compile": Verdict.REFUSED, "execute": Verdict.EXEC_ERROR}.get(
                stage, Verdict.INFRA
            )
            return Outcome(verdict, f"{stage}: {_named(error)}")
        outputs = torch.load(taken, weights_only=True)
        return Outcome(
            Verdict.PASS,
            outputs=tuple(tuple(parts) for parts in outputs),
            seconds=answer.get("seconds"),
            eager_seconds=answer.get("eager_seconds"),
        )

    def close(self) -> None:
        """End the child; a second call does nothing."""
        self._stop()
        self._folder.cleanup()

    def _start(self) -> None:
        reading, writing = os.pipe()
        environment = dict(os.environ)
        # dlopen by name looks here; ctypes loads the same file by its path before.
        places = [self._folder.name, environment.get("LD_LIBRARY_PATH", "")]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, places))
        package_root = str(Path(__file__).resolve().parents[2])
        places = [package_root, environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, places))
        self._log = (Path(self._folder.name) / "log").open("w+b")
        words = [sys.executable, "-W", "ignore", "-m", "nnapi_testkit.mobile.child"]
        words += [str(writing), str(self._link), str(self.threads)]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            pass_fds=(writing,),
            env=environment,
            text=True,
        )
        os.close(writing)
        self._replies, self._pending = reading, b""
        first = self._receive(_START_SECONDS)
        if first is None or "error" in first:
            why = str(first["error"]) if first else self._ended("its process")
            self._stop()
            raise TargetError(f"{self.library} cannot be loaded: {why}")

    def _ask(self, request: dict[str, object]) -> Mapping[str, Any] | Outcome:
        process = self._process
        assert process is not None and process.stdin is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # It has died since the last model; what follows says how.
        answer = self._receive(self.timeout)
        if answer is not None:
            return answer
        if process.poll() is None and not self._gone(process):
            self._stop()
            return Outcome(Verdict.TIMEOUT, f"no answer within {self.timeout:g} s")
        why = self._ended("the driver's process")
        self._stop()
        return Outcome(Verdict.CRASH_RUNNER, why)

    def _receive(self, seconds: float) -> Mapping[str, Any] | None:
        """The next reply; None when there is none in time or the child has ended."""
        end = time.monotonic() + seconds
        while b"\n" not in self._pending:
            ready, _, _ = select.select([self._replies], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return None
            data = os.read(self._replies, 1 << 16)
            if not data:
                return None
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        answer: Mapping[str, Any] = json.loads(line)
        return answer

    def _gone(self, process: subprocess.Popen[str]) -> bool:
        """Whether the child has closed its end: then it is about to be dead."""
        ready, _, _ = select.select([self._replies], [], [], 0)
        if not ready:
            return False
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _ended(self, who: str) -> str:
        """How the child ended, with the last line that it printed."""
        process = self._process
        assert process is not None
        try:
            code = process.wait(5)
        except subprocess.TimeoutExpired:
            return f"{who} does not answer"
        how = f"exit code {code}"
        if code < 0:
            try:
                how = signal.Signals(-code).name
            except ValueError:
                how = f"signal {-code}"
        tail = self._last_line()
        return f"{who} ended with {how}" + (f": {tail}" if tail else "")

    def _last_line(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip()[-_TAIL:] if lines else ""

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            try:
                process.stdin.close()
                process.wait(2)
            except (subprocess.TimeoutExpired, BrokenPipeError):
                process.kill()
                process.wait()
            os.close(self._replies)
        if self._log is not None:
            self._log.close()
            self._log = None
