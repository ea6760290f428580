"""How many kinds of hostile drivers, streams, devices, files and environments the tests hold."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
# Tables of kinds: one entry is one kind, each with its verdict.
TABLES = {
    "drivers": [("runner/test_hostile_drivers.py", "KINDS"), ("runner/test_faults.py", "FAULTS")],
    "streams": [("runner/test_hostile_streams.py", "KINDS")],
    "files": [
        ("report/test_damaged.py", "DAMAGED"),
        ("report/test_damaged.py", "SUMMARIES"),
        ("report/test_damaged.py", "NASTY"),
    ],
    "environments": [("session/test_environments.py", "KINDS")],
}
LEAST = {"drivers": 60, "streams": 30, "files": 10, "environments": 30}


def size(file: str, table: str) -> int:
    """Return the entries of a dictionary in a test file, without importing it."""
    for node in ast.walk(ast.parse((TESTS / file).read_text("utf-8"))):
        targets = node.targets if isinstance(node, ast.Assign) else ()
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(name, ast.Name) and name.id == table for name in targets):
            assert isinstance(node.value, ast.Dict), f"{table} in {file} is no table"  # type: ignore[attr-defined]
            return len(node.value.keys)  # type: ignore[attr-defined]
    raise AssertionError(f"no {table} in {file}")


def devices() -> int:
    """Return how many ways to fail a loopback device has."""
    from dataclasses import fields

    from nnapi_testkit.loopback.faults import Faults

    return len(fields(Faults)) - 1  # `times` says how often


def test_a_hundred_kinds() -> None:
    counts = {what: sum(size(*table) for table in tables) for what, tables in TABLES.items()}
    counts["devices"] = devices()
    print(", ".join(f"{count} {what}" for what, count in counts.items()), "=", sum(counts.values()))
    for what, least in LEAST.items():
        assert counts[what] >= least, (what, counts)
    assert sum(counts.values()) >= 100
