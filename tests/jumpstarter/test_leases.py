"""Leases of a controller's stub: real gRPC, real exporters, real adb, loopback devices."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from nnapi_testkit.targets import InfraError, TargetError, kept

grpc = pytest.importorskip("grpc", reason="the extra [jumpstarter] is missing")
Make = Callable[..., Any]


def one_line(error: pytest.ExceptionInfo[Any]) -> str:
    text = str(error.value)
    assert "\n" not in text and len(text) < 600, text
    return text


def test_pending_then_ready(
    lab: Any, exporter: Make, target: Make, cases: Make, check: Make
) -> None:
    exporter()
    lab.controller.pending = 1
    with target().open() as runner:
        check(list(runner.run(cases(20))), 20)
        (lease,) = lab.controller.leases
        assert lease.active and lease.asked >= 2 and lease.seconds == 3600
        facts = runner.describe()
        assert (facts["lease"], facts["exporter"]) == (lease.name, "rack-1")
        assert facts["exporter_labels"] == {"board": "pixel7"}
        assert facts["attributed"] is True
    assert lease.deleted and not lab.controller.exporters[0].leased


def test_an_exporter_by_name_that_is_not_ready_at_once(
    lab: Any, exporter: Make, target: Make, cases: Make, check: Make
) -> None:
    exporter("rack-1")
    exporter("rack-2")
    lab.controller.unready = 2
    with target("", "&exporter=rack-2&duration=10m").open() as runner:
        check(list(runner.run(cases(3))), 3)
        assert runner.describe()["exporter"] == "rack-2"
    assert lab.controller.leases[0].seconds == 600


def test_refused(lab: Any, exporter: Make, target: Make) -> None:
    exporter()
    with pytest.raises(TargetError) as error:
        target("board=nobodys").open()
    assert "no device for board=nobodys" in one_line(error)
    assert "no exporter matches" in one_line(error)
    assert [lease.asked for lease in lab.controller.leases] == [2]  # and once to give it back


@pytest.mark.parametrize(
    "code, details, kind",
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "what is this selector", TargetError),
        (grpc.StatusCode.PERMISSION_DENIED, "not for you", TargetError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "come back later", InfraError),
        (grpc.StatusCode.UNAVAILABLE, "we are moving", InfraError),
    ],
)
def test_the_controller_says_no(
    lab: Any, target: Make, code: Any, details: str, kind: type[Exception]
) -> None:
    lab.controller.refuses = (code, details)
    with pytest.raises(kind) as error:
        target().open()
    assert details in one_line(error)
    assert lab.controller.leases == []


def test_a_wrong_token(lab: Any, exporter: Make, target: Make) -> None:
    exporter()
    lab.write("another one")
    with pytest.raises(TargetError, match="UNAUTHENTICATED: who are you"):
        target().open()


def test_never_ready(lab: Any, lab_module: ModuleType, exporter: Make, target: Make) -> None:
    exporter()
    lab.controller.pending = lab_module.NEVER
    began = time.monotonic()
    with pytest.raises(InfraError) as error:
        target(more="&wait=2s").open()
    assert "no device for board=pixel7 within 2 s" in one_line(error)
    assert time.monotonic() - began < 60
    (lease,) = lab.controller.leases
    assert lease.deleted


def test_all_are_leased(lab: Any, exporter: Make, target: Make, cases: Make) -> None:
    """Another target waits for the device, and has it when it is given back."""
    exporter()
    with target().open(), pytest.raises(InfraError, match="all that match are leased"):
        target(more="&wait=1s&lane=2").open()
    with target(more="&wait=1s&lane=2").open() as runner:
        assert len(list(runner.run(cases(2)))) == 2


def test_the_controller_is_not_there(
    lab: Any, lab_module: ModuleType, target: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = lab.config.read_text().replace(lab.controller.endpoint, "localhost:9")
    lab.config.write_text(text)
    with pytest.raises(InfraError, match=r"Jumpstarter: .*[Cc]onnect"):
        target(more="&wait=2s").open()


def test_expired_in_the_middle(
    lab: Any, exporter: Make, target: Make, cases: Make, check: Make
) -> None:
    """What was computed stays, the rest is an infrastructure error, the next runner is fresh."""
    exporter(case_seconds=0.05)
    place = target()
    runner = place.open()
    results = []
    with pytest.raises(InfraError) as error:
        for result in runner.run(cases(100)):
            results.append(result)
            if len(results) == 10:
                lab.expire(lab.controller.leases[0])
    assert "exporter rack-1, lease lease-1: the lease has ended" in one_line(error)
    assert 10 <= len(results) < 60
    check(results, len(results))
    runner.close()
    assert lab.controller.leases[0].deleted
    with place.open() as runner:
        check(list(runner.run(cases(20))), 20)
        assert runner.describe()["lease"] == "lease-2"


def test_runs_out_by_itself(lab: Any, exporter: Make, target: Make, cases: Make) -> None:
    """The end of the lease is the end of the tunnel, even where the exporter would go on."""
    device = exporter(case_seconds=0.05)
    ending = pytest.raises(InfraError, match="lease lease-1: the lease has ended")
    with target(more="&duration=3s").open() as runner, ending:
        list(runner.run(cases(200)))
    # What was on its way arrives; then nothing more, of ten seconds' work.
    done = -1
    while device.results != done:
        done = device.results
        time.sleep(0.5)
    assert done < 200


def test_runners_share_a_lease(lab: Any, exporter: Make, target: Make, cases: Make) -> None:
    exporter()
    place = target()
    with place.open() as first, place.open(isolate=True) as second:
        assert len(list(first.run(cases(2)))) == len(list(second.run(cases(2)))) == 2
        first.close()
        assert len(list(second.run(cases(2)))) == 2
    assert len(lab.controller.leases) == 1


def test_a_run_keeps_its_device(lab: Any, exporter: Make, target: Make, cases: Make) -> None:
    exporter()
    place = target()
    with kept():
        facts = place.describe()
        (lease,) = lab.controller.leases
        assert lease.active and lease.name == facts["lease"]
        with place.open() as runner:
            assert len(list(runner.run(cases(2)))) == 2
        variables = place.environment()
        assert variables["ANDROID_ADB_SERVER_ADDRESS"] == "127.0.0.1"
    assert lease.deleted
    place.describe()
    assert [one.deleted for one in lab.controller.leases] == [True, True]


def test_a_kept_lease_that_ran_out_is_replaced(lab: Any, exporter: Make, target: Make) -> None:
    exporter()
    place = target(more="&duration=2s")
    with kept():
        place.describe()
        lab.wait(lambda: lab.controller.leases[0].ended)
        assert place.describe()["lease"] == "lease-2"


@pytest.mark.parametrize("device", ["no-such-device"])
def test_errors_give_the_lease_back(lab: Any, exporter: Make, target: Make, device: str) -> None:
    exporter()
    with kept(), pytest.raises(TargetError, match=device):
        target(device=device).open()
    with pytest.raises(ZeroDivisionError), target().open():
        raise ZeroDivisionError
    assert [lease.deleted for lease in lab.controller.leases] == [True, True]


def test_a_device_that_is_lost_costs_the_lease(
    lab: Any, exporter: Make, target: Make, cases: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NNAPI_TESTKIT_ADB_PATIENCE", "reach=3,silent_boot=0.5")
    device = exporter()
    with target().open() as runner:
        assert len(list(runner.run(cases(2)))) == 2
        device.close()
        with kept(), pytest.raises(InfraError, match="exporter rack-1"):
            list(runner.run(cases(2)))
            runner.close()
    assert lab.controller.leases[0].deleted


def test_two_devices_behind_one_exporter(
    lab: Any, exporter: Make, target: Make, start: Make, connect: Make, cases: Make
) -> None:
    device = exporter()
    other = start()
    root = lab.roots["rack-1"]
    connect(root.children["adb"].port, other)
    with pytest.raises(TargetError) as error:
        target().open()
    assert "2 devices are connected: name one of ?serial=127.0.0.1:" in one_line(error)
    with target(more=f"&serial={other.serial}&driver=adb").open() as runner:
        assert len(list(runner.run(cases(5)))) == 5
        assert runner.describe()["serial"] == other.serial
    assert (device.results, other.results) == (0, 5)


def test_the_adb_driver(lab: Any, lab_module: ModuleType, target: Make) -> None:
    lab.add("rack-1", lab_module.Phone(), board="bare")
    with pytest.raises(TargetError) as error:
        target("board=bare").open()
    assert "has no adb driver" in one_line(error)
    assert "jumpstarter_driver_adb.driver.AdbServer" in one_line(error)
    with pytest.raises(TargetError, match="no driver usb: name one of"):
        target("board=bare", "&driver=usb").open()


def test_several_adb_drivers(
    lab: Any, lab_module: ModuleType, target: Make, start: Make, connect: Make, cases: Make
) -> None:
    from jumpstarter_lab import Phone, adb_server  # type: ignore[import-not-found]

    ports = [lab_module.free_port() for _ in range(2)]
    left = Phone(children={"adb": adb_server(ports[0])})
    lab.add("rack-1", Phone(children={"left": left, "right": adb_server(ports[1])}), board="two")
    device = start()
    connect(ports[0], device)
    with pytest.raises(TargetError, match=r"2 adb drivers: name one of \?driver=left.adb, \?dr"):
        target("board=two").open()
    with target("board=two", "&driver=left.adb").open() as runner:
        assert len(list(runner.run(cases(3)))) == 3


def test_a_lease_of_the_users_stays(
    lab: Any, exporter: Make, target: Make, cases: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter()
    theirs = target().open()
    (lease,) = lab.controller.leases
    monkeypatch.setenv("JMP_LEASE", lease.name)
    with pytest.raises(TargetError, match="JMP_LEASE names a lease"):
        target(more="&lane=3").open()
    with target("").open() as runner:
        assert len(list(runner.run(cases(2)))) == 2
        assert runner.describe()["lease"] == lease.name
    assert lease.active
    assert len(list(theirs.run(cases(2)))) == 2
    theirs.close()
