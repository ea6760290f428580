"""Profiles as data, the names of targets, the doctor: nothing here needs docker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nnapi_testkit.targets import TargetError, parse_target
from nnapi_testkit.targets.docker import docker_fleet, examine, find_profile, read_profiles
from tests.docker.make_image import PARTS

IMAGES = Path(__file__).resolve().parents[2] / "emulator" / "images"


class TestProfiles:
    def test_what_comes_with_the_kit(self) -> None:
        known = read_profiles()
        assert [p.name for p in known.values() if p.kind == "ready"] == ["api34"]
        ours = [p for p in known.values() if p.kind == "ours"]
        assert [p.api_level for p in ours] == [30, 31, 32, 33, 34, 35]
        for profile in ours:
            assert profile.build == {"API_LEVEL": str(profile.api_level)}
        for profile in known.values():
            assert profile.about and ":" in profile.image
            assert set(profile.devices) <= {"/dev/kvm"}
            assert profile.boot_seconds >= 300

    def test_metrics_are_off(self) -> None:
        known = read_profiles()
        assert known["api34"].environment["USER_BEHAVIOR_ANALYTICS"] == "false"
        assert "no-metrics" in known["google30"].image

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[a]\n", "names no image"),
            ('[a]\nimage = ""\n', "names no image"),
            ("a = 1\n", "is no table"),
            ('[a]\nimage = "x:1"\nprivileged = true\n', "unknown key 'privileged'"),
            ('[a]\nimage = "x:1"\nname = "b"\n', "unknown key 'name'"),
            ('[a]\nimage = "x:1"\ncpus = "two"\n', "wrong type"),
            ('[a]\nimage = "x:1"\nmemory_mb = true\n', "wrong type"),
            ('[a]\nimage = "x:1"\nmemory_mb = -1\n', "less than nothing"),
            ('[a]\nimage = "x:1"\nkind = "best"\n', "kind is one of"),
            ('[a]\nimage = "x:1"\ndevices = ["/dev/mem"]\n', "/dev/kvm at most"),
            ("[a\n", "is not TOML"),
        ],
    )
    def test_a_file_of_ones_own(self, tmp_path: Path, text: str, said: str) -> None:
        path = tmp_path / "own.toml"
        path.write_text(text)
        with pytest.raises(TargetError, match=said):
            read_profiles(path)

    def test_it_replaces_and_adds(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "own.toml"
        path.write_text('[emu34]\nimage = "other:1"\n[mine]\nimage = "mine:1"\ncpus = 1.5\n')
        monkeypatch.setenv("NNAPI_TESTKIT_PROFILES", str(path))
        assert find_profile("emu34").image == "other:1"
        assert find_profile("mine").cpus == 1.5
        assert find_profile("emu33").image == "nnapi-testkit/emulator:33"
        monkeypatch.setenv("NNAPI_TESTKIT_PROFILES", str(tmp_path / "missing"))
        with pytest.raises(TargetError, match="cannot be read"):
            find_profile("mine")


class TestNames:
    def test_targets(self) -> None:
        with pytest.raises(TargetError, match="names no profile"):
            parse_target("docker:")
        with pytest.raises(TargetError, match=r"no profile 'nexus'.*emu34"):
            parse_target("docker:nexus")
        assert parse_target("docker:emu34#npu").name == "docker:emu34#npu"

    def test_fleets(self) -> None:
        assert docker_fleet("docker:emu34") == ("docker:emu34",)
        assert docker_fleet("docker:emu34*2#npu") == ("docker:emu34#npu",) * 2
        assert docker_fleet("docker:emu33,emu34") == ("docker:emu33", "docker:emu34")
        with pytest.raises(TargetError, match="at most 64"):
            docker_fleet("docker:emu34*65")


class TestDoctor:
    @pytest.fixture
    def bare(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        """A machine without docker, adb and runners."""
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setenv("NNAPI_TESTKIT_ANDROID_RUNNERS", str(tmp_path))
        return tmp_path

    def test_everything_is_missing(self, bare: Path) -> None:
        findings = {finding.what: finding for finding in examine(bare / "kvm")}
        for what in ("docker", "KVM", "runners"):
            assert not findings[what].good
            assert findings[what].cure
            assert findings[what].lines()[0].startswith("missing")
            assert findings[what].cure in findings[what].lines()[1]
        assert "DOCKER_HOST names" in findings["docker"].cure
        assert findings["runners"].cure == "nnapi-testkit build-runners"

    def test_docker_is_not_installed(self, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if Path("/var/run/docker.sock").exists():
            pytest.skip("this machine has a docker daemon")
        monkeypatch.delenv("DOCKER_HOST")
        (docker,) = (one for one in examine(bare / "kvm") if one.what == "docker")
        assert docker.cure.startswith("sudo apt-get install -y docker.io")

    def test_adb(self, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ADBUTILS_ADB_PATH", str(bare / "adb"))
        (adb,) = (one for one in examine(bare / "kvm") if one.what == "adb")
        if not adb.good:  # adbutils brings one along on some machines
            assert adb.cure == "sudo apt-get install -y adb"

    def test_kvm_that_may_not_be_opened(self, bare: Path) -> None:
        if os.geteuid() == 0:
            (kvm,) = (one for one in examine(Path("/dev/null")) if one.what == "KVM")
            assert kvm.good
            return
        (kvm,) = (one for one in examine(Path("/dev/mem")) if one.what == "KVM")
        assert "udevadm" in kvm.cure

    def test_the_command(self, bare: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "nnapi_testkit.cli", "emulator", "doctor"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert "missing  docker" in done.stdout
        assert "Traceback" not in done.stderr

    def test_a_command_that_needs_docker(self, bare: Path) -> None:
        for words in (["emulator", "up", "emu34"], ["devices", "-t", "docker:emu34"]):
            done = subprocess.run(
                [sys.executable, "-m", "nnapi_testkit.cli", *words],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 2
            assert "run nnapi-testkit emulator doctor" in done.stderr
            assert done.stderr.count("\n") == 1


class TestImage:
    def test_the_loopback_device_is_whole_in_it(self) -> None:
        script = "import sys, nnapi_testkit.loopback; print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        ours = {name for name in done.stdout.split() if name.startswith("nnapi_testkit.")}
        parts = {name.split(".")[1] for name in ours}
        assert {Path(part).stem for part in PARTS} == parts | {"__init__"}


class TestEntryPoint:
    def run(self, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", IMAGES / "entrypoint.sh"],
            capture_output=True, text=True, check=False, timeout=30,
            env={"PATH": f"{folder}:/usr/bin:/bin", **variables},
        )  # fmt: skip

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Callable[[str], Path]:
        def write(emulator: str) -> Path:
            for name, text in (("emulator", emulator), ("socat", "exec sleep 20")):
                (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
                (tmp_path / name).chmod(0o755)
            return tmp_path

        return write

    def test_the_emulators_status_is_its_own(self, folder: Callable[[str], Path]) -> None:
        done = self.run(folder("exit 7"), EMULATOR_ACCEL="off")
        assert done.returncode == 7
        assert "left with status 7" in done.stderr

    def test_what_the_emulator_is_told(self, folder: Callable[[str], Path]) -> None:
        done = self.run(
            folder('echo "$@"'), EMULATOR_ACCEL="off", EMULATOR_MEMORY="1000", EMULATOR_ARGS="-a b"
        )
        words = done.stdout.split()
        for word in ("-no-window", "-delay-adb", "-no-snapshot", "-skip-adb-auth", "-a"):
            assert word in words
        assert words[words.index("-memory") + 1] == "1000"
        # Ports an adb server on the host does not try by itself, within the container.
        assert words[words.index("-ports") + 1] == "5556,5557"

    def test_it_goes_when_told(self, folder: Callable[[str], Path]) -> None:
        place = folder("exec sleep 20")
        with subprocess.Popen(
            ["/bin/sh", IMAGES / "entrypoint.sh"],
            env={"PATH": f"{place}:/usr/bin:/bin", "EMULATOR_ACCEL": "off"},
        ) as process:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            until = time.monotonic() + 60
            while len(children.read_text().split()) < 2:  # the emulator and the forwarder
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.05)
            process.terminate()
            assert process.wait(60) == 143
