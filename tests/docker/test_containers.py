"""The docker: target against a real daemon, with a stub emulator in a real container."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit.model.case import Case, Ending
from nnapi_testkit.targets import InfraError, TargetError, parse_target
from nnapi_testkit.targets.docker import Engine, find_profile
from nnapi_testkit.targets.docker.engine import DEADLINE, HOST, LABEL, OWNER

Profiles = Callable[..., str]
Add = Callable[..., Case]
ENVIRONMENT = '[stub.environment]\nEMULATOR_ACCEL = "off"\n'
pytestmark = pytest.mark.slow


def command(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nnapi_testkit.cli", *words],
        capture_output=True, text=True, check=False, env={**os.environ, **variables},
    )  # fmt: skip


class TestTarget:
    def test_it_runs_cases(self, docker_here: Engine, profiles: Profiles, add: Add) -> None:
        cases = [add(size) for size in (1, 6, 50)]
        with parse_target(profiles()).open() as runner:
            results = list(runner.run(cases))
            facts = runner.describe()
            (container,) = docker_here.emulators()
        for case, result in zip(cases, results, strict=True):
            assert result.ending is Ending.COMPLETED, result
            expected = 3 * np.arange(case.sets[0].inputs[0].size, dtype=np.float32)
            assert bytes(result.executions[0].outputs[0].data) == expected.tobytes()
        assert facts["profile"] == "stub"
        assert facts["container"] == container.id
        assert str(facts["image"]).startswith("sha256:")
        assert facts["devices"] == ["nnapi-reference"]

    def test_what_a_container_may(self, docker_here: Engine, profiles: Profiles) -> None:
        with parse_target(profiles()).open():
            (container,) = docker_here.emulators()
            facts = docker_here._client.containers.get(container.id).attrs
        host = facts["HostConfig"]
        assert host["Privileged"] is False
        assert host["CapAdd"] in (None, [])
        assert host["Binds"] in (None, [])
        assert host["Devices"] in (None, [])
        assert host["NetworkMode"] != "host"
        assert host["Memory"] == 512 << 20
        assert host["RestartPolicy"]["Name"] in ("", "no")
        ports = facts["NetworkSettings"]["Ports"]
        assert [b["HostIp"] for bindings in ports.values() for b in bindings] == ["127.0.0.1"]
        assert container.port not in range(5554, 5586)
        labels = facts["Config"]["Labels"]
        assert {f"{LABEL}.{word}" for word in ("role", "session", "profile")} <= set(labels)
        assert labels[OWNER].startswith(f"{os.getpid()}.")
        assert 0 < float(labels[DEADLINE]) - time.time() <= 600

    def test_one_container_serves_one_runner_after_another(
        self, docker_here: Engine, profiles: Profiles
    ) -> None:
        target = parse_target(profiles())
        seen = []
        for _ in range(2):
            with target.open() as runner:
                seen.append(runner.describe()["container"])
        assert seen[0] == seen[1]

    def test_two_at_a_time_have_two(self, docker_here: Engine, profiles: Profiles) -> None:
        target = parse_target(profiles())
        with target.open() as first, target.open() as second:
            assert first.describe()["container"] != second.describe()["container"]
            assert len(docker_here.emulators()) == 2

    def test_a_lost_emulator_is_replaced(
        self, docker_here: Engine, profiles: Profiles, add: Add
    ) -> None:
        target = parse_target(profiles(boot_seconds=20))
        with target.open() as runner:
            list(runner.run([add()]))
            (before,) = docker_here.emulators()
            docker_here._client.containers.get(before.id).kill()
            with pytest.raises(InfraError, match="the container of stub is exited"):
                list(runner.run([add()]))
        with target.open() as runner:
            (result,) = runner.run([add()])
            assert result.ending is Ending.COMPLETED
            (after,) = docker_here.emulators()
        assert after.id != before.id

    def test_one_that_ended_while_idle_too(self, docker_here: Engine, profiles: Profiles) -> None:
        target = parse_target(profiles())
        target.open().close()
        (before,) = docker_here.emulators()
        docker_here._client.containers.get(before.id).kill()
        with target.open() as runner:
            assert runner.describe()["container"] != before.id

    def test_a_name_of_an_nnapi_device(self, docker_here: Engine, profiles: Profiles) -> None:
        profiles()
        with parse_target("docker:stub#nnapi-reference").open() as runner:
            assert runner.describe()["device"] == "nnapi-reference"
        with pytest.raises(TargetError, match='no NNAPI device is called "npu"'):
            parse_target("docker:stub#npu").open()


class TestBoot:
    def test_adb_before_the_guest(self, docker_here: Engine, profiles: Profiles, add: Add) -> None:
        """The forwarder takes connections seconds before anything behind it answers."""
        with parse_target(profiles('STUB_BOOT_SECONDS = "4"\n')).open() as runner:
            (result,) = runner.run([add()])
        assert result.ending is Ending.COMPLETED

    def test_a_guest_that_is_silent_first(
        self, docker_here: Engine, profiles: Profiles, add: Add
    ) -> None:
        with parse_target(profiles('STUB_FAULTS = "silent_seconds=4"\n')).open() as runner:
            (result,) = runner.run([add()])
        assert result.ending is Ending.COMPLETED

    def test_an_emulator_that_panics(self, docker_here: Engine, profiles: Profiles) -> None:
        target = parse_target(profiles('STUB_EXIT = "no system image"\n', boot_seconds=300))
        began = time.monotonic()
        with pytest.raises(InfraError, match=r"left with status 1|PANIC: no system image"):
            target.open()
        assert time.monotonic() - began < 60  # not the time a boot may take

    def test_without_kvm(self, docker_here: Engine, profiles: Profiles) -> None:
        profiles()
        text = Path(os.environ["NNAPI_TESTKIT_PROFILES"]).read_text().replace('"off"', '"on"')
        Path(os.environ["NNAPI_TESTKIT_PROFILES"]).write_text(text)
        target = parse_target("docker:stub")
        with pytest.raises(InfraError, match="no access to /dev/kvm"):
            target.open()

    def test_it_never_comes_up(self, docker_here: Engine, profiles: Profiles) -> None:
        target = parse_target(profiles('STUB_BOOT_SECONDS = "600"\n', boot_seconds=4))
        with pytest.raises(InfraError, match=r"after \d.* s"):
            target.open()

    def test_unauthorized(self, docker_here: Engine, profiles: Profiles) -> None:
        target = parse_target(profiles('STUB_FAULTS = "unauthorized=1"\n'))
        with pytest.raises(TargetError, match="authoriz"):
            target.open()

    def test_an_image_that_is_not_there(self, docker_here: Engine, profiles: Profiles) -> None:
        name = profiles(image='"nnapi-testkit/nothing:1"', kind='"ours"')
        with pytest.raises(TargetError, match="run nnapi-testkit emulator build stub"):
            parse_target(name).open()

    def test_an_image_without_our_port(self, docker_here: Engine, profiles: Profiles) -> None:
        target = parse_target(profiles(adb_port=5999, boot_seconds=3))
        with pytest.raises(InfraError):
            target.open()


class TestLife:
    def test_it_ends_by_itself(self, docker_here: Engine, profiles: Profiles) -> None:
        profiles(life_seconds=2)
        container = docker_here.start(find_profile("stub"))
        until = time.monotonic() + 20
        while True:
            now = docker_here.look(container.id)
            if now is not None and now.state == "exited":
                break
            assert time.monotonic() < until
            time.sleep(0.2)
        assert [one.id for one in docker_here.reap()] == [container.id]
        assert docker_here.look(container.id) is None

    def test_orphans_are_reaped(self, docker_here: Engine, profiles: Profiles) -> None:
        """Its owner is killed: nothing of that process could have cleaned up."""
        profiles()
        code = (
            "import time; from nnapi_testkit.targets.docker import Engine, find_profile;"
            "print(Engine().start(find_profile('stub')).id, flush=True); time.sleep(60)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout
            name = child.stdout.readline().strip()
            assert docker_here.reap() == []  # it is in use
            child.send_signal(signal.SIGKILL)
        assert [one.id for one in docker_here.reap()] == [name]

    def test_those_of_others_are_left_alone(self, docker_here: Engine, profiles: Profiles) -> None:
        stranger = docker_here._client.containers.run(
            "nnapi-testkit/stub:1", ["sleep", "60"], detach=True,
            labels={f"{LABEL}.role": "emulator", f"{LABEL}.profile": "stub", OWNER: "1.0",
                    HOST: "another-machine", DEADLINE: "1"},
        )  # fmt: skip
        unlabelled = docker_here._client.containers.run(
            "nnapi-testkit/stub:1", ["sleep", "60"], detach=True
        )
        try:
            assert docker_here.reap() == []
            assert {one.id for one in docker_here.emulators()} == {stranger.short_id}
        finally:
            stranger.remove(force=True)
            unlabelled.remove(force=True)

    def test_none_outlives_the_process(self, docker_here: Engine, profiles: Profiles) -> None:
        profiles()
        done = command("devices", "-t", "docker:stub")
        assert done.returncode == 0, done.stderr
        assert "nnapi-reference" in done.stdout
        assert docker_here.emulators() == []


class TestCommands:
    def test_up_list_use_down(self, docker_here: Engine, profiles: Profiles) -> None:
        profiles()
        done = command("emulator", "up", "stub")
        assert done.returncode == 0, done.stderr
        assert "NNAPI devices: nnapi-reference" in done.stdout
        (container,) = docker_here.emulators()
        assert container.owner == "kept"
        assert docker_here.reap() == []
        listed = command("emulator", "list").stdout
        assert f"{container.id}  stub  running  adb:{container.serial}" in listed
        used = command("devices", "-t", f"adb:{container.serial}")
        assert "nnapi-reference" in used.stdout, used.stderr
        assert command("emulator", "down", "strange").returncode == 2
        gone = command("emulator", "down", "stub")
        assert f"{container.id}  stub  removed" in gone.stdout
        assert docker_here.emulators() == []

    def test_up_that_fails_leaves_nothing(self, docker_here: Engine, profiles: Profiles) -> None:
        profiles('STUB_EXIT = "disk full"\n', boot_seconds=300)
        began = time.monotonic()
        done = command("emulator", "up", "stub")
        assert time.monotonic() - began < 60
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert docker_here.emulators() == []

    def test_a_fleet_judges_an_operation(
        self, docker_here: Engine, profiles: Profiles, tmp_path: Path
    ) -> None:
        profiles()
        done = command(
            "run", "-o", "RESHAPE", "-t", "docker:stub*2", "--report", str(tmp_path / "report"),
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stderr  # how it is judged is told elsewhere
        records = [
            json.loads(line)
            for line in (tmp_path / "report" / "results.jsonl").read_text().splitlines()
        ]
        verdicts = [record.get("verdict") for record in records if "verdict" in record]
        assert len(verdicts) > 100
        assert {"INFRA", "NOT_RUN"}.isdisjoint(verdicts)
        assert "PASS" in verdicts
        assert docker_here.emulators() == []
