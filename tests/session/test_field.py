"""Outcomes from the field, judged by today's rules; entries of known platforms are kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.commands.field import CHARGED, Row, classify, read_rows
from nnapi_testkit.commands.line import execute
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.model.case import Stage
from nnapi_testkit.report.apart import apart_facts, apart_lines
from nnapi_testkit.session.platforms import Platform, entries, known

EXCERPT = Path(__file__).with_name("field-android14.tsv")
ANDROID = Platform("nnapi-reference", 8, "google/x/y:14/1/1:user/release-keys")


def test_the_excerpt_charges_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["field", str(EXCERPT)]) == 0
    told = capsys.readouterr().out
    assert "0 of " in told
    assert "fault: rnn-relu1" in told
    assert "platform: before a driver was asked" in told


def test_another_device_is_charged(capsys: pytest.CaptureFixture[str]) -> None:
    """Faults of Android's reference excuse nobody else's driver."""
    assert execute(["field", str(EXCERPT), "--device", "vendor-npu"]) == 1
    assert "CRASH_RUNNER RNN[" in capsys.readouterr().out


def test_what_no_rule_knows_is_charged() -> None:
    ref = next(ref for ref in case_index(("FLOOR",)) if ref.id == "FLOOR[float32-rank1]")
    row = Row(ref.id, Verdict.MISMATCH, Stage.DONE)
    assert classify(row, ref, ANDROID) == CHARGED
    crash = Row(ref.id, Verdict.CRASH_RUNNER, Stage.EXECUTION, 1)
    assert classify(crash, ref, ANDROID) == CHARGED
    assert classify(row, None, ANDROID).startswith("gone")


def test_entries_are_kinds_with_reasons() -> None:
    names = [entry.name for entry in entries()]
    assert len(names) == len(set(names)) >= 15
    page = (Path(__file__).parents[2] / "docs/field.md").read_text("utf-8")
    for entry in entries():
        assert entry.reason and entry.evidence
        assert f"`{entry.name}`" in page


def test_only_a_fault_of_the_devices_own_kind_is_known() -> None:
    refs = case_index(("RNN",))
    relu1 = next(ref for ref in refs if ref.id == "RNN[float32-relu1-plain]")
    other = next(ref for ref in refs if ref.id == "RNN[float32-relu-plain]")
    for ref, platform, verdict in (
        (relu1, ANDROID, Verdict.KNOWN),
        (other, ANDROID, Verdict.CRASH_RUNNER),
        (relu1, Platform("vendor-npu", 8), Verdict.CRASH_RUNNER),
        (relu1, Platform("nnapi-reference", 8, "nnapi-testkit/loopback"), Verdict.CRASH_RUNNER),
    ):
        crash = Record(ref.id, "RNN", ref.cell, 1, Verdict.CRASH_RUNNER, Evidence())
        found = known(platform, crash, ref, ref.make())
        assert found.verdict is verdict
        assert (found.known == "rnn-relu1") == (verdict is Verdict.KNOWN)


def test_the_table_of_what_is_not_charged() -> None:
    def one(verdict: Verdict, **more: object) -> Record:
        return Record("ADD[a]", "ADD", "float32", 1, verdict, Evidence(), **more)  # type: ignore[arg-type]

    rows = apart_facts(
        [
            one(Verdict.PASS),
            one(Verdict.PLATFORM, stage=Stage.MODEL, code=4),
            one(Verdict.PLATFORM, stage=Stage.MODEL, code=4),
            one(Verdict.KNOWN, known="rnn-relu1"),
        ]
    )
    assert [(row["verdict"], row["what"], row["cases"]) for row in rows] == [
        ("KNOWN", "rnn-relu1", 1),
        ("PLATFORM", "model, code 4", 2),
    ]
    assert "not charged, PLATFORM: 2 cases" in list(apart_lines(rows))


@pytest.mark.parametrize(
    "text", ["ADD[a]\tNEVER", "ADD[a]\tPASS\tNOWHERE", "ADD[a]\tPASS\tDONE\tx"]
)
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text(text, "utf-8")
    with pytest.raises(KitError, match="line 1"):
        list(read_rows(path))


def test_what_an_older_kit_did_not_execute_is_told_by_kind_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [
        "ADD[float32-refused-missing-b]",
        "ADD[float16-refused-dimension-b.0]",
        "ADD[int32-refused-value-activation.below]",
        "AVERAGE_POOL_2D[quant8-refused-zero-point-out]",
    ]
    path = tmp_path / "rows.tsv"
    rows = [f"{name}\tACCEPTED_INVALID\tDONE" for name in names]
    path.write_text("\n".join(["ADD[float32-rank1]\tPASS", *rows]), "utf-8")
    assert execute(["field", str(path)]) == 0
    told = capsys.readouterr().out
    for kind in ("missing operands", "dimensions", "values of scalars", "scales and zero points"):
        assert f"     1  due at the execution, which the file does not tell: {kind}\n" in told
    assert execute(["field", str(path), "--ids", "due"]) == 0
    assert capsys.readouterr().out.split() == names
    with pytest.raises(KitError, match="no class of outcomes begins with 'charged'"):
        execute(["field", str(path), "--ids", "charged"])


def test_a_changed_case_explains_kept_outcomes_and_no_device() -> None:
    ref = next(r for r in case_index(("QUANTIZED_LSTM",)) if r.id.endswith("signed-clipped]"))
    crash = Row(ref.id, Verdict.CRASH_RUNNER, Stage.EXECUTION, 1)
    assert classify(crash, ref, ANDROID) == "changed: quantized-lstm-clipped"
    record = Record(ref.id, ref.operation, ref.cell, 1, Verdict.CRASH_RUNNER, Evidence())
    assert known(ANDROID, record, ref, ref.make()).verdict is Verdict.CRASH_RUNNER
    other = next(r for r in case_index(("QUANTIZED_LSTM",)) if r.id.endswith("signed-one-unit]"))
    assert classify(Row(other.id, crash.verdict, crash.stage, 1), other, ANDROID) == CHARGED


def test_peepholes_excuse_the_reference_and_nothing_without_them() -> None:
    refs = {ref.id: ref for ref in case_index(("QUANTIZED_LSTM",))}
    for name, platform, verdict in (
        ("peephole", ANDROID, Verdict.KNOWN),
        ("special-cifg-peephole", ANDROID, Verdict.KNOWN),
        ("inputs-plain", ANDROID, Verdict.MISMATCH),
        ("cifg", ANDROID, Verdict.MISMATCH),
        ("peephole", Platform("vendor-npu", 8), Verdict.MISMATCH),
    ):
        ref = refs[f"QUANTIZED_LSTM[quant8_signed-{name}]"]
        record = Record(
            ref.id, ref.operation, ref.cell, 1, Verdict.MISMATCH, Evidence(), mismatched=9
        )
        assert known(platform, record, ref, ref.make()).verdict is verdict, name
