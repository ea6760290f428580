"""Switches in C++ sources: which rules and mutants are found, and what is written."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("tree_sitter_cpp")

from nnapi_testkit import paths
from nnapi_testkit.power.explained import explanation
from nnapi_testkit.power.instrument import (
    Site,
    instrument,
    mutant_sites,
    of_a_switch,
    rule_sites,
)

SOURCE = b"""
namespace nnapi {
constexpr int kTwo = 2;
[[noreturn]] void refuse(const char* rule) { fail(4, rule); }
void validate(OpView& v) {
    v.rank(in(0), 1, 4);
    const Type type = v.type(in(0), {{TENSOR_FLOAT32, 1}});
    if (type == 3) v.refuse("no");
}
int32_t compute(Context& c, int a) {
    const int32_t axis = c.integer(1, 0, 3);
    c.require(a < 4, "four");
    if (a >= axis) a = a * 5;
    c.checkDeadline();
    return std::max(a, axis) + kTwo;
}
}
"""


def test_rules() -> None:
    found = rule_sites("driver/kernels/x.cpp", SOURCE)
    assert [(site.line, site.instead) for site in found] == [
        (6, "(void)0"),
        (7, "::nnapi::faults::anyType(v, in(0))"),
        (8, "(void)0"),
        (11, "c.scalar<int32_t>(1)"),
        (12, "(void)0"),
    ]
    text = instrument(SOURCE, enumerate(found, 1))
    assert '(::nnapi::faults::off(3) ? (void)0 : v.refuse("no"));' in text
    assert text.count("\n") == SOURCE.count(b"\n")


def test_mutants_are_of_code_that_computes() -> None:
    found = mutant_sites("driver/kernels/x.cpp", SOURCE)
    assert {site.line for site in found} == {13, 15}
    what = {site.name.split(":", 4)[4] for site in found}
    assert {">= to >", "not >=", "* to +", "5 to 6", "5 to 4", "std::max to std::min"} <= what
    assert {"condition negated", "statement dropped", "+ to -"} <= what


def test_mutants_of_one_place_are_chosen_at_run_time() -> None:
    found = mutant_sites("driver/kernels/x.cpp", SOURCE)
    text = instrument(SOURCE, enumerate(found, 1))
    number = 1 + next(i for i, site in enumerate(found) if site.name.endswith(">= to >"))
    assert f"::nnapi::faults::on({number}) ? (a > axis)" in text
    dropped = 1 + next(i for i, site in enumerate(found) if site.kind == "statement")
    assert f"if (!::nnapi::faults::on({dropped})) {{" in text


def test_the_number_of_a_planted_fault_is_no_mutant() -> None:
    source = b"int f(int x) { if (x == 0 && !::nnapi::faults::on(37)) return 0; return x; }"
    sites = mutant_sites("driver/kernels/f.cpp", source)
    numbers = [site for site in sites if of_a_switch(site, source)]
    assert numbers and all(site.text == "37" for site in numbers)
    assert any(not of_a_switch(site, source) for site in sites)


def test_explanations_name_code_that_stands_there() -> None:
    root = paths.checkout()
    assert root is not None
    rows = json.loads((root / "nnapi_testkit/data/equivalent.json").read_text())
    assert rows
    for row in rows:
        lines = (root / "emulator" / row["file"]).read_text().splitlines()
        place = [number for number, line in enumerate(lines, 1) if line.strip() == row["line"]]
        assert place, f"explained, but no longer there: {row}"
        mutant = f"mutant:{row['file']}:{place[0]}:1:{row['change']}"
        name = mutant if row["change"] else f"rule:{row['file']}:{place[0]}"
        site = Site(name, row["file"], place[0], 0, 0, row["code"], "", "rule")
        assert explanation(site) == row["why"]
        assert explanation(replace(site, text="something else")) == ""
