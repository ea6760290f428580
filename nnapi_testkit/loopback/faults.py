"""What can go wrong on the way to a device, as switches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from nnapi_testkit.errors import KitError

__all__ = ["Faults"]


@dataclass(frozen=True, slots=True)
class Faults:
    """Failures of a loopback device; by default it has none.

    Counts of results and bytes are of the whole device; where they are -1 the failure never
    comes. A failure with a count comes `times` times, each after another such count.

    Args:
        silent_seconds: connections made this soon after the start are never answered, as by a
            forwarder in front of a guest that still boots: such a transport stays offline.
        late_seconds: how late a connection is answered.
        command_seconds: how long each command takes to begin.
        unauthorized: the device asks for a key that nobody has.
        drop_after_bytes: the connection breaks when this much has been sent.
        drop_after_results: the connection breaks after so many results.
        push_error: the reason a push fails with.
        slow_bytes: bytes of output in a second, 0 for as fast as it goes.
        piece_bytes: output comes in pieces of this size, wherever they cut; 0 for any.
        endless: commands that contain this text say nothing and never end.
        kill_after_results: the runner is killed (signal 9).
        reboot_after_results: the device reboots.
        reboot_seconds: how long a rebooting device cannot be reached.
        boot_seconds: how long it then takes until it says that it has booted.
        vanish_after_results: the NNAPI device is gone: the runner loses its driver, and whoever
            starts it again does not find the device.
        service_crash_after_results: the log tells of a crash of the vendor's service.
        case_seconds: slept here for each result, as a device that computes for long.
        features: what the device says it can; the empty text is an old device without shell v2.
        lacks: programs that are not there, with commas between; userlands outside a phone lack
            `getprop` or `logcat`, old ones `sha256sum`.
        hangs: programs that start, say nothing and never end, as `logcat` without its daemon.
        absent: folders that cannot be made, such as /data/local/tmp.
        noexec: folders from which nothing may be executed.
        times: how often a failure with a count comes.
    """

    silent_seconds: float = 0.0
    late_seconds: float = 0.0
    command_seconds: float = 0.0
    unauthorized: bool = False
    drop_after_bytes: int = -1
    drop_after_results: int = -1
    push_error: str = ""
    slow_bytes: int = 0
    piece_bytes: int = 0
    endless: str = ""
    kill_after_results: int = -1
    reboot_after_results: int = -1
    reboot_seconds: float = 0.5
    boot_seconds: float = 0.5
    vanish_after_results: int = -1
    service_crash_after_results: int = -1
    case_seconds: float = 0.0
    lacks: str = ""
    hangs: str = ""
    absent: str = ""
    noexec: str = ""
    features: str = "shell_v2,cmd,stat_v2,ls_v2,fixed_push_mkdir,sendrecv_v2"
    times: int = 1

    @classmethod
    def parse(cls, switches: Sequence[str]) -> Faults:
        """Read `name=value` words. Raises KitError for a name or value that does not exist."""
        faults = cls()
        known = {field.name: field for field in fields(cls)}
        for switch in switches:
            name, _, text = switch.partition("=")
            name = name.replace("-", "_")
            if name not in known:
                raise KitError(
                    f"fault {name!r} is unknown: use one of {', '.join(known)}, as NAME=VALUE"
                )
            kind = type(getattr(faults, name))
            value: Any
            try:
                value = text.lower() in ("", "1", "true", "yes") if kind is bool else kind(text)
            except ValueError:
                raise KitError(f"fault {switch!r}: {text!r} is not a number") from None
            faults = replace(faults, **{name: value})
        return faults
