#!/usr/bin/env python3
"""Hold the order of the rooms: each imports only what stands above it.

`python tools/import_order.py [ROOT]` prints one line for every import that breaks a rule, and
exits 1.
The rules (docs/architecture.md):

* a room of `nnapi_testkit` imports itself and the rooms before it in `ROOMS`;
* `op` imports `spec` and the ground floor only;
* only `oracle`, `mobile` and `frontends` import torch;
* an op file imports the standard library and `nnapi_testkit.op`, nothing else;
* nobody imports `op_tests` or `golden` as a package: `catalog` loads op files by path, so that
  there is one module object for each;
* other packages must be dependencies that pyproject.toml declares;
* no modules import each other in a circle;
* no module is longer than its limit.

An import counts wherever it stands: in a function, under TYPE_CHECKING, or as
`importlib.import_module("...")` with a literal name.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

# From the ground up. A tuple holds rooms that stand side by side and do not know each other.
GROUND = ("errors", "closing", "paths", "data", "options", "process", "waits")
ROOMS = (
    "android",
    "spec",
    "model",
    "op",
    "catalog",
    "cases",
    "oracle",
    "answers",
    "judge",
    "loopback",
    "targets",
    "session",
    "clusters",
    "report",
    "repro",
    "mobile",
    "frontends",
    "models",
    "random_graphs",
    "power",
    "commands",
)
THIN = ("plugin", "cli", "__main__")  # any room, but not each other
ONLY = {"op": ("spec",)}  # narrower than the order
TORCH_ROOMS = ("oracle", "mobile", "frontends")
PACKAGE = "nnapi_testkit"
LIMITS = {".py": 500, ".c": 800, ".h": 800, ".cpp": 800}
GENERATED = (
    "nnapi_testkit/spec/codes.py",
    "nnapi_testkit/model/wire_codes.py",
    "emulator/include/nnapi.h",
    "emulator/include/wire_codes.h",
)
# Where the name of the import is not the name of the distribution.
DISTRIBUTIONS = {
    "ai_edge_litert": "ai-edge-litert",
    "xdist": "pytest-xdist",
    "_pytest": "pytest",
    "pluggy": "pytest",
    "jumpstarter_driver_adb": "jumpstarter-driver-adb",
    "tree_sitter": "tree-sitter",
    "tree_sitter_cpp": "tree-sitter-cpp",
}


def imported(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Yield (line, absolute dotted name) of everything a module imports.

    Args:
        tree: the parsed module.
        package: the dotted name of the package it lives in, for relative imports.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                stem = ".".join(parents[: len(parents) - node.level + 1])
                base = f"{stem}.{base}" if base else stem
            # `from nnapi_testkit import oracle` names the room in the second half.
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args:
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            first = node.args[0]
            if (
                name in ("import_module", "__import__")
                and isinstance(first, ast.Constant)
                and isinstance(first.value, str)
            ):
                yield node.lineno, first.value


def room_of(dotted: str) -> str:
    """Return the room of `nnapi_testkit.ROOM.more`; empty for the package itself."""
    parts = dotted.split(".")
    known = (*GROUND, *ROOMS, *THIN)
    return parts[1] if len(parts) > 1 and (parts[1] in known or len(parts) > 2) else ""


def may_import(room: str, other: str) -> bool:
    """Whether a module in `room` may import from `other` (both names of rooms)."""
    if other in ("", room) or (other in GROUND and room not in GROUND):
        return True
    if room in GROUND:
        return other in GROUND
    if room in ONLY:
        return other in ONLY[room]
    if room in THIN:
        return other in ROOMS or (room, other) == ("__main__", "cli")
    return other in ROOMS[: ROOMS.index(room)]


def declared(root: Path) -> set[str]:
    """The distributions that pyproject.toml declares, required or in an extra."""
    text = (root / "pyproject.toml").read_text()
    # Python 3.10 has no tomllib; the file is ours and each requirement is a quoted name.
    project = text.split("[project.scripts]")[0].split("[project]", 1)[-1]
    names = re.findall(r"""["']([A-Za-z0-9_.-]+?)(?:\[[^"]*\])?>=""", project)
    return {name.lower() for name in names}


def check_module(path: Path, root: Path, known: set[str]) -> Iterator[str]:
    """Yield a line for each import of one module that breaks a rule."""
    where = path.relative_to(root)
    names = list(where.with_suffix("").parts)
    package = ".".join(names[:-1])
    op_file = names[0] == "op_tests"
    room = names[1] if names[0] == PACKAGE and len(names) > 1 else ""
    if not op_file and room not in (*GROUND, *ROOMS, *THIN, "__init__"):
        yield f"{where}: no room of this name: add it to tools/import_order.py and the architecture"
        return
    seen = set()
    for line, dotted in imported(ast.parse(path.read_text(), str(path)), package):
        top = dotted.split(".")[0]
        other = room_of(dotted) if top == PACKAGE else ""
        if top in ("op_tests", "golden") or dotted.startswith(f"{PACKAGE}.op_tests"):
            complaint = f"imports {top}: only the catalog opens it, by path"
        elif op_file:
            complaint = _of_op_file(dotted, top, other)
        elif top == PACKAGE:
            fits = room == "__init__" or may_import(room, other)
            complaint = "" if fits else f"{room} imports {other}, which does not stand above it"
        else:
            complaint = _of_others(top, room, known)
        if complaint and (line, complaint) not in seen:
            seen.add((line, complaint))
            yield f"{where}:{line}: {complaint}"


def _of_op_file(dotted: str, top: str, other: str) -> str:
    """What is wrong with an import of an op file, "" for nothing."""
    if top == PACKAGE:
        return "" if other == "op" else f"imports {dotted}: an op file imports {PACKAGE}.op only"
    if top in sys.stdlib_module_names:
        return ""
    return f"imports {top}: an op file imports {PACKAGE}.op only"


def _of_others(top: str, room: str, known: set[str]) -> str:
    """What is wrong with an import of another package, "" for nothing."""
    if top == "torch" and room not in TORCH_ROOMS:
        return f"imports torch: only {', '.join(TORCH_ROOMS)} may"
    if top in sys.stdlib_module_names or DISTRIBUTIONS.get(top, top).lower() in known:
        return ""
    return f"imports {top}: pyproject.toml does not declare it"


def modules(root: Path) -> dict[str, Path]:
    """The modules of the package by dotted name; a package's is its `__init__`."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def check_circles(root: Path) -> Iterator[str]:
    """Yield a line for each circle of modules that import each other.

    Imports inside functions and under TYPE_CHECKING count: they are how a circle hides.
    """
    files = modules(root)
    edges: dict[str, set[str]] = {}
    for name, path in files.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        edges[name] = set()
        for _, dotted in imported(ast.parse(path.read_text(), str(path)), package):
            while dotted and dotted not in files:
                dotted = dotted.rpartition(".")[0]
            # `from package import module` names the package too, and only runs its `__init__`.
            if dotted and dotted != name:
                edges[name].add(dotted)
    for circle in circles(edges):
        yield f"{' -> '.join((*circle, circle[0]))}: these modules import each other in a circle"


def circles(edges: Mapping[str, Collection[str]]) -> Iterator[list[str]]:
    """Yield one circle of each group of nodes that reach each other, from its first node on."""
    told: set[str] = set()
    for start in sorted(edges):
        if start in told:
            continue
        # The shortest way from the node back to itself, breadth first.
        before: dict[str, str] = {}
        waiting = [start]
        for node in waiting:
            for other in sorted(edges.get(node, ())):
                if other not in before:
                    before[other] = node
                    waiting.append(other)
        if start not in before:
            continue
        way = [before[start]]
        while way[-1] != start:
            way.append(before[way[-1]])
        told.update(way)
        yield way[::-1]


def check_lengths(root: Path) -> Iterator[str]:
    """Yield a line for each source file that is longer than its limit."""
    for folder in (PACKAGE, "op_tests", "emulator", "tests", "ci", "tools", "benchmarks"):
        for path in sorted((root / folder).rglob("*")):
            limit = LIMITS.get(path.suffix)
            where = path.relative_to(root)
            if limit is None or where.as_posix() in GENERATED:
                continue
            count = len(path.read_text().splitlines())
            if count > limit:
                yield f"{where}: {count} lines, at most {limit}: split it"


def check(root: Path) -> list[str]:
    """Return every complaint about the tree at `root`, sorted."""
    known = declared(root)
    complaints = [*check_lengths(root), *check_circles(root)]
    for folder in (PACKAGE, "op_tests"):
        for path in sorted((root / folder).rglob("*.py")):
            complaints.extend(check_module(path, root, known))
    return sorted(complaints)


def main() -> int:
    """Check the tree named on the command line, or this one."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    complaints = check(root)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
