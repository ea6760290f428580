"""Records of a made-up run."""

from __future__ import annotations

from dataclasses import replace

from nnapi_testkit.judge.verdict import Difference, Evidence, Record, Verdict
from nnapi_testkit.model.case import Stage
from nnapi_testkit.model.kinds import Source

NASTY = "</script><b>&\"'\u2028\x00\x1b[31m \U0001f600 \ufffe"


def record(
    case_id: str = "ADD[float32-a]", verdict: Verdict = Verdict.PASS, **more: object
) -> Record:
    operation, _, rest = case_id.partition("[")
    compared = 0 if verdict in (Verdict.UNSUPPORTED, Verdict.INFRA, Verdict.NOT_RUN) else 12
    evidence = Evidence(compared=compared, margin=0.25 if compared else 0.0, oracle=Source.BOTH)
    base = Record(
        case_id, operation, rest.partition("-")[0], 1, verdict, evidence, "nnapi-fake", "host",
        nanoseconds=1500,
    )  # fmt: skip
    return replace(base, **more)  # type: ignore[arg-type]


def mismatch(case_id: str = "MUL[quant8-b]") -> Record:
    return record(
        case_id,
        Verdict.MISMATCH,
        evidence=Evidence(12, margin=250.0, minimum_tolerance=0.25, oracle=Source.LIVE),
        message="2 of 12 elements are outside their bounds",
        differences=(
            Difference(0, 0, (0, 1), 1.25, 1.0, 0.25, 0.001, 130, (128, 129)),
            Difference(0, 0, (1, 1), float("nan"), 1.0, float("inf"), 0.001),
        ),
        mismatched=2,
        stage=Stage.DONE,
        isolated=Verdict.MISMATCH,
        repro=f"nnapi-testkit run '{case_id}' --target host",
    )


def run() -> list[Record]:
    return [
        record(),
        mismatch(),
        record("MUL[float32-c]", Verdict.UNSUPPORTED, message="not claimed"),
        record("RELU[float32-d]", Verdict.CRASH_RUNNER, message=NASTY, text=NASTY, code=11),
        record("RELU[float32-e]", Verdict.INFRA, message="lost"),
        record("RELU[float32-f]", Verdict.OBSERVED, message="NaN order"),
        record("TANH[float16-g]", Verdict.WAIVED, message="MISMATCH (waived)", waiver="TANH*"),
        record("TANH[float16-h]", level=3),
    ]
