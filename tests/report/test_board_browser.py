"""The matrix of runs in a real browser: rows filter, operations unfold, cells lead into runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import browser
import pytest
from report_samples import record
from test_diff import write

from nnapi_testkit.cli import main
from nnapi_testkit.judge.verdict import Verdict

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync --hide-scrollbars
--virtual-time-budget=4000"""
OLD = [record(f"{op}[{cell}-{at}]", bits="1") for op in ("ADD", "MUL", "TANH")
       for cell in ("float32", "quant8") for at in range(4)]  # fmt: skip
NEW = [replace(one, verdict=Verdict.MISMATCH) if one.id.startswith("MUL[quant8-") else one
       for one in OLD]  # fmt: skip


@pytest.fixture
def page(tmp_path: Path) -> Path:
    if BROWSER is None:
        if os.environ.get("CI"):
            pytest.fail("pages are tested in Chromium: install the package chromium")
        pytest.skip("no Chromium here")
    old, new = write(tmp_path / "old", OLD), write(tmp_path / "new", NEW)
    path = tmp_path / "page.html"
    assert main(["diff", str(old), str(new), "--format", "html", "-o", str(path)]) == 1
    return path


def _chromium(page: Path, *words: str, address: str = "") -> str:
    assert BROWSER is not None
    profile = f"--user-data-dir={page.parent / 'profile'}"
    done = subprocess.run(
        [BROWSER, *FLAGS.split(), profile, *words, f"file://{page}{address}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _after(page: Path, script: str) -> str:
    """The document after a script has used it."""
    acted = page.with_name("acted.html")
    acted.write_text(page.read_text().replace("</body>", f"<script>{script}</script></body>"))
    return _chromium(acted, "--dump-dom")


def _rows(document: str) -> dict[str, bool]:
    """Operations of the matrix in their order, and whether they are shown."""
    found = re.findall(r'<tr data-name="(\w+)" data-state="[^"]*" id="\w+"( hidden="")?>', document)
    return {name: not hidden for name, hidden in found}


def test_the_matrix_lives(page: Path) -> None:
    document = _chromium(page, "--dump-dom")
    # What got worse comes first.
    assert _rows(document) == {"MUL": True, "ADD": True, "TANH": True}
    assert next(iter(_rows(document))) == "MUL" and "3 of 3 operations" in document

    failing = _after(page, 'document.querySelector(".only[value=fail]").click()')
    assert _rows(failing) == {"MUL": True, "ADD": False, "TANH": False}
    assert "1 of 3 operations" in failing
    found = _after(
        page,
        'const f = document.querySelector(".find"); f.value = "tan";'
        ' f.dispatchEvent(new Event("input", { bubbles: true }))',
    )
    assert [name for name, shown in _rows(found).items() if shown] == ["TANH"]


def test_an_operation_unfolds_into_its_types(page: Path) -> None:
    click = 'document.querySelector("tr[data-name=MUL] button.more").click()'
    for document in (_after(page, click), _chromium(page, "--dump-dom", address="#MUL")):
        types = re.findall(r'<tr class="type"><th scope="row">([^<]+)</th>(.*?)</tr>', document)
        assert [name for name, _ in types] == ["float32", "quant8"]
        cells = re.findall(r'<td class="(v-\w+)"[^>]*><a href="([^"]+)">(\d/\d)</a>', types[1][1])
        assert cells == [
            ("v-pass", "old/index.html#operation=%3DMUL&amp;cell=%3Dquant8", "4/4"),
            ("v-fail", "new/index.html#operation=%3DMUL&amp;cell=%3Dquant8", "0/4"),
        ]
        assert 'aria-expanded="true"' in document
    twice = _after(page, f"{click}; {click}")
    assert 'class="type"' not in twice


def test_a_cell_of_the_matrix_opens_its_run_filtered(page: Path) -> None:
    address = re.search(r'href="(new/index.html#operation=[^"]+)"', page.read_text())
    assert address is not None
    path, _, fragment = address[1].partition("#")
    run = _chromium(page.parent / path, "--dump-dom", "--window-size=1300,900",
                    address=f"#{fragment}")  # fmt: skip
    ids = re.findall(r'class="id"[^>]* title="([^"]*)"', run)
    assert ids and all(name.startswith("MUL[") for name in ids)


def test_a_case_opens_in_its_run(page: Path) -> None:
    address = re.search(r'href="(new/index.html#open=[^"]+)"', page.read_text())
    assert address is not None
    path, _, fragment = address[1].partition("#")
    run = _chromium(page.parent / path, "--dump-dom", address=f"#{fragment}")
    opened = re.search(r'id="detail-id"[^>]*>([^<]*)<', run)
    assert opened is not None and opened[1].startswith("MUL[quant8-")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind: with failures, drifts, conditions that differ, an unfinished run."""
    place = tmp_path_factory.mktemp("pages")
    drifted = [replace(one, bits="2") if one.cell == "float32" else one for one in NEW]
    answers = [record("Q[float32-q]", Verdict.OBSERVED, topic="order", reading=word)
               for word in ("field", "text")]  # fmt: skip
    reports = [
        write(place / "0", [*OLD, answers[0]], started="2026-01-01T00:00:00Z"),
        write(place / "1", [*drifted, answers[1]], started="2026-01-02T00:00:00Z", version="2"),
        write(place / "2", OLD, started="2026-01-03T00:00:00Z"),
        write(place / "3", OLD[:5], started="2026-01-04T00:00:00Z", end=False),
    ]
    words = [str(path) for path in reports]
    diff = place / "diff.html"
    assert main(["diff", *words, "--format", "html", "-o", str(diff)]) == 2
    assert main(["site", *words, "-o", str(place / "site")]) == 0
    changes = next(path for path in sorted(place.glob("site/runs/*/changes-*.html"))
                   if "newly failing" in path.read_text())  # fmt: skip
    device = next(place.glob("site/devices/*.html"))
    return {"diff": diff, "site": place / "site" / "index.html", "device": device,
            "changes": changes}  # fmt: skip


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    if browser.PATH is None:
        if os.environ.get("CI"):
            pytest.fail("pages are tested in Chromium: install the package chromium")
        pytest.skip("no Chromium here")
    made = browser.Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


KINDS = ("diff", "site", "device", "changes")
AXE = "axe.run({resultTypes: ['violations']}).then((found) => JSON.stringify(found))"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 360])
def test_everyone_can_read_it(
    chromium: browser.Browser, pages: dict[str, Path], kind: str, scheme: str, width: int,
    tmp_path: Path,
) -> None:  # fmt: skip
    import axe_core_python

    chromium.size(width, 900)
    chromium.medium(prefers_color_scheme=scheme)
    chromium.open(pages[kind])
    chromium.run(
        "for (const part of document.querySelectorAll('details')) part.open = true;"
        "document.querySelector('button.more').click()"
    )
    assert chromium.run("document.documentElement.scrollWidth") <= width
    assert chromium.run("document.documentElement.dataset.theme") == scheme
    chromium.run((Path(axe_core_python.__file__).parent / "axe.min.js").read_text() + ";0")
    found = json.loads(chromium.run(AXE))
    assert len(found["passes"]) > 15, "axe-core did look"
    chromium.screenshot(tmp_path / f"{kind}-{scheme}-{width}.png", whole=True)
    assert not [
        f"{rule['id']} ({rule['impact']}): {node['html'][:160]} {node['failureSummary'][:200]}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical") or rule["id"] == "heading-order"
        for node in rule["nodes"][:3]
    ]


def test_rows_unfold_by_keyboard(chromium: browser.Browser, pages: dict[str, Path]) -> None:
    chromium.size(1300, 900)
    chromium.open(pages["device"])
    chromium.run("document.querySelector('tr[data-name=MUL] button.more').focus()")
    types = "document.querySelectorAll('tr.type').length"
    for expected in (2, 0):
        chromium.key("Enter")
        assert chromium.run(types) == expected
