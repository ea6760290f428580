"""Probes: the regimes that kernels break in are asked, and a wrong result of each is a mismatch."""

import re
from functools import lru_cache

import numpy as np
import pytest

pytest.importorskip("torch")

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.probe_sizes import _ranks
from nnapi_testkit.cases.probes import _probes, probe_samples
from nnapi_testkit.catalog import operation as declared
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Ending, OutputResult, Result, SetResult, Stage
from nnapi_testkit.model.types import Lifetime
from nnapi_testkit.oracle import answer
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE


@lru_cache
def known(operation):
    return {ref.id: ref for ref in case_index([operation])}


def case_of(case_id):
    ref = known(case_id.partition("[")[0])[case_id]
    return ref, ref.make()


def result(case, *outputs):
    """What a driver leaves that computes these arrays, in the outputs' own types."""
    found = tuple(
        OutputResult(array.shape, np.ascontiguousarray(array).tobytes(), 0) for array in outputs
    )
    return Result(0, Ending.COMPLETED, Stage.DONE, executions=(SetResult(0, found),))


def stored(case, answer_, position=0):
    """The answer in the output's own type, rounded once."""
    operand = case.model.main.operands[case.model.main.outputs[position]]
    code = OperandCode(operand.type)
    value = answer_.sets[0][position].value
    if code in CODE_RANGE:
        low, high = CODE_RANGE[code]
        value = np.clip(np.rint(value / operand.scale) + operand.zero_point, low, high)
    return value.astype(DTYPE[code])


def inputs(case):
    """The operation's tensors by position, in their element types."""
    main = case.model.main
    fed = dict(zip(main.inputs, case.sets[0].inputs, strict=True))
    found = []
    for index in main.operations[-1].inputs:
        operand = main.operands[index]
        if operand.lifetime == Lifetime.CONSTANT:
            data = np.frombuffer(operand.value, DTYPE[OperandCode(operand.type)])
            found.append(data.reshape(operand.dims))
        else:
            found.append(fed.get(index))
    return found


def verdicts(case_id, wrong, profile="standard"):
    """The verdicts on the right result and on a wrong one of a one-output case."""
    ref, case = case_of(case_id)
    told = answer(ref, case)
    right = stored(case, told)
    other = wrong(case, right)
    assert other.shape == right.shape
    assert (other != right).any(), "not wrong at all"
    return [
        judge(ref, case, told, result(case, each), profile=profile).verdict
        for each in (right, other.astype(right.dtype))
    ]


WRONG = {
    # A multiplier of 1 and above that is cut below 1.
    "CONV_2D[quant8-multiplier-of-two]": lambda case, right: right // 2,
    # Sums of 16 bits: 272 codes of 250 leave 68000 - 65536 = 2464, and 2464 // 272 = 9.
    "AVERAGE_POOL_2D[quant8-codes-of-250]": lambda case, right: np.full_like(right, 9),
    # A bias of 16 bits: 40000 becomes 40000 - 65536.
    "CONV_2D[quant8-bias-beyond-16-bits-same]": lambda case, right: without_high_bits(case, right),
    "FULLY_CONNECTED[quant8-bias-beyond-16-bits-rank2]": lambda case, right: without_high_bits(
        case, right
    ),
    # Variance as a difference of mean squares, in float32.
    "INSTANCE_NORMALIZATION[float32-large-mean]": lambda case, right: naive_instance(case),
    # Powers without the maximum taken away: 80 and -80 are infinity over infinity, or 0.
    "SOFTMAX[float32-far-out]": lambda case, right: np.nan_to_num(naive_softmax(case)),
    # Integers through float32.
    "MAXIMUM[int32-wide-numbers-rank1]": lambda case, right: right.astype("<f4").astype("<i8"),
    "ADD[int32-half-numbers-rank1]": lambda case, right: right.astype("<f4").astype("<i8"),
    # SPLIT and CONCATENATION that know 32 tensors.
    "CONCATENATION[float32-of-64]": lambda case, right: np.where(
        np.arange(right.size).reshape(right.shape) % right.shape[1] < 60, right, 0
    ),
    # Sums of what cancels, with the little that is left lost.
    "FULLY_CONNECTED[float32-cancel-rank2]": lambda case, right: right.round(1),
}


def without_high_bits(case, right):
    """The bias's low 16 bits alone, as a signed number."""
    main = case.model.main
    scale = main.operands[main.operations[-1].inputs[2]].scale
    out = main.operands[main.outputs[0]]
    lost = np.int64(65536) * scale / out.scale
    shifted = right.astype(np.int64) - np.int64(round(lost))
    low, high = CODE_RANGE[OperandCode(out.type)]
    return np.clip(shifted, low, high)


def naive_instance(case):
    x = inputs(case)[0].astype(np.float32)
    mean = x.mean(dtype=np.float32)
    variance = np.float32((x * x).mean(dtype=np.float32)) - mean * mean
    return (x - mean) / np.sqrt(np.float32(abs(variance)) + np.float32(1e-4))


def naive_softmax(case):
    with np.errstate(over="ignore", invalid="ignore"):
        powers = np.exp(inputs(case)[0].astype(np.float32))
        return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("case_id", WRONG)
def test_a_planted_wrong_result_is_a_mismatch(case_id):
    right, wrong = verdicts(case_id, WRONG[case_id])
    assert right is Verdict.PASS
    assert wrong in (Verdict.MISMATCH, Verdict.NAN_MISMATCH)


def test_the_known_values():
    """A 1x1 convolution of codes 5 and 6 gives 60, a mean of codes 250 gives 250."""
    for case_id, value in (
        ("CONV_2D[quant8-multiplier-of-two]", 60),
        ("AVERAGE_POOL_2D[quant8-codes-of-250]", 250),
    ):
        ref, case = case_of(case_id)
        assert set(stored(case, answer(ref, case)).reshape(-1).tolist()) == {value}
    data, weights, _ = inputs(case_of("CONV_2D[quant8-multiplier-of-two]")[1])[:3]
    assert (int(data.item()), int(weights.item())) == (5, 6)


def test_a_size_by_scale_is_cut_not_rounded():
    for operation in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
        _, case = case_of(f"{operation}[float32-scale-rounds-down]")
        assert inputs(case)[0].shape[2] == 3
        assert case.sets[0].output_dims[0][1:3] == (3, 4)


def sizes(pattern, operation):
    return {int(m[1]) for i in known(operation) if (m := re.search(pattern, i))}


@pytest.mark.parametrize("operation", ["ADD", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX", "TANH"])
def test_sizes_around_vector_widths_and_beyond_limits(operation):
    found = sizes(r"\[float32-size(\d+)-", operation)
    assert {7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65} <= found
    assert {257, 1031, 4099} & found


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ("CONV_2D", ["multiplier1-", "multiplier2-", "multiplierhalf-", "multiplier2e-24-"]),
        ("FULLY_CONNECTED", ["codes-low-", "codes-high-", "codes-ends-", "bias-beyond-16-bits-"]),
        ("DEPTHWISE_CONV_2D", ["zero-point-low-", "zero-point-high-"]),
        ("TRANSPOSE_CONV_2D", ["multiplier3-", "codes-high-"]),
        ("ADD", ["multiplier2-", "codes-ends-", "zero-point-high-"]),
        ("MUL", ["multiplierhalf-", "multiplier2e-8-"]),
        ("AVERAGE_POOL_2D", ["codes-high-window-over-256", "codes-low-", "zero-point-low-"]),
    ],
)
def test_quantization_in_all_regimes(operation, words):
    for word in words:
        for cell in ("quant8", "quant8_signed"):
            assert any(i.startswith(f"{operation}[{cell}-{word}") for i in known(operation)), word


def test_multipliers_are_what_their_names_say():
    for word, multiplier in (("1", 1.0), ("2", 2.0), ("2e-24", 2.0**-24)):
        _, case = case_of(f"FULLY_CONNECTED[quant8-multiplier{word}-rank2]")
        main = case.model.main
        a, b = (main.operands[i].scale for i in main.operations[-1].inputs[:2])
        assert a * b / main.operands[main.outputs[0]].scale == multiplier


def test_channel_scales_span_four_orders():
    _, case = case_of("CONV_2D[quant8/per_channel-channel-scales-same]")
    operand = case.model.main.operands[case.model.main.operations[-1].inputs[1]]
    scales = operand.channel_quant.scales
    assert max(scales) / min(scales) >= 9999
    data = np.frombuffer(operand.value, np.int8).reshape(operand.dims)
    assert (data[0] == 0).all()


def test_the_order_in_which_cells_are_asked_changes_nothing() -> None:
    """Ranks of sizes are kept between cells; which cell came first must not show."""
    names = ("MUL", "CONV_2D", "RESHAPE")
    found = []
    for backwards in (False, True):
        _probes.cache_clear()
        _ranks.cache_clear()
        pairs = [(declared(name), cell) for name in names for cell in declared(name).cells]
        asked = reversed(pairs) if backwards else pairs
        found.append(
            {
                (op.name, cell.name): [(p.name, p.operands) for p in probe_samples(op, cell)]
                for op, cell in asked
            }
        )
    assert found[0] == found[1]
