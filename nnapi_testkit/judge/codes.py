"""The result codes that the documentation names, and for which failure.

"Any NNAPI function can return any result code, including result codes not currently documented"
(`ResultCode`): most refusals have no code of their own, and then any but `NO_ERROR` is right. Where
the text of a function says what comes back for a failure that a refusal case provokes, that code
is due. Each rule quotes its sentence in `NeuralNetworks.h`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nnapi_testkit.cases.ref import Broken
from nnapi_testkit.model.case import Ending, Result
from nnapi_testkit.spec.codes import ResultCode

__all__ = ["RULES", "Rule", "of_arguments", "rule_for", "spoken"]

BAD_DATA = frozenset({ResultCode.BAD_DATA})
MISSED_DEADLINE = frozenset(
    {ResultCode.MISSED_DEADLINE_TRANSIENT, ResultCode.MISSED_DEADLINE_PERSISTENT}
)
# Any model that breaks a rule of models or of an operation.
INVALID_MODEL = "invalid model"


@dataclass(frozen=True, slots=True)
class Rule:
    """A documented result code.

    Args:
        functions: what says it, without the prefix `ANeuralNetworks`.
        broken: the constraint that was broken (`Broken.rule`), or `INVALID_MODEL`.
        codes: the codes that are right.
        sentence: the text of the functions that says so.
        runtime: it is the runtime that answers, where a runtime stands before the driver.
    """

    functions: tuple[str, ...]
    broken: str
    codes: frozenset[ResultCode]
    sentence: str
    runtime: bool


_LENGTH = (
    "Passing a length argument with value not equal to the raw size of the {0} will result in"
    " ANEURALNETWORKS_BAD_DATA."
)
_TIMEOUT = (
    "If this execution contains a ANEURALNETWORKS_WHILE operation, and the condition model does"
    " not output false within the loop timeout duration, then execution will be aborted and"
    " ANEURALNETWORKS_MISSED_DEADLINE_* will be returned"
)
RULES = (
    Rule(
        ("Compilation_create", "Compilation_createForDevices"),
        INVALID_MODEL,
        BAD_DATA,
        "ANEURALNETWORKS_BAD_DATA if the model is invalid.",
        True,
    ),
    Rule(
        ("Execution_setInput", "Execution_setInputFromMemory"),
        "input-length",
        BAD_DATA,
        _LENGTH.format("input"),
        True,
    ),
    Rule(
        ("Execution_setOutput", "Execution_setOutputFromMemory"),
        "output-length",
        BAD_DATA,
        _LENGTH.format("output"),
        True,
    ),
    Rule(
        ("Execution_getOutputOperandRank", "Execution_getOutputOperandDimensions"),
        "output-size",
        frozenset({ResultCode.OUTPUT_INSUFFICIENT_SIZE}),
        "ANEURALNETWORKS_OUTPUT_INSUFFICIENT_SIZE if the target output is provided an"
        " insufficient buffer at execution time",
        False,
    ),
    Rule(
        ("Execution_compute", "Execution_burstCompute", "Event_wait"),
        "loop-timeout",
        MISSED_DEADLINE,
        _TIMEOUT,
        False,
    ),
)


# What goes wrong after compilation; a fenced execution that leaves outputs open has no code.
_ARGUMENTS = frozenset(rule.broken for rule in RULES) - {INVALID_MODEL} | {"fenced-dims"}


def of_arguments(broken: Broken) -> bool:
    """Whether the model is valid, and only its execution has to fail."""
    return broken.rule in _ARGUMENTS


def rule_for(broken: Broken, function: str) -> Rule | None:
    """Return the rule for what this function says of the failure; None where none is named."""
    if broken.newer:
        return None
    name = function.removeprefix("ANeuralNetworks")
    cause = broken.rule if of_arguments(broken) else INVALID_MODEL
    return next((rule for rule in RULES if name in rule.functions and rule.broken == cause), None)


def spoken(result: Result) -> Iterator[tuple[str, int]]:
    """Yield the functions that reported a failure, each with its code.

    The first output of a failed execution was asked for its rank and dimensions as well.
    """
    if result.ending is Ending.STOPPED:
        yield result.function, result.code
    for run in result.executions:
        for output in run.outputs[:1]:
            # Without dimensions and without an error nothing was asked.
            if run.code != ResultCode.NO_ERROR and (output.dims is not None or output.dims_code):
                yield "ANeuralNetworksExecution_getOutputOperandRank", output.dims_code
