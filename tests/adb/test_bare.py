"""Userlands that are not a phone: no properties, no log, no services, no place, other loaders."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnapi_testkit.model.case import Case, Ending
from nnapi_testkit.targets import InfraError, TargetError, fleet, parse_target
from nnapi_testkit.targets.adb import Patience
from nnapi_testkit.targets.adb.cache import _Place
from nnapi_testkit.targets.adb.lease import Lease

Any_ = Callable[..., Any]


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    text = str(error.value)
    assert "\n" not in text and len(text) < 1200, text
    return text


@pytest.fixture
def as_android(tmp_path: Path, runner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives out this machine's runner as the one for Android on its processor."""
    abi = {"aarch64": "arm64-v8a"}.get(platform.machine(), platform.machine())
    folder = tmp_path / "runners" / abi
    folder.mkdir(parents=True)
    (folder / "nnapi-runner").symlink_to(runner)
    monkeypatch.setenv("NNAPI_TESTKIT_ANDROID_RUNNERS", str(folder.parent))


# ---- programs that are not there, or hang ----


@pytest.mark.parametrize(
    ("lacks", "hangs"),
    [
        ("getprop,setprop", ""),
        ("logcat,log", ""),
        ("sha256sum", ""),
        ("getconf,id,cut,uname", ""),
        ("grep,sed,ls", ""),
        ("getprop,setprop,logcat,log,sha256sum,getconf,id,cut,grep,sed,ls,tar,stat,timeout", ""),
        ("", "logcat"),
        ("", "getprop"),
    ],
)
def test_programs_that_are_not_there_or_hang(
    start: Any_,
    target: Any_,
    patience: Patience,
    cases: Any_,
    check: Any_,
    as_android: None,
    lacks: str,
    hangs: str,
) -> None:
    device = start(lacks=lacks, hangs=hangs)
    impatient = replace(target(device), patience=replace(patience, command=1.0))
    began = time.monotonic()
    with impatient.open() as runner:
        device.mend(drop_after_results=20)
        check(list(runner.run(cases(50))), 50)
    assert time.monotonic() - began < 60
    assert list(device.scratch.iterdir()) == []


def test_without_properties_the_kernel_names_the_processor(
    start: Any_, target: Any_, as_android: None
) -> None:
    facts = target(start(lacks="getprop")).describe()
    assert facts["api_level"] == 0
    assert facts["abi"] in ("x86_64", "arm64-v8a")
    assert facts["page_size"] > 0


def test_a_hanging_log_costs_little_and_hides_no_crash(
    start: Any_, target: Any_, make_case: Callable[..., Case]
) -> None:
    crashes_in_compute = 9004
    with target(start(hangs="logcat")).open() as runner:
        began = time.monotonic()
        results = list(runner.run([make_case(), make_case(crashes_in_compute), make_case()]))
        assert time.monotonic() - began < 30
    assert [result.ending for result in results] == [
        Ending.COMPLETED,
        Ending.CRASHED,
        Ending.COMPLETED,
    ]


def test_a_verbose_log_that_cannot_be_switched_on_is_said(
    start: Any_, target: Any_, make_case: Callable[..., Case], as_android: None
) -> None:
    with target(start(lacks="getprop,setprop,logcat")).open() as runner:
        with pytest.raises(InfraError, match=r"setprop debug\.nn\.vlog") as error:
            runner.explain(make_case())
        one_line(error)
        assert len(list(runner.run([make_case()]))) == 1


# ---- Android's own shell and programs ----


@pytest.fixture
def androids_own(tmp_path: Path) -> dict[str, Any]:
    """The shell of Android and its programs, as far as Debian has them: mksh and toybox."""
    shell, toybox = shutil.which("mksh"), shutil.which("toybox")
    if not shell or not toybox:
        pytest.skip("Android's shell and programs: apt-get install mksh toybox")
    programs = tmp_path / "programs"
    programs.mkdir()
    names = subprocess.run([toybox], capture_output=True, text=True, check=True).stdout.split()
    for name in names:
        (programs / name).symlink_to(toybox)
    return {"shell": shell, "programs": programs}


@pytest.mark.parametrize("lacks", ["", "getprop,setprop,logcat,sha256sum"])
def test_the_commands_are_androids(
    start: Any_,
    target: Any_,
    cases: Any_,
    check: Any_,
    androids_own: dict[str, Any],
    as_android: None,
    lacks: str,
) -> None:
    device = start(**androids_own, lacks=lacks)
    with target(device).open() as runner:
        facts = runner.describe()
        device.mend(drop_after_results=20)
        check(list(runner.run(cases(50))), 50)
        device.mend(kill_after_results=20)
        check(list(runner.run(cases(50))), 50)
    assert list(device.scratch.iterdir()) == []
    assert facts["page_size"] > 0 and "uid=" in str(facts["identity"])


def test_the_commands_of_a_place_are_androids(
    start: Any_, target: Any_, androids_own: dict[str, Any]
) -> None:
    device = start(**androids_own, absent="/data/local/tmp,/tmp,/data")
    with pytest.raises(InfraError, match="no folder that the runner can be put into") as error:
        target(device).open()
    assert "mkdir" in one_line(error)
    device = start(**androids_own, noexec="/data/local/tmp")
    with target(device).open():
        assert (device.root / "tmp/nnapi-testkit").exists()
    assert not (device.root / "tmp/nnapi-testkit").exists()


def wait_for_name(pid: int, name: str) -> None:
    """Until that process has become the program of that name."""
    command = Path(f"/proc/{pid}/cmdline")
    until = time.monotonic() + 60
    while command.read_bytes().split(b"\0")[0] != name.encode():
        assert time.monotonic() < until, command.read_bytes()
        time.sleep(0.02)


def test_leftovers_end_by_androids_commands(
    start: Any_, target: Any_, androids_own: dict[str, Any], native: Path
) -> None:
    device = start(**androids_own)
    lease: Lease = target(device).lease()
    try:
        program = device.place(lease.runner)
        hanging = subprocess.Popen(
            [program, "--serve", "--library", native / "libtoy.so"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        assert hanging.stdin is not None
        lease.clean()
        assert hanging.wait(60) == -signal.SIGKILL
        hanging.stdin.close()
        # One that an emulator runs has another program, and ours in its command line.
        lease.lost()
        lease.ready()
        script = f"exec -a qemu-aarch64 sh -c 'read x; :' {program}"
        emulated = subprocess.Popen(["bash", "-c", script], stdin=subprocess.PIPE)
        wait_for_name(emulated.pid, "qemu-aarch64")
        lease.clean()
        assert emulated.wait(60) == -signal.SIGKILL
        assert emulated.stdin is not None
        emulated.stdin.close()
    finally:
        lease.release()


def test_what_ends_leftovers_spares_what_looks_for_the_runner(
    start: Any_, target: Any_, tmp_path: Path
) -> None:
    """Both are at work at the same time; the shell that looks has its commands as a line, too."""
    lease: Lease = target(start()).lease()
    try:
        (pattern,) = re.findall(r"grep -l '([^']*)'", lease._stopping())
        digest = hashlib.sha256(lease.runner.encode()).hexdigest()
        looks = _Place(lease.base, digest, 1)
        lines = {"runner": looks.path, "look": f"sh\0-c\0{looks.check}", "ends": lease._stopping()}
        for name, line in lines.items():
            (tmp_path / name).write_text(line)
        words = ["grep", "-l", pattern, *(tmp_path / name for name in lines)]
        found = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        assert found.splitlines() == [str(tmp_path / "runner")]
    finally:
        lease.release()


# ---- a place for the runner ----


@pytest.mark.parametrize("fault", ["absent", "noexec"])
def test_another_place_is_found(
    start: Any_, target: Any_, cases: Any_, check: Any_, fault: str
) -> None:
    device = start(**{fault: "/data/local/tmp"})
    with target(device).open() as runner:
        check(list(runner.run(cases(20))), 20)
        assert list((device.root / "tmp/nnapi-testkit").iterdir())
    assert not (device.root / "tmp/nnapi-testkit").exists()
    assert not (device.root / "data/local/tmp/nnapi-testkit").exists()


@pytest.mark.parametrize(
    ("fault", "why"), [("absent", "cannot create|Not a directory"), ("noexec", "Permission denied")]
)
def test_no_place_at_all_is_said_with_what_was_tried(
    start: Any_, target: Any_, fault: str, why: str
) -> None:
    device = start(**{fault: "/data/local/tmp,/tmp,/data"})
    with pytest.raises(InfraError, match="no folder that the runner can be put into") as error:
        target(device).open()
    text = one_line(error)
    assert all(f"{place}/nnapi-testkit" in text for place in ("/data/local/tmp", "/tmp", "/data"))
    assert re.search(why, text)


def test_a_runner_for_another_loader_is_passed_over(
    start: Any_, target: Any_, tmp_path: Path, runner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device says one ABI too many: the runner for it does not start there."""
    machine = {"aarch64": "arm64-v8a"}.get(platform.machine(), platform.machine())
    for abi, program in (("x86", b"#!/absent/linker64\n"), (machine, runner.read_bytes())):
        path = tmp_path / abi / "nnapi-runner"
        path.parent.mkdir()
        path.write_bytes(program)
    monkeypatch.setenv("NNAPI_TESTKIT_ANDROID_RUNNERS", str(tmp_path))
    device = start()
    device.set_property("ro.product.cpu.abilist", f"x86,{machine}")
    assert target(device).describe()["abi"] == machine
    device.set_property("ro.product.cpu.abilist", "x86")
    with pytest.raises(InfraError, match=r"\(x86\): the runner does not run there") as error:
        target(device).open()
    one_line(error)


# ---- listing devices ----


@pytest.mark.parametrize(
    ("what", "words"), [("abort", "died of signal 6"), ("hang", "did not load within 1000 ms")]
)
def test_a_runtime_without_its_services_is_one_clear_line(
    start: Any_, target: Any_, patience: Patience, what: str, words: str
) -> None:
    device = start(environment={"TOY_ON_LIST": what})
    device.set_property("ro.build.version.release", "14")
    short = replace(target(device), patience=replace(patience, load=1.0, services=1.0))
    began = time.monotonic()
    with pytest.raises(TargetError, match=words) as error:
        short.open()
    text = one_line(error)
    assert "in ANeuralNetworks_getDeviceCount" in text
    assert "Android 14's runtime" in text and "binder" in text
    assert time.monotonic() - began < 60


def test_a_runtime_that_lists_nothing_is_one_clear_line(
    start: Any_, target: Any_, patience: Patience
) -> None:
    device = start(environment={"TOY_DEVICES": "0"})
    short = replace(target(device), patience=replace(patience, services=0.5))
    with pytest.raises(TargetError, match=r"lists no NNAPI device .*binder") as error:
        short.open()
    one_line(error)


def test_a_runtime_that_lists_late_is_waited_for(
    start: Any_, target: Any_, cases: Any_, check: Any_
) -> None:
    device = start(environment={"TOY_ON_LIST": "abort"})
    timer = threading.Timer(1.0, lambda: device._environment.pop("TOY_ON_LIST"))
    timer.start()
    try:
        with target(device).open() as runner:
            check(list(runner.run(cases(5))), 5)
    finally:
        timer.join()


def test_a_support_library_needs_nothing_of_the_systems_runtime(
    start: Any_, target: Any_, patience: Patience
) -> None:
    """That one is not asked for its devices: where it hangs, a support library still works."""
    device = start(environment={"TOY_ON_LIST": "hang"})
    path = str(device.root / "driver.so")
    short = replace(patience, services=0.2)
    mine = replace(target(device), support_library=path, patience=short)
    with pytest.raises(TargetError, match=f"cannot load {path}"):
        mine.open()
    listings = [word for word in device.opened if "--list-devices" in word]
    assert listings and all("--support-library" in word for word in listings)


# ---- where the library lies ----


def test_a_library_can_be_named(
    start: Any_, target: Any_, native: Path, cases: Any_, check: Any_
) -> None:
    device = start(environment={"LD_LIBRARY_PATH": ""})
    place = device.root / "vendor"
    place.mkdir()
    (place / "libmine.so").symlink_to(native / "libtoy.so")
    with replace(target(device), library=f"{place}/libmine.so").open() as runner:
        check(list(runner.run(cases(5))), 5)
        assert runner.library.path.endswith(("libmine.so", "libtoy.so"))


def test_a_linker_that_was_not_told_where_libraries_are_is_told(
    start: Any_, target: Any_, as_android: None, patience: Patience
) -> None:
    device = start(lacks="getprop", environment={"LD_LIBRARY_PATH": ""})
    short = replace(target(device), patience=replace(patience, services=0.2))
    with pytest.raises(TargetError, match=r"cannot load libneuralnetworks\.so") as error:
        short.open()
    text = one_line(error)
    assert "; nor /apex/com.android.neuralnetworks/lib64/libneuralnetworks.so" in text
    assert "; nor /system/lib64/libneuralnetworks.so" in text
    told = [word for word in device.opened if "LD_LIBRARY_PATH=" in word]
    assert told and "${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/apex/com.android" in told[0]


def test_drivers_on_the_device_are_read_from_the_targets_name() -> None:
    named = parse_target("adb:A+lib:/data/lib.so#npu")
    assert (named.serials, named.library, named.device) == (("A",), "/data/lib.so", "npu")
    assert fleet("adb:A,B+lib:/l.so#npu") == ("adb:A+lib:/l.so#npu", "adb:B+lib:/l.so#npu")
    assert fleet("adb:A,B+sl:/l.so") == ("adb:A+sl:/l.so", "adb:B+sl:/l.so")
    for mark in ("+lib:", "+sl:"):
        with pytest.raises(TargetError, match="whole path on the device"):
            parse_target(f"adb:A{mark}lib.so")
