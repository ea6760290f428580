"""The kill matrix: which case notices which fault, and by how much."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnapi_testkit.errors import KitError
from nnapi_testkit.power.bench import Bench, Kill
from nnapi_testkit.power.catalogue import catalogue
from nnapi_testkit.power.fault import Fault

__all__ = ["Matrix", "measure"]

FORMAT = "nnapi-testkit kill matrix 1"


@dataclass
class Matrix:
    """Faults with the cases that kill them.

    Args:
        kills: by fault, and in it by case id.
        milliseconds: what each case took on the sound driver, by id.
        asked: operations whose cases were run.
        profile: of the judge.
    """

    kills: dict[str, dict[str, Kill]] = field(default_factory=dict)
    milliseconds: dict[str, float] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    profile: str = "standard"

    @property
    def survivors(self) -> list[str]:
        """Faults that nothing noticed."""
        return [name for name, found in self.kills.items() if not found]

    def dump(self, path: Path) -> None:
        """Write it as JSON, one line for each fault."""
        known = catalogue()
        lines = [
            json.dumps(
                {
                    "fault": name,
                    "layer": known[name].layer,
                    "what": known[name].what,
                    "seen": known[name].seen,
                    "kills": {
                        case: [kill.verdict.value, _number(kill.margin)]
                        for case, kill in found.items()
                    },
                }
            )
            for name, found in self.kills.items()
        ]
        head = json.dumps(
            {
                "format": FORMAT,
                "profile": self.profile,
                "operations": self.asked,
                "milliseconds": {k: round(v, 3) for k, v in self.milliseconds.items()},
            }
        )
        path.write_text("\n".join([head, *lines]) + "\n")


def _number(margin: float) -> float | str:
    return float(f"{margin:.4g}") if math.isfinite(margin) else "inf"


def read_matrix(path: Path) -> dict[str, Any]:
    """Read what `Matrix.dump` wrote: `head` and, by fault, the margins by case.

    Raises KitError where it is no kill matrix.
    """
    try:
        lines = path.read_text().splitlines()
        head = json.loads(lines[0])
        rows = [json.loads(line) for line in lines[1:]]
        if head.get("format") != FORMAT:
            raise ValueError(head.get("format"))
    except (OSError, ValueError, IndexError, AttributeError) as error:
        raise KitError(
            f"{path} is no kill matrix ({error}): write one with nnapi-testkit power run"
        ) from error
    return {"head": head, "faults": {row["fault"]: row for row in rows}}


def measure(
    bench: Bench,
    faults: Sequence[Fault],
    operations: Sequence[str],
    told: Callable[[str], None],
) -> Matrix:
    """Try each fault on the cases that concern it, one operation after another.

    Args:
        operations: only these; empty for all that a fault concerns.
        told: is handed a line for each operation.
    """
    matrix = Matrix({fault.id: {} for fault in faults})
    todo: dict[str, list[Fault]] = {}
    for fault in faults:
        for operation in fault.concerns:
            if not operations or operation in operations:
                todo.setdefault(operation, []).append(fault)
    matrix.asked = tuple(todo)
    for operation, concerned in todo.items():
        began = time.perf_counter()
        for case, (result, _) in bench.sound(operation).items():
            matrix.milliseconds[case] = result.nanoseconds / 1e6
        for fault in concerned:
            matrix.kills[fault.id] |= bench.kills(fault, [operation])
        noticed = sum(1 for fault in concerned if matrix.kills[fault.id])
        seconds = time.perf_counter() - began
        told(f"{operation}: {noticed} of {len(concerned)} faults noticed, {seconds:.0f} s")
        bench.forget(operation)
    return matrix
