"""Other seeds: what they change, what they keep, and that seed 0 is left alone."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.probes import probe_samples
from nnapi_testkit.cases.quant import drawn_quant
from nnapi_testkit.cases.vary import Dice, propose, varied
from nnapi_testkit.catalog import catalog
from nnapi_testkit.model.case import Case
from nnapi_testkit.op import Sample
from nnapi_testkit.op.families.resize import exact_in_single_precision
from nnapi_testkit.spec.codes import OperandCode

CONV = catalog()["CONV_2D"]
QUANT8 = next(cell for cell in CONV.cells if cell.name == "quant8")


def always(case: Case) -> bool:
    return True


def conv(name: str) -> Sample:
    return next(sample for sample in CONV.samples_for(QUANT8) if sample.name == name)


def cases(operation: str, seed: int, follows: object = None) -> dict[str, Case]:
    refs = case_index([operation], seed=seed, follows=follows)  # type: ignore[arg-type]
    return {ref.id: ref.make() for ref in refs if ref.kind == "positive"}


def quants(found: Iterable[Case]) -> set[tuple[float, int]]:
    return {(o.scale, o.zero_point) for case in found for o in case.model.main.operands if o.scale}


def test_without_an_oracle_shapes_stay_and_data_and_quantization_move() -> None:
    frozen, other = cases("ADD", 0), cases("ADD", 5)
    assert frozen.keys() == other.keys()
    for case_id, case in frozen.items():
        assert [s.output_dims for s in case.sets] == [s.output_dims for s in other[case_id].sets]
    signed = [c for i, c in other.items() if i.startswith("ADD[quant8_signed-rank")]
    usual = [c for i, c in frozen.items() if i.startswith("ADD[quant8_signed-rank")]
    assert not quants(signed) & quants(usual)
    first = frozen["ADD[float32-rank1]"].sets[0].inputs[0]
    second = other["ADD[float32-rank1]"].sets[0].inputs[0]
    assert first is not None and second is not None and not np.array_equal(first, second)


def test_a_seed_is_deterministic_and_another_one_differs() -> None:
    samples = [varied(CONV, QUANT8, conv("same"), seed, always) for seed in (1, 1, 2, 3, 4)]
    found = [repr(sample.operands) for sample in samples]
    assert found[0] == found[1] and len(set(found)) >= 4


def test_sizes_that_agree_still_agree() -> None:
    for seed in range(1, 30):
        operands = varied(CONV, QUANT8, conv("same-stride2"), seed, always).operands
        assert operands["bias"] == operands["filter"][:1]
        assert operands["input"][3] == operands["filter"][3]


def test_attributes_stay_legal() -> None:
    (signature,) = [s for s in CONV.signatures if any(i.name == "padding" for i in s)]
    for seed in range(40):
        moved = propose(CONV, QUANT8, conv("same"), signature, Dice(seed), 1.0, only_grow=False)
        assert moved.operands["padding"] in (1, 2)
        assert moved.operands["stride_w"] >= 1 and moved.operands["stride_h"] >= 1


def test_what_the_oracle_cannot_follow_is_not_used() -> None:
    sample = conv("same")
    assert varied(CONV, QUANT8, sample, 77, lambda case: False) is sample


def test_opted_out_operands_stay() -> None:
    op = catalog()["HASHTABLE_LOOKUP"]
    sample = op.samples_for(op.cells[0])[0]
    for seed in range(1, 10):
        moved = varied(op, op.cells[0], sample, seed, always)
        assert moved.operands["keys"] == sample.operands["keys"]


@pytest.mark.parametrize("code", ["TENSOR_QUANT8_ASYMM", "TENSOR_QUANT8_ASYMM_SIGNED"])
def test_zero_points_cover_the_range_and_scales_are_continuous(code: str) -> None:
    kind = OperandCode[code]
    drawn = [drawn_quant(kind, None, "x", n) for n in range(2000)]
    scales, zeros = {scale for scale, _ in drawn}, {zero for _, zero in drawn}
    low = -128 if code.endswith("SIGNED") else 0
    assert len(scales) > 1900 and len(zeros) > 250
    assert min(zeros) == low and max(zeros) == low + 255


def test_a_domain_keeps_codes() -> None:
    kind = OperandCode.TENSOR_QUANT8_ASYMM
    for n in range(300):
        scale, zero = drawn_quant(kind, (0.5, 1.5), n)
        assert (255 - zero) * scale >= 0.5 + 15 * scale


def test_weights_of_values_keep_their_sizes() -> None:
    """A bias of another size beside them would be no model."""
    op = catalog()["QUANTIZED_LSTM"]
    (cell,) = op.cells
    (sample,) = (s for s in op.samples_for(cell) if s.name == "state-saturates")
    assert all(varied(op, cell, sample, seed, always) is sample for seed in range(1, 9))


@pytest.mark.parametrize(
    ("size", "out", "centers", "agree"),
    [(983, 1966, False, False), (3, 7, True, True), (2049, 2049, False, True), (1, 5, False, True)],
)
def test_positions_that_single_precision_gives_too(
    size: int, out: int, centers: bool, agree: bool
) -> None:
    assert exact_in_single_precision(size, out, centers) == agree


def test_seeds_ask_for_no_positions_that_are_contested() -> None:
    op = catalog()["RESIZE_NEAREST_NEIGHBOR"]
    cell = op.cells[0]
    for sample in probe_samples(op, cell):
        if sample.name != "wide":
            continue
        for seed in range(1, 9):
            other = varied(op, cell, sample, seed, always)
            rows, columns = other.operands["input"][1:3]
            assert exact_in_single_precision(rows, other.operands["height"], False)
            assert exact_in_single_precision(columns, other.operands["width"], False)
        return
    raise AssertionError("there is no wide probe any more")
