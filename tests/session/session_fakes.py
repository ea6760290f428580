"""A small world for the engine: cases whose names say what happens to them.

Words in a case id: `wrong` (the driver computes 1 too much), `crash`, `leak` (wrong in a batch,
right alone), `refuse` (must be refused), `nogolden`, `stale`, `badoracle`, `badmake`, `badjudge`,
`gone` (the runner is lost whenever it meets the case), `flaky` (lost the first time only),
`beside` (with `refuse`: the last case is its unbroken neighbour),
`unsupported`, `nameless` (no device is reported), `suicide` (the lane process dies), `sick` and
`away` (`wrong` and `gone` until FAKE_MENDED is set), `path` (another path of the case before it),
`poison` and `venom` (leave something behind in their worker), `victim` (wrong after a poison) and
`prey` (wrong after a poison and a venom).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from functools import partial

import numpy as np

from nnapi_testkit.cases.ref import Broken, CaseRef, Constraint
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Difference, Evidence, Record, Verdict
from nnapi_testkit.model.case import (
    Answer,
    Case,
    Ending,
    Execution,
    Expected,
    OutputResult,
    Result,
    SetResult,
    Stage,
)
from nnapi_testkit.model.kinds import Kind, Source
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.session.services import Services
from nnapi_testkit.spec.codes import OperandCode

OPERATIONS = ("ADD", "MUL", "RELU")
COUNT = int(os.environ.get("FAKE_CASES", "40"))
SPECIAL: tuple[str, ...] = tuple(filter(None, os.environ.get("FAKE_SPECIAL", "").split(",")))
STATE: dict[str, int] = {}  # what the runners have seen, by word
OPENED: list[tuple[str, bool]] = []

_TENSOR = Operand(OperandCode.TENSOR_FLOAT32, (4,), lifetime=Lifetime.INPUT)
_MODEL = Model(
    Graph(
        (_TENSOR, Operand(OperandCode.TENSOR_FLOAT32, (4,), lifetime=Lifetime.OUTPUT)),
        (Operation(19, (0,), (1,)),),
        (0,),
        (1,),
    )
)


def make(case_id: str) -> Case:
    if "badmake" in case_id:
        raise ValueError("no such shape")
    values = np.arange(4, dtype=np.float32)
    expect = Stage.MODEL if "refuse" in case_id else Stage.DONE
    return Case(case_id, _MODEL, (Execution((values,), ((4,),)),), expect=expect)


def refs(special: Sequence[str] | None = None, count: int | None = None) -> list[CaseRef]:
    special = SPECIAL if special is None else special
    count = COUNT if count is None else count
    found = []
    for at in range(count):
        operation = OPERATIONS[at * len(OPERATIONS) // max(count, 1)]
        word = special[at] if at < len(special) and special[at] else "plain"
        case_id = f"{operation}[float32-{word}-{at}]"
        near = f"{OPERATIONS[-1]}[float32-plain-{count - 1}]"
        found.append(
            CaseRef(
                case_id,
                operation,
                "float32",
                1 + at % 3,
                Kind.POSITIVE,
                partial(make, case_id),
                broken=Broken(Constraint("rank"), near) if "beside" in word else None,
                answer_id="ADD[base]" if "path" in word else "",
            )
        )
    return found


def index(operations: Collection[str] | None, seed: int) -> Sequence[CaseRef]:
    for name in operations or ():
        if name not in OPERATIONS:
            raise KitError(f"operation {name!r} is unknown")
    return [ref for ref in refs() if operations is None or ref.operation in operations]


class FakeRunner:
    def __init__(self, isolate: bool) -> None:
        self.isolate = isolate
        self.closed = False
        self.left: set[str] = set()  # what earlier cases have left behind

    def run(self, cases: Sequence[Case]) -> Iterator[Result]:
        for at, case in enumerate(cases):
            yield self._one(at, case)

    def _one(self, at: int, case: Case) -> Result:
        name = case.id
        seen = STATE[name] = STATE.get(name, 0) + 1
        if "suicide" in name:
            os._exit(7)
        away = "away" in name and "FAKE_MENDED" not in os.environ
        if "gone" in name or away or ("flaky" in name and seen == 1):
            raise KitError("the runner was killed (signal 9): start it again")
        if "crash" in name:
            return Result(at, Ending.CRASHED, Stage.EXECUTION, 11, "fake", text="segfault")
        if "unsupported" in name:
            return Result(at, Ending.UNSUPPORTED, Stage.SUPPORT, 0, "fake")
        if "refuse" in name:
            return Result(at, Ending.STOPPED, Stage.MODEL, 4, "fake")
        values = np.asarray(case.sets[0].inputs[0])
        if self._fails(name):
            values = values + np.float32(1)
        output = OutputResult((4,), values.astype(np.float32).tobytes())
        return Result(
            at,
            Ending.COMPLETED,
            Stage.DONE,
            0,
            "" if "nameless" in name else "fake",
            executions=(SetResult(0, (output,)),),
            nanoseconds=1000,
        )

    def _fails(self, name: str) -> bool:
        if self.isolate:
            self.left = set()
        self.left |= {word for word in ("poison", "venom") if word in name}
        if "victim" in name and "poison" in self.left:
            return True
        if "prey" in name and self.left == {"poison", "venom"}:
            return True
        sick = "sick" in name and "FAKE_MENDED" not in os.environ
        return "wrong" in name or sick or ("leak" in name and not self.isolate)

    def close(self) -> None:
        self.closed = True


def open_runner(target: str, *, isolate: bool, memory_limit_mb: int | None) -> FakeRunner:
    if target != "host":
        raise KitError(f"target {target!r} is unknown: use host")
    OPENED.append((target, isolate))
    return FakeRunner(isolate)


def describe(target: str) -> dict[str, object]:
    if target != "host":
        raise KitError(f"target {target!r} is unknown: use host")
    version = os.environ.get("FAKE_VERSION", "1.0")
    return {"name": "fake", "device_version": version, "feature_level": 1000008}


def live(ref: CaseRef, case: Case) -> Answer:
    if "badoracle" in ref.id:
        raise RuntimeError("no kernel")
    values = np.arange(4, dtype=np.float64)
    return Answer(((Expected(values, np.full(4, 1e-6)),),))


def golden(ref: CaseRef, case: Case) -> Answer | None:
    if "nogolden" in ref.id:
        return None
    if "corrupt" in ref.id:
        raise KitError("golden ADD is corrupt: restore it")
    values = np.arange(4, dtype=np.float64) + ("stale" in ref.id) * 1e-8
    return Answer(((Expected(values, np.full(4, 1.05e-6)),),), source=Source.GOLDEN)


def judge(
    ref: CaseRef,
    case: Case,
    answer: Answer | None,
    result: Result,
    *,
    profile: str = "standard",
    target: str = "",
    between: bool = False,
) -> Record:
    def record(
        verdict: Verdict,
        evidence: Evidence,
        message: str = "",
        differences: tuple[Difference, ...] = (),
    ) -> Record:
        return Record(
            ref.id,
            ref.operation,
            ref.cell,
            ref.level,
            verdict,
            evidence,
            device=result.device,
            target=target,
            kind=ref.kind,
            message=message,
            differences=differences,
            mismatched=len(differences),
            stage=result.stage,
            code=result.code,
            nanoseconds=result.nanoseconds,
            text=result.text,
        )

    if "badjudge" in ref.id:
        raise ZeroDivisionError("by zero")
    if result.ending is Ending.CRASHED:
        return record(Verdict.CRASH_RUNNER, Evidence(), "killed by signal 11")
    if result.ending is Ending.UNSUPPORTED:
        return record(Verdict.UNSUPPORTED, Evidence(), "RELU is not claimed")
    if case.expect is not Stage.DONE:
        return record(Verdict.PASS, Evidence(status_checked=1, oracle=Source.REFUSAL))
    assert answer is not None
    expected = answer.sets[0][0]
    actual = np.frombuffer(result.executions[0].outputs[0].data, np.float32)
    error = np.abs(actual - expected.value)
    margin = float((error / expected.bound).max())
    evidence = Evidence(
        compared=4, margin=margin, minimum_tolerance=float(error.max()), oracle=answer.source
    )
    if margin <= 1:
        return record(Verdict.PASS, evidence)
    first = Difference(0, 0, (0,), float(actual[0]), 0.0, float(error[0]), 1e-6)
    return record(Verdict.MISMATCH, evidence, "4 of 4 elements differ", (first,))


def services() -> Services:
    return Services(
        index=index,
        open_runner=open_runner,
        describe=describe,
        judge=judge,
        has_live=lambda: "FAKE_NO_TORCH" not in os.environ,
        live=lambda: live,
        golden=lambda: golden,
    )
