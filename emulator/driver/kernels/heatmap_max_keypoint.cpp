// HEATMAP_MAX_KEYPOINT: the greatest value of each heatmap, refined by a quadratic through its
// neighbours, and its place in the box.

#include <cmath>

#include "boxes.h"
#include "rules.h"
#include "sliding.h"

namespace nnapi {
namespace {

constexpr size_t kLayout = 2;

/// The rules on shapes: square heatmaps, and a box for each.
template <class Where>
void check(const Where& where) {
    where.rank(in(0), 4);
    where.rank(in(1), 2);
    where.dim(in(1), 1, 4);
    where.sameDim(in(0), 0, in(1), 0);
    const auto nchw = where.flagOf(in(kLayout));
    if (!nchw) return;
    where.sameDim(in(0), *nchw ? 2 : 1, in(0), *nchw ? 3 : 2);
    const auto size = where.dimOf(in(0), 2);
    where.require(!size || *size >= 2, "the heatmaps must be of size 2 at least");
}

void validate(OpView& v) {
    v.inputs(3);
    v.outputs(2);
    const Type type = v.type(in(0), kRealAndQuant8Since3);
    v.sameType({in(0), out(0)});
    v.sameType({in(1), out(1)});
    if (isQuantized(type)) {
        v.type(in(1), TENSOR_QUANT16_ASYMM);
        // Reading: for QUANT8_ASYMM_SIGNED the reference asks for boxes with zero point -128,
        // which TENSOR_QUANT16_ASYMM cannot have; 0 is meant, as for the output.
        v.quant(in(1), 0.125f, 0);
        v.quant(out(1), 0.125f, 0);
    } else {
        v.sameType({in(0), in(1)});
    }
    v.scalar(in(kLayout), BOOL);
    check(v);
    v.rank(out(0), 2);
    v.rank(out(1), 3);
    v.dim(out(1), 2, 2);
    for (uint32_t i : {0u, 1u}) v.sameDim(in(0), 0, out(i), 0);
    v.sameDim(out(0), 1, out(1), 1);
    const auto nchw = v.flagOf(in(kLayout));
    if (!nchw) return;
    for (uint32_t i : {0u, 1u}) v.sameDim(in(0), *nchw ? 1 : 3, out(i), 1);
}

void prepare(Context& c) {
    check(c);
    const Layout4 maps(c.shape(0), c.flag(kLayout));
    for (size_t i = 0; i < maps.batch; i++) {
        // Reading: boxes that break "x1 <= x2 and y1 <= y2" are refused.
        c.require(realAt(c.input(1), 4 * i) <= realAt(c.input(1), 4 * i + 2) &&
                      realAt(c.input(1), 4 * i + 1) <= realAt(c.input(1), 4 * i + 3),
                  "a box must satisfy x1 <= x2 and y1 <= y2");
    }
    c.setShape(0, {maps.batch, maps.channels});
    c.setShape(1, {maps.batch, maps.channels, 2});
}

struct Peak {
    double x, y, score;
};

/// The maximum of the Taylor expansion around the greatest element `at` (x, y): with gradient g
/// and Hessian H by central differences, d = -H^-1 g and score + g d + d H d / 2.
/// `near[dy][dx]` are its neighbours and itself.
Peak refine(const double (&near)[3][3], size_t x, size_t y) {
    // Reading: the reference names the expansion and no limits. As in the operation of Caffe2
    // that it follows, the step is at most 1.5 pixels, scaled back when longer, and there is none
    // where the Hessian is singular.
    constexpr double kLongest = 1.5, kSingular = 1e-5;
    const double score = near[1][1];
    const double gx = (near[1][2] - near[1][0]) / 2, gy = (near[2][1] - near[0][1]) / 2;
    const double hxx = near[1][2] - 2 * score + near[1][0];
    const double hyy = near[2][1] - 2 * score + near[0][1];
    const double hxy = (near[2][2] - near[2][0] - near[0][2] + near[0][0]) / 4;
    const double determinant = hxx * hyy - hxy * hxy;
    double dx = 0, dy = 0;
    if (std::fabs(determinant) >= kSingular) {
        dx = -(hyy * gx - hxy * gy) / determinant;
        dy = -(hxx * gy - hxy * gx) / determinant;
        const double longest = std::max(std::fabs(dx), std::fabs(dy));
        if (longest > kLongest) {
            dx *= kLongest / longest;
            dy *= kLongest / longest;
        }
    }
    const double gain = gx * dx + gy * dy + (hxx * dx * dx + hyy * dy * dy) / 2 + hxy * dx * dy;
    return {static_cast<double>(x) + dx, static_cast<double>(y) + dy, score + gain};
}

void execute(Context& c) {
    const Layout4 maps(c.shape(0), c.flag(kLayout));
    const size_t size = maps.height;
    for (size_t b = 0; b < maps.batch; b++) {
        double box[4];
        for (size_t i = 0; i < 4; i++) box[i] = realAt(c.input(1), 4 * b + i);
        for (size_t k = 0; k < maps.channels; k++) {
            const auto value = [&](size_t y, size_t x) {
                return realAt(c.input(0), maps.at(b, y, x, k));
            };
            // Reading: of equal elements the first, row by row.
            size_t mostX = 0, mostY = 0;
            for (size_t y = 0; y < size; y++) {
                for (size_t x = 0; x < size; x++) {
                    if (value(y, x) > value(mostY, mostX)) mostX = x, mostY = y;
                }
                c.spend(32 * size);
            }
            // Reading: beyond the edge the heatmap is mirrored at its outermost pixels.
            const auto mirror = [&](size_t at, size_t shift) {
                if (shift == 0) return at == 0 ? size_t{1} : at - 1;
                if (shift == 2) return at + 1 == size ? size - 2 : at + 1;
                return at;
            };
            double near[3][3];
            for (size_t dy = 0; dy < 3; dy++) {
                for (size_t dx = 0; dx < 3; dx++) {
                    near[dy][dx] = value(mirror(mostY, dy), mirror(mostX, dx));
                }
            }
            const Peak peak = refine(near, mostX, mostY);
            const size_t at = b * maps.channels + k;
            const double scaleX = (box[2] - box[0]) / static_cast<double>(size);
            const double scaleY = (box[3] - box[1]) / static_cast<double>(size);
            storeReal(c.output(0), at, peak.score);
            storeReal(c.output(1), 2 * at, box[0] + (peak.x + 0.5) * scaleX);
            storeReal(c.output(1), 2 * at + 1, box[1] + (peak.y + 0.5) * scaleY);
        }
    }
}

const Register registered({{ANEURALNETWORKS_HEATMAP_MAX_KEYPOINT, "HEATMAP_MAX_KEYPOINT", validate,
                            prepare, execute}});

}  // namespace
}  // namespace nnapi
