"""Android devices over adb (docs/adb.md)."""

# ruff: noqa: E402 - what is missing is said before it is imported
from nnapi_testkit.targets.extras import needs

needs("adb", "devices over adb", "adbutils")

from nnapi_testkit.targets.adb.patience import Patience
from nnapi_testkit.targets.adb.session import AdbSession
from nnapi_testkit.targets.adb.target import AdbTarget, adb_target, serials_of

__all__ = ["AdbSession", "AdbTarget", "Patience", "adb_target", "serials_of"]
