// ROI_ALIGN: the mean of bilinear samples in each bin of a region.

#include <cmath>

#include "../readings.h"
#include "roi.h"

namespace nnapi {
namespace {

constexpr size_t kSamplesHeight = 7, kSamplesWidth = 8, kLayout = 9;

void validate(OpView& v) {
    v.inputs(10);
    v.integer(in(kSamplesHeight), 0, INT32_MAX);
    v.integer(in(kSamplesWidth), 0, INT32_MAX);
    validateRegions(v, kLayout);
}

/// One dimension of a region: the middle of sample s of bin b is start + (b + (s + 0.5) / samples)
/// * bin.
struct Samples {
    double start, bin;
    int64_t count;

    double at(int64_t b, int64_t s) const {
        return start + (static_cast<double>(b) +
                        (static_cast<double>(s) + 0.5) / static_cast<double>(count)) * bin;
    }
};

Samples samples(double start, double end, uint32_t bins, int32_t asked) {
    // Reading: a region below one pixel of the feature map counts as one pixel, as in Mask R-CNN,
    // so that ceil(size / bins) is at least one sample.
    const double size = std::max(1.0, end - start);
    const double adaptive = std::ceil(size / bins);
    return {start, size / bins,
            asked > 0 ? asked : static_cast<int64_t>(std::min(adaptive, 0x1p30))};
}

void prepare(Context& c) {
    const int32_t askedHeight = c.integer(kSamplesHeight, 0, INT32_MAX);
    const int32_t askedWidth = c.integer(kSamplesWidth, 0, INT32_MAX);
    prepareRegions(c, c.flag(kLayout));
    const Layout4 to(c.output(0).shape, c.flag(kLayout));
    for (size_t i = 0; i < to.batch; i++) {
        const Region roi = region(c, i);
        const double count =
            static_cast<double>(samples(roi.y1, roi.y2, to.height, askedHeight).count) *
            static_cast<double>(samples(roi.x1, roi.x2, to.width, askedWidth).count);
        // Reading: no limit is named; one is needed so that no region takes forever.
        c.require(count <= 0x1p24, "too many sampling points");
    }
}

/// A sample's neighbours along one dimension and the weight of the upper one.
struct Neighbours {
    size_t lower, upper;
    double weight;
    bool inside;
};

/// Reading: beyond the last pixel's center the edge goes on. Without devices' word for it, it does
/// so for one pixel, as before the first; farther away there is nothing, which is zero.
Neighbours neighbours(double at, uint32_t size) {
    if (at < -1 || (at > size && !followsField())) return {0, 0, 0, false};
    const double clamped = std::clamp<double>(at, 0, size - 1);
    const auto lower = static_cast<size_t>(clamped);
    const size_t upper = std::min<size_t>(lower + 1, size - 1);
    return {lower, upper, clamped - static_cast<double>(lower), true};
}

/// An element, of quantized types as code less zero point: sums of those are exact more often.
double centred(const Tensor& input, size_t i) {
    switch (input.type) {
        case TENSOR_QUANT8_ASYMM: return input.as<uint8_t>()[i] - input.zeroPoint;
        case TENSOR_QUANT8_ASYMM_SIGNED: return input.as<int8_t>()[i] - input.zeroPoint;
        default: return realAt(input, i);
    }
}

/// Stores sum / count, rounded once.
void storeMean(const Tensor& input, const Tensor& output, size_t i, double sum, double count) {
    if (!isQuantized(output.type)) return storeReal(output, i, sum / count);
    const double code = roundQuotient(sum, input.scale, output.scale * count);
    const CodeRange range = codeRange(output.type);
    static_cast<uint8_t*>(output.data)[i] = static_cast<uint8_t>(static_cast<int32_t>(
        std::clamp<double>(code + output.zeroPoint, range.least, range.most)));
}

void execute(Context& c) {
    const bool nchw = c.flag(kLayout);
    const Layout4 map(c.shape(0), nchw), to(c.output(0).shape, nchw);
    const Tensor &input = c.input(0), &output = c.output(0);
    if (output.count() == 0) return;
    double* sums = c.scratch<double>(map.channels);
    for (size_t i = 0; i < to.batch; i++) {
        const Region roi = region(c, i);
        const Samples ys = samples(roi.y1, roi.y2, to.height,
                                   c.scalar<int32_t>(kSamplesHeight));
        const Samples xs = samples(roi.x1, roi.x2, to.width,
                                   c.scalar<int32_t>(kSamplesWidth));
        for (size_t y = 0; y < to.height; y++) {
            for (size_t x = 0; x < to.width; x++) {
                std::fill(sums, sums + map.channels, 0.0);
                for (int64_t sy = 0; sy < ys.count; sy++) {
                    const Neighbours v =
                        neighbours(ys.at(static_cast<int64_t>(y), sy), map.height);
                    for (int64_t sx = 0; v.inside && sx < xs.count; sx++) {
                        const Neighbours h =
                            neighbours(xs.at(static_cast<int64_t>(x), sx), map.width);
                        c.spend(16 + 32 * size_t{map.channels});
                        if (!h.inside) continue;
                        for (size_t k = 0; k < map.channels; k++) {
                            const auto value = [&](size_t iy, size_t ix) {
                                return centred(input, map.at(roi.batch, iy, ix, k));
                            };
                            const double top = value(v.lower, h.lower) * (1 - h.weight) +
                                               value(v.lower, h.upper) * h.weight;
                            const double bottom = value(v.upper, h.lower) * (1 - h.weight) +
                                                  value(v.upper, h.upper) * h.weight;
                            sums[k] += top * (1 - v.weight) + bottom * v.weight;
                        }
                    }
                }
                const double count =
                    static_cast<double>(ys.count) * static_cast<double>(xs.count);
                for (size_t k = 0; k < map.channels; k++) {
                    storeMean(input, output, to.at(i, y, x, k), sums[k], count);
                }
            }
        }
    }
}

const Register registered(
    {{ANEURALNETWORKS_ROI_ALIGN, "ROI_ALIGN", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
