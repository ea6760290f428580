"""Other processors: the suite judged with float64 arithmetic that is off in its last places.

`python -m benchmarks.other_processors [--seeds 3] [--first 0] [--jobs 2] [--every N] [--units 2]
[--operations A,B] [--bare]`. Each case that has an answer of its own runs once on the reference
driver. Then it is built, answered and judged again for each seed inside `benchmarks.nudged.Nudged`,
which moves each floating-point result of every torch function by up to `--units` units in the last
place. A case must have the same inputs, its golden must still hold (a golden that does not is a
dispute in a run), and the verdicts under `strict` and `standard` must be what they are without.
Exits 1 if one is not, and lists them. `--bare` takes the allowance for other arithmetic away, to
show what this command finds; then it is expected to exit 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.false_alarms import runner, torch_threads
from nnapi_testkit.answers import case_hash, moved, open_goldens
from nnapi_testkit.cases.draw import key_of
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.model.case import Answer, Case, Ending, Result, Stage
from nnapi_testkit.oracle import answer
from nnapi_testkit.paths import golden_dir

PROFILES = ("strict", "standard")


@dataclass
class Tally:
    """What the seeds found in one operation.

    Args:
        cases: judged. answers: nudged ones. functions: results nudged, by torch function.
        disputes: a line for each golden that no longer holds, or oracle that fails.
        changed: a line for each case whose inputs or verdict changed.
    """

    operation: str = ""
    cases: int = 0
    answers: int = 0
    functions: Counter[str] = field(default_factory=Counter)
    disputes: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another one's findings too."""
        self.cases += other.cases
        self.answers += other.answers
        self.functions += other.functions
        self.disputes += other.disputes
        self.changed += other.changed


def without_allowance() -> None:
    """Judge in this process as if every processor had the same float64 arithmetic."""
    from nnapi_testkit.answers import stale
    from nnapi_testkit.judge import compare, draws

    for module in (stale, compare, draws):
        module.ARITHMETIC = 0.0


def with_answers(operation: str, every: int = 1) -> list[CaseRef]:
    """The operation's cases that have answers of their own, or every so many of them."""
    refs = [r for r in case_index([operation]) if r.has_golden and r.broken is None]
    return refs[key_of(operation) % every :: every]


def verdicts(ref: CaseRef, case: Case, told: Answer, result: Result) -> list[str]:
    """The verdict under each profile."""
    return [judge(ref, case, told, result, profile=name).verdict.value for name in PROFILES]


def look(refs: Iterable[CaseRef], seeds: Iterable[int], units: int) -> Tally:
    """Judge cases by the arithmetic of this processor, then by nudged ones."""
    from benchmarks.nudged import Nudged

    tally = Tally()
    goldens = open_goldens(golden_dir())
    kept = [(ref, case) for ref in refs if (case := ref.make()).expect is Stage.DONE]
    results = runner().run([case for _, case in kept])
    for (ref, case), result in zip(kept, results, strict=True):
        if result.ending is not Ending.COMPLETED:
            continue
        tally.cases += 1
        usual = verdicts(ref, case, answer(ref, case), result)
        frozen = goldens.get(ref, case) if ref.has_golden else None
        for seed in seeds:
            nudged = Nudged(key_of(seed, ref.id) % 2**62, units)
            tally.answers += 1
            try:
                with nudged:
                    again = ref.make()
                    told = answer(ref, again)
            except Exception as error:
                tally.disputes.append(f"{ref.id} seed {seed}: {type(error).__name__}: {error}")
                continue
            tally.functions += nudged.functions
            if case_hash(again) != case_hash(case):
                tally.changed.append(f"{ref.id} seed {seed}: other inputs")
            why = moved(frozen, told) if frozen else ""
            if why:
                tally.disputes.append(f"{ref.id} seed {seed}: {why}")
            found = verdicts(ref, case, told, result)
            if found != usual:
                tally.changed.append(f"{ref.id} seed {seed}: {found} instead of {usual}")
    return tally


def task(asked: tuple[str, range, int, int]) -> Tally:
    """`look` at one operation."""
    operation, seeds, every, units = asked
    tally = look(with_answers(operation, every), seeds, units)
    tally.operation = operation
    return tally


def start(bare: bool) -> None:
    """Prepare a worker process."""
    torch_threads()
    if bare:
        without_allowance()


def tallies(tasks: list[Any], jobs: int, bare: bool) -> Iterator[Tally]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=start, initargs=(bare,)) as pool:
        yield from pool.imap_unordered(task, tasks)
        pool.close()
        pool.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many (default 3)")
    parser.add_argument("--first", type=int, default=0, help="the first one (default 0)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="one case of so many (default all)")
    parser.add_argument("--units", type=int, default=2, help="in the last place (default 2)")
    parser.add_argument("--operations", default="", help="comma-separated; default all")
    parser.add_argument("--bare", action="store_true", help="allow for no other arithmetic")
    options = parser.parse_args()
    names = options.operations.split(",") if options.operations else sorted(catalog())
    seeds = range(options.first, options.first + options.seeds)
    began = time.perf_counter()
    total = Tally()
    tasks = [(name, seeds, options.every, options.units) for name in names]
    for tally in tallies(tasks, options.jobs, options.bare):
        for line in (*tally.disputes, *tally.changed):
            print(line, flush=True)
        total.add(tally)
    moved_results = ", ".join(f"{name} {n}" for name, n in total.functions.most_common())
    print(f"seeds                                   {' '.join(map(str, seeds))}")
    print(f"units in the last place, at most        {options.units}")
    print(f"cases                                   {total.cases}")
    print(f"answers with nudged arithmetic          {total.answers}")
    print(f"results nudged                          {total.functions.total()}")
    print(f"  {moved_results}")
    print(f"seconds                                 {time.perf_counter() - began:.0f}")
    print(f"disputes (stale goldens among them)     {len(total.disputes)}")
    print(f"changed verdicts or inputs              {len(total.changed)}")
    return 1 if total.disputes or total.changed or not total.cases else 0


if __name__ == "__main__":
    raise SystemExit(main())
