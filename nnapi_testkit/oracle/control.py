"""IF and WHILE, as the NNAPI reference words them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnapi_testkit.model.types import Graph
from nnapi_testkit.oracle.bind import OracleError

Run = Callable[[Graph, list[Any]], list[Any]]
# More than any case of ours needs: an endless loop is judged as a driver's timeout instead.
MOST_ITERATIONS = 10_000


def run_if(run: Run, inputs: list[Any]) -> list[Any]:
    """Inputs: a bool8 condition of shape [1], then-model, else-model, the models' inputs."""
    condition, then, otherwise, *rest = inputs
    graph = then.data if bool(condition.data.reshape(-1)[0]) else otherwise.data
    return run(graph, rest)


def run_while(run: Run, inputs: list[Any]) -> list[Any]:
    """Inputs: condition model, body model, m input-outputs, k state-only, n input-only.

    The body gives the next input-output and state-only values; the outputs are the
    input-output values when the condition first gives false.
    """
    condition, body, *state = inputs
    carried = len(body.data.outputs)
    for _ in range(MOST_ITERATIONS):
        (more,) = run(condition.data, state)
        if not bool(more.data.reshape(-1)[0]):
            return state[:carried]
        state = [*run(body.data, state), *state[carried:]]
    raise OracleError(f"a WHILE loop ran {MOST_ITERATIONS} times without an end")
