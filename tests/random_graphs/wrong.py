"""Drivers that are wrong in a graph: alone, between neighbours, only unseen, or do not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from nnapi_testkit.model.case import Case, Ending, Result, Stage
from nnapi_testkit.model.types import Graph, Lifetime
from nnapi_testkit.spec.codes import OperationCode, ResultCode
from nnapi_testkit.targets.base import Runner

# Which operands of the main graph a driver leaves wrong.
Spoils = Callable[[Graph], set[int]]


class Wrong:
    """Rewrites what comes back; counts batches."""

    def __init__(
        self,
        inner: Runner,
        spoils: Spoils,
        ending: Callable[[Result], Result] | None = None,
    ) -> None:
        self._inner, self._spoils, self._ending = inner, spoils, ending
        self.batches = 0

    def run(self, cases: Sequence[Case]) -> Iterator[Result]:
        self.batches += 1
        for case, result in zip(cases, self._inner.run(cases), strict=True):
            bad = self._spoils(case.model.main)
            if not bad or result.ending is not Ending.COMPLETED:
                yield result
            elif self._ending is not None:
                yield self._ending(result)
            else:
                yield _spoilt(case, result, bad)


def _spoilt(case: Case, result: Result, bad: set[int]) -> Result:
    runs = []
    for run in result.executions:
        outputs = [
            replace(output, data=_flipped(output.data)) if at in bad else output
            for at, output in zip(case.model.main.outputs, run.outputs, strict=True)
        ]
        runs.append(replace(run, outputs=tuple(outputs)))
    return replace(result, executions=tuple(runs))


def _flipped(data: bytes) -> bytes:
    """The second highest bit of each byte turned."""
    return (np.frombuffer(data, np.uint8) ^ 64).tobytes()


def alone(code: OperationCode) -> Spoils:
    """Each result of an operation."""
    return lambda graph: {
        at for operation in graph.operations if operation.code == code for at in operation.outputs
    }


def after(first: OperationCode, second: OperationCode) -> Spoils:
    """The results of an operation that reads another one's."""

    def spoils(graph: Graph) -> set[int]:
        made = {at for o in graph.operations if o.code == first for at in o.outputs}
        return {
            at
            for o in graph.operations
            if o.code == second and made.intersection(o.inputs)
            for at in o.outputs
        }

    return spoils


def unseen(first: OperationCode, second: OperationCode) -> Spoils:
    """What follows from the same two, but only where the value between them is hidden."""

    def spoils(graph: Graph) -> set[int]:
        hidden = {
            at
            for o in graph.operations
            if o.code == first
            for at in o.outputs
            if graph.operands[at].lifetime == Lifetime.TEMPORARY
        }
        bad: set[int] = set()
        for operation in graph.operations:
            meets = operation.code == second and hidden.intersection(operation.inputs)
            if meets or bad.intersection(operation.inputs):
                bad.update(operation.outputs)
        return bad

    return spoils


def crashed(result: Result) -> Result:
    return replace(result, ending=Ending.CRASHED, stage=Stage.EXECUTION, code=11, executions=())


def refused(result: Result) -> Result:
    return replace(
        result,
        ending=Ending.STOPPED,
        stage=Stage.COMPILATION,
        code=int(ResultCode.OP_FAILED),
        function="ANeuralNetworksCompilation_finish",
        executions=(),
    )
