"""False alarms: the suite under other seeds on the reference driver, judged by the live oracle.

`python -m benchmarks.false_alarms [--seeds 20] [--first 1] [--jobs 2] [--operations A,B]`. Another
seed gives every case other data, quantization, shapes and attributes (`nnapi_testkit/cases/vary`).
Each case is judged under `strict` and under `standard`; a right driver must get no failing verdict.
Exits 1 if there is one, and lists them. Cases that no seed changes (models to refuse, execution
paths) are left out.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from benchmarks.suite import shape_of
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Answer, Case, Ending
from nnapi_testkit.oracle import answer, follows
from nnapi_testkit.targets import parse_target

PROFILES = ("strict", "standard")
KINDS = ("positive", "special", "graph")
FINE = (Verdict.PASS, Verdict.OBSERVED)


@dataclass
class Tally:
    """What one seed found in one operation.

    Args:
        judged: cases. moved: those whose shapes or attributes differ from seed 0.
        elements: compared under `strict`. alarms: a line for each failing verdict.
    """

    operation: str
    seed: int
    judged: int = 0
    moved: int = 0
    elements: int = 0
    exempt: int = 0
    alarms: list[str] = field(default_factory=list)


@cache
def runner() -> Any:
    """The runner of this process; it ends with it."""
    return parse_target("host").open()


@cache
def frozen_shapes(operation: str) -> dict[str, str]:
    """The shapes of each case under seed 0."""
    return {ref.id: shape_of(ref.make()) for ref in of_kinds(case_index([operation]))}


def of_kinds(refs: list[CaseRef]) -> list[CaseRef]:
    return [ref for ref in refs if ref.kind in KINDS]


def torch_threads() -> None:
    """One thread a process: the processes are the parallelism."""
    import torch

    torch.set_num_threads(1)


def look(task: tuple[int, str]) -> Tally:
    """Judge all cases of an operation under a seed."""
    seed, operation = task
    tally = Tally(operation, seed)
    refs = of_kinds(case_index([operation], seed=seed, follows=follows))
    cases: list[tuple[CaseRef, Case]] = []
    for ref in refs:
        try:
            cases.append((ref, ref.make()))
        except Exception as error:
            tally.alarms.append(f"{ref.id} seed {seed}: not built: {type(error).__name__}: {error}")
    results = runner().run([case for _, case in cases])
    for (ref, case), result in zip(cases, results, strict=True):
        tally.judged += 1
        tally.moved += shape_of(case) != frozen_shapes(operation)[ref.id]
        told: Answer | None = None
        if result.ending is Ending.COMPLETED:
            try:
                told = answer(ref, case)
            except Exception as error:
                tally.alarms.append(f"{ref.id} seed {seed}: oracle: {type(error).__name__} {error}")
                continue
        for profile in PROFILES:
            record = judge(ref, case, told, result, profile=profile)
            if profile == "strict":
                tally.elements += record.evidence.compared
                tally.exempt += record.evidence.exempt
            if record.verdict not in FINE:
                tally.alarms.append(
                    f"{ref.id} seed {seed} {profile}: {record.verdict.value}: {record.message}"
                )
                break
    return tally


def tallies(tasks: list[tuple[int, str]], jobs: int) -> Iterator[Tally]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=torch_threads) as pool:
        yield from pool.imap_unordered(look, tasks)
        pool.close()
        pool.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="how many (default 20)")
    parser.add_argument("--first", type=int, default=1, help="the first one (default 1)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--operations", default="", help="comma-separated; default all")
    options = parser.parse_args()
    names = options.operations.split(",") if options.operations else sorted(catalog())
    seeds = range(options.first, options.first + options.seeds)
    began = time.perf_counter()
    total = Counter[str]()
    alarms: list[str] = []
    # Neighbouring tasks share what a process remembers of an operation.
    for tally in tallies([(seed, name) for name in names for seed in seeds], options.jobs):
        total["judged"] += tally.judged
        total["moved"] += tally.moved
        total["elements"] += tally.elements
        total["exempt"] += tally.exempt
        for line in tally.alarms:
            print(line, flush=True)
        alarms += tally.alarms
    seconds = time.perf_counter() - began
    print(f"seeds                                   {len(seeds)}")
    print(f"cases judged, strict and standard       {total['judged']}")
    print(f"with other shapes or attributes         {total['moved']}")
    print(f"elements compared                       {total['elements']}")
    print(f"elements exempt                         {total['exempt']}")
    print(f"seconds                                 {seconds:.0f}")
    print(f"false alarms                            {len(alarms)}")
    return 1 if alarms or not total["judged"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
