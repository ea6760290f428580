"""Where the parts that are not Python modules live: driver, runner, op files, goldens.

The same functions serve a wheel, an editable install and a plain checkout. In a checkout (and so
in an editable install) op files and goldens are read where they are edited; in a wheel they lie
inside the package. Only the standard library is imported: the pytest plugin loads this module.
"""

import hashlib
import os
from pathlib import Path

import nnapi_testkit
from nnapi_testkit.errors import KitError

__all__ = [
    "android_cache",
    "android_runner",
    "checkout",
    "driver_library",
    "golden_dir",
    "images_dir",
    "level_devices",
    "op_tests_dir",
    "runner",
    "runner_sources",
    "user_cache",
]

DRIVER_VARIABLE = "NNAPI_TESTKIT_DRIVER"
RUNNER_VARIABLE = "NNAPI_TESTKIT_RUNNER"
ANDROID_VARIABLE = "NNAPI_TESTKIT_ANDROID_RUNNERS"
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


def android_runner(abi: str) -> Path:
    """Return the `nnapi-runner` for an Android ABI ("arm64-v8a", "x86_64", ...).

    A release wheel has all four; otherwise `nnapi-testkit build-runners` makes them.
    `NNAPI_TESTKIT_ANDROID_RUNNERS` names another folder that holds ABI/nnapi-runner. Raises
    KitError when there is none.
    """
    override = os.environ.get(ANDROID_VARIABLE)
    if override:
        path = Path(override) / abi / "nnapi-runner"
        if not path.is_file():
            raise KitError(f"{ANDROID_VARIABLE} names {override}, which has no {abi}/nnapi-runner")
        return path.resolve()
    places = [Path(entry) / "_native" / "android" for entry in nnapi_testkit.__path__]
    for place in (*places, android_cache()):
        path = place / abi / "nnapi-runner"
        if path.is_file():
            return path.resolve()
    raise KitError(f"there is no runner for Android {abi} here: run nnapi-testkit build-runners")


def level_devices() -> Path:
    """Return the description of the reference driver's devices of older feature levels."""
    return _PACKAGE / "data" / "levels.txt"


def runner_sources() -> tuple[Path, Path]:
    """Return the folders of the runner's C sources and of the NNAPI header they include."""
    root = checkout()
    base = root / "emulator" if root else _PACKAGE / "data"
    return _folder(base / "runner", "runner's sources"), _folder(base / "include", "NNAPI header")


def images_dir() -> Path:
    """Return the folder of emulator profiles and of what their images are built from."""
    root = checkout()
    return _folder(root / "emulator" / "images" if root else _PACKAGE / "data" / "images", "images")


def android_cache() -> Path:
    """Return where runners built from the present sources go, one folder for each ABI."""
    digest = hashlib.sha256()
    for folder in runner_sources():
        for path in sorted(folder.rglob("*.[cht]*")):
            if "fuzz" not in path.parts:
                digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return user_cache() / "android" / digest.hexdigest()[:16]


def user_cache() -> Path:
    """Return the kit's folder for what can be made again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "nnapi-testkit"


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
