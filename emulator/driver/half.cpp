#include "half.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nnapi {
namespace {

#if defined(__x86_64__)
bool hasF16c() {
    // Every processor with AVX2 has F16C, and compilers cannot all be asked for F16C itself.
    static const bool available = __builtin_cpu_supports("avx2") != 0;
    return available;
}

__attribute__((target("avx,f16c"))) size_t widen(const Half* from, float* to, size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(bits));
    }
    return i;
}

__attribute__((target("avx,f16c"))) size_t narrow(const float* from, Half* to, size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m128i bits = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), bits);
    }
    return i;
}
#endif

}  // namespace

void toFloat(const Half* from, float* to, size_t count) {
    size_t i = 0;
#if defined(__x86_64__)
    if (hasF16c()) i = widen(from, to, count);
#endif
    for (; i < count; i++) to[i] = toFloat(from[i]);
}

void toHalf(const float* from, Half* to, size_t count) {
    size_t i = 0;
#if defined(__x86_64__)
    if (hasF16c()) i = narrow(from, to, count);
#endif
    for (; i < count; i++) to[i] = toHalf(from[i]);
}

}  // namespace nnapi
