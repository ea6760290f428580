"""The native sources' includes go one way: what includes a header is not needed by it.

A module is a header and the source of its name. A cycle between modules means that none of them can
be read, tested or moved alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
SOURCES = (".c", ".cpp", ".h")


def modules(folder: Path) -> dict[str, set[str]]:
    """Return for each module below `folder` those that its header or its source includes."""
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in SOURCES:
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        needed = found.setdefault(name, set())
        for text in INCLUDE.findall(path.read_text()):
            target = (path.parent / text).resolve()
            if target.is_file() and target.is_relative_to(folder):
                needed.add(target.relative_to(folder).with_suffix("").as_posix())
        needed.discard(name)
    return found


def cycle(graph: Mapping[str, Iterable[str]]) -> str:
    """Return one cycle as `a -> b -> a`, empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " -> ".join(reversed(error.args[1]))
    return ""


@pytest.mark.parametrize("part", ["driver", "runner"])
def test_includes_go_one_way(part: str) -> None:
    graph = modules(ROOT / "emulator" / part)
    assert len(graph) > 15 and sum(map(len, graph.values())) > 20
    assert cycle(graph) == ""


@pytest.mark.parametrize(
    ("files", "found"),
    [
        # Header to header.
        ({"a.h": "b.h", "b.h": "a.h"}, "a -> b -> a"),
        # A source that needs what needs its header.
        ({"a.h": "", "a.c": "b.h", "b.h": "c.h", "c.h": "a.h"}, "a -> b -> c -> a"),
        ({"a.h": "", "a.c": "a.h", "b.h": "a.h", "b.c": "b.h"}, ""),
    ],
)
def test_a_cycle_is_found(tmp_path: Path, files: dict[str, str], found: str) -> None:
    for name, included in files.items():
        (tmp_path / name).write_text(f'#include "{included}"\n' if included else "")
    told = cycle(modules(tmp_path))
    names = found.split(" -> ")
    # A cycle may be told from any of its modules on.
    turned = {" -> ".join(names[i:-1] + names[:i] + [names[i]]) for i in range(len(names) - 1)}
    assert told in (turned or {""})
