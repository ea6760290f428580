from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.report.files import LineLog, write_whole


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, "one")
    write_whole(path, "two")
    assert path.read_text() == "two"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, "one")
    (tmp_path / "b.txt").mkdir()
    with pytest.raises(KitError, match=r"b\.txt cannot be written"):
        write_whole(tmp_path / "b.txt", "two")
    assert path.read_text() == "one"
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt"]
    with pytest.raises(KitError, match="create its folder first"):
        write_whole(tmp_path / "none" / "a.txt", "one")


def test_any_text_can_be_written(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.txt", "bad \udc80 \u00b7")
    assert (tmp_path / "a.txt").read_text("utf-8") == "bad \\udc80 \u00b7"


def test_lines_are_complete_and_in_order(tmp_path: Path) -> None:
    with LineLog(tmp_path / "log", gather=7) as log:
        for at in range(100):
            log.write(f"line {at}")
    assert (tmp_path / "log").read_text() == "".join(f"line {at}\n" for at in range(100))


def test_what_is_no_utf8_does_not_end_a_run(tmp_path: Path) -> None:
    with LineLog(tmp_path / "log") as log:
        log.write("bad \udc80 text")
    assert (tmp_path / "log").read_text() == "bad \\udc80 text\n"


def test_a_full_device_is_an_error_that_says_so() -> None:
    log = LineLog(Path("/dev/full"))
    log.write("x")
    with pytest.raises(KitError, match=r"No space left on device.*make room on the disk"):
        log.flush()


def test_a_line_that_is_written_in_part_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "log"
    script = f"""
import resource, signal
from pathlib import Path
from nnapi_testkit.errors import KitError
from nnapi_testkit.report.files import LineLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
log = LineLog(Path({str(path)!r}), gather=1)
try:
    for at in range(100):
        log.write("0123456789" * 4)
except KitError as error:
    print(error)
log.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert "cannot be written" in done.stdout, done.stderr
    assert path.read_text() == ("0123456789" * 4 + "\n") * (1000 // 41)
