"""Switches in C++ sources: which rules and mutants are found, and what is written."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("tree_sitter_cpp")

from nnapi_testkit import paths
from nnapi_testkit.power.explained import explanation
from nnapi_testkit.power.instrument import (
    Site,
    instrument,
    mutant_sites,
    rule_sites,
    sample,
)
from nnapi_testkit.power.places import is_planted

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


def test_rules_of_a_function_that_returns_a_reference() -> None:
    source = b'Operand& Model::at(int i) { if (i < 0) fail(4, "no"); return all[i + 1]; }'
    assert [site.text for site in rule_sites("driver/model.cpp", source)] == ['fail(4, "no")']
    assert not mutant_sites("driver/kernels/x.cpp", source)


def test_a_lambda_that_refuses_is_no_rule_but_its_calls_are() -> None:
    source = b"""
void agree(int a, int b) {
    const auto refuse = [&](const char* what) { fail(4, "%s", what); };
    if (a != b) refuse("type");
}
"""
    found = rule_sites("driver/control_flow.cpp", source)
    assert [(site.line, site.text) for site in found] == [(4, 'refuse("type")')]


def test_mutants_are_of_code_that_computes() -> None:
    found = mutant_sites("driver/kernels/x.cpp", SOURCE)
    assert {site.line for site in found} == {13, 15}
    what = {site.change for site in found}
    assert {">= to >", "not >=", "* to +", "5 to 6", "5 to 4", "std::max to std::min"} <= what
    assert {"condition negated", "statement dropped", "+ to -"} <= what


def test_mutants_of_one_place_are_chosen_at_run_time() -> None:
    found = mutant_sites("driver/kernels/x.cpp", SOURCE)
    text = instrument(SOURCE, enumerate(found, 1))
    number = 1 + next(i for i, site in enumerate(found) if site.change == ">= to >")
    assert f"::nnapi::faults::on({number}) ? (a > axis)" in text
    dropped = 1 + next(i for i, site in enumerate(found) if site.kind == "statement")
    assert f"if (!::nnapi::faults::on({dropped})) {{" in text


def test_what_a_planted_fault_brings_is_no_mutant() -> None:
    plain = b"int f(int x) {\n  if (x ==\n    0) return 0;\n  g(x + 1); return x; }"
    source = plain.replace(b"    0)", b"    0 && !::nnapi::faults::on(37))")
    source = source.replace(b"x + 1)", b"::nnapi::faults::on(39) ? x + 1 : x + 1)")
    source = source.replace(b"  g(", b"  if (::nnapi::faults::on(38) && x > 9) trap(); g(")
    sites = mutant_sites("driver/kernels/f.cpp", source)
    planted = [site.text for site in sites if is_planted(site, source, plain)]
    assert {"37", "38", "9", "x > 9", "trap();"} <= set(planted)
    assert planted.count("x + 1") == 1, "what is planted may repeat what is not"
    left = {site.text for site in sites if not is_planted(site, source, plain)}
    assert left == {"x == 0", "0", "x + 1", "1"}
    assert not any(is_planted(s, plain, plain) for s in mutant_sites("driver/kernels/f.cpp", plain))


def test_a_change_elsewhere_leaves_the_draw_as_it_is() -> None:
    def draw(source: bytes, seed: int = 7) -> list[tuple[str, str]]:
        sites = mutant_sites("driver/kernels/x.cpp", source)
        drawn = sample(sites, {"driver/kernels/x.cpp": source}, seed)
        return [(site.text, site.change) for site in drawn]

    grown = SOURCE.replace(b"    c.checkDeadline();", b"    a -= 9;\n    c.checkDeadline();")
    both, before = draw(grown), draw(SOURCE)
    assert len(both) > len(before) > 8
    assert [one for one in both if one in before] == before
    assert before == draw(SOURCE) != draw(SOURCE, seed=8)
    assert before != [(s.text, s.change) for s in mutant_sites("x.cpp", SOURCE)]


def test_explanations_name_code_that_stands_there() -> None:
    root = paths.checkout()
    assert root is not None
    rows = json.loads((root / "nnapi_testkit/data/equivalent.json").read_text())
    assert rows
    for row in rows:
        lines = (root / "emulator" / row["file"]).read_text().splitlines()
        place = [number for number, line in enumerate(lines, 1) if line.strip() == row["line"]]
        assert place, f"explained, but no longer there: {row}"
        site = Site("", row["file"], place[0], 0, 0, row["code"], "", "", row["change"])
        assert explanation(site) == row["why"]
        assert explanation(replace(site, text="something else")) == ""


def test_switches_that_are_off_change_nothing(tmp_path: Path) -> None:
    """Each arm of `?:` has the type that stood there: `!` of an optional is no optional."""
    source = b"""
#include <optional>
int f(std::optional<unsigned> rank, int x) {
    if (!rank || x < 1) return -x;
    return !x ? 7 : static_cast<int>(*rank) - x;
}
"""
    found = mutant_sites("driver/kernels/f.cpp", source)
    assert [s.text for s in found if s.name.endswith("without !")] == ["!rank", "!x"]
    main = (
        "namespace nnapi::faults { bool on(int) { return false; } }\n"
        + instrument(source, enumerate(found, 1))
        + "int main() { return f(5, 2) != 3 || f({}, 2) != -2 || f(5, 0) != 0; }\n"
    )
    (tmp_path / "f.cpp").write_text(main)
    program = tmp_path / "f"
    subprocess.run(["c++", "-std=c++20", "-o", program, tmp_path / "f.cpp"], check=True)
    assert subprocess.run([program], check=False).returncode == 0
