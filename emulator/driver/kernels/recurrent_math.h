// Dot products and activations of the recurrent operations.
#pragma once

#include <cmath>
#include <cstddef>

namespace nnapi {

/// Sum of a[i] * b[i]: sixteen float accumulators, so each is a chain of n / 16 roundings.
inline double dot(const float* a, const float* b, size_t n) {
    constexpr size_t kLanes = 16;
    double total = 0;
    size_t i = 0;
    if (n >= kLanes) {
        float lanes[kLanes] = {};
        for (; i + kLanes <= n; i += kLanes)
            for (size_t k = 0; k < kLanes; k++) lanes[k] += a[i + k] * b[i + k];
        for (float lane : lanes) total += lane;
    }
    for (; i < n; i++) total += static_cast<double>(a[i]) * b[i];
    return total;
}

inline double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// Bounds x by [-limit, limit]; NaN stays NaN. A limit of 0 means no bound.
inline double clip(double x, double limit) {
    if (limit == 0) return x;
    const double raised = x < -limit ? -limit : x;
    return raised > limit ? limit : raised;
}

}  // namespace nnapi
