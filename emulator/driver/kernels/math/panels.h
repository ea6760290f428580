// Weights reordered into the panels that gemm.h multiplies by, once per compilation where they
// are constant.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>

#include "../../half.h"
#include "gemm.h"

namespace nnapi::gemm {

/// The elements of weights seen as [column][tap][depth] with any strides.
struct WeightStrides {
    size_t column, tap, depth;
};

/// How weights of [columns][taps][depth] lie in panels. `pack` fills one group of columns.
struct PanelShape {
    size_t columns, taps, depth;

    size_t panelCount() const {
        const size_t width = engine().columns;
        return (columns + width - 1) / width;
    }
    size_t floatPanel() const { return taps * depth * engine().columns; }
    size_t shortPanel() const { return taps * ((depth + 1) / 2) * 2 * engine().columns; }
    size_t floatCount() const { return panelCount() * floatPanel(); }
    size_t shortCount() const { return panelCount() * shortPanel(); }
};

inline float asFloat(float value) { return value; }
inline float asFloat(Half value) { return toFloat(value); }

template <class T>
void packFloats(const PanelShape& shape, const T* weights, WeightStrides strides, float* panels) {
    const size_t width = engine().columns;
    for (size_t first = 0; first < shape.columns; first += width) {
        const size_t valid = shape.columns - first < width ? shape.columns - first : width;
        for (size_t tap = 0; tap < shape.taps; tap++) {
            const T* from = weights + first * strides.column + tap * strides.tap;
            for (size_t k = 0; k < shape.depth; k++, from += strides.depth, panels += width) {
                for (size_t i = 0; i < valid; i++) panels[i] = asFloat(from[i * strides.column]);
                for (size_t i = valid; i < width; i++) panels[i] = 0.0f;
            }
        }
    }
}

/// Codes less their zero point, in pairs along the depth; an odd depth is filled with a zero.
template <class T>
void packShorts(const PanelShape& shape, const T* weights, WeightStrides strides,
                int32_t zeroPoint, int16_t* panels) {
    const size_t width = engine().columns;
    for (size_t first = 0; first < shape.columns; first += width) {
        const size_t valid = shape.columns - first < width ? shape.columns - first : width;
        for (size_t tap = 0; tap < shape.taps; tap++) {
            const T* from = weights + first * strides.column + tap * strides.tap;
            for (size_t k = 0; k < shape.depth; k += 2, panels += 2 * width) {
                const bool odd = k + 1 == shape.depth;
                for (size_t i = 0; i < width; i++) {
                    const T* pair = from + i * strides.column + k * strides.depth;
                    panels[2 * i] =
                        static_cast<int16_t>(i < valid ? pair[0] - zeroPoint : 0);
                    panels[2 * i + 1] = static_cast<int16_t>(
                        i < valid && !odd ? pair[strides.depth] - zeroPoint : 0);
                }
            }
        }
    }
}

/// Panels that a Kernel's `pack` hands over; null memory never happens (throws std::bad_alloc).
class Panels {
public:
    explicit Panels(size_t bytes)
        : memory_(std::aligned_alloc(64, (bytes + 63) / 64 * 64 + 64), std::free) {
        if (memory_ == nullptr) throw std::bad_alloc();
    }
    template <class T>
    T* as() {
        return static_cast<T*>(memory_.get());
    }
    template <class T>
    const T* as() const {
        return static_cast<const T*>(memory_.get());
    }

private:
    std::unique_ptr<void, void (*)(void*)> memory_;
};

}  // namespace nnapi::gemm
