"""The same for operators that move data, reduce along axes, keep states or look up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.frontends.flat import Flat
from tests.frontends.tflite_cases import I8, KINDS, PLAIN, U8, case, ints, simple


# Data that move
def moved(
    kind: str,
    shape: tuple[int, ...],
    out: tuple[int, ...],
    options: str = "",
    *,
    how: Sequence[str] = ("", "/int8"),
    name: str = "",
    **more: Any,
) -> None:
    """The same in several types."""
    types = {**KINDS, "/int32": ("int32",)}
    for suffix in how:
        label = f"{kind}/{name}{suffix}" if name else f"{kind}{suffix}"
        simple(label, [shape], out, options, type=types[suffix], **more)


moved(
    "RESHAPE",
    (2, 3, 4),
    (4, 6),
    "Reshape",
    constants=[ints(4, -1)],
    how=("", "/uint8", "/int8", "/int32"),
)
moved("RESHAPE", (2, 3, 4), (24,), "Reshape", name="options", newShape=[-1], how=("",))
moved("RESHAPE", (1, 1), (), "Reshape", name="scalar", how=("",))
moved("SQUEEZE", (1, 3, 1, 4), (3, 4), "Squeeze")
moved(
    "SQUEEZE", (1, 3, 1, 4), (1, 3, 4), "Squeeze", name="one", squeezeDims=[-2], how=("", "/int32")
)
moved(
    "EXPAND_DIMS",
    (2, 3),
    (2, 1, 3),
    "ExpandDims",
    constants=[ints(-2)],
    how=("", "/int8", "/int32"),
)
moved("TRANSPOSE", (2, 3, 4), (4, 2, 3), "Transpose", constants=[ints(2, 0, 1)])
PADS = ints([0, 0], [1, 2], [0, 3])
moved("PAD", (2, 3, 4), (2, 6, 7), "Pad", constants=[PADS], how=("", "/uint8", "/int8"))
simple("PADV2", [(2, 3, 4)], (2, 6, 7), "PadV2", constants=[PADS, np.float32(1.5)])
moved(
    "MIRROR_PAD",
    (2, 3, 4),
    (2, 6, 7),
    "MirrorPad",
    constants=[ints([0, 0], [1, 2], [0, 3])],
    mode=0,
)
moved(
    "MIRROR_PAD",
    (2, 3, 4),
    (2, 6, 7),
    "MirrorPad",
    name="symmetric",
    how=("",),
    mode=1,
    constants=[ints([0, 0], [1, 2], [0, 3])],
)
moved("REVERSE_V2", (2, 3, 4), (2, 3, 4), "ReverseV2", constants=[ints(-2)], how=("", "/int32"))
moved("SLICE", (3, 4, 5), (2, 1, 3), "Slice", constants=[ints(1, 2, 2), ints(2, 1, -1)])
moved(
    "STRIDED_SLICE",
    (3, 4, 5),
    (2, 5),
    "StridedSlice",
    constants=[ints(0, 1, 0), ints(3, 2, 9), ints(2, 1, 1)],
    beginMask=1,
    endMask=4,
    shrinkAxisMask=2,
)
moved("TILE", (2, 3), (4, 9), "Tile", constants=[ints(2, 3)], how=("", "/int32"))
moved(
    "BROADCAST_TO",
    (3, 1),
    (2, 3, 4),
    "BroadcastTo",
    version=2,
    constants=[ints(2, 3, 4)],
    how=("",),
)
moved("GATHER", (3, 4, 5), (3, 2, 5), "Gather", constants=[ints(3, 0)], axis=1)
moved("GATHER", (3, 4, 5), (3, 5), "Gather", name="one", how=("",), constants=[np.int32(2)], axis=1)
moved(
    "SPACE_TO_BATCH_ND",
    (1, 3, 4, 2),
    (4, 2, 3, 2),
    "SpaceToBatchND",
    constants=[ints(2, 2), ints([0, 1], [1, 1])],
)
moved(
    "BATCH_TO_SPACE_ND",
    (4, 2, 3, 2),
    (1, 4, 6, 2),
    "BatchToSpaceND",
    constants=[ints(2, 2), ints([0, 0], [0, 0])],
)
moved(
    "BATCH_TO_SPACE_ND",
    (4, 2, 3, 2),
    (1, 3, 4, 2),
    "BatchToSpaceND",
    name="cropped",
    how=("",),
    constants=[ints(2, 2), ints([0, 1], [1, 1])],
)
moved("DEPTH_TO_SPACE", (1, 2, 3, 8), (1, 4, 6, 2), "DepthToSpace", blockSize=2)
moved("SPACE_TO_DEPTH", (1, 4, 6, 2), (1, 2, 3, 8), "SpaceToDepth", blockSize=2)
for kind, options in (
    ("RESIZE_BILINEAR", "ResizeBilinear"),
    ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor"),
):
    ways: dict[str, dict[str, bool]] = {
        "": {},
        "corners": {"alignCorners": True},
        "centers": {"halfPixelCenters": True},
    }
    for name, flags in ways.items():
        moved(
            kind,
            (1, 4, 5, 2),
            (1, 7, 8, 2),
            options,
            name=name,
            version=3,
            how=("",) if name else ("", "/uint8", "/int8"),
            constants=[ints(7, 8)],
            **flags,
        )
simple("CONCATENATION", [(2, 3), (2, 4)], (2, 7), "Concatenation", axis=-1)
simple("CONCATENATION/uint8", [(2, 3), (2, 4)], (2, 7), "Concatenation", type=U8, axis=1)
simple("CONCATENATION/int8", [(2, 3), (2, 4)], (2, 7), "Concatenation", type=I8, axis=1)
simple("PACK", [(2, 3), (2, 3)], (2, 2, 3), "Pack", axis=1, valuesCount=2)
simple("PACK/int32", [(2, 3), (2, 3)], (2, 3, 2), "Pack", type=("int32",), axis=-1, valuesCount=2)


@case("FILL")
def _fill(f: Flat, r: np.random.Generator) -> Sequence[int]:
    x, filled, y = f.input((2, 3)), f.tensor((2, 3)), f.tensor((2, 3))
    f.op("FILL", [f.constant(ints(2, 3)), f.constant(np.float32(0.75))], [filled], "Fill")
    f.op("ADD", [x, filled], [y], "Add")
    return [y]


def parts(
    name: str,
    shape: tuple[int, ...],
    outs: Sequence[tuple[int, ...]],
    options: str,
    *,
    type: tuple[Any, ...] = PLAIN,
    before: Any = None,
    constants: Sequence[Any] = (),
    **fields: Any,
) -> None:
    """A model of one operator with several results."""

    def make(f: Flat, r: np.random.Generator) -> Sequence[int]:
        first = [] if before is None else [f.constant(before)]
        given = [*first, f.input(shape, *type), *(f.constant(value) for value in constants)]
        made = [f.tensor(out, *type) for out in outs]
        f.op(name.partition("/")[0], given, made, options, **fields)
        return made

    case(name)(make)


parts("SPLIT", (2, 6), [(2, 2)] * 3, "Split", before=np.int32(-1), numSplits=3)
parts("SPLIT/int8", (2, 6), [(1, 6)] * 2, "Split", type=I8, before=np.int32(0), numSplits=2)
parts(
    "SPLIT_V",
    (2, 6),
    [(2, 1), (2, 3), (2, 2)],
    "SplitV",
    constants=[ints(1, -1, 2), np.int32(1)],
    numSplits=3,
)
parts("UNPACK", (2, 3, 4), [(2, 4)] * 3, "Unpack", axis=-2, num=3)
parts("UNPACK/int32", (2, 3), [(3,)] * 2, "Unpack", type=("int32",), axis=0, num=2)
parts("UNPACK/scalars", (3,), [()] * 3, "Unpack", axis=0, num=3)

# Along axes
for kind in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"):
    for suffix, type in KINDS.items():
        if kind == "REDUCE_PROD" and suffix:
            continue
        same = type if kind != "SUM" or not suffix else (type[0], 0.2, type[2])
        simple(
            f"{kind}{suffix}",
            [(2, 3, 4, 5)],
            (2, 5),
            "Reducer",
            type=type,
            made=same,
            constants=[ints(1, 2)],
        )
        simple(
            f"{kind}/kept{suffix}",
            [(2, 3, 4)],
            (2, 1, 4),
            "Reducer",
            type=type,
            made=same,
            constants=[ints(-2)],
            keepDims=True,
        )
simple("MEAN/all", [(2, 3)], (), "Reducer", constants=[ints(0, 1)])
simple(
    "MEAN/int8-rescaled",
    [(2, 3, 4)],
    (2, 4),
    "Reducer",
    type=I8,
    made=("int8", 0.013, 4),
    constants=[ints(1)],
)
for kind in ("REDUCE_ANY", "REDUCE_ALL"):
    simple(kind, [(2, 3, 2)], (2, 2), "Reducer", type=("bool",), constants=[ints(1)])
for kind, options in (("ARG_MAX", "ArgMax"), ("ARG_MIN", "ArgMin")):
    for suffix, type in KINDS.items():
        simple(
            f"{kind}{suffix}",
            [(3, 40)],
            (3,),
            options,
            type=type,
            made=("int32",),
            constants=[np.int32(-1)],
            outputType=2,
        )


@case("TOPK_V2")
def _topk(f: Flat, r: np.random.Generator) -> Sequence[int]:
    x, values, places = f.input((3, 9)), f.tensor((3, 4)), f.tensor((3, 4), "int32")
    f.op("TOPK_V2", [x, f.constant(np.int32(4))], [values, places], "TopKV2")
    return [values, places]


for suffix, type in KINDS.items():
    low = -128 if type is I8 else 0
    fixed = (type[0], 1 / 256, low) if suffix else ()
    simple(f"SOFTMAX{suffix}", [(3, 9)], (3, 9), "Softmax", type=type, made=fixed, beta=1.5)
    unit = (type[0], 1 / 128, low + 128) if suffix else ()
    simple(f"L2_NORMALIZATION{suffix}", [(3, 9)], (3, 9), "L2Norm", type=type, made=unit)
simple(
    "LOCAL_RESPONSE_NORMALIZATION",
    [(1, 2, 3, 9)],
    (1, 2, 3, 9),
    "LocalResponseNormalization",
    radius=2,
    bias=1.5,
    alpha=0.25,
    beta=0.5,
)
simple("SOFTMAX/rank3", [(2, 3, 4)], (2, 3, 4), "Softmax", beta=1.0)
simple("LOG_SOFTMAX", [(2, 3, 4)], (2, 3, 4), "LogSoftmax")
