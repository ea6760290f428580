"""What a device's battery says of its power: the kernel's files, else Android's battery service.

Units of the files are those of the kernel's documentation (Documentation/ABI/testing/
sysfs-class-power): microampere, microvolt, microwatt. The sign of the current differs between
makers, so `status` alone tells whether it flows out.
"""

from __future__ import annotations

from nnapi_testkit.targets.adb.device import Device
from nnapi_testkit.targets.base import PowerReading

__all__ = ["ask", "parse"]

# Shells may not read the files on many phones; `dumpsys` says a part of it then.
QUESTION = """\
for d in battery bms BAT0 BAT1; do
  d=/sys/class/power_supply/$d
  for f in status current_now voltage_now power_now; do
    v=$(cat $d/$f 2>/dev/null) && echo "$f=$v"
  done
done
dumpsys battery 2>/dev/null
"""
# BatteryManager.BATTERY_STATUS_*.
STATUS = {"2": "Charging", "3": "Discharging", "4": "Not charging", "5": "Full"}
# A phone at work draws more than 10 mA: a smaller number is a maker's, in milliamperes.
LEAST_MICROAMPERES = 10_000


def ask(device: Device) -> PowerReading | None:
    """Ask a device; None if it does not tell. Raises InfraError if it does not answer."""
    return parse(device.shell(QUESTION).text)


def parse(text: str) -> PowerReading | None:
    """Read the answer to `QUESTION`; None if current or voltage, or the power, is not in it."""
    files: dict[str, str] = {}
    service: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals:
            files.setdefault(name, value.strip())
            continue
        name, colon, value = line.strip().partition(":")
        if colon:
            service.setdefault(name.strip().lower(), value.strip())
    status = files.get("status") or STATUS.get(service.get("status", ""), "")
    volts = _number(files, "voltage_now") / 1e6 or _number(service, "voltage") / 1e3
    current = abs(_number(files, "current_now") or _number(service, "current now"))
    if not status:
        return None
    if volts and current:
        amperes = current / (1e3 if current < LEAST_MICROAMPERES else 1e6)
        return PowerReading(volts * amperes, status)
    watts = abs(_number(files, "power_now")) / 1e6
    return PowerReading(watts, status) if watts else None


def _number(values: dict[str, str], name: str) -> float:
    try:
        return float(values.get(name, ""))
    except ValueError:
        return 0.0
