"""Pages that list what the code defines list all of it, as the code has it."""

import argparse
import importlib.util
import re
from pathlib import Path

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.catalog import catalog
from nnapi_testkit.commands.line import command_line
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.op import bounds
from nnapi_testkit.op.readings import Contest
from nnapi_testkit.session.platforms import entries

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `([A-Z_]+)` \|.*\| (\w+) \|$", re.M)


def test_every_verdict_is_explained() -> None:
    rows = dict(ROW.findall((ROOT / "docs" / "verdicts.md").read_text()))
    assert set(rows) == {verdict.name for verdict in Verdict}
    for name, counts in rows.items():
        assert (counts == "failure") == Verdict[name].is_failure, name
        assert (counts == "error") == Verdict[name].is_error, name


def test_every_contested_question_and_known_fault_is_explained() -> None:
    """With the operations, both answers and the one that the bundled driver gives."""
    text = page("field.md")
    questions: dict[str, tuple[Contest, list[str]]] = {}
    for ref in case_index():
        if ref.contest is not None:
            names = questions.setdefault(ref.contest.topic, (ref.contest, []))[1]
            if ref.operation not in names:
                names.append(ref.operation)
    assert len(questions) > 15
    for topic, (contest, names) in questions.items():
        told = ", ".join(names)
        if len(names) > 6:
            told = f"{len(names)} operations, among them {names[0]}"
        answer = contest.readings[-1].name
        assert f"\n| `{topic}` | {told} | {contest.text} | {answer} |\n" in text, topic
    asked = text[text.index("| question |") : text.index("Outcomes of an older kit")]
    assert set(re.findall(r"^\| `([^`]+)`", asked, re.M)) == set(questions)
    for entry in entries():
        assert f"`{entry.name}`" in text, entry.name


def test_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert text.startswith("# Changelog\n") and "## [Unreleased]" in text
    kinds = set(re.findall(r"^### (\w+)$", text, re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def test_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    for path in sorted((ROOT / "docs").iterdir()):
        assert f"(docs/{path.name})" in readme, path.name


def test_every_room_is_in_the_architecture() -> None:
    spec = importlib.util.spec_from_file_location("import_order", ROOT / "tools/import_order.py")
    assert spec is not None and spec.loader is not None
    order = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(order)
    text = page("architecture.md")
    named = [re.findall(r"`([^`]+)`", row)[0] for row in re.findall(r"^\| (`.*)$", text, re.M)]
    rooms = [name.removeprefix("nnapi_testkit/") for name in named if "nnapi_testkit/" in name]
    # In the table's order too: each imports only the rooms above it.
    assert [room for room in rooms if room in order.ROOMS] == list(order.ROOMS)
    assert set(rooms) <= {*order.ROOMS, "errors.py", "data", "plugin.py"}


def test_every_path_of_the_architecture_exists() -> None:
    for path in re.findall(
        r"`((?:nnapi_testkit|emulator|ci|tests|golden)/[\w/.]+)`", page("architecture.md")
    ):
        assert (ROOT / path).exists() or path == "golden/NAME.golden", path


def test_every_rule_of_the_architecture_exists() -> None:
    table = page("architecture.md").split("| rule | for |")[1].split("\n\n")[0]
    rules = [name for row in re.findall(r"^\| (.*?) \|", table, re.M) for name in
             re.findall(r"`(\w+)", row)]  # fmt: skip
    assert len(rules) >= 8
    for name in rules:
        assert callable(getattr(bounds, name)), name


def test_every_command_and_option_of_run_is_explained() -> None:
    text = page("cli.md")
    (action,) = (a for a in command_line()._actions if isinstance(a, argparse._SubParsersAction))
    commands = action.choices
    commands["run"].load()
    for name in commands:
        assert re.search(rf"`(?:nnapi-testkit )?{name}\b", text), name
    for action in commands["run"]._actions:
        if action.option_strings and action.help not in (None, argparse.SUPPRESS):
            names = [
                name for name in action.option_strings if f"`{name}" in text or f", `{name}" in text
            ]
            assert names or action.dest == "help", action.option_strings


def test_the_changelog_counts_the_operations() -> None:
    """All 106 of the reference are declared, and the page of operations has them."""
    (count,) = re.findall(r"\*\*(\d+) operations\*\*", (ROOT / "CHANGELOG.md").read_text())
    names = set(re.findall(r"^\| ([A-Z0-9_]+) \|", page("operations.md"), re.M))
    assert sorted(names) == sorted(catalog())
    assert len(names) == int(count)
