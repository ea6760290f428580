"""A model's results on a device, as arrays: nothing is judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.program import InputSet, Program
from nnapi_testkit.models.check import DEADLINE_MS, given_inputs, stopped
from nnapi_testkit.models.steps import array_of, in_order
from nnapi_testkit.oracle import follow
from nnapi_testkit.targets.base import Runner

__all__ = ["run"]

Arrays = tuple[NDArray[np.generic], ...]


def run(
    program: Program, runner: Runner, inputs: Sequence[Sequence[object]] = ()
) -> tuple[Arrays, ...]:
    """Run a model on an open runner, all input sets in one compilation.

    Args:
        inputs: input sets, an array for each input; by default the program's own.

    Returns:
        For each input set an array for each output, in the operand's type and the model's layout.

    Raises KitError: inputs that do not fit, or the device does not run the model: where it stopped.
    """
    rows = [program.accept(row) for row in inputs]
    given = given_inputs(program, rows)
    model = program.model
    ends = [model.main.operands[at] for at in model.main.outputs]
    sets = tuple(Execution(row, _dims(program, row)) for row in given)
    case = Case(program.name, model, sets, deadline_ms=DEADLINE_MS)
    result = next(iter(runner.run([case])))
    record = stopped(case, result, "standard")
    if record is not None:
        raise KitError(f"{program.name} does not run: {record.verdict.value}: {record.message}")
    return tuple(
        tuple(
            array_of(operand, output, dims)
            for operand, output, dims in zip(ends, done.outputs, fed.output_dims, strict=True)
        )
        for fed, done in zip(sets, result.executions, strict=True)
    )


def _dims(program: Program, row: InputSet) -> tuple[tuple[int, ...], ...]:
    """Dimensions of each output; asked of the reference where the model leaves them open."""
    graph = program.model.main
    told = tuple(graph.operands[at].dims for at in graph.outputs)
    if all(dims and all(dims) for dims in told):
        return told
    chain = follow(program.model, in_order(graph), row, 0)
    return tuple(chain.values[at].shape for at in graph.outputs)
