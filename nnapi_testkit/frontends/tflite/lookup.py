"""Tables: rows by place or key, hashes; weights that are stored sparsely; detections."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.frontends.draft import Refusal
from nnapi_testkit.frontends.tflite.convolution import dequantized
from nnapi_testkit.frontends.tflite.file import Node, Tensor
from nnapi_testkit.frontends.tflite.lower import Lowering, lowers, needed
from nnapi_testkit.model.types import Operand
from nnapi_testkit.spec.codes import OperandCode

_C = OperandCode
DENSE = 0  # how one dimension of a sparse tensor may be stored


@lowers("EMBEDDING_LOOKUP")
def _embedding(lowering: Lowering, node: Node) -> None:
    table = needed(node, 1)
    if table.type in ("INT8", "UINT8") and node.outputs[0].type == "FLOAT32":
        values = dequantized(lowering, table)
    else:
        values = lowering.read(table)
    lowering.plain(node, "EMBEDDING_LOOKUP", [lowering.read(needed(node, 0)), values])


@lowers("HASHTABLE_LOOKUP")
def _hashtable(lowering: Lowering, node: Node) -> None:
    inputs = [lowering.read(needed(node, position)) for position in range(3)]
    found, hits = node.outputs
    # Whether a key was there: NNAPI has a quant8 tensor of scale 1 for it.
    at = lowering.draft.add(Operand(_C.TENSOR_QUANT8_ASYMM, hits.shape, 1.0), hits.name)
    lowering.held[hits.index] = at
    lowering.emit("HASHTABLE_LOOKUP", inputs, [lowering.write(found), at])


@lowers("LSH_PROJECTION")
def _lsh(lowering: Lowering, node: Node) -> None:
    kinds = {1: 3, 2: 2}  # sparse with an offset for each function, dense
    kind = int(node.option("type"))
    if kind not in kinds:
        raise Refusal(f"of type {kind}: NNAPI has sparse and dense projections")
    weight, items = node.input(2), needed(node, 1)
    inputs = [lowering.read(needed(node, 0)), lowering.read(items)]
    # Devices that ship want weights in a dense projection, and none in a sparse one.
    if kind == 1:
        if weight is not None:
            raise Refusal("a sparse projection with weights: shipping devices take none")
        inputs.append(lowering.draft.omitted(_C.TENSOR_FLOAT32, (0,)))
    elif weight is None:
        inputs.append(lowering.draft.array(np.ones(items.shape[0]), _C.TENSOR_FLOAT32))
    else:
        inputs.append(lowering.read(weight))
    lowering.plain(node, "LSH_PROJECTION", [*inputs, lowering.draft.int32(kinds[kind])])


@lowers("DENSIFY")
def _densify(lowering: Lowering, node: Node) -> None:
    tensor = needed(node, 0)
    if not tensor.constant or tensor.sparse is None:
        raise Refusal("of what is no sparse constant")
    lowering.folded[node.outputs[0].index] = _dense(tensor)


def _dense(tensor: Tensor) -> NDArray[np.generic]:
    """The data of a sparse tensor in its plain shape.

    Dimensions are stored in `traversalOrder`: those of the tensor first, then those of the blocks
    that `blockMap` divides some of them into. A dense one repeats what is inside it, a sparse one
    names the places that are there (rows of the CSR format).
    """
    sparse = tensor.sparse
    order = [int(axis) for axis in sparse.traversalOrder]
    blocks = [] if sparse.blockMap is None else [int(axis) for axis in sparse.blockMap]
    levels: list[tuple[int, NDArray[Any] | None, NDArray[Any] | None]] = []
    for meta in sparse.dimMetadata:
        if meta.format == DENSE:
            levels.append((int(meta.denseSize), None, None))
        else:
            segments, indices = meta.arraySegments, meta.arrayIndices
            levels.append((0, np.asarray(segments.values), np.asarray(indices.values)))
    sizes = dict(zip(order, (size for size, _, _ in levels), strict=True))
    inner = [sizes[tensor.rank + number] for number in range(len(blocks))]
    values = np.frombuffer(tensor.raw, tensor.dtype)
    found = np.zeros(tensor.shape, tensor.dtype)

    def place(level: int, position: int, where: dict[int, int]) -> None:
        if level == len(levels):
            at = [where[axis] for axis in range(tensor.rank)]
            for number, axis in enumerate(blocks):
                at[axis] = at[axis] * inner[number] + where[tensor.rank + number]
            found[tuple(at)] = values[position]
            return
        size, segments, indices = levels[level]
        if segments is None or indices is None:
            for number in range(size):
                place(level + 1, position * size + number, {**where, order[level]: number})
            return
        for entry in range(int(segments[position]), int(segments[position + 1])):
            place(level + 1, entry, {**where, order[level]: int(indices[entry])})

    place(0, 0, {})
    return found


@lowers("TFLite_Detection_PostProcess")
def _detection(lowering: Lowering, node: Node) -> None:
    """Boxes by anchors, thinned out: the custom operator of SSD models."""
    options = _options(node)
    boxes, scores, anchors = (needed(node, position) for position in range(3))
    regular = bool(options.get("use_regular_nms", False))
    each = int(options.get("max_classes_per_detection", 1))
    if each > 1 and not regular:
        raise Refusal("with several classes for one box: NNAPI's results have one place for each")
    classes = int(options["num_classes"])
    if scores.rank == 3 and scores.shape[2] != classes + 1:
        raise Refusal("scores without a background class: NNAPI's first class is the background")
    data = [_real(lowering, tensor) for tensor in (scores, boxes, anchors)]
    draft = lowering.draft

    def real(name: str) -> int:
        return lowering.real(float(options[name]), data[0])

    inputs = [*data, *(real(name) for name in ("y_scale", "x_scale", "h_scale", "w_scale"))]
    inputs += [
        draft.flag(regular),
        draft.int32(int(options["max_detections"])),
        draft.int32(each),
        draft.int32(int(options.get("detections_per_class", 100))),
        real("nms_score_threshold"),
        real("nms_iou_threshold"),
        draft.flag(False),  # the background is no class of the results
    ]
    most = int(options["max_detections"])
    places, kinds, found, count = node.outputs
    batch = boxes.shape[0]
    held = {
        "scores": draft.add(Operand(_C.TENSOR_FLOAT32, (batch, most)), found.name),
        "places": draft.add(Operand(_C.TENSOR_FLOAT32, (batch, most, 4)), places.name),
        "kinds": draft.add(Operand(_C.TENSOR_INT32, (batch, most))),
        "count": draft.add(Operand(_C.TENSOR_INT32, (batch,))),
    }
    lowering.emit("DETECTION_POSTPROCESSING", inputs, list(held.values()))
    lowering.held[places.index], lowering.held[found.index] = held["places"], held["scores"]
    # LiteRT gives classes and their number as floats.
    for tensor, whole in ((kinds, held["kinds"]), (count, held["count"])):
        at = draft.add(Operand(_C.TENSOR_FLOAT32, lowering.operand(whole).dims), tensor.name)
        lowering.held[tensor.index] = at
        lowering.emit("CAST", [whole], [at])


def _real(lowering: Lowering, tensor: Tensor) -> int:
    """Quantized data as float32, in which the operator computes."""
    at = lowering.read(tensor)
    if lowering.operand(at).type == _C.TENSOR_FLOAT32:
        return at
    made = lowering.draft.add(Operand(_C.TENSOR_FLOAT32, lowering.operand(at).dims))
    lowering.emit("DEQUANTIZE", [at], [made])
    return made


def _options(node: Node) -> dict[str, float]:
    """The custom options: a map in FlexBuffers' format. Raises Refusal if they are none."""
    try:
        from flatbuffers import flexbuffers

        found = flexbuffers.Loads(node.custom)
    except Exception as error:  # whatever bytes they are
        raise Refusal("its custom options cannot be read") from error
    if not isinstance(found, dict) or "max_detections" not in found:
        raise Refusal("its custom options are not those of detections")
    return found
