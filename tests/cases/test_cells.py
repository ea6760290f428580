"""Every documented cell is declared, at its level, with enough cases.

`support.json` lists the cells of the public API reference: facts written down independently of
the op files, as a second opinion.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.catalog import catalog
from nnapi_testkit.op.declare import Cell, Op
from nnapi_testkit.spec.codes import OPERATION_SINCE, OperandCode, OperationCode

SUPPORT = json.loads(Path(__file__).with_name("support.json").read_text())["operations"]
FEWEST_CASES, FEWEST_REGIMES = 8, 2
# Rows of support.json that the reference contradicts: (operation, row), with the reason.
WRONG_ROWS: dict[tuple[str, str], str] = {}
# Operations of which a declared operand other than the first tensor chooses the cell.
CHOOSING = {"filter": ("filter", "weights"), "output": ("out",), "deltas": ("deltas",)}


def documented(row: dict[str, object]) -> str:
    """A row of support.json as one word: `FLOAT32`, `QUANT8_ASYMM filter=...`."""
    words = [str(row.get("input") or row["output"])]
    words += [f"{k}={row[k]}" for k in CHOOSING if k in row and "input" in row]
    return " ".join(words).replace("TENSOR_", "")


def declared(op: Op, cell: Cell, rows: set[str]) -> str:
    """The same word for a declared cell, which may name types that follow from the first."""
    found = cell.main.name
    for kind, names in CHOOSING.items():
        for name in names:
            other = cell.types.get(name)
            if other is None:
                continue
            word = f"{found} {kind}={other.name}".replace("TENSOR_", "")
            if word in rows:
                return word
    return found.replace("TENSOR_", "")


@pytest.mark.parametrize("name", sorted(SUPPORT))
def test_cells_are_those_of_the_reference(name: str) -> None:
    entry = SUPPORT[name]
    assert int(OperationCode[name]) == entry["code"]
    assert OPERATION_SINCE[name] == entry["since"]
    op = catalog()[name]
    expected = {documented(row): row["since"] for row in entry["cells"]}
    for row in [row for operation, row in WRONG_ROWS if operation == name]:
        assert expected.pop(row, None) is not None, f"{name} {row} is not in support.json"
    found = {declared(op, cell, set(expected)): max(cell.since, op.since) for cell in op.cells}
    assert found == expected


def test_every_operation_is_declared() -> None:
    assert sorted(catalog()) == sorted(SUPPORT)
    assert len(SUPPORT) == 106


@pytest.mark.parametrize("name", sorted(SUPPORT))
def test_cells_have_cases_and_data_regimes(name: str) -> None:
    counts: Counter[str] = Counter()
    regimes: dict[str, set[str]] = defaultdict(set)
    for ref in case_index([name]):
        if not ref.computes:
            continue
        counts[ref.cell] += 1
        if ref.kind == "special":
            regimes[ref.cell].add("special")
        else:
            regimes[ref.cell] |= {f"set {n}" for n in range(len(ref.make().sets))}
    for cell in catalog()[name].cells:
        assert counts[cell.name] >= FEWEST_CASES, f"{name} {cell.name}: {counts[cell.name]} cases"
        assert len(regimes[cell.name]) >= FEWEST_REGIMES, f"{name} {cell.name}: {regimes}"


def test_types_are_those_of_the_table() -> None:
    names = {code.name for code in OperandCode}
    for entry in SUPPORT.values():
        for row in entry["cells"]:
            assert {v for v in row.values() if isinstance(v, str)} <= names
