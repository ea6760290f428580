"""The command line itself: guesses at what was meant, JSON, completion, extras, options."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnapi_testkit.commands import line
from nnapi_testkit.errors import KitError
from nnapi_testkit.options import OPTIONS
from nnapi_testkit.session.plan import Selection, select

ROOT = Path(__file__).parents[2]


def _kit(*words: str, gone: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command where some packages are not installed."""
    script = (
        "import sys\n"
        f"for name in {gone!r}: sys.modules[name] = None\n"
        "from nnapi_testkit.cli import main\n"
        f"sys.exit(main({list(words)!r}))"
    )
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize(
    "words, said",
    [
        (["rnu"], "argument COMMAND: 'rnu' is unknown: did you mean run?"),
        (["run", "--opration", "ADD"], "there is no option --opration: did you mean --operation?"),
        (["run", "--tier=smok"], "'smok' is unknown: did you mean smoke?"),
        (["report", "x", "--formt", "html"], "there is no option --formt: did you mean --format?"),
        (["emulator", "lst"], "'lst' is unknown: did you mean list?"),
        (["golden", "zzz"], "'zzz' is unknown: there are check, update"),
        (["run", "--qqqqqqqq"], "there is no option --qqqqqqqq: see nnapi-testkit run --help"),
        (["devices", "--target", "host", "--qqq=3"], "there is no option --qqq"),
    ],
)
def test_what_is_misspelt_is_one_line_with_a_guess(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        line.execute(words)
    shown = capsys.readouterr().err
    assert left.value.code == 2
    assert said in shown and shown.count("\n") == 1


def test_a_keyword_that_no_case_has_is_an_error() -> None:
    from session_fakes import refs

    known = refs((), 12)
    assert select(known, Selection(keyword="add and not mul"))
    for wrong in ("plian", "add or plian", "not plian", "PLIAN"):
        with pytest.raises(KitError, match=r"'plian' in its id: did you mean plain\?"):
            select(known, Selection(keyword=wrong))
    assert select(known, Selection(operations=("ADD",), keyword="not plian"))
    with pytest.raises(KitError, match="'zzzzzz' in its id: list what there is"):
        select(known, Selection(keyword="zzzzzz"))


def test_listings_as_json() -> None:
    found = json.loads(_kit("ops", "ADD", "FLOOR", "--json").stdout)
    assert [row["operation"] for row in found] == ["ADD", "FLOOR"]
    assert all(row["cases"] == sum(row["cells"].values()) for row in found)
    cases = json.loads(_kit("ops", "FLOOR", "--cases", "--json").stdout)
    assert len(cases) == found[1]["cases"]
    assert set(cases[0]) == {"id", "operation", "cell", "level", "kind"}
    (device,) = json.loads(_kit("devices", "--json").stdout)
    assert device["name"] == "nnapi-reference" and device["type"] == "cpu"
    places = json.loads(_kit("where", "--json").stdout)
    assert all(Path(place).exists() for place in places.values()) and len(places) == 4
    assert list(json.loads(_kit("where", "golden", "--json").stdout)) == ["golden"]


@pytest.mark.parametrize(
    "typed, there, missing",
    [
        ("nnapi-testkit de", {"devices"}, {"run"}),
        ("nnapi-testkit run --ora", {"--oracle"}, {"--operation"}),
        ("nnapi-testkit run --oracle ", {"auto", "live", "golden"}, {"host"}),
        ("nnapi-testkit run -o CONV", {"CONV_2D"}, {"ADD"}),
        ("nnapi-testkit run SOFT", {"SOFTMAX"}, {"ADD"}),
        ("nnapi-testkit devices -t h", {"host"}, {"adb:"}),
        ("nnapi-testkit run -t docker:emu3", {"docker:emu34"}, {"host"}),
    ],
)
def test_a_shell_is_told_completions(
    typed: str, there: set[str], missing: set[str], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    script = "import sys; from nnapi_testkit.cli import main; sys.exit(main())"
    subprocess.run(
        [sys.executable, "-c", script], check=False, timeout=60, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "_ARGCOMPLETE": "1", "COMP_LINE": typed,
             "COMP_POINT": str(len(typed)), "_ARGCOMPLETE_IFS": "\n", "COMP_TYPE": "9",
             "_ARGCOMPLETE_STDOUT_FILENAME": str(told), "_ARGCOMPLETE_COMP_WORDBREAKS": " "},
    )  # fmt: skip
    found = {word.strip().rstrip("\\") for word in told.read_text().replace("\\:", ":").split("\n")}
    assert there <= found and not missing & found, found


@pytest.mark.parametrize(
    "gone, words, extra",
    [
        (("adbutils",), ["devices", "-t", "adb:emulator-5554"], "adb"),
        (("adbutils",), ["run", "-t", "adb:*", "ADD"], "adb"),
        (("docker",), ["run", "-t", "docker:emu34", "ADD"], "docker"),
        (("docker",), ["emulator", "list"], "docker"),
        (("requests",), ["emulator", "doctor"], "docker"),
    ],
)
def test_a_missing_extra_is_one_line_that_names_it(
    gone: tuple[str, ...], words: list[str], extra: str
) -> None:
    done = _kit(*words, gone=gone)
    assert done.returncode == 2
    assert f"pip install 'nnapi-testkit[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1 and gone[0] in done.stderr


def test_without_extras_the_bundled_driver_is_judged() -> None:
    gone = ("adbutils", "docker", "requests", "torch", "onnx", "flatbuffers")
    done = _kit("run", "FLOOR[float32-rank1]", "--oracle", "golden", gone=gone)
    assert done.returncode == 0, done.stdout + done.stderr


def test_run_and_pytest_have_one_table_of_options() -> None:
    pytest_options = {}

    class Group:
        def addoption(self, *flags: str, **more: object) -> None:
            pytest_options.update(dict.fromkeys(flags, more))

    class Parser:
        def getgroup(self, name: str, title: str) -> Group:
            return Group()

    from nnapi_testkit import plugin

    plugin.pytest_addoption(Parser())  # type: ignore[arg-type]
    commands = next(
        a for a in line.command_line()._actions if isinstance(a, argparse._SubParsersAction)
    )
    commands.choices["run"].load()
    ours = commands.choices["run"]._option_string_actions
    own = {"--nnapi-suite", "--nnapi-services"}  # what asks for the suite, and the tests' own
    assert set(pytest_options) - own <= set(ours)
    for option in OPTIONS:
        flag = f"--nnapi-{option.name}"
        there, here = ours[flag], pytest_options[flag]
        assert ours[f"--{option.name}"] is there
        assert (there.help, there.default) == (here["help"], here.get("default", there.default))
        assert there.choices == here.get("choices")
