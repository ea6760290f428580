#include "requantize.h"

#include "gemm.h"

namespace nnapi {
namespace {

/// What the vectorised loop needs; pointers begin at its first column.
struct Span {
    const int32_t* sums;
    const double* bias;
    const double* ratio;
    size_t count;
    double zeroPoint, least, most;
    int32_t* codes;
};

/// Rounds the quotients to nearest; returns true if one of them was too near a tie to tell.
__attribute__((always_inline)) inline bool quickCodes(const Span& span) {
    constexpr double kRound = 0x1.8p52;  // adding and subtracting it rounds to an integer
    constexpr double kFar = 0x1p20;      // beyond all codes
    int64_t near = 0;
    for (size_t i = 0; i < span.count; i++) {
        double quotient = (span.sums[i] + span.bias[i]) * span.ratio[i];
        quotient = quotient < -kFar ? -kFar : quotient;
        quotient = quotient > kFar ? kFar : quotient;
        const double nearest = (quotient + kRound) - kRound;
        const double off = quotient > nearest ? quotient - nearest : nearest - quotient;
        near |= off > 0.5 - 1e-8 ? 1 : 0;
        double code = nearest + span.zeroPoint;
        code = code < span.least ? span.least : code;
        code = code > span.most ? span.most : code;
        span.codes[i] = static_cast<int32_t>(code);
    }
    return near != 0;
}

bool quickPortable(const Span& span) { return quickCodes(span); }
#if defined(__x86_64__)
__attribute__((target("avx2"))) bool quickAvx2(const Span& span) { return quickCodes(span); }
__attribute__((target("avx512f,avx512vl,avx512dq,avx2"))) bool quickAvx512(const Span& span) {
    return quickCodes(span);
}
#endif

}  // namespace

ColumnRequantizer::ColumnRequantizer(Context& c, const Tensor& input, const Tensor& filter,
                                     const int32_t* bias, size_t columns, int32_t fuse)
    : factor_(c.scratch<double>(columns)),
      ratio_(c.scratch<double>(columns)),
      bias_(c.scratch<double>(columns)),
      scale_(c.output(0).scale),
      zeroPoint_(c.output(0).zeroPoint) {
    const Tensor& output = c.output(0);
    const CodeRange range =
        activationCodes(output.type, output.scale, output.zeroPoint, fuse);
    least_ = range.least;
    most_ = range.most;
    for (size_t i = 0; i < columns; i++) {
        const float filterScale =
            filter.channels != nullptr ? filter.channels->scales[i] : filter.scale;
        factor_[i] = static_cast<double>(input.scale) * filterScale;
        ratio_[i] = factor_[i] / scale_;
        bias_[i] = bias != nullptr ? bias[i] : 0;
    }
}

void ColumnRequantizer::exact(double sum, size_t column, int32_t* code) const {
    const double quotient = roundQuotient(sum + bias_[column], factor_[column], scale_);
    *code = static_cast<int32_t>(std::clamp(quotient + zeroPoint_, least_, most_));
}

void ColumnRequantizer::operator()(const int32_t* sums, size_t first, size_t count,
                                   int32_t* codes) const {
    const Span span{sums,  bias_ + first, ratio_ + first, count, zeroPoint_,
                    least_, most_,        codes};
    bool near = false;
#if defined(__x86_64__)
    switch (gemm::cpu()) {
        case gemm::Cpu::AVX512: near = quickAvx512(span); break;
        case gemm::Cpu::AVX2: near = quickAvx2(span); break;
        default: near = quickPortable(span);
    }
#else
    near = quickPortable(span);
#endif
    if (!near) return;
    for (size_t i = 0; i < count; i++) exact(sums[i], first + i, codes + i);
}

void ColumnRequantizer::operator()(const int64_t* sums, size_t first, size_t count,
                                   int32_t* codes) const {
    for (size_t i = 0; i < count; i++) {
        exact(static_cast<double>(sums[i]), first + i, codes + i);
    }
}

}  // namespace nnapi
