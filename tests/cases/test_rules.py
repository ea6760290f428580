"""Rules as data: what breaks them is asked, and the driver has the same ones."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit import paths
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Ending, Result, SetResult, Stage
from nnapi_testkit.model.types import Lifetime
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ROOT / "emulator" / "driver" / "kernels"


def facts(case):
    """Shapes and values of the operation's inputs, and scales, in their order."""
    main = case.model.main
    given = dict(zip(main.inputs, case.sets[0].inputs, strict=True))
    found = []
    for index in main.operations[-1].inputs:
        operand = main.operands[index]
        if operand.lifetime == Lifetime.CONSTANT:
            data = np.frombuffer(operand.value, DTYPE[OperandCode(operand.type)])
            found.append((operand.dims, data.tolist()))
        elif operand.lifetime == Lifetime.INPUT:
            found.append((given[index].shape, given[index].reshape(-1).tolist()))
        else:
            found.append(None)
    return found


def scales(case):
    main = case.model.main
    operation = main.operations[-1]
    return [main.operands[i].scale for i in (*operation.inputs, *operation.outputs)]


# What has to be asked: the case without its type, and what of it shows the fault.
ASKED = {
    ("SPLIT", "splits-divide-axis.five-into-two"): lambda f, c: (
        f[0][0] == (5, 3) and f[2][1] == [2]
    ),
    ("DEPTH_TO_SPACE", "block-divides-depth.five"): lambda f, c: f[0][0][3] == 5 and f[1][1] == [2],
    ("CHANNEL_SHUFFLE", "groups-divide-channels.five-into-two"): lambda f, c: (
        f[0][0][3] == 5 and f[1][1] == [2]
    ),
    ("GROUPED_CONV_2D", "groups-divide-output.three-into-two"): lambda f, c: (
        f[1][0][0] == 3 and [2] in [part[1] for part in f[3:]]
    ),
    ("RESHAPE", "elements-kept.fewer"): lambda f, c: len(f[0][1]) == 6 and f[1][1] == [2, 2],
    ("RESHAPE", "one-open-dimension.two"): lambda f, c: f[1][1] == [-1, -1],
    ("TOPK_V2", "k-in-last-dimension.one-more"): lambda f, c: f[0][0][-1] == 3 and f[1][1] == [4],
    ("TRANSPOSE", "permutation.twice"): lambda f, c: f[1][1] == [0, 0],
    ("GATHER", "index-in-axis.one-beyond"): lambda f, c: f[0][0][0] == 3 and f[2][1] == [0, 3],
    ("SLICE", "end-in-dimension.one-beyond"): lambda f, c: (
        (f[0][0][0], f[1][1][0], f[2][1][0]) == (4, 2, 3)
    ),
    ("STRIDED_SLICE", "stride-not-zero.first"): lambda f, c: f[3][1][0] == 0,
    ("RESIZE_BILINEAR", "one-way-to-align.both"): lambda f, c: f[4][1] == f[5][1] == [1],
    ("RESIZE_NEAREST_NEIGHBOR", "one-way-to-align.both"): lambda f, c: f[4][1] == f[5][1] == [1],
    ("SOFTMAX", "beta-positive.negative"): lambda f, c: f[1][1] == [-1],
    ("PAD", "paddings-not-negative.before"): lambda f, c: f[1][1][0] == -1,
    ("DEPTHWISE_CONV_2D", "multiplier-times-depth.multiplier"): lambda f, c: (
        f[0][0][3] == 3 and f[1][0][3] == 3 and [2] in [part[1] for part in f[3:]]
    ),
    ("MUL", "scale-above-product.equal"): lambda f, c: (
        (scales(c)[0], scales(c)[1], scales(c)[-1]) == (0.5, 0.5, 0.25)
    ),
    ("BATCH_TO_SPACE_ND", "block-divides-batch.three"): lambda f, c: (
        f[0][0][0] == 3 and f[1][1] == [2, 2]
    ),
    ("SPACE_TO_BATCH_ND", "block-divides-padded.height"): lambda f, c: f[0][0][1] == 5,
    ("CONV_2D", "window-fits.tall"): lambda f, c: f[1][0][1] > f[0][0][1],
    ("MAX_POOL_2D", "window-fits.wide"): lambda f, c: f[0][0][2] == 5 and [6] in [p[1] for p in f],
    ("HASHTABLE_LOOKUP", "keys-in-order.one-apart"): lambda f, c: f[1][1] == [-3, 7, 0, 12],
    ("LSTM", "projection-bias-needs-weights.bias-alone"): lambda f, c: (
        f[16] is None and f[17] is not None
    ),
}


@pytest.mark.parametrize("asked", ASKED, ids="-".join)
def test_broken_values_are_asked_executed_and_may_not_pass(asked):
    """In every form; a driver that computes such a model is told, whatever it answers."""
    operation, broken = asked
    refs = [
        ref
        for ref in case_index([operation])
        if re.search(rf"-refused-{re.escape(broken)}(-open|-fed)?\]$", ref.id)
    ]
    assert refs
    for ref in refs:
        case = ref.make()
        assert case.expect == Stage.EXECUTION
        assert len(case.sets) == 1
        assert ASKED[asked](facts(case), case), ref.id
        ran = Result(0, Ending.COMPLETED, Stage.DONE, executions=(SetResult(0, ()),))
        assert judge(ref, case, None, ran).verdict is Verdict.ACCEPTED_INVALID
        refused = Result(0, Ending.STOPPED, Stage.EXECUTION, 4, function="compute")
        assert judge(ref, case, None, refused).verdict is Verdict.PASS


def test_rules_are_told_whole():
    """Every rule names operands that are there, says what holds, and is broken somewhere."""
    for op in catalog().values():
        known = {spec.name for inputs in op.signatures for spec in inputs}
        known |= {output.name for output in op.outputs}
        names = [rule.name for rule in op.rules]
        assert len(set(names)) == len(names), op.name
        ids = [ref.id for ref in case_index([op.name])]
        for rule in op.rules:
            assert set(rule.operands) <= known, (op.name, rule.name)
            assert rule.says.endswith("."), (op.name, rule.name)
            for how in rule.breaks:
                asked = [i for i in ids if f"-refused-{rule.name}.{how}" in i]
                assert asked, (op.name, rule.name, how)


# Rules of the driver that no case can break, each with the reason.
GIGABYTES = "only tensors of gigabytes break it"
DECLARED = "a model or an operand type without it is refused earlier"
READING = (
    "asked for by cases of kind reading, or by the other reading: tests/driver/test_readings.py"
)
UNREACHABLE = {
    "an input is empty": READING,
    "a padding must be smaller than the filter": READING,
    "the stride of a dimension in shrink_axis_mask must be positive": READING,
    "the state must be [batch_size, (memory_size - 1) * num_units * rank]": READING,
    "too many boxes": GIGABYTES,
    "too many anchors": GIGABYTES,
    "the batch is too large": GIGABYTES,
    "a dimension is too large": GIGABYTES,
    "a tensor is too large": GIGABYTES,
    "the channel scales do not match the shape of the input": DECLARED,
    "the channel scales are missing": DECLARED,
    "the filter must have one scale for each output channel": DECLARED,
    "a bias must have zero point 0": DECLARED,
    "the projection bias must have zero point 0": DECLARED,
    "too many sampling points": "a limit of this driver's, not of the reference's",
}


def literals():
    """What the kernels say when they refuse, with the file; constants are followed."""
    found = {}
    for path in sorted(KERNELS.rglob("*")):
        if path.suffix not in (".cpp", ".h"):
            continue
        text = re.sub(r"//[^\n]*", "", path.read_text())
        text = re.sub(r'"\s*\n\s*"', "", text)
        for match in re.finditer(
            r"\b(?:require|refuse)\(|constexpr (?:const )?char\b[^=;]*=", text
        ):
            end = text.index(";", match.end())
            for said in re.findall(r'"((?:[^"\\]|\\.){12,})"', text[match.end() : end]):
                found[said] = path.name
    return found


def test_driver_and_declarations_have_the_same_rules(tmp_path):
    """Each rule that a kernel states is broken by a case, and each declared one is refused.

    The first half is read from what the driver says when it refuses, the second is the verdict of
    the suite itself.
    """
    log = tmp_path / "refusals.log"
    command = [str(Path(sys.executable).with_name("nnapi-testkit")), "run", "--kind", "refusal"]
    run = subprocess.run(
        [*command, "--nnapi-oracle", "golden", "--profile", "strict"],
        env=os.environ | {"NNAPI_TESTKIT_LOG": str(log)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    said = log.read_text()
    stated = literals()
    assert len(stated) >= 120
    silent = {text: name for text, name in stated.items() if text not in said}
    unexplained = {text: name for text, name in silent.items() if text not in UNREACHABLE}
    assert not unexplained
    assert set(UNREACHABLE) <= set(silent), "explained, but a case breaks it"
    assert paths.driver_library().exists()
