"""The page of a large run: its size, how fast it loads, how fast it filters.

    python -m benchmarks.page [--records N] [--failures N] [-o FILE]

Writes the page of made-up verdicts on the suite's own cases and says how large it is. The times are
those of `tests/report/test_page_browser.py`, which opens this page in Chromium.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.verdict import Difference, Evidence, Record, Verdict
from nnapi_testkit.model.case import Stage
from nnapi_testkit.model.kinds import Source
from nnapi_testkit.report.html import html

WORST = (
    "MUL", "CONV_2D", "TANH", "SOFTMAX", "RESIZE_BILINEAR", "GATHER", "L2_NORMALIZATION",
    "TRANSPOSE", "AVERAGE_POOL_2D", "CAST", "LSTM", "PRELU",
)  # fmt: skip
FAILURES = (Verdict.MISMATCH,) * 8 + (Verdict.REFUSED, Verdict.EXEC_ERROR, Verdict.UNWRITTEN)
APART = {Verdict.CONTESTED: "FLOOR", Verdict.KNOWN: "DIV", Verdict.PLATFORM: "LSH_PROJECTION"}


def records(number: int, failures: int, seed: int = 1) -> list[Record]:
    """Return made-up records of real cases: failures in a few operations and scattered ones."""
    draw = random.Random(seed)
    refs = case_index()[:]
    refs = [refs[at * len(refs) // number] for at in range(number)] if number < len(refs) else refs
    spots = {at for at, ref in enumerate(refs) if ref.operation in WORST}
    while len(spots) < failures:  # more than the worst have: anywhere
        spots.add(draw.randrange(len(refs)))
    chosen = set(draw.sample(sorted(spots), failures))
    return [_record(ref, at in chosen, draw) for at, ref in enumerate(refs)]


def _record(ref: CaseRef, failing: bool, draw: random.Random) -> Record:
    compared = 0 if ref.kind == "refusal" else draw.choice((12, 60, 144, 1200))
    margin = abs(draw.gauss(0.0, 0.2)) if compared else 0.0
    evidence = Evidence(compared, margin=min(margin, 1.0), oracle=Source.BOTH, dims_checked=1)
    made = Record(
        ref.id, ref.operation, ref.cell, ref.level, Verdict.PASS, evidence, "nnapi-made-up", "host",
        ref.kind, nanoseconds=draw.randrange(100_000, 5_000_000),
    )  # fmt: skip
    if failing:
        return _failed(made, draw)
    for verdict, operation in APART.items():
        if ref.operation == operation and compared:
            return replace(made, verdict=verdict, message="MISMATCH, not charged", stage=Stage.DONE)
    if ref.operation == "SVDF" and compared:
        return replace(
            made, verdict=Verdict.WAIVED, waived=Verdict.MISMATCH, waiver="SVDF*", message="waived"
        )
    if ref.operation == "TOPK_V2":
        return replace(
            made, verdict=Verdict.UNSUPPORTED, message="TOPK_V2 is not claimed",
            evidence=Evidence(oracle=Source.BOTH),
        )  # fmt: skip
    if ref.kind == "special" and draw.random() < 0.3:
        return replace(made, verdict=Verdict.OBSERVED, message="1 elements: order of NaN is open")
    return made


def _failed(made: Record, draw: random.Random) -> Record:
    again = f"nnapi-testkit run '{made.id}' --target host"
    more: dict[str, Any] = {"repro": again, "device": made.device}
    if made.kind == "refusal":
        return replace(
            made, verdict=Verdict.ACCEPTED_INVALID, stage=Stage.DONE,
            message="the model was compiled and executed, where a refusal is due", **more,
        )  # fmt: skip
    verdict = draw.choice(FAILURES)
    if verdict is not Verdict.MISMATCH:
        return replace(
            made, verdict=verdict, stage=Stage.EXECUTION, code=4, isolated=verdict,
            message=f"ANeuralNetworksExecution_compute: BAD_DATA (4) after {draw.random():.6f} s",
            **more,
        )  # fmt: skip
    margin = 10.0 ** draw.uniform(0.1, 5)
    differences = tuple(
        Difference(0, 0, (0, at, draw.randrange(9)), draw.uniform(-9, 9), draw.uniform(-9, 9),
                   draw.uniform(0.1, 9), draw.uniform(1e-7, 1e-3))
        for at in range(5)
    )  # fmt: skip
    total = made.evidence.compared
    bad = draw.randrange(1, max(total, 2))
    return replace(
        made, verdict=verdict, stage=Stage.DONE, isolated=verdict, differences=differences,
        mismatched=bad,
        evidence=replace(made.evidence, margin=margin, minimum_tolerance=margin * 1e-5),
        message=f"{bad} of {total} elements are outside their bounds", **more,
    )  # fmt: skip


SUMMARY = {
    "outcome": "fail", "target": "host", "devices": ["nnapi-made-up"], "profile": "standard",
    "oracle": "live", "started": "2026-01-02T03:04:05Z", "seconds": 61.5, "jobs": 2,
    "selected": 30_000, "suite": 44_642, "selection": "a part for the benchmark",
    "verdicts": {"WAIVED": 12}, "versions": {"nnapi-testkit": "0.1.0", "python": "3.11"},
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=30_000)
    parser.add_argument("--failures", type=int, default=2_000)
    parser.add_argument("-o", "--output", type=Path, default=Path("build/page.html"))
    options = parser.parse_args()
    made = records(options.records, options.failures)
    began = time.perf_counter()
    text = html(made, SUMMARY)
    seconds = time.perf_counter() - began
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text)
    size = options.output.stat().st_size / 1e6
    print(f"{len(made)} records, {options.failures} failures: {size:.2f} MB in {seconds:.2f} s")


if __name__ == "__main__":
    main()
