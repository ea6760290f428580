"""How much the answers leave open: exempt elements, wide bounds, special values never tried."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch

import numpy as np
import pytest

pytest.importorskip("torch")

from meta_mutants import outputs_of

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.special import special_values
from nnapi_testkit.catalog import catalog
from nnapi_testkit.model.case import Answer, Case, Expected
from nnapi_testkit.model.types import Lifetime, Operand
from nnapi_testkit.oracle import answer
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE, FLOATS

OPERATIONS = sorted(catalog())
# The largest share of a case's elements that the documentation may leave open.
MOST_OPEN = 0.25
# The largest median bound of a case, as a share of the range of its outputs. (The median over the
# cases of a cell is held to a tenth of it and less by test_power.py.)
WIDEST = {"float32": 1e-3, "half": 0.15}
# Cases that need more, each with its derivation.
WIDE = {
    "CONV_2D[*relu1-*]": (
        "36 products of numbers up to 2: 38 u sum|x||w| = 38 * 2^-11 * 36 = 0.67 at most, and"
        " RELU1 cuts the range to 2"
    ),
    "DEPTHWISE_CONV_2D[*relu1-kernel7-stride2]": (
        "49 products of numbers up to 2: 51 u sum|x||w|, about 51 * 2^-11 * 49 / 4 = 0.3, and"
        " RELU1 cuts the range to 2"
    ),
    "FULLY_CONNECTED[*relu*-one-row]": (
        "one row has few outputs, of which RELU keeps the upper half: the range is that of a"
        " handful of sums, the bound (n + 2) u sum|x||w| that of any"
    ),
    "POW[float16-single]": (
        "x^y is off by |y ln x| u: with exponents up to 8 in the magnitude regime the largest"
        " powers set the bound, and one base for all elements keeps the range small"
    ),
}
# Probes whose data make rounding as large as the results, or open: they are there for drivers that
# crash, write nothing or give NaN, and for the twins in float32 that are judged closely.
PROBES = {
    "*[*subnormal-*]": "numbers below the smallest normal one may be read as zero",
    "*[*equal-*]": "elements that differ in the last place: what differs is rounding, or a tie",
    "*[*offset-*]": "a large mean and a small spread: u |x| of the inputs exceeds the spread",
    "*[*cancel-*]": "sums that cancel: u sum |x| exceeds their result",
    "*[float16-size*]": (
        "(n + 2) 2^-11 sum|x||w| reaches the range from some tens of terms on, and overflows are"
        " open; float32 of the same size is narrow"
    ),
    "*[float32-size1031-*]": "(n + 2) 2^-24 sum|x||w| grows with n, a sum with its root",
    "*[float32-size4099-*]": "the same",
    "BIDIRECTIONAL_SEQUENCE_LSTM[float32-many-size67-cross-linked-*]": (
        "67 steps of 67 units: each multiplies what the one before may have rounded"
    ),
    "*_SEQUENCE_LSTM[float*-many-steps]": "each step multiplies what the one before rounded",
    "*LSTM[float32-channels-size*]": "the same, through gates, cell and projection",
    "*[float16-saturated-*]": "sums of products of large numbers in half precision",
    "*[per_channel>float16-codes-*]": "2^-11 of the largest code, over the range of one channel",
    "ARG*[quant8*-size*]": "one place for hundreds of codes, of which some are equal",
    "ARGMAX[int32-wide-numbers-*]": "two of the numbers are equal: a tie",
    "RSQRT[quant8*-codes-*]": "codes that stand for zero and below have no inverse root",
    "LOG_SOFTMAX[float*-far-*]": "the text's formula overflows where a sound one does not",
    "*_NORMALIZATION[float16-large-mean]": "the squares of the mean exceed half precision's range",
    "LSH_PROJECTION[quant8-size4099-*]": "a sum of 4,099 products decides by its sign",
    "LOCAL_RESPONSE_NORMALIZATION[*special*-large]": "squares overflow: infinity or its limit",
}
# The largest share of all cases that such probes may be.
MOST_PROBES = 0.02
# Operations, or cells, that special values do not go into, with the reason.
GEOMETRY = (
    "boxes and scores are given: corners have to be in order, and what NaN or an infinity does to"
    " overlaps, suppression and sorting is not described"
)
NO_SPECIAL = {
    "AXIS_ALIGNED_BBOX_TRANSFORM": GEOMETRY,
    "BOX_WITH_NMS_LIMIT": GEOMETRY,
    **{
        f"CAST {source}>{target}": "integers of what does not fit them are open: data stay in range"
        for source in ("float16", "float32")
        for target in ("int32", "quant8")
    },
    "DETECTION_POSTPROCESSING": GEOMETRY,
    "FILL": "its only float operand is a scalar, which the model holds",
    "GENERATE_PROPOSALS": GEOMETRY,
    "HEATMAP_MAX_KEYPOINT": "the quadratic expansion at a peak that is NaN or infinite is none",
    "RANK": "it reads no data",
    "SVDF": "documentation and devices differ on its state: each case asks which one is followed",
}


def judged_outputs(name: str, case: Case, told: Answer) -> Iterator[tuple[int, Operand, Expected]]:
    """Input set, operand and expectation of each output that means something."""
    op = catalog()[name]
    scratch = [output.opaque for output in op.outputs] if op.graphs is None else []
    for number, row in enumerate(told.sets):
        for position, (operand, expected) in enumerate(zip(outputs_of(case), row, strict=True)):
            # A pair has the outputs of the operation twice.
            twin = len(row) == 2 * len(scratch) and position >= len(scratch)
            place = position - len(scratch) if twin else position
            if place < len(scratch) and scratch[place]:
                continue
            yield number, operand, expected


@pytest.mark.parametrize("name", OPERATIONS)
def test_little_is_left_open(name: str) -> None:
    """Most elements are judged, by bounds that are small against the range of the outputs."""
    for ref in case_index([name]):
        if not ref.has_golden:
            continue
        case = ref.make()
        found = list(judged_outputs(name, case, answer(ref, case)))
        size = sum(e.value.size for _, _, e in found)
        open_ = sum(int(e.exempt.sum()) for _, _, e in found if e.exempt is not None)
        if any(fnmatch(ref.id, literal(probe)) for probe in PROBES):
            continue
        assert open_ <= MOST_OPEN * size, f"{ref.id}: {open_} of {size} elements are open"
        if ref.kind == "special" or any(fnmatch(ref.id, literal(wide)) for wide in WIDE):
            continue
        half = case.model.relaxed or ref.cell.startswith("float16")
        for number, operand, expected in found:
            share = width(operand, expected)
            assert share <= WIDEST["half" if half else "float32"], (
                f"{ref.id}, input set {number}: half of the outputs may be off by {share:.2g} of"
                " their range"
            )


def width(operand: Operand, expected: Expected) -> float:
    """The median bound of a float output as a share of its range; 0 where that says nothing."""
    counted = np.isfinite(expected.value)
    if expected.exempt is not None:
        counted &= ~expected.exempt
    value, bound = expected.value[counted], expected.bound[counted]
    if OperandCode(operand.type) not in FLOATS or value.size < 8 or np.ptp(value) == 0:
        return 0.0
    return float(np.median(bound)) / float(np.ptp(value))


def literal(pattern: str) -> str:
    """A pattern of `fnmatch` whose brackets are meant."""
    return pattern.replace("[", "[[]")


def test_wide_cases_exist() -> None:
    ids = [ref.id for name in OPERATIONS for ref in case_index([name])]
    for pattern in (*WIDE, *PROBES):
        assert any(fnmatch(case_id, literal(pattern)) for case_id in ids), pattern


def test_few_probes_are_loose() -> None:
    """Most of what the patterns name is judged closely all the same, and few cases are not."""
    loose = total = 0
    for name in OPERATIONS:
        for ref in case_index([name]):
            if not ref.has_golden:
                continue
            total += 1
            if not any(fnmatch(ref.id, literal(probe)) for probe in PROBES):
                continue
            case = ref.make()
            found = list(judged_outputs(name, case, answer(ref, case)))
            size = sum(e.value.size for _, _, e in found)
            open_ = sum(int(e.exempt.sum()) for _, _, e in found if e.exempt is not None)
            half = case.model.relaxed or ref.cell.startswith("float16")
            limit = WIDEST["half" if half else "float32"]
            loose += open_ > MOST_OPEN * size or any(width(o, e) > limit for _, o, e in found)
    assert 0 < loose <= MOST_PROBES * total


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_special_value_is_tried(name: str) -> None:
    op = catalog()[name]
    if name in NO_SPECIAL or op.graphs is not None:
        return
    tried: dict[tuple[str, bool], set[bytes]] = {}
    for cell in op.cells:
        if cell.main in FLOATS and f"{name} {cell.name}" not in NO_SPECIAL:
            tried[cell.name, False] = set()
            if cell.main == OperandCode.TENSOR_FLOAT32:
                tried[cell.name, True] = set()
    for ref in case_index([name]):
        if ref.kind != "special" or not ref.cell.startswith("float"):
            continue
        case = ref.make()
        for operand, array in fed(case):
            if OperandCode(operand.type) in FLOATS:
                seen = tried.get((ref.cell, case.model.relaxed), set())
                seen.update(item.tobytes() for item in array.reshape(-1))
    for (cell_name, relaxed), seen in tried.items():
        code = next(cell.main for cell in op.cells if cell.name == cell_name)
        planted = OperandCode.TENSOR_FLOAT16 if relaxed else code
        wanted = special_values(planted).astype(DTYPE[code])
        missing = [float(v) for v in wanted if v.tobytes() not in seen]
        assert not missing, f"{name} {cell_name}{' relaxed' if relaxed else ''}: never {missing}"


def fed(case: Case) -> Iterator[tuple[Operand, np.ndarray]]:
    """Inputs and constants of a case."""
    main = case.model.main
    for execution in case.sets:
        for index, array in zip(main.inputs, execution.inputs, strict=True):
            if array is not None:
                yield main.operands[index], array
    for operand in main.operands:
        if operand.lifetime == Lifetime.CONSTANT and OperandCode(operand.type) in FLOATS:
            yield operand, np.frombuffer(operand.value, dtype=DTYPE[OperandCode(operand.type)])
