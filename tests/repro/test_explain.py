"""`explain`: the drawing, the promise, the terms of a bound, legal codes, readings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.cli import main
from nnapi_testkit.judge.compare import compare
from nnapi_testkit.judge.profiles import profile
from nnapi_testkit.model.case import Case, Expected
from nnapi_testkit.model.types import Operand
from nnapi_testkit.repro.bound import bound_lines, worst_element
from nnapi_testkit.repro.drawing import drawing
from nnapi_testkit.repro.promises import promises, readings, refusal_promise
from nnapi_testkit.spec.codes import OperandCode

HERE = Path(__file__).parent.parent / "clusters"
NAMES = ("ADD", "CONV_2D", "IF", "TANH")
REFS = {ref.id: ref for ref in case_index(NAMES)}


def case(name: str) -> Case:
    return REFS[name].make()


def test_the_drawing_names_every_operand_and_where_it_comes_from() -> None:
    text = "\n".join(drawing(case("CONV_2D[quant8-relu6-same]")))
    assert "input %0 input: TENSOR_QUANT8_ASYMM[1, 5, 6, 3], scale" in text
    assert "constant %3 padding: INT32 = 1 (PADDING_SAME)" in text
    assert "constant %6 activation: INT32 = 3 (FUSED_RELU6)" in text
    assert "output of the model" in text
    widths = {
        line.index(sign)
        for line in drawing(case("ADD[float32-rank1]"))
        for sign in "┐┤"
        if sign in line
    }
    assert len(widths) == 1  # the lines meet


def test_the_drawing_shows_graphs_and_values_inside() -> None:
    graph = next(
        ref
        for ref in REFS.values()
        if ref.kind == "graph"
        and ref.operation == "ADD"
        and len(ref.make().model.main.operations) > 1
    )
    text = "\n".join(drawing(graph.make()))
    assert "from ADD" in text or "value inside" in text or text.count("output of the model") > 1
    flow = "\n".join(drawing(next(r for r in REFS.values() if r.operation == "IF").make()))
    assert "graph 0:" in flow
    assert "model:" in flow


def test_the_promise_names_meaning_section_rules_and_acceptance() -> None:
    text = "\n".join(promises(REFS["CONV_2D[float32-same]"]))
    assert "sum of products under a sliding window" in text
    assert "ANEURALNETWORKS_CONV_2D of OperationCode (3) in NeuralNetworksTypes.h" in text
    assert "The window fits into the padded input." in text
    assert "acceptance: dot product: (n + 2) u sum|x||w|" in text


def test_readings_are_those_of_the_contest() -> None:
    text = "\n".join(readings(REFS["CONV_2D[float32-padding-beyond]"]))
    assert "documented: computes it" in text
    assert "field: refuses the model" in text
    assert "none" in next(iter(readings(REFS["CONV_2D[float32-same]"])))


def _refused(rule: str) -> CaseRef:
    return next(ref for ref in REFS.values() if ref.broken and ref.broken.rule == rule)


def test_a_refusal_names_the_legal_codes() -> None:
    text = "\n".join(refusal_promise(_refused("input-length")))
    assert "BAD_DATA" in text
    text = "\n".join(refusal_promise(_refused("dimensions-compatible")))
    assert "dimensions-compatible" in text


def _relaxed_chain() -> Case:
    """A graph whose outputs carry the errors of an operation before."""
    return next(
        ref.make()
        for ref in REFS.values()
        if ref.operation == "TANH"
        and ref.kind == "graph"
        and len(ref.make().model.main.operations) > 1
    )


@pytest.mark.parametrize(
    "name",
    ["CONV_2D[float32-nchw-same]", "CONV_2D[quant8-same]", "ADD[float32-special-relaxed-same]"],
)
def test_the_terms_add_up_to_the_bound_of_the_answer(name: str) -> None:
    pytest.importorskip("torch")
    from nnapi_testkit.oracle import answer
    from nnapi_testkit.oracle.terms import bound_terms

    ref = REFS[name]
    for number, row in enumerate(answer(ref, ref.make()).sets):
        terms = bound_terms(ref.make(), number, ref.level)[0]
        total = terms.own + terms.flush + terms.carried
        told = row[0].bound
        counted = told > 0  # what is open or infinite has a bound of 0 in the answer
        np.testing.assert_allclose(total[counted], told[counted], rtol=1e-9)
        assert terms.own.any()


def test_a_flushed_input_is_a_term_of_its_own() -> None:
    pytest.importorskip("torch")
    from nnapi_testkit.oracle.terms import bound_terms

    # Of an exact operation, so that a subnormal input read as zero is more than the bound itself.
    made = next(r for r in case_index(["ABS"]) if r.cell == "float32").make()
    (inputs,) = made.sets[0].inputs
    assert inputs is not None
    tiny = np.full(inputs.shape, -1e-39, "<f4")
    found = bound_terms(replace(made, sets=(replace(made.sets[0], inputs=(tiny,)),)), 0)[0]
    np.testing.assert_allclose(found.flush, 1e-39, rtol=1e-3)


def test_an_error_that_inputs_carry_is_a_term_of_its_own() -> None:
    pytest.importorskip("torch")
    from nnapi_testkit.oracle.terms import bound_terms

    made = _relaxed_chain()
    found = bound_terms(made, 0)
    assert any(one.carried.any() for one in found.values())


OUTPUT = Operand(OperandCode.TENSOR_FLOAT32, (3,))


def _lines(operand: Operand, value: list[float], got: np.ndarray, name: str) -> list[str]:
    expected = Expected(np.array(value), np.full(len(value), 0.01))
    found = compare(operand, expected, got.tobytes(), profile(name), False)
    worst = worst_element(operand, expected, found)
    assert worst is not None
    return list(bound_lines(operand, expected, found, worst, profile(name), None))


def test_the_profile_is_a_term() -> None:
    got = np.array([1.0, 2.5, 3.0], "<f4")
    lines = _lines(OUTPUT, [1.0, 2.0, 3.0], got, "standard")
    assert "expected 2; the driver gave 2.5, error 0.5" in lines[0]
    assert any("times 2 under standard" in line for line in lines)
    assert lines[-1].endswith("25: illegal")
    assert any("legal values: 1.98 to 2.02" in line for line in lines)
    strict = _lines(OUTPUT, [1.0, 2.0, 3.0], got, "strict")
    assert strict[-1].endswith("50: illegal")


def test_codes_have_a_legal_interval_that_saturates() -> None:
    operand = Operand(OperandCode.TENSOR_QUANT8_ASYMM, (2,), 0.5, 0)
    lines = _lines(operand, [1.0, 1000.0], np.array([2, 200], "u1"), "standard")
    assert "saturates at 127.5" in lines[0]
    assert any("1 code of freedom under standard" in line for line in lines)
    assert "legal codes: 254 to 255" in lines
    assert lines[-1].endswith("illegal")


def test_nothing_to_explain_where_all_is_open() -> None:
    expected = Expected(np.zeros(3), np.zeros(3), np.ones(3, bool))
    found = compare(OUTPUT, expected, np.ones(3, "<f4").tobytes(), profile("standard"), False)
    assert worst_element(OUTPUT, expected, found) is None


def test_a_mismatch_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    line = ["explain", "ADD[float32-relu6-second-larger]", "--services", "wrong_world:services"]
    assert main(line) == 0
    text = capsys.readouterr().out
    assert text.startswith("Verdict\n  MISMATCH")
    for part in (
        "Model\n",
        "Promised\n",
        "Readings\n",
        "Bound of the worst element\n",
        "own rounding",
        ": illegal",
    ):
        assert part in text


@pytest.mark.parametrize("oracle", ["golden", "auto"])
def test_every_kind_of_case_can_be_explained(
    oracle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds: dict[str, str] = {}
    for ref in REFS.values():
        if not ref.needs:
            kinds.setdefault(ref.kind, ref.id)
    for name in kinds.values():
        assert main(["explain", name, "--oracle", oracle]) == 0, name
        assert "Verdict" in capsys.readouterr().out


def test_one_case_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "ADD"]) == 2
    assert "explain takes one case" in capsys.readouterr().err
    assert main(["explain", "ADD[nonsense]"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_the_worst_is_the_illegal_one() -> None:
    # An element that is legal by a huge bound is not worse than one that is not legal.
    expected = Expected(np.array([0.0, 1.0]), np.array([1e6, 1e-9]))
    data = np.array([9e5, 1.1], "<f4").tobytes()
    found = compare(replace(OUTPUT, dims=(2,)), expected, data, profile("strict"), False)
    worst = worst_element(OUTPUT, expected, found)
    assert worst is not None
    assert worst.at == (1,)
