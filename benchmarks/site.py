"""A site of many runs: how long it takes to make, to make again with one more, and to look at.

    python -m benchmarks.site [--runs N] [--records N] [--devices N] [--jobs N] [-o DIR]

Writes made-up reports of the suite's own cases, of devices whose releases change a few bits and
break or mend a few cases; only what `nnapi-testkit site` does is timed. The first view is measured
in Chromium, if there is one: from the navigation to the end of loading, layout included.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.model.case import Stage
from nnapi_testkit.model.kinds import Source
from nnapi_testkit.report.accounts import HTML, RESULTS, SUMMARY
from nnapi_testkit.report.html import html
from nnapi_testkit.report.site import make_site
from nnapi_testkit.session.record import Beginning, End, How, encode

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Layout is asked for before the clock is read; the clock begins with the navigation.
PROBE = """<script>addEventListener("load", () => {
  const height = document.body.offsetHeight;
  document.title = `LOADED ${performance.now()} ${height}`;
});</script>"""


def records(number: int) -> list[Record]:
    """Return made-up records of real cases that all pass, or refuse what is to be refused."""
    draw = random.Random(1)
    refs = case_index()
    found = []
    for at in range(number):
        ref = refs[at * len(refs) // number] if number <= len(refs) else refs[at % len(refs)]
        computed = ref.kind != "refusal"
        evidence = Evidence(12 if computed else 0, margin=draw.random() / 2 if computed else 0.0,
                            dims_checked=1, status_checked=1, oracle=Source.GOLDEN)  # fmt: skip
        bits = f"{draw.getrandbits(64):016x}" if computed else ""
        name = ref.id if number <= len(refs) else f"{ref.id}-{at}"
        found.append(
            Record(name, ref.operation, ref.cell, ref.level, Verdict.PASS, evidence, "npu", "host",
                   ref.kind, stage=Stage.DONE, nanoseconds=draw.randrange(10**5), bits=bits)
        )  # fmt: skip
    return found


def write(
    folder: Path, base: list[Record], lines: list[str], page: str, run: int, devices: int
) -> None:
    """Write the report of one release of one device."""
    draw = random.Random(run)
    device, release = f"npu-{run % devices}", f"r{run // devices}"
    folder.mkdir(parents=True)
    changed = dict.fromkeys(draw.sample(range(len(base)), len(base) // 50))
    verdicts: Counter[str] = Counter()
    out = []
    for at, line in enumerate(lines):
        record = base[at]
        if at in changed and record.evidence.compared:
            margin = draw.random()
            failed = draw.random() < 0.1
            record = replace(
                record,
                bits=f"{draw.getrandbits(64):016x}",
                evidence=replace(record.evidence, margin=margin + 3 * failed),
                verdict=Verdict.MISMATCH if failed else Verdict.PASS,
                message="3 of 12 elements are outside their bounds" if failed else "",
            )
            line = encode(record)
        verdicts[record.verdict.value] += 1
        out.append(line.replace('"device":"npu"', f'"device":"{device}"', 1))
    started = f"2026-{1 + run // 28:02d}-{1 + run % 28:02d}T10:00:{run % devices:02d}Z"
    beginning = Beginning(len(out), version="0.1.0", target=f"adb:{device}", profile="standard",
                          oracle="golden", started=started)  # fmt: skip
    end = End(How.FINISHED, len(out), 1, verdicts)
    text = "\n".join([encode(beginning), *out, encode(end)]) + "\n"
    (folder / RESULTS).write_text(text)
    facts = {"device": device, "device_version": release, "feature_level": 1000007}
    (folder / SUMMARY).write_text(json.dumps({"device": facts, "devices": [device]}))
    (folder / HTML).write_text(page)


def processor() -> float:
    """Return the processor time of this process and of those that have ended, in seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def first_view(page: Path) -> float | None:
    """Return the milliseconds until a page is laid out, the best of three; `None` unseen."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return None
    probed = page.with_name(f"probed-{page.name}")
    probed.write_text(page.read_text().replace("<head>", f"<head>{PROBE}", 1))
    times = []
    try:
        for _ in range(3):
            with tempfile.TemporaryDirectory() as profile:
                done = subprocess.run(
                    [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                     f"--user-data-dir={profile}", "--window-size=1300,900", "--dump-dom",
                     f"file://{probed.resolve()}"],
                    capture_output=True, text=True, timeout=120, check=False,
                )  # fmt: skip
            told = re.search(r"<title>LOADED ([0-9.]+)", done.stdout)
            if told is None:
                raise SystemExit(f"{browser} did not load {page}: {done.stderr[-500:]}")
            times.append(float(told[1]))
    finally:
        probed.unlink()
    return min(times)


def main() -> None:
    """Write the reports, make the site, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--records", type=int, default=30_000)
    parser.add_argument("--devices", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("-o", "--output", type=Path, help="keep the site there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        base = records(options.records)
        lines = [encode(record) for record in base]
        page = html(base, {"outcome": "pass"})
        reports = [Path(place, f"report-{run:03d}") for run in range(options.runs + 1)]
        for run, folder in enumerate(reports):
            write(folder, base, lines, page, run, options.devices)
        del base, lines
        site = options.output or Path(place, "site")
        began, busy = time.perf_counter(), processor()
        made = make_site([str(path) for path in reports[:-1]], site, options.jobs)
        whole, work = time.perf_counter() - began, processor() - busy
        assert made.runs == options.runs and len(made.taken) == options.runs
        began = time.perf_counter()
        make_site([str(reports[-1])], site, options.jobs)
        more = time.perf_counter() - began
        what = f"{options.runs} runs of {options.records} records"
        print(f"site of {what}       {whole:.1f} s, {work:.1f} s of processor time")
        print(f"the same with one run more              {more:.1f} s")
        views = [("first page", site / "index.html")]
        views += [("a device", path) for path in sorted((site / "devices").glob("*.html"))[:1]]
        views += [
            ("what a run changed", path) for path in sorted(site.glob("runs/*/changes-*.html"))[:1]
        ]
        for name, path in views:
            took = first_view(path)
            told = "no Chromium here" if took is None else f"{took / 1e3:.2f} s"
            size = path.stat().st_size / 1e6
            print(f"first view, {name:<28}{told}, {size:.2f} MB")


if __name__ == "__main__":
    main()
