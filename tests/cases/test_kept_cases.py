"""Built cases that are kept: the same cases, of the same sources, whatever becomes of the files."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nnapi_testkit.answers import open_goldens
from nnapi_testkit.cases import kept, kept_cases, kept_files
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.kept_cases import PIECE, KeptCases
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.case import Case
from nnapi_testkit.model.wire_encode import encode_batch
from nnapi_testkit.paths import golden_dir

NAMES = ("ADD", "IF", "QUANTIZED_LSTM", "CONV_2D")
IDS = [ref.id for ref in case_index(["ADD"])]


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, sources at rest, and a suite of few operations."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kept, "process_start", lambda: time.time() + 10)
    monkeypatch.setattr(kept, "case_index", lambda names=NAMES: case_index(names))
    return tmp_path / "nnapi-testkit" / kept_cases.FOLDER


@pytest.fixture
def build() -> Callable[[str], Case]:
    """Builds ADD's cases, and counts in its attribute `built`."""
    refs = {ref.id: ref for ref in case_index(["ADD"])}
    built: list[str] = []

    def make(case_id: str) -> Case:
        built.append(case_id)
        return refs[case_id].make()

    make.built = built  # type: ignore[attr-defined]
    return make


def built_by(build: Callable[[str], Case]) -> list[str]:
    return build.built  # type: ignore[attr-defined,no-any-return]


def words(cases: list[Case]) -> bytes:
    """What the runner is sent: of all that a case says, down to its last bit."""
    return bytes(encode_batch(cases))


def test_a_second_run_builds_nothing_and_gets_the_same(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [ref.make() for ref in kept.kept_index()]
    assert {path.name for path in next(cache.iterdir()).iterdir()} == set(NAMES)

    def never(names: object = None) -> list[CaseRef]:
        raise AssertionError(f"{names} is built again")

    monkeypatch.setattr(kept, "case_index", never)
    again = [ref.make() for ref in kept.kept_index()]
    assert [repr(case) for case in again] == [repr(case) for case in first]
    assert words(again) == words(first)


def test_goldens_know_the_kept_cases(cache: Path) -> None:
    """They are bound to the data of a case: one that was not kept whole would be stale."""
    for _ in range(2):
        refs = [ref for ref in kept.kept_index() if ref.operation == "ADD" and ref.has_golden]
        goldens = open_goldens(golden_dir())
        assert all(goldens.get(ref, ref.make()) for ref in refs)


def test_what_is_asked_for_in_a_row_is_kept(tmp_path: Path, build: Callable[[str], Case]) -> None:
    """Not what few cases of a selection would need: for these, others would be built."""
    folder = tmp_path / "state" / "ADD"
    cases = KeptCases(folder, IDS, build)
    for case_id in IDS[::PIECE]:
        assert cases.get(case_id).id == case_id
    assert not folder.exists() and built_by(build) == IDS[::PIECE]
    for case_id in IDS[PIECE : 2 * PIECE]:
        assert cases.get(case_id).id == case_id
    assert [path.name for path in folder.iterdir()] == ["1.pickle"]
    count = len(built_by(build))
    assert KeptCases(folder, IDS, build).get(IDS[PIECE + 5]).id == IDS[PIECE + 5]
    assert len(built_by(build)) == count


def test_the_end_of_an_operation_is_a_piece_too(
    tmp_path: Path, build: Callable[[str], Case]
) -> None:
    ids = IDS[: PIECE + 3]
    cases = KeptCases(tmp_path / "state" / "ADD", ids, build)
    assert [cases.get(case_id).id for case_id in ids] == ids
    assert len(list((tmp_path / "state" / "ADD").iterdir())) == 2


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "open", "other", "code", "folder"])
def test_damage_costs_time_only(tmp_path: Path, build: Callable[[str], Case], harm: str) -> None:
    folder = tmp_path / "state" / "ADD"
    ids = IDS[:PIECE]
    cases = KeptCases(folder, ids, build)
    first = [cases.get(case_id) for case_id in ids]
    (place,) = folder.iterdir()
    data = place.read_bytes()
    if harm == "cut":
        place.write_bytes(data[: len(data) // 2])
    elif harm == "flipped":
        at = len(data) // 2
        place.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    elif harm == "empty":
        place.write_bytes(b"")
    elif harm == "open":  # anyone could have written it
        place.chmod(0o666)
    elif harm == "other":  # whole, but of other cases
        kept_files.write(place, pickle.dumps({"other": first[0]}))
    elif harm == "code":
        kept_files.write(place, pickle.dumps(_Harmful(tmp_path / "harmed")))
    elif harm == "folder":
        place.unlink()
        place.mkdir()
    count = len(built_by(build))
    again = KeptCases(folder, ids, build)
    assert words([again.get(case_id) for case_id in ids]) == words(first)
    assert len(built_by(build)) == count + len(ids), "what is damaged was used"
    assert not (tmp_path / "harmed").exists(), "a file of the cache has run code"
    if harm != "folder":
        sound = KeptCases(folder, ids, build)
        assert words([sound.get(case_id) for case_id in ids]) == words(first)
        assert len(built_by(build)) == count + len(ids), "the damage was not mended"
    assert [path.name for path in folder.iterdir()] == [place.name], "something was left behind"


class _Harmful:
    def __init__(self, place: Path) -> None:
        self._place = place

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self._place),)


def test_where_nothing_can_be_kept_cases_are_built(
    tmp_path: Path, build: Callable[[str], Case]
) -> None:
    (tmp_path / "state").write_text("")
    cases = KeptCases(tmp_path / "state" / "ADD", IDS, build)
    assert [cases.get(case_id).id for case_id in IDS[: 3 * PIECE]] == IDS[: 3 * PIECE]


def test_a_case_that_cannot_be_built_fails_alone(tmp_path: Path) -> None:
    """The others of its piece are not built in its name, and nothing of it is kept."""
    refs = {ref.id: ref for ref in case_index(["ADD"])}

    def build(case_id: str) -> Case:
        if case_id == IDS[40]:
            raise ValueError("an op file at fault")
        return refs[case_id].make()

    cases = KeptCases(tmp_path / "state" / "ADD", IDS, build)
    for case_id in IDS[:PIECE]:
        if case_id == IDS[40]:
            with pytest.raises(ValueError, match="an op file at fault"):
                cases.get(case_id)
        else:
            assert cases.get(case_id).id == case_id
    assert not (tmp_path / "state").exists()


def test_old_states_are_forgotten(tmp_path: Path, build: Callable[[str], Case]) -> None:
    for state in ("a", "b", "c", "d"):
        cases = KeptCases(tmp_path / state / "ADD", IDS[:PIECE], build)
        for case_id in IDS[:PIECE]:
            cases.get(case_id)
        os.utime(tmp_path / state, (ord(state), ord(state)))
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["c", "d"] and len(left) == kept_cases.MOST_KEPT
