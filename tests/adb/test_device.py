"""The adb target on a healthy device: facts, streams, leases, logs; and through the engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import adbutils
import pytest

from nnapi_testkit import paths
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.commands.prepare import before_run
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.loopback import LoopbackDevice
from nnapi_testkit.model.case import Case, Ending, Result, Stage
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.session.engine import Session
from nnapi_testkit.session.fleet import run_fleet
from nnapi_testkit.session.plan import available, within
from nnapi_testkit.session.settings import OracleMode, Settings
from nnapi_testkit.targets import TargetError, each_device, fleet, kept, parse_target
from nnapi_testkit.targets.adb import server as adb_server
from nnapi_testkit.targets.adb.session import promised_level

Any_ = Callable[..., Any]
MOST_STREAMS = 3
NOTHING_SAID = (Verdict.INFRA, Verdict.NOT_RUN)  # about the driver


@pytest.fixture
def reference(start: Any_, native: Path) -> Any_:
    """Starts loopback devices with the reference driver."""
    try:
        library = paths.driver_library()
    except KitError as error:
        pytest.fail(f"these tests need the reference driver: {error}")
    return lambda **faults: start(library=library, **faults)


# ---- one device ----


@pytest.mark.parametrize("program", ["of the path", "of the wheel"])
def test_both_generations_of_adb(
    start: Any_,
    target: Any_,
    cases: Any_,
    check: Any_,
    program: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundled = Path(adbutils.__file__).parent / "binaries" / "adb"
    if program == "of the wheel":
        if not bundled.exists():
            pytest.fail("the wheel of adbutils brings no adb")
        monkeypatch.setenv("ADBUTILS_ADB_PATH", str(bundled))
    else:
        monkeypatch.setenv("ADBUTILS_ADB_PATH", shutil.which("adb") or "adb")
    adb_server._OWN.stop()  # the next device starts one of the program asked for
    try:
        device = start()
        with target(device).open() as runner:
            device.mend(drop_after_results=20)
            check(list(runner.run(cases(60))), 60)
    finally:
        adb_server._OWN.stop()


def test_five_hundred_cases_need_three_streams(
    start: Any_, target: Any_, cases: Any_, check: Any_
) -> None:
    device = start()
    with target(device).open() as runner:
        before = len(device.opened)
        check(list(runner.run(cases(500))), 500)
    assert len(device.opened) - before <= MOST_STREAMS, device.opened[before:]


def test_the_runner_is_pushed_once_for_all_runners_of_a_lease(
    start: Any_, target: Any_, cases: Any_, check: Any_
) -> None:
    device = start()
    with target(device).open() as first, target(device).open(isolate=True) as second:
        check(list(second.run(cases(3))), 3)
        check(list(first.run(cases(3))), 3)
    assert device.opened.count("sync:") == 1


def test_what_a_device_tells_about_itself(start: Any_, target: Any_) -> None:
    device = start()
    device.set_property("debug.nn.partition", "2")
    device.set_property("ro.build.version.sdk", "34")
    facts = target(device).describe()
    assert facts["api_level"] == 34
    assert facts["abi"] == facts["machine"] == f"linux-{os.uname().machine}"
    assert facts["page_size"] == os.sysconf("SC_PAGESIZE")
    assert facts["nn_properties"] == {"debug.nn.partition": "2"}
    assert str(facts["fingerprint"]).startswith("nnapi-testkit/loopback")
    names = [listed["name"] for listed in facts["nnapi_devices"]]
    assert len(names) == 2 and names[0] == facts["device"]


def test_an_nnapi_device_is_chosen_by_name_or_all_in_turn(start: Any_, target: Any_) -> None:
    device = start()
    text = f"adb:{device.serial}"
    everyone = each_device(f"{text}#*")
    assert len(everyone) == 2
    name = everyone[1].partition("#")[2]
    assert parse_target(everyone[1]).describe()["device"] == name
    with pytest.raises(TargetError, match="absent-npu"):
        parse_target(f"{text}#absent-npu").open()
    with pytest.raises(TargetError, match="every NNAPI device in turn"):
        parse_target(f"{text}#*")


def test_connected_devices_need_no_name(
    start: Any_, monkeypatch: pytest.MonkeyPatch, cases: Any_, check: Any_
) -> None:
    adb_server._OWN.stop()  # a server that knows no device yet
    server = adb_server.own_server()
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    with pytest.raises(TargetError, match=r"no device is connected \(adb lists no devices\): plug"):
        parse_target("adb:").open()
    with pytest.raises(TargetError, match="listed=120 waits 120 s"):
        fleet("adb:*")
    device = start()
    with parse_target(f"adb:{device.serial}").open():
        pass
    with parse_target("adb:").open() as runner:
        check(list(runner.run(cases(3))), 3)
    second = start()
    with parse_target(f"adb:{second.serial}").open():
        pass
    assert fleet("adb:*") == tuple(
        f"adb:{serial}" for serial in sorted([device.serial, second.serial])
    )
    with pytest.raises(TargetError, match="2 devices are connected: name one of adb:127"):
        parse_target("adb:").open()
    adb_server._OWN.stop()


def test_a_device_belongs_to_one_process(start: Any_, target: Any_) -> None:
    device = start()
    script = (
        "import sys; from nnapi_testkit.targets import parse_target\n"
        "try: parse_target(sys.argv[1]).open()\n"
        "except Exception as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with target(device).open():
        done = subprocess.run(
            [sys.executable, "-c", script, f"adb:{device.serial}"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert f"is in use by process {os.getpid()}" in done.stdout


def test_of_several_devices_the_first_free_one_is_taken(start: Any_, native: Path) -> None:
    first, second = start(), start()
    text = f"adb:{first.serial},{second.serial}"
    script = (
        "import sys; from nnapi_testkit.targets import parse_target\n"
        "with parse_target(sys.argv[1]).open() as runner: print(runner.describe()['serial'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with parse_target(text).open() as runner:
        assert runner.describe()["serial"] == first.serial
        done = subprocess.run(
            [sys.executable, "-c", script, text],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.stdout.strip() == second.serial, done.stderr


def test_the_verbose_log_is_switched_on_for_one_run_only(
    start: Any_, target: Any_, make_case: Callable[..., Case]
) -> None:
    device = start()
    device.set_property("debug.nn.vlog", "model")
    with target(device).open() as runner:
        before = len(device.opened)
        device.log("11-22 10:00:00.000  1  1 I before: not of this case\n")
        text = runner.explain(make_case())
    set_to = [
        service.rpartition(" ")[2]
        for service in device.opened[before:]
        if "setprop debug.nn.vlog" in service
    ]
    assert set_to == ["1", "model"]
    assert isinstance(text, str)


def test_before_run_reaches_the_device_and_checks_it_again(start: Any_, tmp_path: Path) -> None:
    device = start()
    adb = adbutils.adb_path()
    before_run(f"{adb} shell setprop debug.nn.partition 2", f"adb:{device.serial}")
    assert (device.root / "properties" / "debug.nn.partition").read_text() == "2"
    assert sum(service.count("--list-devices") for service in device.opened) >= 4
    with pytest.raises(TargetError, match="left with status 3"):
        before_run("exit 3", f"adb:{device.serial}")


def test_a_crash_of_the_service_is_a_verdict(make_case: Callable[..., Case]) -> None:
    case = make_case()
    ref = CaseRef(case.id, "ADD", "float32", 1, Kind.POSITIVE, lambda: case)
    result = Result(0, Ending.STOPPED, Stage.EXECUTION, 5, "npu", service="npu-service (SIGSEGV)")
    record = judge(ref, case, None, result)
    assert record.verdict is Verdict.CRASH_SERVICE
    assert "npu-service (SIGSEGV)" in record.message


# ---- through the engine ----


def test_a_crash_from_before_is_not_held_against_these_cases(
    start: Any_, target: Any_, make_case: Callable[..., Case]
) -> None:
    device = start()
    device.log(
        "11-22 10:00:00.000  9  9 F DEBUG : pid: 9, tid: 9, name: x >>> /vendor/bin/hw/npu <<<\n"
    )
    refuses_to_compute = 9064
    with target(device).open() as runner:
        (result,) = runner.run([make_case(refuses_to_compute)])
    assert result.service == ""
    assert "/vendor/bin/hw/npu" in result.text


def test_failures_are_explained_by_the_drivers_log(start: Any_) -> None:
    device = start()  # its driver adds and nothing else: fused activations come out wrong
    settings = _settings(f"adb:{device.serial}")
    session = Session(replace(settings, driver_log=True))
    refs = [ref for ref in session.refs() if ref.id.startswith("ADD[float32-fused")]
    failures = [record for record in session.run(refs) if record.verdict.is_failure]
    assert failures
    assert all("loopback: started" in record.text for record in failures)
    assert sum("setprop debug.nn.vlog 1" in service for service in device.opened) == len(failures)


def _settings(target: str, *operations: str) -> Settings:
    return Settings(target=target, oracle=OracleMode.GOLDEN, operations=operations or ("ADD",))


def _promised(session: Session) -> list[CaseRef]:
    """The cases for a device of the newest level, whoever plays older ones."""
    facts = session.describe()
    return available(within(session.refs(), facts), facts)


def _verdicts(records: Any) -> dict[str, tuple[Verdict, float]]:
    found = {record.id: (record.verdict, record.evidence.margin) for record in records}
    return found


def test_a_device_judges_as_this_machine_does(reference: Any_) -> None:
    device: LoopbackDevice = reference()
    session = Session(_settings(f"adb:{device.serial}"))
    refs = _promised(session)
    over_adb = list(session.run(refs))
    here = list(Session(_settings("host")).run(refs))
    assert len(over_adb) == len(here) == len(refs)
    assert _verdicts(over_adb) == _verdicts(here)


def test_a_dying_device_is_given_up_and_nothing_is_invented(
    reference: Any_, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NNAPI_TESTKIT_ADB_PATIENCE", "services=1,gone=0.5")
    device: LoopbackDevice = reference()
    session = Session(_settings(f"adb:{device.serial}"))
    refs = _promised(session)[:120]
    device.mend(vanish_after_results=60)
    records = list(session.run(refs))
    assert sorted(record.id for record in records) == sorted(ref.id for ref in refs)
    verdicts = [record.verdict for record in records]
    here = _verdicts(Session(_settings("host")).run(refs))
    told = [record for record in records if record.verdict not in NOTHING_SAID]
    assert len(told) >= 60
    assert all(record.verdict is here[record.id][0] for record in told)
    assert 1 <= verdicts.count(Verdict.INFRA) <= 3
    assert Verdict.NOT_RUN in verdicts


def test_a_fleet_gives_the_verdicts_of_one_device(reference: Any_) -> None:
    devices = [reference() for _ in range(3)]
    names = ",".join(device.serial for device in devices)
    session = Session(_settings(f"adb:{names}", "ADD", "MUL"))
    refs = _promised(session)
    records = list(session.run(refs))
    assert sorted(record.id for record in records) == sorted(ref.id for ref in refs)
    here = list(Session(_settings("host", "ADD", "MUL")).run(refs))
    assert _verdicts(records) == _verdicts(here)
    assert {record.target for record in records} == {f"adb:{d.serial}" for d in devices}
    assert all(device.results > 0 for device in devices)


def test_a_lost_devices_cases_move_on(reference: Any_, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [reference() for _ in range(3)]
    targets = [f"adb:{device.serial}" for device in devices]
    settings = _settings("adb:*", "ADD", "MUL")
    refs = _promised(Session(_settings("host", "ADD", "MUL")))
    devices[1].mend(kill_after_results=7, times=10**6)
    records = list(run_fleet(settings, targets, refs))
    assert sorted(record.id for record in records) == sorted(ref.id for ref in refs)
    assert _verdicts(records) == _verdicts(Session(_settings("host", "ADD", "MUL")).run(refs))


def test_a_fleet_without_a_device_left_says_so(reference: Any_) -> None:
    devices = [reference(unauthorized=True) for _ in range(2)]
    targets = [f"adb:{device.serial}" for device in devices]
    refs = _promised(Session(_settings("host")))
    with pytest.raises(KitError, match="is unauthorized"):
        list(run_fleet(_settings("adb:*"), targets, refs))


def test_a_fleet_of_two_that_both_die_reports_every_case(reference: Any_) -> None:
    devices = [reference() for _ in range(2)]
    targets = [f"adb:{device.serial}" for device in devices]
    refs = _promised(Session(_settings("host")))[:30]
    for device in devices:
        device.mend(kill_after_results=1, times=10**6)
    records = list(run_fleet(_settings("adb:*"), targets, refs))
    assert sorted(record.id for record in records) == sorted(ref.id for ref in refs)
    here = _verdicts(Session(_settings("host")).run(refs))
    told = [record for record in records if record.verdict not in NOTHING_SAID]
    assert all(record.verdict is here[record.id][0] for record in told)


def _suite(folder: Path, target: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the pytest plugin's suite on a target, in a process of its own."""
    root = Path(__file__).parents[2]
    # An installed kit has its entry point; naming the plugin too would register it twice.
    installed = any(p.value == "nnapi_testkit.plugin" for p in entry_points(group="pytest11"))
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(() if installed else ("-p", "nnapi_testkit.plugin")),
            *("--nnapi-suite", "--nnapi-operation", "ADD"),
            *("--nnapi-target", target, "--nnapi-oracle", "golden", *options),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_xdist_workers_share_a_fleet(reference: Any_, tmp_path: Path) -> None:
    devices = [reference() for _ in range(2)]
    names = ",".join(device.serial for device in devices)
    done = _suite(tmp_path, f"adb:{names}", "-n", "2")
    said = done.stdout[-3000:] + done.stderr[-2000:]
    asked = re.findall(r"(\d+) passed, (\d+) skipped", done.stdout)  # what a device lacks
    assert sum(map(int, asked[0])) == len(Session(_settings("host")).refs()), said
    assert f"1 operation, 5 cells, {asked[0][0]} cases" in said, said
    assert "INFRA" not in done.stdout and "NOT_RUN" not in done.stdout, said
    assert all(device.results > 0 for device in devices)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_suite_prepares_each_device_once_and_before_anything_else(
    reference: Any_, tmp_path: Path, workers: tuple[str, ...]
) -> None:
    devices = [reference() for _ in range(2 if workers else 1)]
    names = ",".join(device.serial for device in devices)
    log = tmp_path / "log"
    command = (
        f"echo $ANDROID_SERIAL >>{log}; {adbutils.adb_path()} shell setprop debug.nn.partition 2"
    )
    done = _suite(tmp_path, f"adb:{names}", "--nnapi-before-run", command, *workers)
    said = done.stdout[-3000:] + done.stderr[-2000:]
    assert done.returncode == 0, said
    assert sorted(log.read_text().split()) == sorted(device.serial for device in devices)
    for device in devices:
        assert (device.root / "properties" / "debug.nn.partition").read_text() == "2"
        opened = device.opened
        prepared = next(i for i, word in enumerate(opened) if "setprop debug.nn.partition" in word)
        served = [i for i, word in enumerate(opened) if "--serve" in word]
        assert device.results > 0 and max(served) > prepared
        # Between its preparation and the first batch it has listed its devices twice again.
        between = opened[prepared : max(served)]
        assert sum(word.count("--list-devices") for word in between) >= 2


def test_a_suite_whose_preparation_fails_runs_nothing(reference: Any_, tmp_path: Path) -> None:
    device = reference()
    done = _suite(tmp_path, f"adb:{device.serial}", "--nnapi-before-run", "exit 3")
    assert done.returncode != 0
    assert "--before-run 'exit 3' left with status 3" in done.stdout + done.stderr
    assert device.results == 0


def test_a_run_sets_its_device_up_once(start: Any_, target: Any_, cases: Any_) -> None:
    """Facts first, then the cases, then failures alone: three runners, one set-up."""
    device = start()
    with kept():
        target(device).describe()
        before = [word for word in device.opened if "--list-devices" in word]
        for _ in range(2):
            with target(device).open() as runner:
                assert len(list(runner.run(cases(3)))) == 3
        assert [word for word in device.opened if "--list-devices" in word] == before
    # And then it is left as it was found.
    assert not any((device.root / "data/local/tmp").glob("*"))


@pytest.mark.parametrize(
    ("level", "api", "promised"),
    [
        (10000, 34, 1000008),
        (10000, 33, 1000007),
        (10000, 31, 31),
        (10000, 30, 30),
        (10000, 99, 1000008),
        (10000, 0, 10000),
        (30, 34, 30),
        (1000008, 30, 1000008),
    ],
)
def test_a_level_of_the_future_is_that_of_the_release(level: int, api: int, promised: int) -> None:
    assert promised_level(level, api) == promised


def test_leftovers_that_take_long_to_find_do_not_cost_the_lease(
    start: Any_, target: Any_, cases: Any_, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = start()
    monkeypatch.setattr(
        "nnapi_testkit.targets.adb.lease.Lease._clean_seconds", property(lambda self: 0.3)
    )
    monkeypatch.setattr("nnapi_testkit.targets.adb.lease.Lease._stopping", lambda self: "sleep 2")
    with target(device).open() as runner:
        assert len(list(runner.run(cases(3)))) == 3


def test_what_a_run_waits_for_before_its_first_verdict(
    start: Any_, target: Any_, cases: Any_, check: Any_
) -> None:
    """On a slow link each command that waits for the one before it is a wait of its own."""
    device = start()
    with kept():
        facts = target(device).describe()
        with target(device).open() as runner:
            check(list(runner.run(cases(3))), 3)
            words = list(device.opened)
    assert facts["devices"] == runner.describe()["devices"]
    # The probe with all questions; leftovers beside the place of the runner; the runner; its trial
    # with two listings; the log beside the runner at work. Four waits and a file.
    marks = ["echo ok\necho machine=", "kill -9", "mkdir -p", "sync:", "--list-devices", "logcat"]
    assert [mark in word for mark, word in zip(marks, words, strict=False)] == [True] * 6, words
    assert len(words) == 7 and "--serve" in words[6], words
