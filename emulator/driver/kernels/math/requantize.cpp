#include "requantize.h"

#include <algorithm>
#include <cstring>

#include "codes.h"
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

constexpr int64_t kMostInt = 0x7FFFFFFF;
// More terms than any sum in 32 bits has.
constexpr size_t kManyTerms = gemm::kMostShortTerms + 1;
constexpr double kRound = 0x1.8p52;       // adding and subtracting it rounds to an integer
constexpr double kFar = 0x1p20;           // beyond all codes
constexpr double kNearTie = 0.5 - 1e-8;  // quotients below kFar are far more exact than that

template <size_t Lanes>
struct Vectors {
    // gcc 12 drops the attribute from a `using` whose size depends on a parameter.
    typedef double Real __attribute__((vector_size(Lanes * sizeof(double))));
    typedef int64_t Mask __attribute__((vector_size(Lanes * sizeof(int64_t))));
    typedef int32_t Int __attribute__((vector_size(Lanes * sizeof(int32_t))));
};

/// Rounds the quotients to nearest; returns true if one of them was too near a tie to tell.
/// Written in vectors, since compilers keep comparisons of floating point numbers apart.
template <size_t Lanes>
__attribute__((always_inline)) inline bool quickCodes(const Span& span) {
    using Real = typename Vectors<Lanes>::Real;
    using Int = typename Vectors<Lanes>::Int;
    typename Vectors<Lanes>::Mask near = {};
    const Real zero = {}, far = zero + kFar;
    for (size_t i = 0; i < span.count; i += Lanes) {
        // The last step takes what is left, in a whole vector.
        const size_t count = span.count - i < Lanes ? span.count - i : Lanes;
        Int sums = {};
        Real bias = {}, ratio = {};
        if (count == Lanes) {
            std::memcpy(&sums, span.sums + i, sizeof(sums));
            std::memcpy(&bias, span.bias + i, sizeof(bias));
            std::memcpy(&ratio, span.ratio + i, sizeof(ratio));
        } else {
            for (size_t k = 0; k < count; k++) {
                sums[k] = span.sums[i + k], bias[k] = span.bias[i + k];
                ratio[k] = span.ratio[i + k];
            }
        }
        Real quotient = (__builtin_convertvector(sums, Real) + bias) * ratio;
        quotient = quotient < -far ? -far : quotient;
        quotient = quotient > far ? far : quotient;
        const Real nearest = (quotient + kRound) - kRound;
        const Real above = quotient - nearest;
        near |= (above > kNearTie) | (above < -kNearTie);
        Real code = nearest + span.zeroPoint;
        code = code < span.least ? zero + span.least : code;
        code = code > span.most ? zero + span.most : code;
        const Int codes = __builtin_convertvector(code, Int);
        if (count == Lanes) {
            std::memcpy(span.codes + i, &codes, sizeof(codes));
        } else {
            for (size_t k = 0; k < count; k++) span.codes[i + k] = codes[k];
        }
    }
    int64_t any = 0;
    for (size_t k = 0; k < Lanes; k++) any |= near[k];
    return any != 0;
}

bool quickPortable(const Span& span) { return quickCodes<2>(span); }
#if defined(__x86_64__)
__attribute__((target("avx2"))) bool quickAvx2(const Span& span) { return quickCodes<4>(span); }
#endif

}  // namespace

ColumnRequantizer::ColumnRequantizer(Context& c, const Tensor& input, const Tensor& filter,
                                     const int32_t* bias, size_t columns, int32_t fuse,
                                     size_t terms)
    : factor_(c.scratch<double>(columns)),
      ratio_(c.scratch<double>(columns)),
      bias_(c.scratch<double>(columns)),
      scale_(c.output(0).scale),
      zeroPoint_(c.output(0).zeroPoint),
      range_(activationCodes(c.output(0).type, c.output(0).scale, c.output(0).zeroPoint, fuse)) {
    const int64_t most = int64_t{255 * 255} * static_cast<int64_t>(std::min(terms, kManyTerms));
    bool single = codes::isClose(c.output(0).zeroPoint, range_);
    for (size_t i = 0; i < columns; i++) {
        const float filterScale =
            filter.channels != nullptr ? filter.channels->scales[i] : filter.scale;
        factor_[i] = static_cast<double>(input.scale) * filterScale;
        ratio_[i] = factor_[i] / scale_;
        bias_[i] = bias != nullptr ? bias[i] : 0;
        single = single && codes::isOrdinary(ratio_[i]) && most + std::fabs(bias_[i]) <= kMostInt;
    }
    if (!single) return;
    // Tiles read whole vectors.
    const size_t padded = columns + codes::kLanes;
    singleRatio_ = c.scratch<float>(padded);
    singleBias_ = c.scratch<int32_t>(padded);
    for (size_t i = 0; i < padded; i++) {
        singleRatio_[i] = i < columns ? static_cast<float>(ratio_[i]) : 0.0f;
        singleBias_[i] = i < columns && bias != nullptr ? bias[i] : 0;
    }
}

uint8_t ColumnRequantizer::exact(double sum, size_t column) const {
    const double quotient = roundQuotient(sum + bias_[column], factor_[column], scale_);
    return static_cast<uint8_t>(static_cast<int32_t>(
        std::clamp<double>(quotient + zeroPoint_, range_.least, range_.most)));
}

void ColumnRequantizer::inDouble(const int32_t* sums, size_t first, size_t columns,
                                 uint8_t* out) const {
    constexpr size_t kPiece = 64;
    for (size_t done = 0; done < columns; done += kPiece, sums += kPiece, first += kPiece) {
        const size_t count = std::min(kPiece, columns - done);
        int32_t whole[kPiece];
        const Span span{sums,       bias_ + first, ratio_ + first,   count,
                        zeroPoint_, 1.0 * range_.least, 1.0 * range_.most, whole};
#if defined(__x86_64__)
        // Eight lanes of AVX-512 were measured slower than four of AVX2.
        const bool near =
            gemm::cpu() == gemm::Cpu::PORTABLE ? quickPortable(span) : quickAvx2(span);
#else
        const bool near = quickPortable(span);
#endif
        for (size_t i = 0; i < count; i++) out[done + i] = static_cast<uint8_t>(whole[i]);
        if (!near) continue;
        for (size_t i = 0; i < count; i++) {
            const double quotient = (sums[i] + bias_[first + i]) * ratio_[first + i];
            if (std::fabs(quotient) > kFar) continue;
            const double nearest = (quotient + kRound) - kRound;
            if (std::fabs(quotient - nearest) > kNearTie) out[done + i] = exact(sums[i], first + i);
        }
    }
}

void ColumnRequantizer::operator()(const int32_t* sums, size_t stride, size_t rows, size_t first,
                                   size_t columns, uint8_t* const* out) const {
    if (singleRatio_ != nullptr &&
        codes::fromSums({sums, stride, rows, columns, singleBias_ + first, singleRatio_ + first,
                         codes::Rounding(static_cast<int32_t>(zeroPoint_), range_), out, first})) {
        return;
    }
    for (size_t r = 0; r < rows; r++) inDouble(sums + r * stride, first, columns, out[r] + first);
}

void ColumnRequantizer::operator()(const int64_t* sums, size_t first, size_t columns,
                                   uint8_t* out) const {
    for (size_t i = 0; i < columns; i++) out[i] = exact(static_cast<double>(sums[i]), first + i);
}

}  // namespace nnapi
