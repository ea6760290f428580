"""The runner for Android: how it is built, and what must be true of the result.

`nnapi-testkit build-runners` and the release wheel's build come here. Only the standard library
is used: a wheel is built where nothing else is installed.
"""

from nnapi_testkit.android.abis import ABIS, API_LEVEL, Abi
from nnapi_testkit.android.build import build_runner, build_runners
from nnapi_testkit.android.elf import Elf, read_elf
from nnapi_testkit.android.facts import complaints
from nnapi_testkit.android.toolchain import Toolchain, find_toolchain

__all__ = [
    "ABIS",
    "API_LEVEL",
    "Abi",
    "Elf",
    "Toolchain",
    "build_runner",
    "build_runners",
    "complaints",
    "find_toolchain",
    "read_elf",
]
