"""Android devices over adb (docs/adb.md)."""

from nnapi_testkit.targets.adb.lease import Patience
from nnapi_testkit.targets.adb.session import AdbSession
from nnapi_testkit.targets.adb.target import AdbTarget, adb_target, serials_of

__all__ = ["AdbSession", "AdbTarget", "Patience", "adb_target", "serials_of"]
