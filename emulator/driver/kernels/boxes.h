// Axis-aligned boxes: overlap, deltas, suppression. All in double, so that quantized and half
// precision operands take the same path and are rounded once, when they are stored.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "../context.h"
#include "../tensor.h"
#include "../half.h"
#include "quantize.h"

namespace nnapi {

/// The real value of element `i`, of any type with a real value.
inline double realAt(const Tensor& tensor, size_t i) {
    const auto real = [&](int32_t code) {
        return static_cast<double>(tensor.scale) * (code - tensor.zeroPoint);
    };
    switch (tensor.type) {
        case TENSOR_FLOAT16: return static_cast<double>(toFloat(tensor.as<Half>()[i]));
        case TENSOR_QUANT8_ASYMM: return real(tensor.as<uint8_t>()[i]);
        case TENSOR_QUANT8_ASYMM_SIGNED: return real(tensor.as<int8_t>()[i]);
        case TENSOR_QUANT16_ASYMM: return real(tensor.as<uint16_t>()[i]);
        case TENSOR_QUANT16_SYMM: return real(tensor.as<int16_t>()[i]);
        default: return static_cast<double>(tensor.as<float>()[i]);
    }
}

/// Stores a real value, rounded once.
inline void storeReal(const Tensor& tensor, size_t i, double value) {
    const auto code = [&] {
        return quantize(value, tensor.scale, tensor.zeroPoint, codeRange(tensor.type));
    };
    switch (tensor.type) {
        case TENSOR_FLOAT16: static_cast<Half*>(tensor.data)[i] = toHalf(value); break;
        case TENSOR_QUANT8_ASYMM:
            static_cast<uint8_t*>(tensor.data)[i] = static_cast<uint8_t>(code());
            break;
        case TENSOR_QUANT8_ASYMM_SIGNED:
            static_cast<int8_t*>(tensor.data)[i] = static_cast<int8_t>(code());
            break;
        case TENSOR_QUANT16_ASYMM:
            static_cast<uint16_t*>(tensor.data)[i] = static_cast<uint16_t>(code());
            break;
        case TENSOR_QUANT16_SYMM:
            static_cast<int16_t*>(tensor.data)[i] = static_cast<int16_t>(code());
            break;
        default: static_cast<float*>(tensor.data)[i] = static_cast<float>(value);
    }
}

struct Box {
    double x1, y1, x2, y2;
};

/// Elements 4 * i to 4 * i + 3 of a tensor, in the order x1, y1, x2, y2.
inline Box boxAt(const Tensor& tensor, size_t i) {
    return {realAt(tensor, 4 * i), realAt(tensor, 4 * i + 1), realAt(tensor, 4 * i + 2),
            realAt(tensor, 4 * i + 3)};
}
inline void storeBox(const Tensor& tensor, size_t i, const Box& box) {
    storeReal(tensor, 4 * i, box.x1);
    storeReal(tensor, 4 * i + 1, box.y1);
    storeReal(tensor, 4 * i + 2, box.x2);
    storeReal(tensor, 4 * i + 3, box.y2);
}

/// False only for a box that is upside down or inside out; NaN is left to the arithmetic.
inline bool isValid(const Box& box) { return !(box.x1 > box.x2 || box.y1 > box.y2); }

/// Intersection over union; 0 for two boxes without area.
inline double overlap(const Box& a, const Box& b) {
    const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
    const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
    if (!(width > 0 && height > 0)) return 0;
    const double common = width * height;
    const double areas = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1);
    return common / (areas - common);
}

/// A box moved and scaled: dx, dy relative to its size, dw, dh the logarithms of factors.
inline Box applyDeltas(const Box& box, double dx, double dy, double dw, double dh) {
    const double width = box.x2 - box.x1, height = box.y2 - box.y1;
    const double x = box.x1 + width / 2 + dx * width;
    const double y = box.y1 + height / 2 + dy * height;
    const double halfWidth = std::exp(dw) * width / 2, halfHeight = std::exp(dh) * height / 2;
    return {x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight};
}

/// The box cut at the edges of an image.
inline Box clipBox(const Box& box, double width, double height) {
    const auto cut = [](double v, double most) {
        const double raised = v < 0 ? 0 : v;
        return raised > most ? most : raised;
    };
    return {cut(box.x1, width), cut(box.y1, height), cut(box.x2, width), cut(box.y2, height)};
}

/// Hard suppression: keeps those of `candidates` (box indices, best first) whose overlap with
/// every one kept before is below the threshold, at most `most` of them; moves them to the front
/// and returns their number.
inline size_t suppress(const Context& c, const Box* boxes, uint32_t* candidates, size_t count,
                       double threshold, size_t most) {
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < most; i++) {
        const Box& box = boxes[candidates[i]];
        bool free = true;
        for (size_t k = 0; free && k < kept; k++) {
            free = overlap(box, boxes[candidates[k]]) < threshold;
        }
        if (free) candidates[kept++] = candidates[i];
        c.spend(16 + 16 * kept);
    }
    return kept;
}

/// Sorts indices by score, best first; equal scores by index.
inline void sortByScore(const double* scores, uint32_t* indices, size_t count) {
    std::sort(indices, indices + count, [&](uint32_t a, uint32_t b) {
        return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
    });
}

}  // namespace nnapi
