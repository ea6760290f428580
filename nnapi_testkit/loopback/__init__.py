"""A device without a device: the far end of adb, with the Linux runner and driver behind it."""

from nnapi_testkit.loopback.device import LoopbackDevice
from nnapi_testkit.loopback.faults import Faults

__all__ = ["Faults", "LoopbackDevice"]
