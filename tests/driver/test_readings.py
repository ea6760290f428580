"""Where documentation and shipping devices differ: what the driver computes by either reading."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode
from tests.driver.capi import Library, Model, ok
from tests.driver.loading import Loader
from tests.driver.operands import (
    BOX,
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

OK = ResultCode.NO_ERROR
MOST = float(np.finfo(np.float32).max)


@pytest.fixture(params=["field", "documented"])
def both(request: pytest.FixtureRequest) -> Library:
    """The driver with one reading, then with the other: `both.documented` tells."""
    library: Library = request.getfixturevalue(f"{request.param}_library")
    return library


def by(lib: Library, field: Any, documented: Any) -> Any:
    """What is right for the reading that the driver follows."""
    return documented if lib.documented else field


def test_svdf_has_a_slot_for_the_newest_result(both: Library) -> None:
    # Rank 2: filters 0 and 1 make the only unit. New results: 1 + 2 = 3 and 1 - 2 = -1.
    state = by(both, [[1, 2, 77, 3, 4, 99]], [[1, 2, 3, 4]])
    inputs = [real([[1, 2]]), real([[1, 1], [1, -1]]), real([[1, 10, 100], [1, 10, 1000]])]
    inputs += [real([0.5]), real(state), integer(2), integer(0)]
    outs = [Out(FLOAT, (1, len(state[0]))), Out(FLOAT, (1, 1))]
    after, output = compute(both, OperationCode.SVDF, inputs, outs)
    assert output.item() == 21 + 300 + 43 - 1000 + 0.5
    assert after.tolist() == by(both, [[2, 3, 0, 4, -1, 0]], [[2, 3, 4, -1]])
    inputs[4] = real([[*state[0], 1]])
    with pytest.raises(Refused, match=by(both, "compute: OP_FAILED", "finish: BAD_DATA")):
        compute(both, OperationCode.SVDF, inputs, [Out(FLOAT, (0, 0)), Out(FLOAT, (0, 0))])


@pytest.mark.parametrize(("units", "size"), [(1, 2), (2, 1), (2, 2)])
def test_quantized_16bit_lstm_crosses_its_columns(both: Library, units: int, size: int) -> None:
    rng = np.random.default_rng(units * 7 + size)
    x, h = rng.integers(0, 256, (1, size)), rng.integers(0, 256, (1, units))
    cell = rng.integers(-8192, 8192, (1, units))
    weights_x = rng.integers(0, 256, (4, units, size))
    weights_h = rng.integers(0, 256, (4, units, units))
    bias = rng.integers(-4000, 4000, (4, units))
    scale = 1 / 64
    inputs = [In(BYTE, x, 1 / 128, 128)]
    inputs += [In(BYTE, w, scale, 100) for w in (*weights_x, *weights_h)]
    inputs += [In(INT, b, scale / 128) for b in bias]
    inputs += [In(SHORT, cell, 1 / 2048), In(BYTE, h, 1 / 128, 128)]
    outs = [Out(SHORT, (1, units), 1 / 2048), Out(BYTE, (1, units), 1 / 128, 128)]
    given, state = compute(both, OperationCode.QUANTIZED_16BIT_LSTM, inputs, outs)

    columns = (weights_h, weights_x) if not both.documented else (weights_x, weights_h)
    matrix = (np.concatenate(columns, axis=2) - 100) * scale
    gates = matrix @ ((np.concatenate([x, h], axis=1)[0] - 128) / 128) + bias * scale / 128
    i, f, o = (1 / (1 + np.exp(-gates[k])) for k in (0, 1, 3))
    new = f * cell[0] / 2048 + i * np.tanh(gates[2])
    assert np.abs(given[0] - new * 2048).max() <= 0.5 + 1e-6
    assert (
        np.abs(state[0].astype(np.int32) - 128 - (o * np.tanh(new) * 128).clip(-128, 127)).max()
        <= 0.5 + 1e-6
    )


def quantized_16bit_lstm(lib: Library, bias_scale: float) -> int:
    """The code of a cell of 2, of which the forget gate keeps a half."""
    inputs = [In(BYTE, [[128]], 1 / 128, 128), *[In(BYTE, [[100]], 1 / 64, 100)] * 8]
    inputs += [In(INT, [0], bias_scale)] * 4
    inputs += [In(SHORT, [[4096]], 1 / 2048), In(BYTE, [[128]], 1 / 128, 128)]
    outs = [Out(SHORT, (1, 1), 1 / 2048), Out(BYTE, (1, 1), 1 / 128, 128)]
    cell, _ = compute(lib, OperationCode.QUANTIZED_16BIT_LSTM, inputs, outs)
    return int(cell.item())


def test_quantized_16bit_lstm_takes_biases_without_a_scale(both: Library) -> None:
    # "Bias is quantized with scale being a product of input and weights scales": 0 is none.
    assert quantized_16bit_lstm(both, 1 / 128 / 64) == 2048
    if both.documented:
        with pytest.raises(Refused, match="finish: BAD_DATA"):
            quantized_16bit_lstm(both, 0)
    else:
        assert quantized_16bit_lstm(both, 0) == 2048


@pytest.mark.parametrize("bias_scale", [1 / 128, 2.0**-14])
def test_quantized_16bit_lstm_refuses_biases_of_another_scale(
    both: Library, bias_scale: float
) -> None:
    with pytest.raises(Refused, match=by(both, "compute: OP_FAILED", "finish: BAD_DATA")):
        quantized_16bit_lstm(both, bias_scale)


def biases_are_refused(lib: Library, log: pytest.CaptureFixture[str]) -> str:
    """What the driver says of a bias of QUANTIZED_LSTM of a scale that no reading takes."""
    log.readouterr()
    with pytest.raises(Refused):
        quantized_lstm(lib, bias=512, norm=False, projected=False, bias_scale=1 / 64)
    return log.readouterr().err.strip()


def test_quantized_lstm_says_which_scales_a_bias_may_have(
    load: Loader, capfd: pytest.CaptureFixture[str]
) -> None:
    assert biases_are_refused(load(), capfd).endswith("times that of its weights, or 0")


@pytest.mark.documented
def test_quantized_lstm_says_which_scale_a_bias_must_have(
    load: Loader, capfd: pytest.CaptureFixture[str]
) -> None:
    assert biases_are_refused(load(), capfd).endswith("times that of its weights")


def quantized_lstm(
    lib: Library, *, bias: int, norm: bool, projected: bool, bias_scale: float = 2.0**-12
) -> tuple[int, int]:
    """Two units whose gates have the inputs +1 and -1 before normalization: the cell's codes and
    the output's of the first."""
    zero, steps = In(SYMM, [[0], [0]], 1 / 64), In(SYMM, [[64], [-64]], 1 / 64)
    recurrent = In(SYMM, [[0], [0]] if projected else [[0, 0], [0, 0]], 1 / 64)
    short, absent = In(SHORT, None, 1 / 2048), In(INT, None)
    weight = In(SHORT, [2048, 2048], 1 / 2048)
    inputs = [In(SIGNED, [[64]], 1 / 64), zero, zero, steps, zero, *[recurrent] * 4, *[short] * 3]
    inputs += [In(INT, [code, code], bias_scale) for code in (0, 0, bias, 0)]
    inputs += [In(SYMM, [[64, 0]], 1 / 64) if projected else In(SYMM, None, 1 / 64), absent]
    state = [[3]] if projected else [[3, 3]]
    inputs += [In(SIGNED, state, 1 / 128, 3), In(SHORT, [[0, 0]], 1 / 2048)]
    inputs += [weight] * 4 if norm else [short] * 4
    inputs += [number(0)] * 2 + [number(1 / 1024)] * 4 + [integer(5), number(1 / 64)]
    out = Out(SIGNED, (1, 1 if projected else 2), 1 / 128, 3)
    _, cell, output = compute(
        lib, OperationCode.QUANTIZED_LSTM, inputs, [out, Out(SHORT, (1, 2), 1 / 2048), out]
    )
    return int(cell[0, 0]), int(output[0, 0])


@pytest.mark.parametrize("norm", [False, True])
def test_quantized_lstm_biases_and_hidden_state(both: Library, norm: bool) -> None:
    bias = 512
    cell, output = quantized_lstm(both, bias=bias, norm=norm, projected=False)
    # The bias has a scale of 2^-12 by the documentation; on devices 2^-11 * 2^-10 after a layer
    # normalization, and none without.
    share = by(both, 2.0**-21 if norm else 0, 2.0**-12)
    state = 0.5 * math.tanh(1 + bias * share)
    assert abs(cell - state * 2048) <= 0.51
    hidden = 0.5 * math.tanh(state)
    # Devices give the hidden state's codes, its zero point of 5 taken off.
    assert output == by(both, round(hidden * 64) - 5, round(hidden * 128) + 3)


@pytest.mark.parametrize("norm", [False, True])
def test_quantized_lstm_takes_biases_without_a_scale(both: Library, norm: bool) -> None:
    if both.documented:
        with pytest.raises(Refused, match="finish: BAD_DATA"):
            quantized_lstm(both, bias=512, norm=norm, projected=False, bias_scale=0)
    else:
        scaled = quantized_lstm(both, bias=512, norm=norm, projected=False)
        assert quantized_lstm(both, bias=512, norm=norm, projected=False, bias_scale=0) == scaled


def test_quantized_lstm_projects_the_hidden_state(both: Library) -> None:
    _, output = quantized_lstm(both, bias=0, norm=False, projected=True)
    hidden = 0.5 * math.tanh(0.5 * math.tanh(1))
    assert output == round(hidden * 64) * 2 + 3


def proposals(lib: Library, changes: dict[int, In]) -> list[float]:
    """The scores that remain of three boxes of 4 x 4 in a row, 4 apart, in an image of 8 x 12."""
    inputs = [
        real([[[[0.9], [0.5], [0.6]]]]),
        real([[[[0] * 4, [0] * 4, [0] * 4]]]),
        real([[0, 0, 4, 4]]),
        real([[8, 12]]),
        *[number(4), number(4), integer(0), integer(0), number(0.5), number(1), flag(False)],
    ]
    for i, value in changes.items():
        inputs[i] = value
    outs = [Out(FLOAT, (0,)), Out(FLOAT, (0, 4)), Out(INT, (0,))]
    scores: list[float] = compute(lib, OperationCode.GENERATE_PROPOSALS, inputs, outs)[0].tolist()
    return [round(score, 3) for score in scores]


def test_generate_proposals_limits_before_it_filters(both: Library) -> None:
    thin = real([[[[0, 0, -3, 0], [0] * 4, [0] * 4]]])  # the best is 0.2 wide
    assert proposals(both, {1: thin}) == [0.6, 0.5]
    assert proposals(both, {1: thin, 6: integer(2)}) == by(both, [0.6], [0.6, 0.5])
    # A box as large as the minimum; one whose centre lies on the border of the image.
    assert proposals(both, {9: number(4)}) == by(both, [], [0.9, 0.6, 0.5])
    assert proposals(both, {3: real([[8, 8]])}) == by(both, [0.9, 0.5], [0.9, 0.5])
    flat = real([[8, 10]])
    assert proposals(both, {3: flat}) == [0.9, 0.6, 0.5]
    assert proposals(both, {3: real([[2, 12]])}) == [0.9, 0.6, 0.5]
    cut = {2: real([[0, 0, 4, 0.0]]), 9: number(0)}
    assert proposals(both, cut) == by(both, [], [0.9, 0.6, 0.5])


@pytest.mark.parametrize(("value", "code"), [(-1, 0), (256, 255), (-(2**31), 0), (17, 17)])
def test_cast_to_codes_saturates(both: Library, value: int, code: int) -> None:
    out = compute(both, OperationCode.CAST, [index([value])], [Out(BYTE, (1,), 1.0)])[0]
    assert out.tolist() == [code]


def test_strided_slice_backwards_in_a_shrunk_dimension(both: Library) -> None:
    inputs = [real([1, 2, 3]), index([1]), index([0]), index([-1])]
    inputs += [integer(0), integer(0), integer(1)]
    outs = [Out(FLOAT, (0,))]
    if not both.documented:
        with pytest.raises(Refused, match="compute: OP_FAILED"):
            compute(both, OperationCode.STRIDED_SLICE, inputs, outs)
    else:
        assert compute(both, OperationCode.STRIDED_SLICE, inputs, outs)[0].tolist() == [2]


def test_roi_align_goes_on_beyond_the_last_pixel(both: Library) -> None:
    image = np.array([[1, 2], [3, 4]], np.float32).reshape(1, 2, 2, 1)
    inputs = [real(image), real([[0, 4, 2, 6]]), index([0]), integer(1), integer(1)]
    inputs += [number(1), number(1), integer(1), integer(1), flag(False)]
    out = compute(both, OperationCode.ROI_ALIGN, inputs, [Out(FLOAT, (0, 0, 0, 0))])[0]
    assert out.ravel().tolist() == by(both, [4], [0])  # the middle is (1, 5)


def test_hashtable_lookup_misses(both: Library) -> None:
    inputs = [index([7, 8]), index([-5, 7]), In(BYTE, [[1, 2], [3, 4]], 0.5, 9)]
    outs = [Out(BYTE, (0, 0), 0.5, 9), Out(BYTE, (0,), 1.0)]
    rows, hits = compute(both, OperationCode.HASHTABLE_LOOKUP, inputs, outs)
    assert rows.tolist() == [[3, 4], by(both, [0, 0], [9, 9])]
    assert hits.tolist() == [1, 0]


def test_nearest_neighbour_in_single_precision(both: Library) -> None:
    column = np.arange(983, dtype=np.float32).reshape(1, 983, 1, 1)
    inputs = [real(column), integer(1), integer(1966), flag(False), flag(False), flag(False)]
    out = compute(
        both, OperationCode.RESIZE_NEAREST_NEIGHBOR, inputs, [Out(FLOAT, (1, 1966, 1, 1))]
    )[0].ravel()
    assert out[502] == by(both, 250, 251)
    assert (np.abs(out - np.arange(1966) / 2) <= 1).all()


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("ADD", [real([MOST, 1]), real([MOST, 2]), integer(0)]),
        ("ADD", [real([math.inf, 1]), real([0, 2]), integer(1)]),
        ("MUL", [real([MOST, 1]), real([2, 3]), integer(0)]),
        ("RELU", [real([math.inf, 3])]),
    ],
)
def test_the_largest_number(both: Library, name: str, inputs: list[In]) -> None:
    out = compute(both, OperationCode[name], inputs, [Out(FLOAT, (2,))])[0].tolist()
    assert out == [by(both, MOST, math.inf), 3]


def conv(lib: Library, padding: int, dilation: int = 1) -> NDArray[Any]:
    inputs = [real(np.ones((1, 4, 4, 1))), real(np.ones((1, 2, 2, 1))), real([0])]
    inputs += [integer(padding), integer(0), integer(0), integer(0), integer(1), integer(1)]
    inputs += [integer(0), flag(False), integer(dilation), integer(dilation)]
    return compute(lib, OperationCode.CONV_2D, inputs, [Out(FLOAT, (0, 0, 0, 0))])[0]


def test_padding_stays_within_the_filter(both: Library) -> None:
    assert conv(both, 1).shape == (1, 3, 4, 1)
    assert conv(both, 2, dilation=2).shape == (1, 2, 4, 1)  # a filter of 2 is 3 wide
    if both.documented:
        assert conv(both, 2).shape == (1, 3, 5, 1)
    else:
        with pytest.raises(Refused, match="compute: OP_FAILED"):
            conv(both, 2)


@pytest.mark.parametrize("name", ["ABS", "ELU", "EQUAL", "LOGICAL_NOT", "MAXIMUM", "PRELU", "ADD"])
def test_empty_tensors_that_the_text_does_not_mention(both: Library, name: str) -> None:
    kind = OperandCode.TENSOR_BOOL8 if name == "LOGICAL_NOT" else FLOAT
    model = Model(both)
    whole, empty = model.operand(FLOAT, (2, 2)), model.operand(FLOAT, (0, 0))
    first = model.value(model.operand(INT, (2,)), np.array([0, 0], np.int32))
    sizes = model.value(model.operand(INT, (2,)), np.array([0, 2], np.int32))
    ok(model.operation(OperationCode.SLICE, [whole, first, sizes], [empty]))
    if kind != FLOAT:
        tested = model.operand(kind, (0, 0))
        ok(model.operation(OperationCode.GREATER_EQUAL, [empty, empty], [tested]))
        empty = tested
    inputs = [empty] * (1 if name in ("ABS", "ELU", "LOGICAL_NOT") else 2)
    if name == "ELU":
        inputs.append(model.value(model.operand(OperandCode.FLOAT32), np.ones(1, np.float32)))
    if name == "ADD":
        inputs.append(model.int32(0))
    result = model.operand(OperandCode.TENSOR_BOOL8 if name == "EQUAL" else kind, (0, 0))
    ok(model.operation(OperationCode[name], inputs, [result]))
    model.finished([whole], [result])
    code = model.run(np.zeros((2, 2), np.float32), outputs=[np.zeros(4, np.float32)])
    # "Generic zero-sized input tensor is supported", says the text of ADD.
    assert code == by(both, OK if name == "ADD" else ResultCode.OP_FAILED, OK)


@pytest.mark.parametrize(
    ("kind", "weighted", "field"),
    [
        (1, False, True),
        (1, True, False),
        (2, True, True),
        (2, False, False),
        (3, False, True),
        (3, True, False),
    ],
)
def test_lsh_projection_weighs_dense_projections(
    both: Library, kind: int, weighted: bool, field: bool
) -> None:
    inputs = [real([[0.5, 2.0]]), index([[1], [2]]), real([1, 2]) if weighted else NONE]
    inputs.append(integer(kind))
    if field or both.documented:
        compute(both, OperationCode.LSH_PROJECTION, inputs, [Out(INT, (0,))])
    else:
        with pytest.raises(Refused, match="compute: OP_FAILED"):
            compute(both, OperationCode.LSH_PROJECTION, inputs, [Out(INT, (0,))])


@pytest.mark.parametrize(("count", "field"), [(2, False), (3, False), (4, True)])
def test_batch_matmul_has_four_inputs(both: Library, count: int, field: bool) -> None:
    inputs = [real([[1, 2], [3, 4]]), real([[1, 0], [0, 1]]), flag(False), flag(False)][:count]
    outs = [Out(FLOAT, (2, 2))]
    if field or both.documented:
        out = compute(both, OperationCode.BATCH_MATMUL, inputs, outs)[0]
        assert out.tolist() == [[1, 2], [3, 4]]
    else:
        with pytest.raises(Refused, match="add: BAD_DATA"):
            compute(both, OperationCode.BATCH_MATMUL, inputs, outs)


def roi_pooling(lib: Library, scalar: int) -> None:
    ratio = In(scalar, 1, scalar=True)
    inputs = [In(HALF, np.ones((1, 2, 2, 1))), In(HALF, [[0, 0, 2, 2]]), index([0])]
    inputs += [integer(1), integer(1), ratio, ratio, flag(False)]
    compute(lib, OperationCode.ROI_POOLING, inputs, [Out(HALF, (0, 0, 0, 0))])


def test_scalars_beside_float16_tensors(both: Library) -> None:
    roi_pooling(both, OperandCode.FLOAT16)
    if both.documented:
        roi_pooling(both, OperandCode.FLOAT32)
    else:
        with pytest.raises(Refused, match="add: BAD_DATA"):
            roi_pooling(both, OperandCode.FLOAT32)


@pytest.mark.parametrize("kind", [BOX, SHORT])
def test_generate_proposals_image_sizes(both: Library, kind: int) -> None:
    inputs = [In(BYTE, [[[[9]]]], 0.1), In(BYTE, [[[[0] * 4]]], 0.1)]
    inputs += [In(SHORT, [[0, 0, 32, 32]], 0.125), In(kind, [[64, 64]], 0.125)]
    inputs += [number(1), number(1), integer(0), integer(0), number(0.5), number(1), flag(False)]
    outs = [Out(BYTE, (0,), 0.1), Out(BOX, (0, 4), 0.125), Out(INT, (0,))]
    if kind == BOX or both.documented:
        assert compute(both, OperationCode.GENERATE_PROPOSALS, inputs, outs)[0].tolist() == [9]
    else:
        with pytest.raises(Refused, match="add: BAD_DATA"):
            compute(both, OperationCode.GENERATE_PROPOSALS, inputs, outs)
