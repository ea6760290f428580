"""What an emulator needs of this machine, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import adbutils

from nnapi_testkit.android import ABIS
from nnapi_testkit.errors import KitError
from nnapi_testkit.paths import android_runner
from nnapi_testkit.targets.base import TargetError
from nnapi_testkit.targets.docker.engine import Engine

__all__ = ["Finding", "examine"]

KVM = Path("/dev/kvm")
KVM_RULE = (
    'echo \'KERNEL=="kvm", GROUP="kvm", MODE="0666", OPTIONS+="static_node=kvm"\' | sudo tee'
    " /etc/udev/rules.d/99-kvm4all.rules && sudo udevadm control --reload-rules && sudo udevadm"
    " trigger --name-match=kvm"
)
EMULATOR_MB = 3500  # what one emulator takes, and what the machine keeps for itself
SPARE_MB = 2000


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        what: its name.
        good: whether it is as it should be.
        says: what was found.
        cure: the command that mends it; empty if nothing is to be done.
        needed: whether emulators do without.
    """

    what: str
    good: bool
    says: str
    cure: str = ""
    needed: bool = True

    def lines(self) -> list[str]:
        """As people read it."""
        word = "ok     " if self.good else "missing" if self.needed else "note   "
        return [f"{word}  {self.what}: {self.says}", *([f"         {self.cure}"] * bool(self.cure))]


def examine(kvm: Path = KVM) -> list[Finding]:
    """Look at everything emulators need. Never raises for what is missing.

    Args:
        kvm: the device of the host's hypervisor.
    """
    looks: Sequence[Callable[[], Finding]] = (_docker, lambda: _kvm(kvm), _adb, _runners, _room)
    return [look() for look in looks]


def _docker() -> Finding:
    try:
        Engine()
    except TargetError as error:
        said = str(error.__cause__ or error)
        host = os.environ.get("DOCKER_HOST", "")
        if host:
            cure = f"DOCKER_HOST names {host}: start that daemon, or unset DOCKER_HOST"
        elif not shutil.which("dockerd") and not shutil.which("docker"):
            cure = "sudo apt-get install -y docker.io   (or docs.docker.com/engine/install)"
        elif "ermission" in said:
            cure = "sudo usermod -aG docker $USER && newgrp docker"
        else:
            cure = "sudo systemctl start docker"
        return Finding("docker", False, "no daemon answers", cure)
    return Finding("docker", True, "the daemon answers")


def _kvm(path: Path) -> Finding:
    try:
        is_device = stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        is_device = False
    if not is_device:
        vendor = "kvm_amd" if _flag("svm") else "kvm_intel"
        cure = f"sudo modprobe {vendor}"
        if not (_flag("svm") or _flag("vmx")):
            cure = "turn on virtualization in the firmware, or nested virtualization of this VM"
        return Finding("KVM", False, f"there is no {path}", cure)
    if not os.access(path, os.R_OK | os.W_OK):
        return Finding("KVM", False, f"{path} may not be opened", KVM_RULE)
    return Finding("KVM", True, f"{path} can be opened")


def _flag(name: str) -> bool:
    try:
        return f" {name} " in Path("/proc/cpuinfo").read_text().replace("\n", " ")
    except OSError:
        return False


def _adb() -> Finding:
    try:
        return Finding("adb", True, str(adbutils.adb_path()))
    except adbutils.AdbError:
        return Finding("adb", False, "no program of this name", "sudo apt-get install -y adb")


def _runners() -> Finding:
    missing = []
    for abi in ABIS:
        try:
            android_runner(abi)
        except KitError:
            missing.append(abi)
    if not missing:
        return Finding("runners", True, "for " + ", ".join(ABIS))
    return Finding(
        "runners", False, f"none for {', '.join(missing)}", "nnapi-testkit build-runners"
    )


def _room() -> Finding:
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    except (OSError, ValueError):
        return Finding("room", False, "the machine's memory is not known", needed=False)
    processors = len(os.sched_getaffinity(0))
    most = max(0, min(processors // 2, (memory - SPARE_MB) // EMULATOR_MB))
    says = f"{processors} processors and {memory} MB serve {most} emulators at a time"
    return Finding("room", most > 0, says, needed=False)
