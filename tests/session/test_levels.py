"""A device is judged by what its own feature level promises."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import Broken, CaseRef, Constraint
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Ending
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.session.lane import Lane
from nnapi_testkit.session.plan import within
from nnapi_testkit.session.services import standard
from nnapi_testkit.session.settings import OracleMode, Settings
from nnapi_testkit.spec.levels import NEWEST, level_of
from nnapi_testkit.targets import InfraError, parse_target


def ref(level: int) -> CaseRef:
    return CaseRef(f"ADD[level{level}]", "ADD", "float32", level, Kind.POSITIVE, lambda: None)  # type: ignore[arg-type, return-value]


def newer(level: int) -> CaseRef:
    """A model of this level, for devices below it to refuse."""
    broken = Broken(Constraint("level-type"), newer=True)
    return replace(ref(level), id=f"ADD[newer{level}]", kind=Kind.REFUSAL, broken=broken)


@pytest.mark.parametrize(
    ("value", "level"),
    [(26, 0), (27, 1), (28, 2), (29, 3), (30, 4), (31, 5), (32, 5), (1000006, 6), (1000009, 8)],
)
def test_values_of_the_api_are_levels(value: int, level: int) -> None:
    assert level_of(value) == level


def test_cases_above_the_level_are_left_out() -> None:
    refs = [ref(level) for level in range(1, 9)]
    assert [r.level for r in within(refs, {"feature_level": 30})] == [1, 2, 3, 4]
    assert within(refs, {"feature_level": 1000008}) == refs
    assert within(refs, {}) == refs
    # A device that does not tell, and a library that has no devices to list.
    assert within(refs, {"feature_level": -1, "attributed": True}) == refs
    old = within(refs, {"feature_level": -1, "attributed": False})
    assert [r.level for r in old] == [1, 2]


def test_nothing_left_is_an_error_that_says_so() -> None:
    with pytest.raises(KitError, match="feature level 1"):
        within([ref(3)], {"feature_level": 27})


def test_what_is_newer_is_for_older_devices() -> None:
    refs = [newer(level) for level in range(2, 9)]

    def asked(facts: dict[str, object], **more: bool) -> list[int]:
        return [r.level for r in within(refs, facts, empty=True, **more)]

    assert asked({"feature_level": 29}) == [4, 5, 6, 7, 8]
    assert asked({"feature_level": 27}) == [2, 3, 4, 5, 6, 7, 8]
    assert asked({"feature_level": 1000008}) == []
    # A level chosen by hand does not make a device older than it says.
    assert asked({"feature_level": 1000008}, forced=True) == []
    assert asked({"feature_level": 1000007}, forced=True) == [8]
    # Nothing is known of the device, or there is none to be named: it may be new enough.
    assert asked({}) == []
    assert asked({"feature_level": -1, "attributed": False}) == []
    # The target plays an older device for each of them.
    assert asked({"feature_level": 1000008}, older=True) == [2, 3, 4, 5, 6, 7, 8]


def test_the_bundled_driver_plays_older_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    services = standard()
    assert services.older("host", 4) == "host#nnapi-level-3"
    for target in ("host#nnapi-level-3", "lib:/some/driver.so", "adb:serial", "docker:api34"):
        assert services.older(target, 4) == ""
    facts = services.describe("host#nnapi-level-3")
    assert (facts["device"], facts["feature_level"]) == ("nnapi-level-3", 29)
    assert services.describe("host")["devices"] == ["nnapi-reference"]


def test_a_library_without_older_devices_is_not_blamed() -> None:
    services = replace(standard(), older=lambda target, level: "host#nnapi-level-0")
    refs = [r for r in case_index(["ADD"]) if r.broken and r.broken.newer]
    with Lane(Settings(target="host", oracle=OracleMode.GOLDEN), services) as lane:
        records = list(lane.run(refs))
    assert [record.id for record in records] == [r.id for r in refs]
    assert {record.verdict for record in records} == {Verdict.UNSUPPORTED}
    assert "no older device" in records[0].message


def test_an_older_device_that_fails_is_no_older_device_that_is_missing() -> None:
    def broken(*_: object, **__: object) -> NoReturn:
        raise InfraError("the runner does not start")

    older = "host#nnapi-level-3"
    services = replace(standard(), older=lambda target, level: older, open_runner=broken)
    refs = [r for r in case_index(["ADD"]) if r.broken and r.broken.newer]
    with (
        Lane(Settings(target="host", oracle=OracleMode.GOLDEN), services) as lane,
        pytest.raises(InfraError, match="does not start"),
    ):
        list(lane.run(refs))


@pytest.mark.parametrize("level", range(1, NEWEST))
def test_a_device_claims_and_compiles_every_case_of_its_level(level: int) -> None:
    """Each case says a level that is enough; a pair or path may need more than its operation."""
    refs = [r for r in case_index() if r.computes and r.level == level and not r.needs]
    # A device may refuse what a contested case asks: that is one of its readings.
    refs = [r for r in refs if r.contest is None]
    cases = [replace(r.make(), sets=()) for r in refs]
    with parse_target(f"host#nnapi-level-{level}").open() as runner:
        results = list(runner.run(cases))
    missed = [
        (r.id, result.stage.name, result.code)
        for r, result in zip(refs, results, strict=True)
        if result.ending is not Ending.COMPLETED
    ]
    assert not missed
