"""The catalogue: every known kind of driver bug, in two layers."""

from __future__ import annotations

from functools import cache

from nnapi_testkit.errors import KitError
from nnapi_testkit.power.fault import Fault
from nnapi_testkit.power.faults_in import IN
from nnapi_testkit.power.faults_instead import INSTEAD
from nnapi_testkit.power.faults_out import OUT
from nnapi_testkit.power.planted import PLANTED

__all__ = ["catalogue", "pick"]

# Why no case can notice a fault: shown wherever it is counted.
WAIVED = {
    "cache-ignores-the-model": (
        "the reference says that a runtime cannot detect tokens that two models share, and that"
        " such an execution may fail or give incorrect values"
    ),
}


@cache
def catalogue() -> dict[str, Fault]:
    """Every fault by its id: wrappers first, then those planted in the test build."""
    planted = tuple(
        Fault(
            one.id,
            one.what,
            one.seen,
            one.operations,
            "planted",
            number=number,
            waived=WAIVED.get(one.id, ""),
        )
        for number, one in enumerate(PLANTED, start=1)
    )
    found: dict[str, Fault] = {}
    for fault in (*IN, *INSTEAD, *OUT, *planted):
        if fault.id in found:
            raise KitError(f"two faults are called {fault.id}: each needs a name of its own")
        found[fault.id] = fault
    return found


def pick(names: tuple[str, ...], operations: tuple[str, ...]) -> list[Fault]:
    """The faults called so, or all; of these, those that concern one of the operations.

    Raises KitError for an unknown name or where nothing is left.
    """
    known = catalogue()
    for name in names:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else "see nnapi-testkit power list"
            raise KitError(f"fault {name!r} is unknown: {hint}")
    found = [known[name] for name in names] if names else list(known.values())
    if operations:
        found = [one for one in found if {*one.operations} & {"*", *operations}]
    if not found:
        raise KitError("no fault concerns these operations: see nnapi-testkit power list")
    return found
