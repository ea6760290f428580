"""Phones and emulators of a lab, leased and reached by Jumpstarter (docs/jumpstarter.md).

Jumpstarter itself is imported when a target is opened: it is an extra.
"""

from nnapi_testkit.targets.jumpstarter.settings import JumpstarterSettings, jumpstarter_fleet
from nnapi_testkit.targets.jumpstarter.target import (
    JumpstarterSession,
    JumpstarterTarget,
    jumpstarter_target,
)

__all__ = [
    "JumpstarterSession",
    "JumpstarterSettings",
    "JumpstarterTarget",
    "jumpstarter_fleet",
    "jumpstarter_target",
]
