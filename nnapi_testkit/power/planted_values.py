"""Faults planted in operations element by element, reductions, rankings and detections: truth
values, ties, large and special numbers, broadcasting, limits by batch.

Rows as in `nnapi_testkit/power/planted.py`.
"""

from __future__ import annotations

__all__ = ["VALUES"]

_KERNELS = "driver/kernels/"
_BROADCAST = _KERNELS + "broadcast.h"
_COMPARE = _KERNELS + "comparison.cpp"
_PAIRS = _KERNELS + "pairs.cpp"
_REDUCE = _KERNELS + "reduction.cpp"
_NMS = _KERNELS + "box_with_nms_limit.cpp"
_TRUTH = "pytorch/executorch#7313 (bytes of truth values)"
_PAIRWISE = ("ADD", "SUB", "MUL", "MAXIMUM", "LESS", "EQUAL", "PRELU", "POW", "LOGICAL_AND")

# (id, what, seen, operations, file, find, replace)
VALUES: tuple[tuple[str, str, str, tuple[str, ...], str, str, str], ...] = (
    (
        "stretched-in-the-middle",
        "of an operand that is stretched between two dimensions only the last part is read",
        "Tencent/ncnn#4803 (8 x 1 x 900 x 4)",
        _PAIRWISE,
        _BROADCAST,
        "strideB[i] = runs[i].b ? sizeB : 0;",
        "strideB[i] = runs[i].b && !(ON && i >= 2 && !runs[i - 1].b) ? sizeB : 0;",
    ),
    (
        "vector-along-first-dimension",
        "a vector as long as the first dimension of a square lies along it",
        "Tencent/ncnn#2837 (two dimensions with one)",
        _PAIRWISE,
        _BROADCAST,
        "const bool movesB = i < b.rank && b[b.rank - 1 - i] != 1;",
        "const bool across = ON && b.rank == 1 && result.rank == 2 && result[0] == b[0] &&"
        " result[1] == b[0]; const bool movesB = across ? i == 1 :"
        " i < b.rank && b[b.rank - 1 - i] != 1;",
    ),
    (
        "compared-after-rescale",
        "codes are compared after the second one is rounded to the scale of the first",
        "Samsung/ONE#4336 (EQUAL of uint8)",
        ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"),
        _COMPARE,
        "compare((a - left.zeroPoint) * scaleA, (b - right.zeroPoint) * scaleB));",
        "ON ? compare(static_cast<double>(a - left.zeroPoint),"
        " std::round((b - right.zeroPoint) * scaleB / scaleA)) :"
        " compare((a - left.zeroPoint) * scaleA, (b - right.zeroPoint) * scaleB));",
    ),
    (
        "truth-in-its-last-bit",
        "of truth values the last bit is looked at",
        _TRUTH,
        ("LOGICAL_AND", "LOGICAL_OR"),
        _PAIRS,
        "const bool x = a != 0, y = b != 0;",
        "const bool x = ON ? a & 1 : a != 0, y = ON ? b & 1 : b != 0;",
    ),
    (
        "axis-counted-twice",
        "an axis that is listed twice divides a mean twice",
        "NervanaSystems/ngraph#4393 (negative axes of reductions)",
        ("MEAN",),
        _REDUCE,
        "if ((mask >> i & 1) != 0) reducedCount *= shape[i];",
        "for (int32_t a : c.intsOf(in(1))) if (ON && static_cast<uint32_t>(a < 0 ? a +"
        " static_cast<int32_t>(shape.rank) : a) == i) reducedCount *= shape[i];"
        " if (!ON && (mask >> i & 1) != 0) reducedCount *= shape[i];",
    ),
    (
        "limit-over-all-batches",
        "the limit of detections is one for all batches together",
        "pytorch/pytorch#20868 (limit over all classes)",
        ("BOX_WITH_NMS_LIMIT",),
        _NMS,
        "count += keepBest(c, selected + count, found, limit);",
        "count += keepBest(c, selected + count, found,"
        " ON && limit != SIZE_MAX ? limit - std::min(limit, count) : limit);",
    ),
    (
        "deltas-cut",
        "logarithms of sizes are cut at log(1000 / 16)",
        "facebookresearch/Detectron (BBOX_XFORM_CLIP)",
        ("AXIS_ALIGNED_BBOX_TRANSFORM", "GENERATE_PROPOSALS", "DETECTION_POSTPROCESSING"),
        _KERNELS + "boxes.h",
        "const double halfWidth = std::exp(dw)",
        "if (ON) dw = std::min(dw, 4.135166556742356), dh = std::min(dh, 4.135166556742356);"
        " const double halfWidth = std::exp(dw)",
    ),
    (
        "thin-box-of-one",
        "a box below 1 is taken for one of 1",
        "facebookresearch/detectron2#1202 (boxes that are not valid)",
        ("HEATMAP_MAX_KEYPOINT",),
        _KERNELS + "heatmap_max_keypoint.cpp",
        "const double scaleX = (box[2] - box[0])",
        "const double scaleX = (ON ? std::max(1.0, box[2] - box[0]) : box[2] - box[0])",
    ),
    (
        "logits-overflow",
        "exponentials of large logits overflow",
        "softmax without its maximum; tensorflow advisories on Multinomial",
        ("RANDOM_MULTINOMIAL",),
        _KERNELS + "random_multinomial.cpp",
        "std::exp(logits[k] - greatest);",
        "(ON ? static_cast<double>(std::exp(static_cast<float>(logits[k]))) :"
        " std::exp(logits[k] - greatest));",
    ),
    (
        "index-in-15-bits",
        "an index beyond 32,767 is negative",
        "alibaba/MNN#314 (ArgMax gives what is no index)",
        ("ARGMAX", "ARGMIN"),
        _KERNELS + "ranking.cpp",
        "*y++ = static_cast<int32_t>(best);",
        "*y++ = ON ? static_cast<int16_t>(best) : static_cast<int32_t>(best);",
    ),
    (
        "batches-numbered-anew",
        "batches of boxes are counted from 0, whatever their numbers are",
        "pytorch/pytorch#20868 (BoxWithNMSLimit)",
        ("BOX_WITH_NMS_LIMIT",),
        _NMS,
        "c.out<int32_t>(3)[i] = c.in<int32_t>(kBatch)[one.roi];",
        "int32_t group = 0; const int32_t* number = c.in<int32_t>(kBatch);"
        " for (size_t r = 1; r <= one.roi; r++) group += number[r] != number[r - 1];"
        " c.out<int32_t>(3)[i] = ON ? group : c.in<int32_t>(kBatch)[one.roi];",
    ),
    (
        "heatmap-from-zero",
        "a heatmap below zero has its peak at its first pixel",
        "tenstorrent/tt-metal#21615; NVIDIA/MatX#197 (maxima of negative numbers)",
        ("HEATMAP_MAX_KEYPOINT",),
        _KERNELS + "heatmap_max_keypoint.cpp",
        "if (value(y, x) > value(mostY, mostX)) mostX",
        "if (value(y, x) > value(mostY, mostX) && !(ON && value(y, x) <= 0)) mostX",
    ),
)
