"""`nnapi-testkit ops`, `devices`, `where`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from nnapi_testkit import paths
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.session.plan import Selection, select

__all__ = ["devices", "ops", "where"]


def ops(names: Sequence[str], cases: bool) -> int:
    """List operations with their cells, or the ids of their cases."""
    refs: Sequence[CaseRef] = case_index()
    if names:
        refs = select(refs, Selection(names=tuple(names)))
    if cases:
        for ref in refs:
            print(ref.id)
        return 0
    operations: dict[str, Counter[str]] = {}
    level: dict[str, int] = {}
    for ref in refs:
        operations.setdefault(ref.operation, Counter())[ref.cell] += 1
        level[ref.operation] = min(level.get(ref.operation, ref.level), ref.level)
    wide = max(map(len, operations))
    for operation, cells in sorted(operations.items()):
        words = ", ".join(f"{cell} {count}" for cell, count in cells.items())
        print(f"{operation:<{wide}}  level {level[operation]}  {cells.total():>5} cases: {words}")
    cells_total = sum(len(cells) for cells in operations.values())
    print(f"{len(operations)} operations, {cells_total} cells, {len(refs)} cases")
    return 0


def devices(target: str) -> int:
    """List what the target's library offers."""
    from nnapi_testkit.targets import parse_target

    with parse_target(target).open(isolate=False) as runner:
        found = runner.devices()
    for device in found:
        print(device if isinstance(device, str) else _device(device))
    return 0


def _device(device: object) -> str:
    if isinstance(device, Mapping):
        facts = dict(device)
    else:
        facts = {
            name: getattr(device, name) for name in getattr(device, "__dataclass_fields__", ())
        }
    name = facts.pop("name", "?")
    return f"{name}: " + ", ".join(f"{key} {value}" for key, value in facts.items())


def where(what: str | None) -> int:
    """Print paths of the parts that are not Python modules."""
    known = {
        "driver": paths.driver_library,
        "runner": paths.runner,
        "golden": paths.golden_dir,
        "op_tests": paths.op_tests_dir,
    }
    if what:
        print(known[what]())
        return 0
    for name, path in known.items():
        print(f"{name}: {path()}")
    return 0
