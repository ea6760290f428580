// Broadcasting of two inputs: trailing dimensions are matched, a dimension of 1 stretches.
#pragma once

#include <algorithm>
#include <optional>

#include "../ref.h"
#include "../tensor.h"

namespace nnapi {

/// The rule on two inputs, and their broadcast shape as far as it is certain, 0 elsewhere; nothing
/// where a rank is not known. At execution dimension 0 is an empty tensor's: it goes with 0 and 1.
template <class Where>
std::optional<Shape> broadcastShape(const Where& where, Ref a, Ref b) {
    const auto rankA = where.rankOf(a), rankB = where.rankOf(b);
    if (!rankA || !rankB) return std::nullopt;
    const uint32_t rank = std::max(*rankA, *rankB);
    const auto dim = [&](Ref ref, uint32_t own, uint32_t axis) {
        return axis + own < rank ? std::optional(1u) : where.dimOf(ref, axis + own - rank);
    };
    Shape result;
    for (uint32_t axis = 0; axis < rank; axis++) {
        const auto x = dim(a, *rankA, axis), y = dim(b, *rankB, axis);
        where.require(!x || !y || *x == *y || *x == 1 || *y == 1,
                      "the dimensions of the inputs are not compatible");
        // A known dimension other than 1 decides.
        result.push(y && *y != 1 ? *y : x && *x != 1 ? *x : x && y ? 1 : 0);
    }
    return result;
}

/// Walks the elements of `result`, the broadcast shape of `a` and `b`, in rows. Calls
/// row(indexA, indexB, indexResult, count, stepA, stepB) with steps 0 or 1: element i of the row
/// is result[indexResult + i] from a[indexA + i * stepA] and b[indexB + i * stepB]. Rows are as
/// long as the shapes allow: one row for equal shapes or a single-element input.
template <class Row>
void forEachRow(const Shape& a, const Shape& b, const Shape& result, Row row) {
    if (result.count() == 0) return;
    // Merge neighbouring dimensions that stretch alike, innermost first.
    struct Run {
        size_t count;
        bool a, b;  // the input moves along this run
    };
    Run runs[Shape::kMaxRank + 1];
    uint32_t used = 0;
    for (uint32_t i = 0; i < result.rank; i++) {
        const uint32_t axis = result.rank - 1 - i;
        if (result[axis] == 1) continue;
        const bool movesA = i < a.rank && a[a.rank - 1 - i] != 1;
        const bool movesB = i < b.rank && b[b.rank - 1 - i] != 1;
        if (used != 0 && runs[used - 1].a == movesA && runs[used - 1].b == movesB) {
            runs[used - 1].count *= result[axis];
        } else {
            runs[used++] = {result[axis], movesA, movesB};
        }
    }
    if (used == 0) runs[used++] = {1, true, true};
    size_t strideA[Shape::kMaxRank + 1], strideB[Shape::kMaxRank + 1];
    size_t index[Shape::kMaxRank + 1] = {};
    size_t sizeA = 1, sizeB = 1, rows = 1;
    for (uint32_t i = 0; i < used; i++) {
        strideA[i] = runs[i].a ? sizeA : 0;
        strideB[i] = runs[i].b ? sizeB : 0;
        if (runs[i].a) sizeA *= runs[i].count;
        if (runs[i].b) sizeB *= runs[i].count;
        if (i > 0) rows *= runs[i].count;
    }
    size_t offsetA = 0, offsetB = 0;
    for (size_t r = 0; r < rows; r++) {
        row(offsetA, offsetB, r * runs[0].count, runs[0].count, strideA[0], strideB[0]);
        for (uint32_t i = 1; i < used; i++) {
            offsetA += strideA[i], offsetB += strideB[i];
            if (++index[i] < runs[i].count) break;
            offsetA -= strideA[i] * runs[i].count, offsetB -= strideB[i] * runs[i].count;
            index[i] = 0;
        }
    }
}

}  // namespace nnapi
