"""Finds and loads the op files, by path, under one module name each."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path

from nnapi_testkit.errors import KitError
from nnapi_testkit.op.declare import Op
from nnapi_testkit.paths import op_tests_dir


class CatalogError(KitError):
    """An op file cannot be used."""


def load(path: Path) -> list[Op]:
    """The operations that one op file declares, or a `CatalogError` that says what it lacks."""
    name = f"nnapi_testkit_op_tests.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CatalogError(f"{path.name} cannot be loaded as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    found = getattr(module, "OPS", None)
    if found is None:
        found = [module.OP] if hasattr(module, "OP") else []
    if not found or not all(isinstance(op, Op) for op in found):
        raise CatalogError(f"{path.name} must define OP (or OPS, a list) of nnapi_testkit.op.Op")
    return list(found)


@cache
def catalog() -> dict[str, Op]:
    """Every declared operation by name, in the order of the operation codes."""
    found: dict[str, Op] = {}
    for path in sorted(op_tests_dir().glob("*.py")):
        if path.stem.startswith("_"):
            continue
        for op in load(path):
            if op.name in found:
                raise CatalogError(f"{op.name} is declared twice, once in {path.name}")
            found[op.name] = op
    return dict(sorted(found.items(), key=lambda item: item[1].code))


def operation(name: str) -> Op:
    """The operation called `name`, or a `CatalogError` that names the nearest one."""
    ops = catalog()
    if name not in ops:
        import difflib

        near = difflib.get_close_matches(name.upper(), ops, 1)
        hint = f"did you mean {near[0]}?" if near else "see nnapi-testkit ops"
        raise CatalogError(f"operation {name!r} is unknown: {hint}")
    return ops[name]
