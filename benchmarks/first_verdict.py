"""How long a user waits for the first verdict.

    python -m benchmarks.first_verdict [--runs N] [--cold]

Starts each command N times, in turn: from the start of its process until its run enters the first
record, where it is interrupted. Medians, in seconds of the clock and of the processor, the
runner's included; the latter hold on a machine that others use too. One run of each comes before:
it fills the caches of the kit and of the system. With `--cold` the kit's own cache (the index of
cases) is empty every time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nnapi_testkit.process import process_start

PROMISE = 3.0
RUN = ("run", "-k", "RELU6")
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider", "--nnapi-suite", "-k", "ADD")
COMMANDS = {
    "run -k RELU6, live": (*RUN, "--oracle", "live"),
    "run -k RELU6, golden": (*RUN, "--oracle", "golden"),
    "pytest --nnapi-suite -k ADD, live": (*PYTEST, "--nnapi-oracle", "live"),
    "pytest --nnapi-suite -k ADD, golden": (*PYTEST, "--nnapi-oracle", "golden"),
}
CHILD = "--until-first-verdict"


def processor(group: int) -> float:
    """Return the seconds of processor that the processes of a group have used so far."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(words[2]) == group:
            ticks += sum(map(int, words[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def child(out: str, words: list[str]) -> None:
    """Be the command, note the times of its first verdict, and end it there."""
    began = process_start()  # before anything else is imported
    kind = words[0]
    if kind == "pytest":
        import pytest
    else:
        from nnapi_testkit.cli import main as command
    from nnapi_testkit.session.run import Run

    def enter(*_: object, **__: object) -> None:
        Path(out).write_text(json.dumps([time.time() - began, processor(os.getpgid(0))]))
        raise KeyboardInterrupt

    Run.enter = enter  # type: ignore[method-assign,assignment]
    if kind == "pytest":
        pytest.main(words[1:])
    else:
        command(words)


def once(command: tuple[str, ...], cache: Path | None) -> tuple[float, float]:
    """Return seconds of the clock and of the processor until the first verdict."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    if cache is not None:
        environment["XDG_CACHE_HOME"] = str(cache)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "times.json")
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.first_verdict", CHILD, str(out), *command],
            env=environment,
            cwd=folder,
            start_new_session=True,
            capture_output=True,
            text=True,
        )
        if not out.exists():
            raise SystemExit(f"{' '.join(command)} gave no verdict:\n{done.stdout}{done.stderr}")
        clock, used = json.loads(out.read_text())
        return clock, used


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="with an empty cache of the kit")
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for number in range(options.runs + 1):
        for name, command in COMMANDS.items():
            if options.cold:
                with tempfile.TemporaryDirectory() as cache:
                    took = once(command, Path(cache))
            else:
                took = once(command, None)
            found[name] += [took] if number else []
    late = 0
    for name, times in found.items():
        clock, used = (statistics.median(values) for values in zip(*times, strict=True))
        print(f"{name:<39} {clock:.2f} s, {used:.2f} s of processor")
        late += min(clock, used) > PROMISE
    return int(late > 0)


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        child(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main())
