"""What a page says about a run before its numbers: device, driver, versions, when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nnapi_testkit.report.plain import plain
from nnapi_testkit.spec.levels import level_of

__all__ = ["device_line", "level_words", "run_facts"]

_FEW = 2  # missing functions that are named
_TYPES = {"cpu": "CPU", "gpu": "GPU"}
# Said by `device_line` and the title, or too long for a line.
_ELSEWHERE = {
    "target", "device", "device_type", "device_version", "feature_level", "runtime_feature_level",
    "machine", "page_size", "error", "no_hardware_buffers",
}  # fmt: skip


def level_words(value: object) -> str:
    """Return `feature level 8` for 1000008, "" where the device tells none."""
    if not isinstance(value, int) or value <= 0:
        return ""
    level = level_of(value)
    return f"feature level {level}" if level else f"below feature level 1 ({value})"


def device_line(name: str, kind: str, version: str, level: object) -> str:
    """Return a device in one line; what it does not tell is left out."""
    words = [_TYPES.get(kind, kind), level_words(level), f"version {version}" if version else ""]
    told = ", ".join(word for word in words if word)
    return f"{name}: {told}" if told else name


def run_facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (name, value) of where, when and with what the run was made."""
    device = summary.get("device", {})
    facts: list[tuple[str, object]] = [("target", summary.get("target"))]
    if device.get("device"):
        name, kind, version = (
            str(device.get(key, "")) for key in ("device", "device_type", "device_version")
        )
        facts.append(("device", device_line(name, kind, version, device.get("feature_level"))))
    facts += _not_charged(summary)
    facts += _of_device(device)
    facts += [(name, summary.get(name)) for name in ("profile", "oracle", "selection")]
    facts += [("isolate", "yes" if summary.get("isolate") else ""), ("jobs", summary.get("jobs"))]
    facts += [("seed", summary.get("seed")), *summary.get("versions", {}).items()]
    facts.append(
        ("started", str(summary.get("started", "")).replace("T", " ").replace("Z", " UTC"))
    )
    return [
        (plain(str(name)), plain(str(value))) for name, value in facts if value not in (None, "", 0)
    ]


def _not_charged(summary: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """A fact for each verdict that has a table of its own."""
    apart = [row for row in summary.get("apart", ()) if isinstance(row, dict)]
    for verdict in dict.fromkeys(str(row.get("verdict")) for row in apart):
        members = [row for row in apart if str(row.get("verdict")) == verdict]
        kinds = (f"{r.get('operation')} {r.get('what')} ({r.get('cases')})" for r in members[:12])
        yield f"not charged, {verdict}", "; ".join(kinds)


def _of_device(device: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """What the device tells beside its name and level."""
    runtime = level_words(device.get("runtime_feature_level"))
    if runtime and device.get("runtime_feature_level") != device.get("feature_level"):
        yield "runtime", runtime
    for name, value in device.items():
        number = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        if number and name not in _ELSEWHERE:
            yield str(name).replace("_", " "), value
    machine, page = device.get("machine"), device.get("page_size")
    if machine or page:
        yield "machine", ", ".join(filter(None, (str(machine or ""), _pages(page))))
    missing = device.get("missing_functions")
    if missing and isinstance(missing, (list, tuple)):
        few = ", ".join(map(str, missing)) if len(missing) <= _FEW else "see summary.json"
        yield "NNAPI functions missing", f"{len(missing)}: {few}"
    yield "no hardware buffers", device.get("no_hardware_buffers")
    if device.get("error"):
        yield "device not asked", device["error"]


def _pages(size: object) -> str:
    return f"{size // 1024} KiB pages" if isinstance(size, int) and size >= 1024 else ""
