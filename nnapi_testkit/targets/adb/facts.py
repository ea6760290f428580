"""What a device tells about itself, asked in one command."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nnapi_testkit.targets.adb.device import Device

__all__ = ["DeviceFacts", "ask", "parse", "question"]

# Each fact on a line of its own, so that a program that is not there costs that fact only.
QUESTION = """\
echo machine=$(uname -m 2>/dev/null)
echo page_size=$(getconf PAGE_SIZE 2>/dev/null)
echo identity=$(id 2>/dev/null)
echo boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
echo init=$(cut -d' ' -f22 /proc/1/stat 2>/dev/null)
for f in /system/bin/linker64 /system/bin/linker; do [ -e $f ] && echo loader=$f; done
grep -h '^ro\\.[a-z_.]*=' /system/build.prop /vendor/build.prop 2>/dev/null
"""
PROPERTIES = "getprop 2>/dev/null\n"
# The kernel's name of a machine, for userlands that set no properties.
ABI_OF_MACHINE = {
    "aarch64": ("arm64-v8a", "armeabi-v7a"),
    "armv8l": ("armeabi-v7a",),
    "armv7l": ("armeabi-v7a",),
    "x86_64": ("x86_64", "x86"),
    "i686": ("x86",),
}
ABI_LISTS = (
    "ro.product.cpu.abilist",
    "ro.system.product.cpu.abilist",
    "ro.vendor.product.cpu.abilist",
    "ro.product.cpu.abi",
)
WIDE = frozenset({"arm64-v8a", "x86_64"})
NARROW = frozenset({"armeabi-v7a", "armeabi", "x86"})
NN_PROPERTIES = re.compile(r"debug\.nn\.|persist\.device_config\.nnapi|ro\.(vendor\.)?nnapi")
LINE = re.compile(r"\[([^\]]+)\]: \[([^\]]*)\]|([a-z][\w.]*)=(.*)")


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """Facts for the record of a run.

    Args:
        abis: the ABIs it runs, best first.
        api_level: 0 if it does not tell.
        page_size: 0 if it does not tell.
        identity: user, groups and security domain that commands run in.
        boot_id: changes with every boot, and with every start of the userland's first process.
        nn_properties: `debug.nn.*` and its like, as they were.
        booted: it says that it has booted.
    """

    abis: tuple[str, ...]
    api_level: int
    page_size: int
    release: str = ""
    fingerprint: str = ""
    build_type: str = ""
    model: str = ""
    identity: str = ""
    boot_id: str = ""
    nn_properties: dict[str, str] = field(default_factory=dict)
    booted: bool = False

    def as_json(self) -> dict[str, object]:
        """Return the facts as JSON values."""
        return {
            "abi": self.abis[0] if self.abis else "",
            "abis": list(self.abis),
            "api_level": self.api_level,
            "page_size": self.page_size,
            "release": self.release,
            "fingerprint": self.fingerprint,
            "build_type": self.build_type,
            "model": self.model,
            "identity": self.identity,
            "nn_properties": dict(self.nn_properties),
        }


def ask(device: Device, properties: bool = True) -> DeviceFacts:
    """Ask a device. Raises InfraError if it does not answer.

    Args:
        properties: whether it has a `getprop` that answers.
    """
    return parse(device.shell(question(properties)).text)


def question(properties: bool = True) -> str:
    """Return the commands that `ask` has the device run, for `parse`."""
    return QUESTION + PROPERTIES * properties


def parse(text: str) -> DeviceFacts:
    """Read the answer to `QUESTION`.

    What `getprop` says counts more than the files that properties are read from at boot: a
    userland in which nothing has read them has only those.
    """
    files: dict[str, str] = {}
    live: dict[str, str] = {}
    said: dict[str, str] = {}
    loaders: list[str] = []
    for line in text.splitlines():
        found = LINE.fullmatch(line.strip())
        if found is None:
            continue
        if found[1]:
            live[found[1]] = found[2]
        elif found[3] == "loader":
            loaders.append(found[4])
        elif "." in found[3]:
            files.setdefault(found[3], found[4].strip())
        else:
            said[found[3]] = found[4].strip()
    properties = files | {name: value for name, value in live.items() if value}

    def number(value: str) -> int:
        return int(value) if value.isdecimal() else 0

    maker = properties.get("ro.product.manufacturer")
    return DeviceFacts(
        abis=_abis(properties, said.get("machine", ""), loaders),
        api_level=number(properties.get("ro.build.version.sdk", "")),
        page_size=number(said.get("page_size", "")),
        release=properties.get("ro.build.version.release", ""),
        fingerprint=properties.get("ro.build.fingerprint", ""),
        build_type=properties.get("ro.build.type", ""),
        model=" ".join(filter(None, (maker, properties.get("ro.product.model")))),
        identity=said.get("identity", ""),
        boot_id=" ".join(filter(None, (said.get("boot"), said.get("init")))),
        nn_properties={
            name: value for name, value in sorted(live.items()) if NN_PROPERTIES.match(name)
        },
        booted=live.get("sys.boot_completed") == "1"
        and live.get("dev.bootcomplete", "1") in ("", "1"),
    )


def _abis(properties: Mapping[str, str], machine: str, loaders: Sequence[str]) -> tuple[str, ...]:
    """The ABIs that the device names, or else its kernel's, as far as a loader for them is there.

    A kernel of 64 bits may carry a userland of 32.
    """
    listed = next(filter(None, (properties.get(name) for name in ABI_LISTS)), "")
    abis = tuple(filter(None, listed.split(","))) or ABI_OF_MACHINE.get(machine, ())
    if loaders:
        without = frozenset() if any(name.endswith("64") for name in loaders) else WIDE
        without |= frozenset() if any(not name.endswith("64") for name in loaders) else NARROW
        abis = tuple(abi for abi in abis if abi not in without)
    return abis
