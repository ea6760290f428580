// From rows of integer sums to output codes, one scale for each column (output channel).
#pragma once

#include "../context.h"
#include "quantize.h"

namespace nnapi {

/// code = round((sum + bias) * factor[column] / scale) + zeroPoint, exact, one rounding, halves
/// away from zero, clamped to the codes a fused activation leaves.
class ColumnRequantizer {
public:
    /// `factors`: input scale times filter scale, one for each column or one for all
    /// (`perColumn` false). `bias` may be null. Arrays are taken from the context's scratch.
    ColumnRequantizer(Context& c, const Tensor& input, const Tensor& filter, const int32_t* bias,
                      size_t columns, int32_t fuse);

    /// Codes of sums[0, count), which belong to columns from `first` on.
    void operator()(const int32_t* sums, size_t first, size_t count, int32_t* codes) const;
    /// The same from wide or exactly integral float sums; not fast.
    void operator()(const int64_t* sums, size_t first, size_t count, int32_t* codes) const;

private:
    void exact(double sum, size_t column, int32_t* code) const;

    double* factor_;
    double* ratio_;
    double* bias_;
    double scale_;
    double zeroPoint_;
    double least_, most_;
};

}  // namespace nnapi
