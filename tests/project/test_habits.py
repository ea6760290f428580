"""What strangers who join find: one version, a release recipe, files that tools read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nnapi_testkit

ROOT = Path(__file__).resolve().parents[2]


def declared() -> str:
    found = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert found
    return found[1]


def test_there_is_one_version() -> None:
    assert nnapi_testkit.__version__ == declared()


def test_the_package_is_typed_and_runs_as_a_module() -> None:
    assert (ROOT / "nnapi_testkit" / "py.typed").exists()
    told = subprocess.run(
        [sys.executable, "-m", "nnapi_testkit", "--version"], capture_output=True, text=True
    )
    assert told.stdout.split() == ["nnapi-testkit", declared()]


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M)
    assert phony
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    for name in set(phony[1].split()) - {"help"}:
        assert f"make {name} " in told


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the release recipe looks at, in a repository of its own."""
    (tmp_path / "ci").mkdir()
    shutil.copy(ROOT / "ci" / "release.sh", tmp_path / "ci" / "release.sh")
    (tmp_path / "pyproject.toml").write_text(
        "\n".join(
            (
                "[build-system]",
                'requires = ["setuptools"]',
                "[project]",
                'name = "nothing"',
                'version = "1.2.3"',
                "[tool.setuptools]",
                "py-modules = []",
            )
        )
    )
    (tmp_path / "CHANGELOG.md").write_text("## [1.2.3]\n")
    # Stands for `build`: it leaves what `python -m build` leaves, and says how it was called.
    fake = tmp_path / "python"
    fake.write_text(
        "#!/bin/sh\n"
        'mkdir -p dist; echo "$@" >called\n'
        ": >dist/nothing-1.2.3.tar.gz; : >dist/nothing-1.2.3-py3-none-any.whl\n"
    )
    fake.chmod(0o755)
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "all"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def release(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "ci/release.sh", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(folder / "python"), "HOME": str(folder)},
    )


def test_a_dry_run_builds_and_sums_and_tags_nothing(copy: Path) -> None:
    done = release(copy, "1.2.3", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "dry run: not tagged" in done.stdout
    assert (copy / "called").read_text().split()[:2] == ["-m", "build"]
    sums = (copy / "dist" / "SHA256SUMS").read_text()
    assert "nothing-1.2.3.tar.gz" in sums and "nothing-1.2.3-py3-none-any.whl" in sums
    tags = subprocess.run(["git", "tag"], cwd=copy, capture_output=True, text=True).stdout
    assert tags == ""


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "name the version"),
        (("1.2",), "name the version"),
        (("1.2.3", "--wet"), "unknown option"),
        (("1.2.4", "--dry-run"), "pyproject.toml says version 1.2.3"),
    ],
)
def test_a_release_that_is_not_ready_says_why(
    copy: Path, words: tuple[str, ...], complaint: str
) -> None:
    done = release(copy, *words)
    assert done.returncode == 2 and complaint in done.stderr
    assert not (copy / "dist").exists()


def test_a_release_needs_its_section_and_a_clean_tree(copy: Path) -> None:
    (copy / "CHANGELOG.md").write_text("## [Unreleased]\n")
    assert "no section [1.2.3]" in release(copy, "1.2.3", "--dry-run").stderr
    (copy / "CHANGELOG.md").write_text("## [1.2.3]\n- more\n")
    assert "the tree has changes" in release(copy, "1.2.3").stderr
