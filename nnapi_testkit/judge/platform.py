"""Whose failure it is: the driver's, or that of the runtime between the kit and the driver.

On a device the runtime builds the model, keeps memory and looks at arguments before any driver is
asked. What fails there says nothing of the driver: neither pass nor failure.
"""

from __future__ import annotations

from nnapi_testkit.model.case import Ending, Result, Stage
from nnapi_testkit.spec.codes import ResultCode

__all__ = ["before_the_driver"]

# Functions that a runtime answers alone. `Model_getSupportedOperationsForDevices` asks the driver.
_ALONE = (
    "Model_create",
    "Model_add",
    "Model_set",
    "Model_identify",
    "Model_relax",
    "Model_finish",
    "Compilation_create",
    "Compilation_set",
    "Memory_",
    "MemoryDesc_",
    "Burst_create",
    "Execution_create",
    "Execution_set",
    "Execution_enable",
)
_FENCED = "Execution_startComputeWithDependencies"
_ENDED = (
    Ending.STOPPED,
    Ending.CRASHED,
    Ending.EXITED,
    Ending.TIMED_OUT,
    Ending.OUT_OF_MEMORY,
)


def before_the_driver(result: Result) -> bool:
    """Whether a case ended in the runtime, before a driver was asked.

    A fenced execution answers BAD_DATA for its own arguments alone: what a driver has to say of
    it comes as OP_FAILED, or through the event. BAD_STATE is the runtime's of every execution
    function, since the states are its own.
    """
    if result.ending not in _ENDED or result.service:
        return False
    name = result.function.removeprefix("ANeuralNetworks")
    if name.startswith(_ALONE):
        return True
    if not name and result.stage == Stage.MODEL:
        return True
    if result.ending is not Ending.STOPPED:
        return False
    if name == _FENCED and result.code == ResultCode.BAD_DATA:
        return True
    return name.startswith("Execution_") and result.code == ResultCode.BAD_STATE
