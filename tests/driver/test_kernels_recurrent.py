"""Recurrent operations, lookups and box operations of the reference driver, by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nnapi_testkit.spec.codes import OperandCode, OperationCode
from tests.driver.capi import Library
from tests.driver.operands import (
    BYTE,
    FLOAT,
    HALF,
    INT,
    NONE,
    SHORT,
    SIGNED,
    SYMM,
    In,
    Out,
    Refused,
    compute,
    flag,
    index,
    integer,
    number,
    real,
)


def lstm(lib: Library, changes: dict[int, In], late: bool = False) -> list[NDArray[Any]]:
    """One unit, weights 0, no activation: gates are 1/2, so c = 2 / 2 + 4 / 2 and h = c / 2."""
    inputs = [real([[0]])] + [real([[0]])] * 8 + [NONE] * 3
    inputs += [real([0]), real([0]), real([4]), real([0]), NONE, NONE]
    inputs += [real([[0]]), real([[2]]), integer(0), number(0), number(0)]
    gates = 4
    for i, value in changes.items():
        inputs[i] = value
    if inputs[1].value is None:
        gates = 3
    outs = [Out(FLOAT, (1, gates)), Out(FLOAT, (1, 1)), Out(FLOAT, (0, 0)), Out(FLOAT, (1, 0))]
    return compute(lib, OperationCode.LSTM, inputs, outs, late)


CIFG = {1: NONE, 5: NONE, 12: NONE}


@pytest.mark.parametrize(
    ("changes", "cell", "state"),
    [
        ({}, 3, 1.5),
        (CIFG, 3, 1.5),
        ({21: number(2)}, 2, 1),
        ({16: real([[2]]), 17: real([1])}, 3, 4),
        ({16: real([[2]])}, 3, 3),
        ({16: real([[2]]), 22: number(2.5)}, 3, 2.5),
        ({22: number(1)}, 3, 1.5),  # there is no projection to clip
        # The output gate sees the new cell state: logistic(3 * ln(3) / 3) = 3/4.
        ({9: real([0]), 10: real([0]), 11: real([math.log(3) / 3])}, 3, 2.25),
        # Forget gate logistic(2 * ln(3) / 2) = 3/4, coupled input gate 1/4.
        (CIFG | {10: real([math.log(3) / 2]), 11: real([0])}, 2.5, 1.25),
        ({20: integer(6), 14: real([0])}, 1.25, 0.5 / (1 + math.exp(-1.25))),
    ],
)
def test_lstm(lib: Library, changes: dict[int, In], cell: float, state: float) -> None:
    for late in (False, True):
        _, state_out, cell_out, output = lstm(lib, changes, late)
        assert cell_out.item() == pytest.approx(cell, rel=1e-6)
        assert state_out.item() == output.item() == pytest.approx(state, rel=1e-6)


def test_lstm_layer_normalization(lib: Library) -> None:
    # Input [3], cell weights [[1], [-1]]: the cell gate sees [3, -3], normalized [1, -1], times
    # [2, 6], plus the bias [10, 20]: [12, 14]; all other gates are 1/2.
    zero, ones = real([[0], [0]]), real([1, 1])
    recurrent = real([[0, 0], [0, 0]])
    inputs = [real([[3]]), zero, zero, real([[1], [-1]]), zero, *[recurrent] * 4]
    inputs += [NONE] * 3 + [real([0, 0])] * 2 + [real([10, 20]), real([0, 0]), NONE, NONE]
    inputs += [real([[0, 0]]), real([[0, 0]]), integer(0), number(0), number(0)]
    inputs += [ones, ones, real([2, 6]), ones]
    outs = [Out(FLOAT, (1, 8)), Out(FLOAT, (1, 2)), Out(FLOAT, (1, 2)), Out(FLOAT, (1, 2))]
    _, _, cell, output = compute(lib, OperationCode.LSTM, inputs, outs)
    assert cell.tolist() == [[6, 7]]
    assert output.tolist() == [[3, 3.5]]


@pytest.mark.parametrize(
    "changes",
    [
        {1: NONE},  # a part of the input gate
        {10: real([0])},  # a part of the peephole
        CIFG | {9: real([0]), 10: real([0]), 11: real([0])},
        {17: real([0])},  # a projection bias without projection
    ],
)
@pytest.mark.documented
def test_lstm_refuses_parts(lib: Library, changes: dict[int, In]) -> None:
    """Model inputs may still be omitted, so an execution is refused and not the model."""
    with pytest.raises(Refused, match="compute: BAD_DATA"):
        lstm(lib, changes)


@pytest.mark.parametrize(
    "changes",
    [
        {20: integer(2)},  # no activation function of LSTM
        {21: number(-1)},
        {13: real([0, 0])},
        {19: real([[0, 0]])},
        {2: In(OperandCode.TENSOR_FLOAT16, [[0]])},
    ],
)
@pytest.mark.documented
def test_lstm_refuses(lib: Library, changes: dict[int, In]) -> None:
    with pytest.raises(Refused, match="finish: BAD_DATA"):
        lstm(lib, changes)


def sums(
    lib: Library, aux: bool = False, weights: bool = False, merge: bool = False
) -> list[list[float]]:
    """BIDIRECTIONAL_SEQUENCE_RNN that adds up 1, 2, 4 (and 100, 200, 400) from both ends."""
    cell = [real([[1]]), real([[1]]), real([0]), real([[0]])]
    inputs = [real([[[1], [2], [4]]]), *cell, *cell]
    inputs += [real([[[100], [200], [400]]]) if aux else NONE]
    inputs += [real([[1]]) if weights else NONE] * 2
    inputs += [integer(0), flag(False), flag(merge)]
    outs = [Out(FLOAT, (0, 0, 0))] * (1 if merge else 2) + [Out(FLOAT, (1, 1))] * 2
    results = compute(lib, OperationCode.BIDIRECTIONAL_SEQUENCE_RNN, inputs, outs)
    return [result.ravel().tolist() for result in results]


@pytest.mark.documented
def test_bidirectional_rnn_links(lib: Library) -> None:
    assert sums(lib) == [[1, 3, 7], [7, 6, 4], [7], [7]]
    assert sums(lib, merge=True) == [[1, 7, 3, 6, 7, 4], [7], [7]]
    assert sums(lib, aux=True, weights=True) == [[101, 303, 707], [707, 606, 404], [707], [707]]
    assert sums(lib, aux=True) == [[1, 3, 7], [700, 600, 400], [7], [700]]
    with pytest.raises(Refused, match="compute: BAD_DATA"):
        sums(lib, weights=True)


def test_rnn(lib: Library) -> None:
    inputs = [real([[1, 2]]), real([[3, 4]]), real([[5]]), real([-6]), real([[1]]), integer(3)]
    outs = [Out(FLOAT, (1, 1))] * 2
    assert [r.item() for r in compute(lib, OperationCode.RNN, inputs, outs)] == [6, 6]
    inputs[5] = integer(None)
    assert [r.item() for r in compute(lib, OperationCode.RNN, inputs, outs)] == [10, 10]
    assert [r.item() for r in compute(lib, OperationCode.RNN, inputs[:5], outs)] == [10, 10]


@pytest.mark.documented
def test_unidirectional_lstm_is_repeated_lstm(lib: Library) -> None:
    rng = np.random.default_rng(3)
    inputs = [real(rng.normal(size=(4, 2, 3)).tolist())]
    inputs += [real(rng.normal(size=(5, 3)).tolist()) for _ in range(4)]
    inputs += [real(rng.normal(size=(5, 5)).tolist()) for _ in range(4)]
    inputs += [real(rng.normal(size=5).tolist()) for _ in range(7)] + [NONE, NONE]
    inputs += [real(rng.normal(size=(2, 5)).tolist()) for _ in range(2)]
    inputs += [integer(4), number(0), number(0)]
    state = Out(FLOAT, (2, 5))
    sequence = OperationCode.UNIDIRECTIONAL_SEQUENCE_LSTM
    outs = [Out(FLOAT, (4, 2, 5)), state, state]
    few = [*inputs, flag(True)]
    outputs, last, cell = compute(lib, sequence, [*few, *[NONE] * 4], outs)
    assert np.array_equal(compute(lib, sequence, few, outs[:1])[0], outputs)
    for time in range(4):
        step = [real(inputs[0].value[time]), *inputs[1:]]
        _, hidden, renewed, output = compute(
            lib, OperationCode.LSTM, step, [Out(FLOAT, (2, 20)), state, state, state]
        )
        assert np.array_equal(output, outputs[time])
        inputs[18:20] = real(hidden), real(renewed)
    assert np.array_equal(last, hidden)
    assert np.array_equal(cell, renewed)


@pytest.mark.documented
def test_svdf(lib: Library) -> None:
    # Rank 2: filters 0 and 1 make the only unit. New results: 1 + 2 = 3 and 1 - 2 = -1.
    inputs = [
        real([[1, 2]]),
        real([[1, 1], [1, -1]]),
        real([[1, 10, 100], [1, 10, 1000]]),
        real([0.5]),
        real([[1, 2, 3, 4]]),
        integer(2),
        integer(0),
    ]
    outs = [Out(FLOAT, (1, 4)), Out(FLOAT, (1, 1))]
    state, output = compute(lib, OperationCode.SVDF, inputs, outs)
    assert state.tolist() == [[2, 3, 4, -1]]
    assert output.item() == 21 + 300 + 43 - 1000 + 0.5
    inputs[3] = In(INT, None)  # nobody reads the type of what is not there
    state, output = compute(lib, OperationCode.SVDF, inputs[:6], outs)
    assert output.item() == 21 + 300 + 43 - 1000


def test_quantized_16bit_lstm_halves_the_cell(lib: Library) -> None:
    # Codes at their zero points make all gates 1/2 and the cell input 0: code 4097 / 2 is a tie.
    weight = In(BYTE, [[100]], 1 / 64, 100)
    inputs = [In(BYTE, [[128]], 1 / 128, 128), *[weight] * 8]
    inputs += [In(INT, [0], 1 / 8192)] * 4
    inputs += [In(SHORT, [[4097]], 1 / 2048), In(BYTE, [[128]], 1 / 128, 128)]
    outs = [Out(SHORT, (1, 1), 1 / 2048), Out(BYTE, (1, 1), 1 / 128, 128)]
    cell, output = compute(lib, OperationCode.QUANTIZED_16BIT_LSTM, inputs, outs)
    assert cell.item() == 2049
    assert output.item() == 128 + round(64 * math.tanh(4097 / 4096))


def quantized_lstm(lib: Library, bias: float, state: int = 0) -> tuple[int, int]:
    """One unit whose gates are 1/2; c = 1/2 (tanh(bias) + state), projected by 64 / 64."""
    zero = In(SYMM, [[0]], 1 / 64)
    short, absent = In(SHORT, None, 1 / 2048), In(INT, None)
    inputs = [In(SIGNED, [[0]], 1 / 128), *[zero] * 8, *[short] * 3]
    none = In(INT, [0], 1 / 8192)
    inputs += [none, none, In(INT, [8192], bias), none]
    inputs += [In(SYMM, [[64]], 1 / 64), absent]
    inputs += [In(SIGNED, [[0]], 1 / 128), In(SHORT, [[state * 2048]], 1 / 2048), *[short] * 4]
    inputs += [number(0)] * 2 + [number(0)] * 4 + [integer(3), number(1 / 16)]
    out = Out(SIGNED, (1, 1), 1 / 128)
    _, cell, output = compute(
        lib, OperationCode.QUANTIZED_LSTM, inputs, [out, Out(SHORT, (1, 1), 1 / 2048), out]
    )
    return int(cell.item()), int(output.item())


@pytest.mark.documented
def test_quantized_lstm(lib: Library) -> None:
    # The hidden state goes to the projection in steps of its own scale.
    cell = 0.5 * math.tanh(1) + 1.5
    hidden = 0.5 * math.tanh(cell)
    expected = round(cell * 2048), round(hidden * 16) * 8
    assert quantized_lstm(lib, 1 / 8192, 3) == expected
    assert abs(hidden * 128 - expected[1]) > 2
    for scale in (1 / 4096, 0.0):  # 0 is the product of the others on devices that ship alone
        with pytest.raises(Refused, match="finish: BAD_DATA"):
            quantized_lstm(lib, scale)


@pytest.mark.documented
def test_lookups(lib: Library) -> None:
    values = In(BYTE, [[1, 2], [3, 4], [5, 6]], 0.5, 9)
    out = Out(BYTE, (0, 0), 0.5, 9)
    rows = compute(lib, OperationCode.EMBEDDING_LOOKUP, [index([2, 0, 2]), values], [out])[0]
    assert rows.tolist() == [[5, 6], [1, 2], [5, 6]]
    for wrong in (3, -1):
        with pytest.raises(Refused, match="compute: BAD_DATA"):
            compute(lib, OperationCode.EMBEDDING_LOOKUP, [index([wrong]), values], [out])
    keys = index([-5, 7, 1000])
    hits = Out(BYTE, (0,), 1.0)
    inputs = [index([7, 8, -5]), keys, values]
    rows, hit = compute(lib, OperationCode.HASHTABLE_LOOKUP, inputs, [out, hits])
    assert rows.tolist() == [[3, 4], [9, 9], [1, 2]]
    assert hit.tolist() == [1, 0, 1]
    with pytest.raises(Refused):
        inputs[1] = index([7, -5, 1000])
        compute(lib, OperationCode.HASHTABLE_LOOKUP, inputs, [out, hits])


@pytest.mark.parametrize(
    ("text", "bit"),
    [
        (b"1footrue", 0),  # -1541654101129638711
        (b"2applefalse", 1),  # 2794438866806483259
        (b"3true", 0),  # -4880158226897771312
    ],
)
@pytest.mark.documented
def test_lsh_projection_hashes_as_published(lib: Library, text: bytes, bit: int) -> None:
    """Signs of fingerprints that BigQuery's manual prints for FARM_FINGERPRINT."""
    seed = np.frombuffer(text[:4], np.float32).reshape(1, 1)
    item = In(BYTE, np.frombuffer(text[4:], np.uint8).reshape(1, -1), 1.0)
    for weight, expected in ((NONE, bit), (real([-0.5]), 1 - bit)):
        inputs = [real(seed), item, weight, integer(2)]
        out = compute(lib, OperationCode.LSH_PROJECTION, inputs, [Out(INT, (0,))])[0]
        assert out.tolist() == [expected]


def test_random_multinomial(lib: Library) -> None:
    logits = real(np.log([[1.0, 2.0, 5.0]]))
    out = Out(INT, (1, 8000))

    def draw(seeds: list[int]) -> NDArray[Any]:
        inputs = [logits, integer(8000), index(seeds)]
        return compute(lib, OperationCode.RANDOM_MULTINOMIAL, inputs, [out])[0]

    drawn = draw([1, 2])
    assert np.array_equal(drawn, draw([1, 2]))
    assert not np.array_equal(drawn, draw([1, 3]))
    assert not np.array_equal(draw([0, 0]), draw([0, 0]))
    shares = np.bincount(drawn.ravel(), minlength=3) / 8000
    assert np.abs(shares - [0.125, 0.25, 0.625]).max() < 0.03  # 5 sigma


@pytest.mark.documented
def test_axis_aligned_bbox_transform(lib: Library) -> None:
    # Centre (15, 15) moves by half a width of 10; the height doubles; the image cuts at 18.
    inputs = [
        real([[10, 10, 20, 20]]),
        real([[0.5, 0, 0, math.log(2)]]),
        index([0]),
        real([[24, 18]]),
    ]
    out = Out(FLOAT, (1, 4))
    box = compute(lib, OperationCode.AXIS_ALIGNED_BBOX_TRANSFORM, inputs, [out])[0]
    assert box.tolist() == [pytest.approx([15, 5, 18, 24])]
    inputs[2] = index([1])
    with pytest.raises(Refused, match="compute: BAD_DATA"):
        compute(lib, OperationCode.AXIS_ALIGNED_BBOX_TRANSFORM, inputs, [out])


@pytest.mark.parametrize(
    ("method", "limit", "expected"),
    [
        (0, -1, [0.75, 0.5]),
        (0, 1, [0.75]),
        (1, -1, [0.75, 0.5, 0.625 * 0.5]),
        (2, -1, [0.75, 0.5, 0.625 * math.exp(-0.25 / 0.5)]),
    ],
)
def test_box_with_nms_limit(lib: Library, method: int, limit: int, expected: list[float]) -> None:
    # The second box covers half of the union with the first, the third none, the fourth scores
    # too low.
    boxes = [[0, 0, 4, 4], [0, 0, 4, 2], [10, 10, 12, 12], [20, 20, 21, 21]]
    inputs = [real([[0.75], [0.625], [0.5], [0.1]]), real(boxes), index([3, 3, 3, 3])]
    inputs += [number(0.25), integer(limit), integer(method), number(0.5), number(0.5)]
    inputs += [number(0.1)]
    outs = [Out(FLOAT, (0,)), Out(FLOAT, (0, 0)), Out(INT, (0,)), Out(INT, (0,))]
    scores, kept, labels, batches = compute(lib, OperationCode.BOX_WITH_NMS_LIMIT, inputs, outs)
    halves = [In(HALF, one.value) for one in inputs[:2]] + [
        In(OperandCode.FLOAT16, one.value, scalar=True) if one.code == OperandCode.FLOAT32 else one
        for one in inputs[2:]
    ]
    half_outs = [Out(HALF, (0,)), Out(HALF, (0, 0)), *outs[2:]]
    half_scores = compute(lib, OperationCode.BOX_WITH_NMS_LIMIT, halves, half_outs)[0]
    assert half_scores.tolist() == pytest.approx(expected, rel=1e-3)
    order = [0, 2, 1][: len(expected)]
    assert scores.tolist() == pytest.approx(expected)
    assert kept.tolist() == [boxes[i] for i in order]
    assert labels.tolist() == [0] * len(expected)
    assert batches.tolist() == [3] * len(expected)


@pytest.mark.parametrize("regular", [False, True])
def test_detection_postprocessing(lib: Library, regular: bool) -> None:
    # Anchor 1 lies on anchor 0; the delta of anchor 2 moves it by 10 / 10 of its height.
    scores = [[[0, 0.9, 0.3], [0, 0.8, 0.6], [0, 0.1, 0.7]]]
    deltas = [[[0, 0, 0, 0], [0, 0, 0, 0], [10, 0, 0, 0]]]
    anchors = [[1, 1, 2, 2], [1, 1, 2, 2], [5, 5, 2, 2]]
    inputs = [real(scores), real(deltas), real(anchors), *[number(10)] * 4, flag(regular)]
    inputs += [integer(4), integer(1), integer(2), number(0.5), number(0.5), flag(False)]
    outs = [Out(FLOAT, (1, 4)), Out(FLOAT, (1, 4, 4)), Out(INT, (1, 4)), Out(INT, (1,))]
    score, boxes, labels, count = compute(lib, OperationCode.DETECTION_POSTPROCESSING, inputs, outs)
    moved = [6, 4, 8, 6]
    found = [(0.9, 0, [0, 0, 2, 2]), (0.7, 1, moved)]
    if regular:
        found.append((0.6, 1, [0, 0, 2, 2]))  # of another class, so not suppressed
    assert count.tolist() == [len(found)]
    found += [(0, 0, [0, 0, 0, 0])] * (4 - len(found))
    assert score[0].tolist() == pytest.approx([one[0] for one in found])
    assert labels[0].tolist() == [one[1] for one in found]
    assert boxes[0].tolist() == [one[2] for one in found]


def test_generate_proposals(lib: Library) -> None:
    # One anchor of 4 x 4 on a map of 1 x 3 pixels, 4 apart; the second is the best and, twice as
    # wide, covers half of the third: 8 / (32 + 16 - 8) = 0.2 of the union. Each one is 4 high.
    inputs = [
        real([[[[0.5], [0.9], [0.6]]]]),
        real([[[[0, 0, 0, 0], [0, 0, math.log(2), 0], [0, 0, 0, 0]]]]),
        real([[0, 0, 4, 4]]),
        real([[8, 12]]),
        number(4),
        number(4),
        integer(0),
        integer(2),
        number(0.25),
        number(1),
        flag(False),
    ]
    outs = [Out(FLOAT, (0,)), Out(FLOAT, (0, 4)), Out(INT, (0,))]
    scores, boxes, batches = compute(lib, OperationCode.GENERATE_PROPOSALS, inputs, outs)
    assert scores.tolist() == pytest.approx([0.9, 0.6])
    assert boxes.tolist() == [pytest.approx([2, 0, 10, 4]), pytest.approx([8, 0, 12, 4])]
    assert batches.tolist() == [0, 0]
    inputs[8] = number(0.15)
    scores, _, _ = compute(lib, OperationCode.GENERATE_PROPOSALS, inputs, outs)
    assert scores.tolist() == pytest.approx([0.9])
