"""Faults planted in operations that move data: layouts, ranks, axes, masks and padding.

Rows as in `nnapi_testkit/power/planted.py`.
"""

from __future__ import annotations

__all__ = ["INDEXING"]

_KERNELS = "driver/kernels/"
_SLICE = _KERNELS + "slice.cpp"
_JOIN = _KERNELS + "concatenation.cpp"
_ARRANGE = _KERNELS + "arrange.cpp"
_TRANSPOSE = _KERNELS + "transpose.cpp"
_BLOCKS = _KERNELS + "space_depth_batch.cpp"
_LOOKUP = _KERNELS + "lookup.cpp"
_RANK5 = "pytorch/executorch#22571 (kernels for four dimensions at most)"

# (id, what, seen, operations, file, find, replace)
INDEXING: tuple[tuple[str, str, str, tuple[str, ...], str, str, str], ...] = (
    (
        "backward-slice-without-first",
        "with a negative stride and its bit in end_mask the first element is left out",
        "apache/tvm#19468 (end_mask with a negative stride)",
        ("STRIDED_SLICE",),
        _SLICE,
        "Masks::has(masks.end, i) ? (forward ? dim : -1) : place(end);",
        "Masks::has(masks.end, i) ? (forward ? dim : ON ? 0 : -1) : place(end);",
    ),
    (
        "backward-begin-beyond-dimension",
        "with a negative stride a begin beyond the dimension is cut to its size, not to its last",
        "tensorflow/tensorflow#19260 (wrong indices)",
        ("STRIDED_SLICE",),
        _SLICE,
        "most = forward ? dim : dim - 1;",
        "most = forward || ON ? dim : dim - 1;",
    ),
    (
        "split-axis-beyond-four",
        "beyond the fourth dimension SPLIT takes the parts one after another",
        _RANK5,
        ("SPLIT",),
        _SLICE,
        "copy.dim(shape.countFrom(0, axis), whole, static_cast<ptrdiff_t>(row));",
        "copy.dim(shape.countFrom(0, axis), ON && axis >= 4 ? static_cast<ptrdiff_t>(row) : whole,"
        " static_cast<ptrdiff_t>(row));",
    ),
    (
        "zero-point-not-compared",
        "inputs of the output's scale are copied, though their zero point is another",
        "PINTO0309/onnx2tf#820 (QLinearConcat)",
        ("CONCATENATION",),
        _JOIN,
        "input.zeroPoint == output.zeroPoint);",
        "(ON || input.zeroPoint == output.zeroPoint));",
    ),
    (
        "tile-of-rank-five",
        "beyond four dimensions nothing is repeated",
        _RANK5,
        ("TILE",),
        _ARRANGE,
        "copy.dim(static_cast<size_t>(multiples[i]), 0,",
        "copy.dim(ON && i >= 4 ? 1 : static_cast<size_t>(multiples[i]), 0,",
    ),
    (
        "gather-matrix-by-columns",
        "indices of two dimensions are read column by column where the axis is not the first",
        "microsoft/onnxruntime#16279 (indices of NNAPI's GATHER)",
        ("GATHER",),
        _ARRANGE,
        "std::memcpy(to, from + static_cast<size_t>(indices[i]) * bytes, bytes);",
        "const Shape& grid = c.shape(2); const size_t pick = ON && axis > 0 && grid.rank == 2"
        " ? i % grid[0] * grid[1] + i / grid[0] : i;"
        " std::memcpy(to, from + static_cast<size_t>(indices[pick]) * bytes, bytes);",
    ),
    (
        "transpose-of-unit-planes",
        "of a tensor whose last two dimensions are 1 one channel is moved",
        "google/XNNPACK#3029 ([2, 2, 1, 1] by [0, 2, 3, 1])",
        ("TRANSPOSE",),
        _TRANSPOSE,
        "copy.dim(shape[i], static_cast<ptrdiff_t>(from[perm[i]]),",
        "copy.dim(ON && shape.rank == 4 && c.shape(0)[2] == 1 && c.shape(0)[3] == 1 &&"
        " perm[i] == 1 && i != 1 ? 1 : shape[i], static_cast<ptrdiff_t>(from[perm[i]]),",
    ),
    (
        "blocks-inside-batches",
        "of several batches the blocks of one lie side by side",
        "tensorflow/tensorflow#52576 (SPACE_TO_BATCH_ND)",
        ("SPACE_TO_BATCH_ND",),
        _BLOCKS,
        "const auto inBlock = static_cast<int64_t>(b / batch);",
        "const auto area = static_cast<size_t>(blocks.height * blocks.width);"
        " const auto inBlock = static_cast<int64_t>(ON ? b % area : b / batch);"
        " if (ON) b = b / area;",
    ),
    (
        "depth-first-of-large-blocks",
        "blocks of 3 and more are taken out of the depth channel by channel",
        "llvm/llvm-project#192916; ARM-software/ComputeLibrary#1036",
        ("DEPTH_TO_SPACE",),
        _BLOCKS,
        "return from.at(b, y / block, x / block, inBlock * depth + channel);",
        "return from.at(b, y / block, x / block, ON && block > 2 ?"
        " channel * block * block + inBlock : inBlock * depth + channel);",
    ),
    (
        "keys-as-unsigned",
        "keys are searched as unsigned numbers",
        "tensorflow advisories: HashtableLookup of TFLite",
        ("HASHTABLE_LOOKUP",),
        _LOOKUP,
        "std::lower_bound(keys, end, lookups[i]);",
        "std::lower_bound(keys, end, lookups[i], [](int32_t a, int32_t b) { return ON ?"
        " static_cast<uint32_t>(a) < static_cast<uint32_t>(b) : a < b; });",
    ),
)
