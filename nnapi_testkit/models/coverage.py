"""Which operations of a model a device runs: claimed, compiled, correct, how fast, in which part.

Each operation runs alone on the values that the model has there. The device is asked for the
whole model too, since what it claims may depend on an operation's neighbours: where it answers,
the partition follows from that answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Case, Ending, Execution, Result, Stage
from nnapi_testkit.model.program import InputSet, Left, Program, operation_name
from nnapi_testkit.models.check import DEADLINE_MS, given_inputs, judge_step
from nnapi_testkit.models.steps import in_order, single
from nnapi_testkit.models.work import multiply_accumulates, needed_level
from nnapi_testkit.oracle import follow
from nnapi_testkit.spec.operands import Array
from nnapi_testkit.targets.base import Runner

__all__ = ["Coverage", "Row", "cover", "regressions"]

REPETITIONS = 5


@dataclass(frozen=True)
class Row:
    """One operation on one device.

    Args:
        index: its position in the main graph, -1 for a node that the model leaves to the CPU.
        label: number, kind and origin.
        operation: its name. level: the feature level it needs, 0 if no documented signature fits.
        macs: multiply-accumulates.
        claimed: whether the device says that it runs it, within the model where it told.
        compiled: whether it compiled alone. verdict, message: of its values.
        nanoseconds: the fastest run alone, 0 if none.
        partition: number of the part of the model that it belongs to; parts alternate between
            device and CPU in the order in which operations run.
    """

    index: int
    label: str
    operation: str
    level: int
    macs: int
    claimed: bool
    compiled: bool
    verdict: Verdict
    message: str = ""
    nanoseconds: int = 0
    partition: int = 0


@dataclass(frozen=True)
class Coverage:
    """One model on one device.

    Args:
        rows: operations in the order in which they run.
        whole: whether the device claims the whole model in one part. told: whether the claims
            are the device's answer for the model as a whole.
        seconds: what finding out took.
    """

    model: str
    target: str
    device: str
    rows: tuple[Row, ...]
    whole: bool
    told: bool
    seconds: float = 0.0

    @property
    def claimed(self) -> int:
        """Operations that the device claims."""
        return sum(row.claimed for row in self.rows)

    @property
    def right(self) -> int:
        """Operations that are claimed, compiled and judged right."""
        return sum(row.verdict.is_pass for row in self.rows)

    @property
    def wrong(self) -> tuple[Row, ...]:
        """Operations that are claimed and fail."""
        return tuple(row for row in self.rows if row.verdict.is_failure)

    @property
    def partitions(self) -> int:
        """Parts that run on the device."""
        return len({row.partition for row in self.rows if row.claimed})

    @property
    def transitions(self) -> int:
        """How often data change between device and CPU."""
        return max((row.partition for row in self.rows), default=1) - 1

    @property
    def share(self) -> float:
        """The share of multiply-accumulates on the device; of operations if there are none."""
        total = sum(row.macs for row in self.rows)
        if not total:
            return self.claimed / len(self.rows) if self.rows else 0.0
        return sum(row.macs for row in self.rows if row.claimed) / total

    @property
    def level(self) -> int:
        """The feature level that the whole model needs."""
        return max((row.level for row in self.rows), default=1)

    def json(self) -> dict[str, object]:
        """The coverage as JSON values; what `regressions` reads as a baseline."""
        return {
            "model": self.model,
            "target": self.target,
            "device": self.device,
            "operations": len(self.rows),
            "claimed": self.claimed,
            "right": self.right,
            "partitions": self.partitions,
            "transitions": self.transitions,
            "share_of_macs": self.share,
            "level": self.level,
            "whole": self.whole,
            "rows": [asdict(row) | {"verdict": row.verdict.value} for row in self.rows],
        }


def cover(
    program: Program,
    runner: Runner,
    target: str,
    inputs: Sequence[InputSet] = (),
    *,
    profile: str = "standard",
) -> Coverage:
    """Ask a device for each operation of a model, on the first input set.

    Raises KitError: there is no input to run the model with, or the oracle does not know it.
    """
    began = time.perf_counter()
    row = given_inputs(program, inputs)[0]
    model = program.model
    order = in_order(model.main)
    chain = follow(model, order, row, 0)
    shapes = {at: array.shape for at, array in chain.values.items()}
    dims = tuple(shapes[at] for at in model.main.outputs)
    whole = Case(program.name, model, (Execution(row, dims),), deadline_ms=DEADLINE_MS)
    cases = [whole, *(_alone(program, index, chain.values) for index in order)]
    results = list(runner.run(cases))
    mask = _mask(results[0], len(model.main.operations))
    rows: list[Row] = []
    left = list(program.left)
    for index, case, result in zip(order, cases[1:], results[1:], strict=True):
        while left and left[0].at <= index:
            rows.append(_cpu(left.pop(0), rows))
        record = judge_step(case, result, profile)
        claimed = result.ending is not Ending.UNSUPPORTED if mask is None else mask[index]
        times = [run.nanoseconds for run in result.executions if run.nanoseconds]
        rows.append(
            Row(
                index,
                program.label(index),
                operation_name(model.main.operations[index].code),
                needed_level(model, index),
                multiply_accumulates(model, index, shapes),
                claimed,
                result.stage >= Stage.EXECUTION,
                record.verdict,
                record.message,
                min(times, default=0),
                _part(rows, claimed),
            )
        )
    for node in left:
        rows.append(_cpu(node, rows))
    device = next((result.device for result in results if result.device), "")
    return Coverage(
        program.name,
        target,
        device,
        tuple(rows),
        results[0].ending is Ending.COMPLETED and not program.left,
        mask is not None,
        time.perf_counter() - began,
    )


def _alone(program: Program, index: int, values: Mapping[int, Array]) -> Case:
    """One operation of the model as a case, fed with what it would read there."""
    alone, taken = single(program.model, index)
    outputs = program.model.main.operations[index].outputs
    execution = Execution(
        tuple(values.get(at) for at in taken), tuple(values[at].shape for at in outputs)
    )
    name = f"{program.name}#{index}"
    return Case(name, alone, (execution,), repetitions=REPETITIONS, deadline_ms=DEADLINE_MS)


def _part(rows: Sequence[Row], claimed: bool) -> int:
    """The part of the model that the next row falls in."""
    if not rows:
        return 1
    return rows[-1].partition + (rows[-1].claimed != claimed)


def _cpu(node: Left, rows: Sequence[Row]) -> Row:
    """The row of a node that NNAPI cannot express, on any device."""
    part = _part(rows, False)
    return Row(
        -1,
        node.name,
        "",
        0,
        node.macs,
        False,
        False,
        Verdict.UNSUPPORTED,
        node.reason,
        partition=part,
    )


def _mask(whole: Result, count: int) -> tuple[bool, ...] | None:
    """What the device claims of the model as a whole; None if it did not get so far."""
    if whole.support:
        return whole.support
    return (True,) * count if whole.stage > Stage.SUPPORT else None


_OLD = {"label", "claimed", "verdict"}  # what a row of a baseline has to say


def regressions(now: Coverage, before: Mapping[str, object]) -> Iterator[str]:
    """Yield in words what a device ran of this model before, and does not any more.

    Args:
        before: an earlier `Coverage.json`.
    """
    rows = before.get("rows")
    if not isinstance(rows, list) or not all(
        isinstance(r, dict) and r.keys() >= _OLD for r in rows
    ):
        yield "the baseline holds no rows: write it with --format json"
        return
    old = {row["label"]: row for row in rows}
    if not old.keys() & {row.label for row in now.rows}:
        yield f"the baseline is of another model ({before.get('model')})"
        return
    for row in now.rows:
        then = old.get(row.label)
        if then is None:
            continue
        if then["claimed"] and not row.claimed:
            yield f"{row.label} is not claimed any more"
        elif then["verdict"] == Verdict.PASS.value and row.verdict.is_failure:
            yield f"{row.label} was right and is {row.verdict.value}: {row.message}"
    gone = old.keys() - {row.label for row in now.rows}
    for label in (label for label, row in old.items() if label in gone and row["claimed"]):
        yield f"{label} is no operation of the model any more"
    if now.partitions > _number(before, "partitions"):
        yield f"{now.partitions} parts on the device, {_number(before, 'partitions')} before"


def _number(row: Mapping[str, object], name: str) -> int:
    value = row.get(name)
    return value if isinstance(value, int) else 0
