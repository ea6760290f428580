"""What the plugin costs a pytest run that has nothing to do with it.

    python -m benchmarks.plugin_start [--runs N]

Runs pytest on one empty test with the plugin and with `-p no:nnapi-testkit`, in turn, and compares
the quickest of each: load of the machine only adds. The promise is less than 20 ms.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import entry_points
from pathlib import Path

PROMISE = 0.020
NAME = "nnapi-testkit"


def once(folder: Path, *words: str) -> tuple[float, float]:
    """Return seconds of the clock and of the processor that one run takes."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PYTHON"))}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")  # an installed plugin has its own
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    return seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def cost(runs: int) -> tuple[float, float]:
    """Return what the plugin adds: seconds of the clock, and of the processor."""
    if NAME not in {point.name for point in entry_points(group="pytest11")}:
        raise SystemExit(f"the plugin {NAME} is not installed here: pip install -e .")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_empty.py").write_text("def test_nothing():\n    pass\n")
        (folder / "pytest.ini").write_text("[pytest]\n")
        once(folder)
        once(folder, "-p", f"no:{NAME}")
        pairs = [(once(folder), once(folder, "-p", f"no:{NAME}")) for _ in range(runs)]
    clock, used = (min(w[at] for w, _ in pairs) - min(o[at] for _, o in pairs) for at in (0, 1))
    return clock, used


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    clock, used = cost(options.runs)
    print(f"the plugin adds {1e3 * clock:.1f} ms of the clock, {1e3 * used:.1f} ms of processor")
    return int(min(clock, used) > PROMISE)


if __name__ == "__main__":
    sys.exit(main())
