"""The page in a real browser: it fills, filters, and opens a failure's details."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from report_samples import mismatch, record, run

from nnapi_testkit.report.html import html

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync
--virtual-time-budget=4000 --window-size=1300,900 --dump-dom"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    if BROWSER is None:
        if os.environ.get("CI"):
            pytest.fail("the page is tested in Chromium: install the package chromium")
        pytest.skip("no Chromium here")
    many = [replace(record(), id=f"ADD[float32-many-{at}]") for at in range(12_000)]
    path = tmp_path / "index.html"
    path.write_text(html([*run(), *many], {"outcome": "fail", "target": "host"}))
    return path


def _document(page: Path, address: str = "") -> str:
    assert BROWSER is not None
    profile = f"--user-data-dir={page.parent / 'profile'}"
    done = subprocess.run(
        [BROWSER, *FLAGS.split(), profile, f"file://{page}{address}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _ids(document: str) -> list[str]:
    return re.findall(r'<span class="id" title="([^"]*)"', document)


def _heads(document: str) -> list[str]:
    table = document[document.index('<table id="matrix">') :].split("</thead>")[0]
    return re.findall(r"<th[^>]*>([^<]*)</th>", table)


def _honesty(document: str) -> list[str]:
    table = document[document.index('<table id="honesty-table">') :].split("</table>")[0]
    lines = re.findall(r"<tr>(.*?)</tr>", table.partition("</thead>")[2])
    cells = [re.split(r"</t[hd]>", line) for line in lines]
    plain = [[re.sub(r"<[^>]*>", "", cell) for cell in line] for line in cells]
    return [" ".join(filter(None, line)) for line in plain]


def test_the_page_lives(page: Path) -> None:
    everything = _document(page)
    assert re.search(r'id="count"[^>]*>12\D008 of 12\D008 cases<', everything)
    # Failures come first, and only what can be seen is in the document.
    assert _ids(everything)[:2] == ["MUL[quant8-b]", "RELU[float32-d]"]
    assert 10 < len(_ids(everything)) < 100
    assert re.search(
        r'class="v-fail[^"]*"><button [^>]*title="MUL quant8: 1 cases, 0 passed', everything
    )

    # Columns of the matrix: types of first tensors; of one operation, the feature levels.
    assert _heads(everything) == ["Operation", "Level", "float32", "float16", "quant8"]
    tanh = _document(page, f"#operation={quote('=TANH')}")
    assert _heads(tanh) == ["TANH", "All levels", "Level 1", "Level 3"]
    assert re.search(r'title="TANH float16: 2 cases, 1 passed', tanh)
    floats = _document(page, f"#cell={quote('^float32')}&verdict=INFRA,UNSUPPORTED")
    assert sorted(_ids(floats)) == ["MUL[float32-c]", "RELU[float32-e]"]

    filtered = _document(page, f"#verdict=UNSUPPORTED&operation={quote('=MUL')}")
    assert _ids(filtered) == ["MUL[float32-c]"]

    searched = _document(page, "#text=not+claimed")
    assert _ids(searched) == ["MUL[float32-c]"]

    # The honesty table: findings first, then what is claimed in part, then the rest.
    table = _honesty(everything)
    assert table[0] == "MULquant8 1 1 1 0 claimed but wrong: 1 of 1 cases"
    assert table[1] == "RELUfloat32 2 2 2 1 claimed but wrong: 1 of 2 cases"
    assert "MULfloat32 1 no" in table
    assert re.search(r'<details id="honesty" open="">', everything)
    assert _honesty(_document(page, "#honest=none")) == ["MULfloat32 1 no"]
    assert _honesty(_document(page, f"#operation={quote('=TANH')}")) == [
        "TANHfloat16 2 2 2 1 1 not charged"
    ]
    assert _honesty(_document(page, "#text=relu+wrong"))[0].startswith("RELUfloat32")

    case = mismatch()
    opened = _document(page, f"#open={quote(case.id)}")
    panel = opened[opened.index('<aside id="detail"') :].split("</aside>")[0]
    assert not panel.startswith('<aside id="detail" hidden')
    assert "minimum tolerance that would pass: 0.25 absolute" in panel
    assert f'<code id="repro">{case.repro}</code>' in panel
