"""What the text `jumpstarter:SELECTOR*N?NAME=VALUE&...#NNAPI-DEVICE` asks for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import Any

from nnapi_testkit.model.place import Place
from nnapi_testkit.targets.base import TargetError

__all__ = ["KIND", "VARIABLE", "JumpstarterSettings", "jumpstarter_fleet", "read"]

KIND = "jumpstarter:"
VARIABLE = "NNAPI_TESTKIT_JUMPSTARTER"
MANY = re.compile(r"(.*?)\*(\d+)")
MOST = 64  # leases of one target
SPAN = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")
SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
TEXTS = ("exporter", "client", "config", "driver", "serial", "lib", "sl")
SPANS = ("duration", "wait")
NAMES = (*TEXTS, *SPANS)


@dataclass(frozen=True, slots=True)
class JumpstarterSettings:
    """Which device to lease, for how long, by whose right.

    Args:
        selector: labels as Jumpstarter's selectors write them.
        exporter: the one exporter to lease, by its name.
        client: alias of one of the user's client configurations; empty for the current one.
        config: file with a client configuration.
        duration: seconds that the lease lasts at most.
        wait: seconds to wait for a device to become free.
        driver: dotted path of the adb driver in the exporter; empty for the only one.
        serial: as the exporter's adb server names the device; empty for the only one.
        lib: path on the device of an NNAPI library, in place of the system's own.
        sl: path on the device of a support library driver.
        lane: tells leases of one process apart; 0 outside a fleet.
    """

    selector: str = ""
    exporter: str = ""
    client: str = ""
    config: str = ""
    duration: float = 3600.0
    wait: float = 600.0
    driver: str = ""
    serial: str = ""
    lib: str = ""
    sl: str = ""
    lane: int = 0

    @property
    def wanted(self) -> str:
        """What is leased, in words."""
        if self.exporter:
            return f"exporter {self.exporter}"
        return self.selector or "the exporter of this shell"

    @property
    def key(self) -> JumpstarterSettings:
        """What two runners have in common that share a lease."""
        return replace(self, driver="", serial="", lib="", sl="", duration=0.0, wait=0.0)


def read(text: str) -> tuple[JumpstarterSettings, int, str]:
    """Return the settings, the number of devices (0 if none is given), and the NNAPI device.

    Settings that the text does not give come from NNAPI_TESTKIT_JUMPSTARTER, as
    `duration=2h,wait=20m`. Raises TargetError for a name or value that makes no sense.
    """
    place = Place.of(text)
    selector, _, query = place.rest.partition("?")
    count = 0
    if many := MANY.fullmatch(selector):
        selector, count = many[1], int(many[2])
        if not 1 <= count <= MOST:
            raise TargetError(f"{text} asks for {count} devices: 1 to {MOST}")
    # Who opens the whole text, as a worker of a fleet does, takes the lease of its first lane.
    settings = JumpstarterSettings(selector=selector.strip(), lane=min(count, 1))
    for word in filter(None, os.environ.get(VARIABLE, "").split(",")):
        settings = _set(settings, word.strip(), VARIABLE)
    for word in filter(None, query.split("&")):
        settings = _set(settings, word, text)
    if settings.selector and settings.exporter:
        raise TargetError(f"{text}: name labels or an exporter, not both")
    if settings.lib and settings.sl:
        raise TargetError(f"{text}: name a library or a support library driver, not both")
    for path in filter(None, (settings.lib, settings.sl)):
        if not path.startswith("/"):
            raise TargetError(f"{text}: write {path} as the whole path on the device, as /path.so")
    return settings, count, place.device


def _set(settings: JumpstarterSettings, word: str, where: str) -> JumpstarterSettings:
    name, _, value = word.partition("=")
    changed: dict[str, Any] = {}
    if name in TEXTS and value:
        changed[name] = value
    elif name in SPANS:
        span = SPAN.fullmatch(value)
        if span is None or float(span[1]) == 0:
            raise TargetError(f"{where}: {name}={value} is no time: write it as 90s, 30m or 2h")
        changed[name] = float(span[1]) * SECONDS[span[2]]
    elif name == "lane" and value.isdecimal():
        changed[name] = int(value)
    else:
        raise TargetError(f"{where}: {word!r} is not NAME=VALUE with one of {', '.join(NAMES)}")
    return replace(settings, **changed)


def jumpstarter_fleet(text: str) -> tuple[str, ...]:
    """Return the targets of `jumpstarter:SELECTOR*N`, one for each lease; else the text alone.

    Raises TargetError for a text that makes no sense.
    """
    settings, count, device = read(text)
    if not count:
        return (text,)
    if not settings.selector:
        raise TargetError(f"{text}: name labels in front of *{count}")
    more = "&" + query if (query := Place.of(text).rest.partition("?")[2]) else ""
    return tuple(
        str(Place(f"{KIND}{settings.selector}?lane={lane}{more}", device))
        for lane in range(1, count + 1)
    )
