// From rows of integer sums to output codes, one scale for each column (output channel).
#pragma once

#include "../../context.h"
#include "../quantize.h"

namespace nnapi {

/// code = round((sum + bias) * factor[column] / scale) + zeroPoint, exact, one rounding, halves
/// away from zero, clamped to the codes a fused activation leaves. Codes are of 8 bits.
class ColumnRequantizer {
public:
    /// Factors are input scale times filter scale, one for each column or one for all. `bias` may
    /// be null. `terms`: how many products of two codes a sum has at most. Arrays are taken from
    /// the context's scratch.
    ColumnRequantizer(Context& c, const Tensor& input, const Tensor& filter, const int32_t* bias,
                      size_t columns, int32_t fuse, size_t terms);

    /// Codes of `rows` rows of sums, `stride` apart, that belong to columns first ... first +
    /// columns, to out[row] + first. Sums may be read up to the next multiple of 8 columns.
    void operator()(const int32_t* sums, size_t stride, size_t rows, size_t first,
                    size_t columns, uint8_t* const* out) const;
    /// The same for a row of wide sums; not fast.
    void operator()(const int64_t* sums, size_t first, size_t columns, uint8_t* out) const;

private:
    void inDouble(const int32_t* sums, size_t first, size_t columns, uint8_t* codes) const;
    uint8_t exact(double sum, size_t column) const;

    double* factor_;
    double* ratio_;
    double* bias_;
    double scale_;
    double zeroPoint_;
    CodeRange range_;
    // Null where single precision is not exact enough for any element.
    float* singleRatio_ = nullptr;
    int32_t* singleBias_ = nullptr;
};

}  // namespace nnapi
