"""Where the parts that are not Python modules live: driver, runner, op files, goldens.

The same functions serve a wheel, an editable install and a plain checkout. In a checkout (and so
in an editable install) op files and goldens are read where they are edited; in a wheel they lie
inside the package. Only the standard library is imported: the pytest plugin loads this module.
"""

import os
from pathlib import Path

import nnapi_testkit
from nnapi_testkit.errors import KitError

__all__ = ["checkout", "driver_library", "golden_dir", "op_tests_dir", "runner"]

DRIVER_VARIABLE = "NNAPI_TESTKIT_DRIVER"
RUNNER_VARIABLE = "NNAPI_TESTKIT_RUNNER"
_PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """Return the root of the source checkout this package runs from; None in a wheel."""
    root = _PACKAGE.parent
    return root if (root / "nnapi.json").is_file() and (root / "op_tests").is_dir() else None


def driver_library() -> Path:
    """Return the reference driver `libneuralnetworks.so`.

    `NNAPI_TESTKIT_DRIVER` overrides it. Raises KitError when there is no such file.
    """
    return _native("libneuralnetworks.so", DRIVER_VARIABLE, "the reference driver")


def runner() -> Path:
    """Return the executable `nnapi-runner`.

    `NNAPI_TESTKIT_RUNNER` overrides it. Raises KitError when there is no such program.
    """
    path = _native("nnapi-runner", RUNNER_VARIABLE, "the runner")
    if not os.access(path, os.X_OK):
        raise KitError(f"{path} may not be executed: run chmod +x {path}")
    return path


def op_tests_dir() -> Path:
    """Return the folder of the op files, one per operation or tight family."""
    root = checkout()
    return _folder(root / "op_tests" if root else _PACKAGE / "op_tests", "op files")


def golden_dir() -> Path:
    """Return the folder of the goldens, one container per operation."""
    root = checkout()
    return _folder(root / "golden" if root else _PACKAGE / "data" / "golden", "goldens")


def _folder(path: Path, what: str) -> Path:
    if not path.is_dir():
        raise KitError(f"the {what} are missing from {path}: install nnapi-testkit again")
    return path


def _native(name: str, variable: str, what: str) -> Path:
    override = os.environ.get(variable)
    if override:
        path = Path(override)
        if not path.is_file():
            raise KitError(f"{variable} names {override}, which is not a file: set it to {name}")
        return path.resolve()
    # An editable install adds the folder of the built files to the package's search path.
    places = [Path(entry) / "_native" for entry in nnapi_testkit.__path__]
    root = checkout()
    if root:
        places.append(root / "build" / "native" / "_native")
    for place in places:
        if (place / name).is_file():
            return (place / name).resolve()
    cure = "run make build" if root else "install nnapi-testkit again"
    raise KitError(f"{what} ({name}) is not built: {cure}, or set {variable} to its path")
