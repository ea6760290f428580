"""Outputs that are judged otherwise than element by element: draws, rows, truth."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit.answers.container import Container, pack, write
from nnapi_testkit.answers.stale import moved
from nnapi_testkit.judge.compare import compare
from nnapi_testkit.judge.draws import draws_margin
from nnapi_testkit.judge.profiles import PROFILES
from nnapi_testkit.judge.rows import in_expected_order
from nnapi_testkit.model.case import Answer, Expected, OutputResult
from nnapi_testkit.model.types import Operand
from nnapi_testkit.op.families.farmhash import fingerprint64
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind

CHANCES = np.array([0.1, 0.2, 0.3, 0.4])
DISTRIBUTION = np.stack((CHANCES, np.zeros(4)))[:, None]


def drawn(chances: np.ndarray, count: int = 2048, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(4, size=(1, count), p=chances)


def test_right_draws_are_far_from_an_alarm() -> None:
    assert (
        max(draws_margin(DISTRIBUTION, drawn(CHANCES, seed=seed)).max() for seed in range(200))
        < 0.7
    )


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 2048), dtype=np.int64),
        drawn(np.array([0.2, 0.2, 0.3, 0.3])),
        np.sort(drawn(CHANCES)),
        np.repeat(drawn(CHANCES, 1024), 2, axis=1),
        np.where(np.arange(2048) == 7, 4, drawn(CHANCES)),
        np.where(np.arange(2048) == 7, -1, drawn(CHANCES)),
    ],
    ids=["constant", "other-law", "sorted", "each-twice", "class-too-high", "class-below-0"],
)
def test_wrong_draws_are_noticed(wrong: np.ndarray) -> None:
    assert draws_margin(DISTRIBUTION, wrong).max() > 1


def test_what_rounding_may_do_to_the_law_is_allowed() -> None:
    other = np.array([0.2, 0.2, 0.3, 0.3])
    room = np.stack((CHANCES, np.full(4, 0.1)))[:, None]
    assert draws_margin(room, drawn(other)).max() < 1


def test_one_draw_of_thousands_of_classes_needs_no_table_of_pairs() -> None:
    classes = 4_099
    distribution = np.zeros((2, 2, classes))
    distribution[0, :, 1:] = 1 / (classes - 1)
    tracemalloc.start()
    margins = draws_margin(distribution, np.array([[7], [0]]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert margins[0] < 1 < margins[1]
    assert peak < 8 * classes**2 / 10


def test_an_impossible_class_is_noticed_once_drawn() -> None:
    distribution = np.stack((np.array([0.5, 0.5, 0.0, 0.0]), np.zeros(4)))[:, None]
    draws = drawn(np.array([0.5, 0.5, 0.0, 0.0]))
    assert draws_margin(distribution, draws).max() < 1
    draws[0, 100] = 2
    assert draws_margin(distribution, draws).max() > 1


OPERANDS = (
    Operand(OperandCode.TENSOR_FLOAT32, (4,)),
    Operand(OperandCode.TENSOR_QUANT16_ASYMM, (4, 2), 0.125, 0),
    Operand(OperandCode.TENSOR_INT32, (4,)),
)
SCORES = np.array([0.9, 0.5, 0.8, 0.5])
BOXES = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
WANTED = (
    Expected(SCORES, np.full(4, 1e-6), kind=OutputKind.ROWS),
    Expected(BOXES, np.full((4, 2), 1e-3), kind=OutputKind.ROWS),
    Expected(np.array([0.0, 0.0, 1.0, 1.0]), np.zeros(4), kind=OutputKind.GROUPS),
)


def outcome(order: list[int], images: list[int] | None = None) -> tuple[OutputResult, ...]:
    codes = np.rint(BOXES[order] * 8).astype("<u2")
    batch = np.array(images or [0, 0, 1, 1], dtype="<i4")
    data = SCORES[order].astype("<f4"), codes, batch
    return tuple(OutputResult(a.shape, a.tobytes() + b"tail", 0) for a in data)


def passes(outputs: tuple[OutputResult, ...]) -> bool:
    moved_ = in_expected_order(OPERANDS, WANTED, outputs)
    return all(
        compare(operand, want, got.data, PROFILES["strict"], False).ok
        for operand, want, got in zip(OPERANDS, WANTED, moved_, strict=True)
    )


def test_rows_of_an_image_come_in_any_order() -> None:
    for order in ([0, 1, 2, 3], [1, 0, 2, 3], [1, 0, 3, 2]):
        assert passes(outcome(order))


def test_rows_do_not_leave_their_image() -> None:
    assert not passes(outcome([0, 2, 1, 3]))
    assert not passes(outcome([0, 2, 1, 3], [0, 1, 0, 1]))


def test_rows_move_together() -> None:
    scores, boxes, images = outcome([1, 0, 2, 3])
    assert not passes((outcome([0, 1, 2, 3])[0], boxes, images))
    assert passes((scores, boxes, images))


def test_a_missing_and_a_doubled_row_are_noticed() -> None:
    assert not passes(outcome([0, 0, 2, 3]))


def test_outputs_of_other_dimensions_stay_as_they_are() -> None:
    short = (OutputResult((3,), b"\0" * 12, 0), *outcome([0, 1, 2, 3])[1:])
    assert in_expected_order(OPERANDS, WANTED, short) == short


@pytest.mark.parametrize(("byte", "fine"), [(1, True), (255, True), (0, False)])
def test_any_byte_but_0_is_true(byte: int, fine: bool) -> None:
    hits = Operand(OperandCode.TENSOR_QUANT8_ASYMM, (1,), 1.0, 0)
    want = Expected(np.ones(1), np.zeros(1), kind=OutputKind.TRUTH)
    assert compare(hits, want, bytes([byte]), PROFILES["strict"], False).ok is fine


def test_kinds_and_laws_come_back_from_a_golden(tmp_path: Path) -> None:
    draws = Expected(np.zeros((1, 64)), np.zeros((1, 64)), None, OutputKind.DRAWS, DISTRIBUTION)
    answer = Answer(((draws, *WANTED),))
    path = tmp_path / "X.golden"
    write(path, {"X[a]": ("hash", *pack(answer))})
    back = Container(path).answer("X[a]")
    assert moved(back, answer) == ""
    assert [e.kind for e in back.sets[0]] == [
        OutputKind(word) for word in ("draws", "rows", "rows", "groups")
    ]
    assert np.array_equal(back.sets[0][0].distribution, DISTRIBUTION)
    other = Answer(
        ((Expected(draws.value, draws.bound, None, OutputKind.DRAWS, DISTRIBUTION * 1.1), *WANTED),)
    )
    assert moved(back, other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Published with FARM_FINGERPRINT of BigQuery, and by the hash's Python binding.
        (b"1footrue", -1541654101129638711),
        (b"2applefalse", 2794438866806483259),
        (b"3true", -4880158226897771312),
        (b"foo", 6150913649986995171),
    ],
)
def test_fingerprints(text: bytes, expected: int) -> None:
    assert fingerprint64(text) == expected % 2**64
