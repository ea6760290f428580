"""What a device tells about itself, asked in one command."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from nnapi_testkit.targets.adb.device import Device

__all__ = ["DeviceFacts", "ask"]

SEPARATOR = "--nnapi-testkit--"
QUESTION = (
    f"getprop 2>/dev/null; echo {SEPARATOR}; uname -m; getconf PAGE_SIZE 2>/dev/null || echo 0;"
    " id 2>/dev/null; cat /proc/sys/kernel/random/boot_id 2>/dev/null"
)
# The kernel's name of a machine, for userlands that set no properties.
ABI_OF_MACHINE = {
    "aarch64": ("arm64-v8a", "armeabi-v7a"),
    "armv8l": ("armeabi-v7a",),
    "armv7l": ("armeabi-v7a",),
    "x86_64": ("x86_64", "x86"),
    "i686": ("x86",),
}
NN_PROPERTIES = re.compile(r"debug\.nn\.|persist\.device_config\.nnapi|ro\.(vendor\.)?nnapi")


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """Facts for the record of a run.

    Args:
        abis: the ABIs it runs, best first.
        api_level: 0 if it does not tell.
        page_size: 0 if it does not tell.
        identity: user, groups and security domain that commands run in.
        boot_id: changes with every boot.
        nn_properties: `debug.nn.*` and its like, as they were.
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


def ask(device: Device) -> DeviceFacts:
    """Ask a device. Raises InfraError if it does not answer."""
    return parse(device.shell(QUESTION).text)


def parse(text: str) -> DeviceFacts:
    """Read the answer to `QUESTION`."""
    first, _, rest = text.partition(SEPARATOR)
    properties = dict(re.findall(r"^\[([^\]]+)\]: \[([^\]]*)\]", first, re.MULTILINE))
    lines = [line.strip() for line in rest.strip().splitlines()] + ["", "", "", ""]
    machine, page_size, identity, boot_id = lines[:4]
    listed = properties.get("ro.product.cpu.abilist") or properties.get("ro.product.cpu.abi", "")
    abis = tuple(filter(None, listed.split(","))) or ABI_OF_MACHINE.get(machine, ())

    def number(value: str) -> int:
        return int(value) if value.isdecimal() else 0

    return DeviceFacts(
        abis=abis,
        api_level=number(properties.get("ro.build.version.sdk", "")),
        page_size=number(page_size),
        release=properties.get("ro.build.version.release", ""),
        fingerprint=properties.get("ro.build.fingerprint", ""),
        build_type=properties.get("ro.build.type", ""),
        model=" ".join(
            filter(
                None,
                (properties.get("ro.product.manufacturer"), properties.get("ro.product.model")),
            )
        ),
        identity=identity,
        boot_id=boot_id,
        nn_properties={
            name: value for name, value in sorted(properties.items()) if NN_PROPERTIES.match(name)
        },
    )
