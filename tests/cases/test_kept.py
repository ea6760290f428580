"""The index that is kept: the same as a new one, and never of other sources."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnapi_testkit import paths
from nnapi_testkit.cases import kept, kept_files
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError

NAMES = ("ADD", "SVDF", "IF", "RANDOM_MULTINOMIAL", "QUANTIZED_LSTM", "CONV_2D")
FIELDS = [name for name in CaseRef.__dataclass_fields__ if name != "make"]


def fields(ref: CaseRef) -> list[object]:
    return [getattr(ref, name) for name in FIELDS]


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and sources that have been at rest since before this process began."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kept, "process_start", lambda: time.time() + 10)
    return tmp_path / "nnapi-testkit" / kept.FOLDER


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A suite of few operations; counts how often its index is built whole."""
    built: list[int] = []

    def index(names: object = None) -> list[CaseRef]:
        if names is None:
            built.append(1)
            return case_index(NAMES)
        return case_index(names)  # type: ignore[arg-type]

    monkeypatch.setattr(kept, "case_index", index)
    return built


def test_what_is_kept_is_what_is_built(cache: Path) -> None:
    """Every field of every case of the whole suite, in the same order."""
    new, old = kept.kept_index(), kept.kept_index()
    assert list(map(fields, new)) == list(map(fields, old))
    assert len(list(cache.iterdir())) == 1, "nothing was kept"
    # The same objects, not only equal ones: their readings are functions.
    assert all(a.contest is b.contest for a, b in zip(new, old, strict=True))
    assert any(ref.contest for ref in old)


def test_kept_cases_are_the_same_cases(cache: Path, few: list[int]) -> None:
    new, old = kept.kept_index(), kept.kept_index()
    assert len(few) == 1, "the second one was built too"
    for a, b in list(zip(new, old, strict=True))[::37]:
        assert repr(a.make()) == repr(b.make()), a.id


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "folder", "link", "nonsense", "none"])
def test_damage_costs_time_only(cache: Path, few: list[int], harm: str, tmp_path: Path) -> None:
    whole = list(map(fields, kept.kept_index()))
    (place,) = cache.iterdir()
    data = place.read_bytes()
    place.unlink()
    if harm == "cut":
        place.write_bytes(data[: len(data) // 2])
    elif harm == "flipped":
        at = len(data) // 2
        place.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    elif harm == "empty":
        place.write_bytes(b"")
    elif harm == "folder":
        place.mkdir()
    elif harm == "link":
        (tmp_path / "elsewhere").write_bytes(data)
        place.symlink_to(tmp_path / "elsewhere")
    elif harm == "nonsense":  # with a checksum that is right
        kept_files.write(place, b'[["ADD", ["x"], [[1]], [5], [7], [9]]]')
    assert list(map(fields, kept.kept_index())) == whole
    assert len(few) == 2
    assert list(map(fields, kept.kept_index())) == whole
    assert len(few) == (3 if harm == "folder" else 2), "the damage was not mended"
    assert [path.name for path in cache.iterdir()] == [place.name], "something was left behind"


def test_without_a_place_nothing_is_kept(
    cache: Path, few: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert list(map(fields, kept.kept_index())) == list(map(fields, kept.kept_index()))
    monkeypatch.setattr(paths, "user_cache", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert kept.place_of_index() is None
    kept.kept_index()
    assert len(few) == 3 and not cache.exists()


def test_the_place_follows_from_contents_alone(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not from times: a file that was put back is the old one, and one letter is another place."""
    op = tmp_path / "op_tests" / "relu.py"
    op.parent.mkdir()
    op.write_text("OP = 1\n")
    monkeypatch.setattr(paths, "op_tests_dir", lambda: op.parent)
    first = kept.place_of_index()
    op.write_text("OP = 2\n")
    os.utime(op, (1, 1))
    second = kept.place_of_index()
    op.write_text("OP = 1\n")
    assert first and second and first != second and kept.place_of_index() == first
    op.rename(op.with_name("relu6.py"))
    assert kept.place_of_index() not in (first, second)


def test_sources_that_changed_under_a_process_are_not_its_index(
    cache: Path, few: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.kept_index()
    newest = max(path.stat().st_ctime for path in kept.sources())
    monkeypatch.setattr(kept, "process_start", lambda: newest)
    assert kept.place_of_index() is None
    kept.kept_index()
    assert len(few) == 2


def test_an_operation_that_differs_from_what_was_kept_is_an_error(
    cache: Path, few: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.kept_index()
    ref = kept.kept_index()[0]
    monkeypatch.setattr(kept, "case_index", lambda names: case_index(names)[1:])
    with pytest.raises(KitError, match="has changed during the run"):
        ref.make()
    assert not list(cache.iterdir()), "the next run would fail too"


def test_old_states_are_forgotten(cache: Path, few: list[int]) -> None:
    kept.kept_index()
    (place,) = cache.iterdir()
    for number in range(kept.MOST_KEPT + 3):
        old = cache / f"{number:032}.json"
        old.write_text("")
        os.utime(old, (number, number))
    place.unlink()
    kept.kept_index()
    left = sorted(path.name for path in cache.iterdir())
    assert len(left) == kept.MOST_KEPT and place.name in left
    assert f"{0:032}.json" not in left and f"{kept.MOST_KEPT + 2:032}.json" in left


def test_nothing_else_decides_on_the_index() -> None:
    """Whatever code of the kit a process has loaded for the index is among what is hashed."""
    script = (
        "import sys; from nnapi_testkit.cases.index import case_index; case_index(['ADD', 'IF'])\n"
        "for name, module in list(sys.modules.items()):\n"
        "    if name.startswith('nnapi_testkit') and getattr(module, '__file__', None):\n"
        "        print(module.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = {Path(line).resolve() for line in done.stdout.split("\n") if line}
    assert len(loaded) > 100
    assert loaded <= {path.resolve() for path in kept.sources()}
