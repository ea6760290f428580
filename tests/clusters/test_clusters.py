"""Clusters of made-up runs: the description, the counts, what is blamed; and what is not."""

from __future__ import annotations

from collections.abc import Callable

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.clusters.cluster import Cluster, clusters_json, from_json
from nnapi_testkit.clusters.facts import Facts, case_facts
from nnapi_testkit.clusters.group import clusters, facts_by_index
from nnapi_testkit.clusters.known import Signature, looks_like
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict

NAMES = ("ADD", "MUL", "MAX_POOL_2D")
REFS = [ref for ref in case_index(NAMES) if not ref.needs and ref.contest is None]
FACTS: dict[str, Facts] = {ref.id: case_facts(ref) for ref in REFS}
Wrong = Callable[[CaseRef, Facts], "Verdict | bool"]


def run(wrong: Wrong) -> list[Record]:
    """A run in which `wrong` says what fails; everything else passes."""
    found = []
    for ref in REFS:
        said = wrong(ref, FACTS[ref.id])
        verdict = said if isinstance(said, Verdict) else Verdict.MISMATCH if said else Verdict.PASS
        evidence = Evidence(compared=10 if ref.computes else 0, margin=500.0 if said else 0.1)
        found.append(
            Record(
                ref.id, ref.operation, ref.cell, ref.level, verdict, evidence, "fake", "host",
                ref.kind, repro=f"again {ref.id}",
            )
        )  # fmt: skip
    return found


def grouped(wrong: Wrong) -> list[Cluster]:
    records = run(wrong)
    found = clusters(records, lambda record: FACTS[record.id])
    failing = {record.id for record in records if record.verdict.is_failure}
    told = [one for cluster in found for one in cluster.ids]
    assert sorted(told) == sorted(failing)  # each failure is in one cluster
    assert all(cluster.smallest in cluster.ids for cluster in found)
    return found


def computing(facts: Facts) -> bool:
    return "path" in facts


def test_no_failure_has_no_cluster() -> None:
    assert grouped(lambda ref, facts: False) == []


def test_an_attribute_over_several_operations_is_one_cluster() -> None:
    (one,) = grouped(lambda ref, facts: facts.get("activation") == "RELU6")
    assert one.words == ("activation RELU6",)
    assert set(one.operations) == set(NAMES)
    assert one.of == one.cases
    assert one.without == 0
    assert "with it fail, none without" in one.title
    assert one.again == f"again {one.smallest}"


def test_a_limit_of_a_number_is_found() -> None:
    def wrong(ref: CaseRef, facts: Facts) -> bool:
        return ref.operation == "MUL" and float(facts.get("elements of the output", 0)) > 64

    (one,) = grouped(wrong)
    assert len(one.words) == 1
    name, _, limit = one.words[0].rpartition(" above ")
    assert name == "elements of the output"
    passed = [
        FACTS[r.id]["elements of the output"]
        for r in REFS
        if r.id in FACTS and r.operation == "MUL" and r.computes
    ]
    sizes = sorted({float(size) for size in passed})
    assert max(size for size in sizes if size <= 64) <= float(limit) <= 64
    assert list(one.operations) == ["MUL"]


def test_two_causes_are_two_clusters_worst_first() -> None:
    def wrong(ref: CaseRef, facts: Facts) -> bool:
        relu = ref.operation == "ADD" and facts.get("activation") == "RELU1"
        return computing(facts) and (
            relu or (ref.operation == "MUL" and facts["types"] == "quantized")
        )

    first, second = grouped(wrong)
    assert list(first.operations) == ["MUL"]
    assert "quantized" in first.words
    assert list(second.operations) == ["ADD"]
    assert second.words == ("activation RELU1",)
    assert first.cases > second.cases


def test_an_operation_that_is_wrong_needs_no_words() -> None:
    (one,) = grouped(lambda ref, facts: ref.operation == "MUL" and computing(facts))
    assert one.words == ()
    assert list(one.operations) == ["MUL"]


def test_a_path_is_blamed_and_not_its_operations() -> None:
    (one,) = grouped(lambda ref, facts: facts.get("path") == "burst")
    assert one.way
    assert one.words == ("path burst",)
    assert "not the operations" in one.title


def test_a_few_failures_by_no_one_way_do_not_blame_the_operation() -> None:
    (one,) = grouped(lambda ref, facts: _few(ref))
    assert one.way
    assert not one.words
    assert one.title.startswith("MUL: 1 of ")
    assert "what they compute is right otherwise" in one.title


def _few(ref: CaseRef) -> bool:
    first = next(one for one in REFS if one.operation == "MUL" and one.kind == "path")
    return ref.id == first.id


def test_a_path_is_not_blamed_for_an_operation_that_is_wrong_by_every_way() -> None:
    found = grouped(lambda ref, facts: ref.operation == "ADD" and computing(facts))
    assert not any(cluster.way for cluster in found)


def test_crashes_are_apart_and_before_as_many_mismatches() -> None:
    def wrong(ref: CaseRef, facts: Facts) -> Verdict | bool:
        if ref.operation == "MAX_POOL_2D" and facts.get("padding") == "SAME":
            return Verdict.CRASH_RUNNER
        return ref.operation == "MUL" and facts.get("activation") == "RELU"

    first, second = grouped(wrong)
    assert first.words == ("padding SAME",)
    assert list(first.verdicts) == ["CRASH_RUNNER"]
    assert second.words == ("activation RELU",)


def test_rules_that_are_not_checked_are_told() -> None:
    def wrong(ref: CaseRef, facts: Facts) -> Verdict | bool:
        bad = facts.get("rule") == "dimensions-compatible"
        return Verdict.ACCEPTED_INVALID if bad else False

    (one,) = grouped(wrong)
    assert one.words == ("rule dimensions-compatible broken",)
    assert set(one.operations) == {"ADD", "MUL"}


def test_scattered_failures_get_no_made_up_reason() -> None:
    chosen = {ref.id for ref in REFS if ref.operation == "ADD" and ref.computes}
    few = set(sorted(chosen, key=lambda name: hash_of(name))[:3])
    found = grouped(lambda ref, facts: ref.id in few)
    assert sum(cluster.cases for cluster in found) == 3
    assert all(not cluster.words for cluster in found)


def hash_of(name: str) -> int:
    return sum(ord(sign) * 31 ** (at % 7) for at, sign in enumerate(name)) % 1009


def test_the_index_gives_the_same_clusters() -> None:
    records = run(lambda ref, facts: facts.get("activation") == "RELU6")
    assert clusters(records) == clusters(records, facts_by_index(records))
    assert clusters(records)[0].words == ("activation RELU6",)


def test_records_that_no_index_knows_are_grouped_by_themselves() -> None:
    records = [
        Record(f"NEW[{at}]", "NEW", "float32", 1, Verdict.MISMATCH, Evidence(compared=1))
        for at in range(4)
    ]
    (one,) = clusters(records)
    assert one.cases == 4
    assert one.title == "NEW: 4 of 4 cases fail"


def test_json_and_back() -> None:
    found = grouped(lambda ref, facts: facts.get("activation") == "RELU6")
    assert from_json(clusters_json(found)) == found
    assert from_json([{"title": "?"}, 3]) == []
    assert from_json(None) == []


def _failed(name: str, margin: float) -> Record:
    return Record(name, "ADD", "float32", 1, Verdict.MISMATCH, Evidence(compared=9, margin=margin))


def test_a_known_fault_is_told_by_its_margins() -> None:
    known = [
        Signature(
            "twice", "bias added twice", {f"c{i}": ("MISMATCH", 100.0 * i + 50) for i in range(8)}
        ),
        Signature(
            "never", "bias left out", {f"c{i}": ("MISMATCH", 70.0 * i + 9) for i in range(8)}
        ),
    ]
    same = [_failed(f"c{i}", (100.0 * i + 50) * 1.01) for i in range(8)]
    assert looks_like(same, same, known) == ("twice", "bias added twice")
    other = [_failed(f"c{i}", 1e6 + i) for i in range(8)]
    assert looks_like(other, other, known) is None


def test_a_case_of_a_known_fault_that_passes_speaks_against_it() -> None:
    known = [
        Signature("twice", "bias added twice", {f"c{i}": ("MISMATCH", 100.0) for i in range(8)})
    ]
    failed = [_failed(f"c{i}", 100.0) for i in range(4)]
    passed = [
        Record(f"c{i}", "ADD", "float32", 1, Verdict.PASS, Evidence(compared=9))
        for i in range(4, 8)
    ]
    assert looks_like(failed, [*failed, *passed], known) is None
    assert looks_like(failed, failed, known) is not None


def test_the_shipped_signatures_are_of_cases_that_there_are() -> None:
    from nnapi_testkit.clusters.known import signatures

    known = {ref.id for ref in case_index()}
    shipped = signatures()
    assert len(shipped) > 100
    stale = [one.fault for one in shipped if not set(one.cases) <= known]
    assert not stale
