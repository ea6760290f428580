"""Where a runner runs, and so which driver is asked: `host`, `lib:PATH`, and what packages add."""

from nnapi_testkit.targets.base import InfraError, Runner, Target, TargetError
from nnapi_testkit.targets.local import (
    LocalTarget,
    host_target,
    library_target,
    support_library_target,
)
from nnapi_testkit.targets.parse import ENTRY_POINTS, each_device, fleet, parse_target
from nnapi_testkit.targets.session import RunnerSession

__all__ = [
    "ENTRY_POINTS",
    "InfraError",
    "LocalTarget",
    "Runner",
    "RunnerSession",
    "Target",
    "TargetError",
    "each_device",
    "fleet",
    "host_target",
    "library_target",
    "parse_target",
    "support_library_target",
]
