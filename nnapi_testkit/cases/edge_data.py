"""Inputs at the edge of what an operation is defined for, by operation.

The values are those where straightforward code divides by zero, overflows an index, loops for
ever, reads outside, or has nothing to select.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnapi_testkit.cases.derive import shape_of
from nnapi_testkit.op.declare import Given, Reals, Sample

__all__ = ["SCALAR", "UNSCALED", "Edge", "edges_of", "region_like"]

SCALAR = "What such a scalar means the documentation does not say."
UNSCALED = "No sentence of the documentation limits a scale."
REGION = "What such a region or box means the documentation does not say."
DIVIDED = "What an integer divided by zero is, and a quotient beyond the type, is not documented."
FAR = "Whether a device takes so large a number the documentation does not say."
NOTHING = "What a window without an element gives is not documented."

LEAST, MOST = -(2**31), 2**31 - 1
# Operands that are places in an image: a number that is none makes no region.
PLACES = {"rois", "boxes", "anchors", "image", "deltas"}

Operands = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge of an operation.

    Args:
        word: what the case id calls it.
        operands: what differs from the sample; a function is handed the sample's value.
        refusable: why a device may refuse it.
        only: names of cells.
    """

    word: str
    operands: Operands
    refusable: str = ""
    only: frozenset[str] = field(default_factory=frozenset)

    def sample(self, samples: Sequence[Sample]) -> Sample | None:
        """The first sample with all its operands at the edge; None where there is none."""
        for sample in samples:
            if any(sample.operands.get(name) is None for name in self.operands):
                continue
            changed = {
                name: value(sample.operands[name]) if callable(value) else value
                for name, value in self.operands.items()
            }
            return sample.derived(f"{self.word}-{sample.name}", {**sample.operands, **changed})
        return None


def region_like(operands: Iterable[str]) -> str:
    """Why operands filled with what is no number may be refused; empty where they may not."""
    return REGION if PLACES.intersection(operands) else ""


def edges_of(op_name: str, cell_name: str) -> Iterator[Edge]:
    """The edges of an operation in one of its cells."""
    for edge in EDGES.get(op_name, ()):
        if not edge.only or cell_name in edge.only:
            yield edge


def _edge(word: str, refusable: str = "", /, *, only: str = "", **operands: Any) -> Edge:
    return Edge(word, operands, refusable, frozenset(only.split()))


def _same(number: float) -> Callable[[Any], Any]:
    """All elements alike."""

    def filled(value: Any) -> Any:
        shape = shape_of(value)
        if shape is None and isinstance(value, Given):
            shape = value.shape or _dims(value.values)
        elif shape is None:
            shape = _dims(value)
        return Reals(shape, number, number)

    return filled


def _dims(values: Any) -> tuple[int, ...]:
    """The shape of nested lists."""
    return (len(values), *_dims(values[0])) if isinstance(values, list) else ()


def _regions(*rows: Sequence[float]) -> Callable[[Any], Any]:
    """The sample's regions replaced by these, in turn; rows of several boxes repeat theirs."""

    def placed(value: Any) -> Any:
        if isinstance(value, Given) and value.shape is not None:
            count, width = value.shape
        elif isinstance(value, Given):
            count, width = _dims(value.values)
        else:
            count, width = _dims(value)
        table = [list(rows[i % len(rows)]) * (width // 4) for i in range(count)]
        return Given(table, (count, width))

    return placed


_OVERFLOW: dict[str, Any] = {
    "a": Given([MOST, LEAST, LEAST, MOST, 65536, LEAST, LEAST, -1]),
    "b": Given([MOST, LEAST, -1, LEAST, 65536, 1, MOST, LEAST]),
}
_REAL = "float32 float16"
# Places in pixels [x1, y1, x2, y2]; below zero only where the type can say so.
_ODD_PLACES = {
    "beyond": ((50.0, 50.0, 60.0, 60.0), (1000.0, 0.0, 1004.0, 4.0), (0.0, 900.0, 3.0, 1000.0)),
    "thin": ((1.0, 1.0, 1.0, 4.0), (1.0, 1.0, 4.0, 1.0), (0.0, 0.0, 0.125, 4.0)),
    "empty": ((2.0, 2.0, 2.0, 2.0), (0.0, 0.0, 0.0, 0.0), (500.0, 500.0, 500.0, 500.0)),
    "wide": ((0.0, 0.0, 1500.0, 1.0), (0.0, 0.0, 1.0, 1500.0), (0.0, 0.0, 300.0, 300.0)),
}
_BELOW = ((-9.0, -9.0, -2.0, -2.0), (-1.0, -1.0, 1.0, 1.0), (-60000.0, -4.0, -59999.0, -3.0))


def _placed(operand: str, **also: Any) -> tuple[Edge, ...]:
    """Regions beyond the map, thin, empty, wide; below zero in float cells."""
    more: dict[str, Callable[[Any], Any]] = {
        word: _regions(*rows) for word, rows in _ODD_PLACES.items()
    }
    plain = tuple(Edge(w, {operand: v, **also}, REGION) for w, v in more.items())
    below = Edge(
        "below-zero",
        {operand: _regions(*_BELOW), **also},
        REGION,
        frozenset(_REAL.split()),
    )
    return (*plain, below)


def _tall(name: str, **more: Any) -> Edge:
    """A map of 1,200 rows, and a region of the last one: float16 does not tell a half from it."""
    rows = [[0.0, 1199.0, 2.0, 1200.0], [0.0, 1198.0, 2.0, 1199.0], [0.0, 0.0, 2.0, 1199.0]]
    return Edge(
        f"tall-{name}",
        {"input": (1, 1200, 3, 1), "rois": Given(rows), "batches": [0, 0, 0], **more},
        REGION,
    )


_ROIS = (
    *_placed("rois"),
    _tall("one-bin", out_height=1, out_width=1),
    _tall("bins", out_height=3, out_width=2),
    _edge("ratio-tiny", REGION, ratio_h=2.0**-14, ratio_w=2.0**-14, rois=_regions((0, 0, 0, 0))),
    _edge("ratio-huge", REGION, ratio_h=60000.0, ratio_w=60000.0),
)
_UNSEEN = {
    name: (
        _edge(
            "window-in-padding",
            NOTHING,
            pad_left=4,
            pad_right=4,
            pad_top=4,
            pad_bottom=4,
            filter_w=2,
            filter_h=2,
        ),
        _edge("stride-largest", FAR, pad_left=1, stride_w=MOST, stride_h=MOST),
    )
    for name in ("AVERAGE_POOL_2D", "L2_POOL_2D", "MAX_POOL_2D")
}
_STRIDES = {
    name: (_edge("stride-largest", FAR, pad_left=1, stride_w=MOST, stride_h=MOST),)
    for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "GROUPED_CONV_2D")
}
_BETAS = {
    name: (
        _edge("beta-tiny", SCALAR, beta=2.0**-14),
        _edge("beta-huge", SCALAR, beta=60000.0),
        _edge("all-equal", input=_same(1.0)),
        _edge("all-lowest", only=_REAL, input=_same(-65504.0)),
    )
    for name in ("SOFTMAX", "LOG_SOFTMAX")
}
_EQUAL = {
    name: (_edge("all-equal", input=_same(1.0)),)
    for name in ("ARGMAX", "ARGMIN", "TOPK_V2", "L2_NORMALIZATION", "INSTANCE_NORMALIZATION")
}

EDGES: dict[str, tuple[Edge, ...]] = {
    **_UNSEEN,
    **_STRIDES,
    **_BETAS,
    **_EQUAL,
    "DIV": (
        _edge(
            "by-zero",
            DIVIDED,
            only="int32",
            a=Given([7, -7, 0, LEAST, MOST, 1, -1, 2]),
            b=Given([0, 0, 0, 0, 0, 0, 0, 0]),
        ),
        _edge(
            "least-by-minus-one",
            DIVIDED,
            only="int32",
            a=Given([LEAST, LEAST, 7, 0, LEAST, MOST]),
            b=Given([-1, -1, -1, -1, 0, -1]),
        ),
        _edge(
            "by-one-zero",
            DIVIDED,
            only="int32",
            a=Given([[LEAST, 7], [0, -3]]),
            b=Given([0]),
        ),
    ),
    "ADD": (_edge("overflow", "", only="int32", **_OVERFLOW),),
    "SUB": (_edge("overflow", "", only="int32", **_OVERFLOW),),
    "MUL": (_edge("overflow", "", only="int32", **_OVERFLOW),),
    "ABS": (_edge("least", "", only="int32", input=Given([LEAST, LEAST + 1, MOST, 0])),),
    "NEG": (_edge("least", "", only="int32", input=Given([LEAST, LEAST + 1, MOST, 0])),),
    "POW": (
        _edge(
            "open-powers",
            base=Given([0.0, -0.0, 0.0, -1.0, -2.0, -8.0, 0.0]),
            exponent=Given([0.0, -1.0, -0.5, 0.5, -0.5, 1 / 3, -3.0]),
        ),
    ),
    "LOCAL_RESPONSE_NORMALIZATION": (
        _edge("radius-largest", FAR, radius=MOST),
        _edge("radius-half", FAR, radius=2**30),
        _edge("radius-largest-but-one", FAR, radius=MOST - 1),
        _edge("power-zero", SCALAR, bias=0.0, alpha=0.0, beta=0.5),
        _edge("base-negative", SCALAR, bias=-1.0, alpha=0.0, beta=0.5),
    ),
    "ROI_ALIGN": _ROIS,
    "ROI_POOLING": _ROIS,
    "HEATMAP_MAX_KEYPOINT": (
        *_placed("boxes"),
        _edge("all-equal", heatmap=_same(0.5)),
        _edge("all-zero", heatmap=_same(0.0)),
        _edge(
            "two-pixels", REGION, heatmap=(2, 2, 2, 3), boxes=Given([[0, 0, 8, 8], [1, 2, 9, 9]])
        ),
        _edge("anywhere", heatmap=(4, 3, 3, 2), boxes=Given([[0, 0, 8, 8]] * 4)),
    ),
    "AXIS_ALIGNED_BBOX_TRANSFORM": (
        *_placed("rois"),
        _edge("deltas-far", REGION, only=_REAL, deltas=_same(88.0)),
        _edge("deltas-farther", REGION, only=_REAL, deltas=_same(60000.0)),
        _edge("deltas-below", REGION, only=_REAL, deltas=_same(-60000.0)),
        _edge("no-image", REGION, image=_same(0.0)),
    ),
    "GENERATE_PROPOSALS": (
        *_placed("anchors"),
        _edge("scores-equal", scores=_same(0.5)),
        _edge("nothing-large-enough", least=60000.0),
        _edge("no-image", REGION, image=_same(0.0)),
        _edge("all-overlap", iou_threshold=0.0, anchors=_regions((-8.0, -8.0, 8.0, 8.0))),
        _edge("deltas-far", REGION, only=_REAL, deltas=_same(88.0)),
        _edge("limits-largest", before=MOST, after=MOST),
        _edge("limits-least", REGION, before=LEAST, after=LEAST),
    ),
    "BOX_WITH_NMS_LIMIT": (
        *_placed("boxes"),
        _edge("scores-equal", scores=_same(0.5)),
        _edge("nothing-selected", score_threshold=2.0),
        _edge("all-selected-no-limit", score_threshold=-1.0, limit=-1),
        _edge("limit-least", SCALAR, limit=LEAST),
        _edge("limit-largest", limit=MOST),
        _edge("scores-zero", scores=_same(0.0), score_threshold=0.0),
    ),
    "DETECTION_POSTPROCESSING": (
        _edge("scores-equal", scores=_same(0.5)),
        _edge("nothing-selected", score_threshold=2.0),
        _edge("scores-zero", scores=_same(0.0)),
        _edge("deltas-far", REGION, deltas=_same(88.0)),
        _edge("anchors-empty", REGION, anchors=_same(0.0)),
        _edge("scale-zero", SCALAR, scale_y=0.0, scale_x=0.0),
    ),
    "RANDOM_MULTINOMIAL": (
        _edge("logits-lowest", logits=_same(-65504.0)),
        _edge("logits-highest", logits=_same(65504.0)),
        _edge("draws-none", SCALAR, count=0),
    ),
    "STRIDED_SLICE": (_edge("stride-largest", FAR, strides=[MOST, MOST], begin=[0, 0]),),
}
