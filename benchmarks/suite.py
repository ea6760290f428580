"""The suite's numbers, by one command: `python -m benchmarks` (or `make bench`).

Every figure is taken from whole runs of the command line, with reports on. Seconds depend on
the machine; ratios come from runs that alternate.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.catalog import load
from nnapi_testkit.model.case import Case
from nnapi_testkit.paths import golden_dir, op_tests_dir
from nnapi_testkit.targets import parse_target

REPEAT = 3
# Judged live, a case costs a millisecond and more; enough of them that starting does not count.
HEAVY = ("--kind", "positive", "--oracle", "live")


def run(*words: str) -> dict[str, object]:
    """One `nnapi-testkit run` with all reports; returns its summary."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nnapi_testkit.cli", "run", "--report", folder, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        path = Path(folder, "summary.json")
        if not path.exists():
            raise SystemExit(f"{' '.join(command)} gave no summary:\n{done.stdout}{done.stderr}")
        summary: dict[str, object] = json.loads(path.read_text())
        return summary


def number(summary: dict[str, object], key: str) -> float:
    """A number of a summary."""
    return float(str(summary[key]))


def rate(summary: dict[str, object]) -> float:
    """Cases a second after the first verdict."""
    after = number(summary, "seconds") - number(summary, "seconds_to_first_verdict")
    return (number(summary, "cases") - 1) / after


def shape_of(case: Case) -> str:
    """A case without its tensor values: model, attributes, shapes."""
    parts: list[object] = [case.path, case.memory, case.model.relaxed]
    for graph in (case.model.main, *case.model.subgraphs):
        for operand in graph.operands:
            small = operand.value if len(operand.value) <= 4 or operand.type == 4 else b""
            parts.append((operand.type, operand.dims, operand.lifetime, small))
        parts.append((graph.operations, graph.inputs, graph.outputs))
    for execution in case.sets:
        parts.append([None if a is None else a.shape for a in execution.inputs])
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def counts() -> None:
    """Distinct cases, and the fewest a cell has."""
    refs = case_index()
    shapes = {shape_of(ref.make()) for ref in refs}
    cells = Counter((ref.operation, ref.cell) for ref in refs)
    fewest = min(cells, key=lambda key: cells[key])
    size = sum(path.stat().st_size for path in golden_dir().glob("*.golden"))
    print(f"operations                              {len({ref.operation for ref in refs})}")
    print(f"cells                                   {len(cells)}")
    print(f"cases                                   {len(refs)}")
    print(f"distinct without tensor values          {len(shapes)}")
    print(f"fewest cases of a cell                  {cells[fewest]} ({fewest[0]} {fewest[1]})")
    print(f"goldens                                 {size / 1e6:.1f} MB")


def speed() -> None:
    """Rates, start-up, what isolation and jobs cost and bring."""
    golden = ("--oracle", "golden")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        cold = rate(run(*golden, "--jobs", "1"))
        _speed(golden, cold)


def _speed(golden: tuple[str, ...], cold: float) -> None:
    one, two = [], []
    for _ in range(REPEAT):
        one.append(run(*golden, "--jobs", "1"))
        two.append(run(*golden, "--jobs", "2"))
    rates = [rate(summary) for summary in one]
    first = [number(summary, "seconds_to_first_verdict") for summary in one]
    print(f"golden suite, one job                   {statistics.median(rates):.0f} cases/s")
    print(f"the same, with nothing kept yet         {cold:.0f} cases/s")
    print(f"process start to first verdict          {statistics.median(first):.2f} s")
    both = [rate(b) / rate(a) for a, b in zip(one, two, strict=True)]
    print(f"two jobs against one, golden suite      {statistics.median(both):.2f} times")
    total = statistics.median(number(summary, "seconds") for summary in two)
    print(f"golden suite, two jobs, whole           {total:.1f} s")
    heavy = []
    for _ in range(REPEAT):
        a = run(*HEAVY, "--jobs", "1")
        b = run(*HEAVY, "--jobs", "2")
        heavy.append(rate(b) / rate(a))
        cost = 1e3 / rate(a)
    print(f"two jobs against one, {cost:.1f} ms a case    {statistics.median(heavy):.2f} times")


def lines() -> None:
    """Lines an operation takes: its file, shared among the operations that the file declares."""
    owned = []
    for path in sorted(op_tests_dir().glob("[!_]*.py")):
        names = [op.name for op in load(path)]
        count = sum(bool(line.strip()) for line in path.read_text().splitlines())
        owned += [count / len(names)] * len(names)
    owned.sort()
    ninety = owned[int(0.9 * len(owned))]
    print(f"lines of an op file, median             {statistics.median(owned):.0f}")
    print(f"lines of an op file, 90th percentile    {ninety:.0f}")


def isolation() -> None:
    """What a worker process, its pipes and the parent cost beyond the driver's own time.

    An upper bound: encoding and decoding in Python are counted as isolation too.
    """
    cases = [ref.make() for ref in case_index()]
    per_case = []
    with parse_target("host").open() as runner:
        for start in range(0, len(cases), 500):
            batch = cases[start : start + 500]
            began = time.perf_counter()
            results = list(runner.run(batch))
            wall = time.perf_counter() - began
            inside = sum(result.nanoseconds for result in results) / 1e9
            per_case.append((wall - inside) / len(batch) * 1e3)
    print(f"isolation, with encoding and decoding   {statistics.median(per_case):.3f} ms a case")


if __name__ == "__main__":
    counts()
    lines()
    isolation()
    speed()
