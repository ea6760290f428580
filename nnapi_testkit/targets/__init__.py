"""Where a runner runs, and so which driver is asked: `host`, `lib:PATH`, and what packages add."""

from nnapi_testkit.targets.base import (
    Aged,
    InfraError,
    Runner,
    Target,
    TargetError,
    Traits,
    traits,
)
from nnapi_testkit.targets.kept import kept
from nnapi_testkit.targets.local import (
    LocalTarget,
    host_target,
    library_target,
    support_library_target,
)
from nnapi_testkit.targets.parse import (
    ENTRY_POINTS,
    FLEETS,
    each_device,
    fleet,
    parse_target,
    spokesman,
)
from nnapi_testkit.targets.session import RunnerSession

__all__ = [
    "ENTRY_POINTS",
    "FLEETS",
    "Aged",
    "InfraError",
    "LocalTarget",
    "Runner",
    "RunnerSession",
    "Target",
    "TargetError",
    "Traits",
    "each_device",
    "fleet",
    "host_target",
    "kept",
    "library_target",
    "parse_target",
    "spokesman",
    "support_library_target",
    "traits",
]
