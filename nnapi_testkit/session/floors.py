"""Floors: what a run must at least execute and compare on a device. Shrinking is an error."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record

__all__ = ["Floors", "Reach", "measure"]


@dataclass(frozen=True, slots=True)
class Reach:
    """What a run did on one device.

    Args:
        executed: cases with a word about the driver (anything but ORACLE_DISPUTE, INFRA,
            NOT_RUN).
        compared: cases of which at least one output element was compared.
        operations: compared cases of each operation.
    """

    executed: int
    compared: int
    operations: Mapping[str, int]


def measure(records: Iterable[Record]) -> dict[str, Reach]:
    """Return what was reached, for each device (`""`: not attributed)."""
    executed: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    operations: dict[str, Counter[str]] = {}
    for record in records:
        if record.verdict.is_error:
            continue
        executed[record.device] += 1
        if record.evidence.compared:
            compared[record.device] += 1
            operations.setdefault(record.device, Counter())[record.operation] += 1
    return {
        device: Reach(executed[device], compared[device], dict(operations.get(device, {})))
        for device in executed
    }


@dataclass(frozen=True, slots=True)
class Floors:
    """The stored expectation, by device name."""

    devices: Mapping[str, Reach]
    source: str = ""

    @classmethod
    def read(cls, path: Path) -> Floors:
        """Read a file that `dump` wrote. Raises KitError."""
        try:
            document = json.loads(path.read_text("utf-8"))
            devices = {
                str(name): Reach(
                    int(reach["executed"]),
                    int(reach["compared"]),
                    {str(op): int(count) for op, count in reach["operations"].items()},
                )
                for name, reach in document["devices"].items()
            }
        except OSError as error:
            raise KitError(
                f"floors {path} cannot be read ({error.strerror}): check the path, or write the"
                " file with --write-floor"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise KitError(
                f"floors {path} are damaged ({error!r}): write them again with --write-floor"
            ) from error
        return cls(devices, str(path))

    @classmethod
    def of(cls, records: Iterable[Record]) -> Floors:
        """Return what the records reached as floors for later runs."""
        return cls(measure(records))

    def dump(self) -> str:
        """Return the file's text."""
        devices: dict[str, Any] = {
            name: {
                "executed": reach.executed,
                "compared": reach.compared,
                "operations": dict(sorted(reach.operations.items())),
            }
            for name, reach in sorted(self.devices.items())
        }
        return json.dumps({"schema": 1, "devices": devices}, indent=1) + "\n"

    def problems(self, records: Iterable[Record]) -> list[str]:
        """Name every floor that the records of a whole run stay under."""
        reached = measure(records)
        found = []
        for device in sorted(set(reached) - set(self.devices)):
            found.append(
                f"floor: {self.source} knows no device {device!r}: add it with --write-floor"
            )
        for device, floor in sorted(self.devices.items()):
            have = reached.get(device)
            if have is None:
                found.append(f"floor: no case was executed on device {device!r}")
                continue
            for what, count, least in (
                ("executed", have.executed, floor.executed),
                ("compared", have.compared, floor.compared),
            ):
                if count < least:
                    found.append(
                        f"floor: {count} cases {what} on {device}, {self.source} expects {least}"
                    )
            for operation, least in sorted(floor.operations.items()):
                count = have.operations.get(operation, 0)
                if count < least:
                    found.append(
                        f"floor: {count} cases of {operation} compared on {device}, {self.source}"
                        f" expects {least}"
                    )
        return found
