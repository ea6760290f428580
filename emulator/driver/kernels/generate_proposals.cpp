// GENERATE_PROPOSALS: anchors at every position, moved by deltas, the best by hard suppression.

#include "../readings.h"
#include "boxes.h"
#include "dims.h"
#include "kernel.h"

namespace nnapi {
namespace {

enum Name { BATCHES, HEIGHT, WIDTH, ANCHORS, CODES };
constexpr size_t kScores = 0, kDeltas = 1, kAnchors = 2, kImage = 3, kHeightRatio = 4,
                 kWidthRatio = 5, kMostBefore = 6, kMostAfter = 7, kThreshold = 8, kMinSize = 9,
                 kLayout = 10;

/// The rules on shapes and scalars, as far as either stage knows them.
template <class View>
void checkInputs(const View& view, Dims& dims) {
    for (size_t i : {kHeightRatio, kWidthRatio}) {
        const auto ratio = view.realValue(in(i));
        view.require(!ratio || *ratio > 0, "the ratio of image to feature map must be positive");
    }
    const auto nchw = view.flagOf(in(kLayout));
    if (!nchw) {
        dims.input(view, kScores, {BATCHES, Dims::kAny, Dims::kAny, Dims::kAny});
        dims.input(view, kDeltas, {BATCHES, Dims::kAny, Dims::kAny, Dims::kAny});
    } else if (*nchw) {
        dims.input(view, kScores, {BATCHES, ANCHORS, HEIGHT, WIDTH});
        dims.input(view, kDeltas, {BATCHES, CODES, HEIGHT, WIDTH});
    } else {
        dims.input(view, kScores, {BATCHES, HEIGHT, WIDTH, ANCHORS});
        dims.input(view, kDeltas, {BATCHES, HEIGHT, WIDTH, CODES});
    }
    dims.input(view, kAnchors, {ANCHORS, Dims::exactly(4)});
    dims.input(view, kImage, {BATCHES, Dims::exactly(2)});
    view.require(!dims.known(CODES) || !dims.known(ANCHORS) ||
                     dims[CODES] == uint64_t{dims[ANCHORS]} * 4,
                 "there must be four deltas for each anchor");
}

void validate(OpView& v) {
    v.inputs(11);
    v.outputs(3);
    const Type type = v.type(in(kScores), {{TENSOR_FLOAT16, 3},
                                           {TENSOR_FLOAT32, 3},
                                           {TENSOR_QUANT8_ASYMM, 3},
                                           {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    // Reading: the deltas have the type of the scores and any quantization.
    v.sameType({in(kScores), in(kDeltas), out(0)});
    v.sameQuant({in(kScores), out(0)});
    if (isQuantized(type)) {
        v.type(in(kAnchors), TENSOR_QUANT16_SYMM);
        v.quant(in(kAnchors), 0.125f, 0);
        // Reading: the reference gives input 3 and output 1 the same type, and names
        // TENSOR_QUANT16_SYMM for one and TENSOR_QUANT16_ASYMM for the other: both are accepted.
        // Devices that ship take the latter only.
        if (followsField()) {
            v.type(in(kImage), TENSOR_QUANT16_ASYMM);
        } else {
            v.type(in(kImage), {{TENSOR_QUANT16_SYMM, 3}, {TENSOR_QUANT16_ASYMM, 3}});
        }
        v.type(out(1), {{TENSOR_QUANT16_SYMM, 3}, {TENSOR_QUANT16_ASYMM, 3}});
        v.quant(in(kImage), 0.125f, 0);
        v.quant(out(1), 0.125f, 0);
    } else {
        v.sameType({in(kScores), in(kAnchors), in(kImage), out(1)});
    }
    for (size_t i : {kHeightRatio, kWidthRatio}) v.anyRealScalar(in(i), type);
    v.scalar(in(kMostBefore), INT32);
    v.scalar(in(kMostAfter), INT32);
    v.anyRealScalar(in(kThreshold), type);
    v.anyRealScalar(in(kMinSize), type);
    v.scalar(in(kLayout), BOOL);
    v.type(out(2), TENSOR_INT32);
    Dims dims;
    checkInputs(v, dims);
    enum { SELECTED };
    Dims results;
    results.match(v, out(0), {SELECTED});
    results.match(v, out(1), {SELECTED, Dims::exactly(4)});
    results.match(v, out(2), {SELECTED});
}

struct Proposal {
    Box box;
    double score;
    int32_t batch;
};

/// The proposals of one batch; appends to `proposals` and returns how many.
class Generator {
public:
    explicit Generator(Context& c) : c_(c) {
        Dims dims;
        const bool nchw = c.flag(kLayout);
        checkInputs(c, dims);
        height_ = dims[HEIGHT];
        width_ = dims[WIDTH];
        anchors_ = dims[ANCHORS];
        batches_ = dims[BATCHES];
        // Steps from one channel, column and row to the next.
        channelStep_ = nchw ? height_ * width_ : 1;
        const size_t total = height_ * width_ * anchors_;
        boxes_ = c.scratch<Box>(total);
        scores_ = c.scratch<double>(total);
        indices_ = c.scratch<uint32_t>(total);
        proposals_ = c.scratch<Proposal>(total * batches_);
        nchw_ = nchw;
    }

    size_t run() {
        size_t count = 0;
        for (size_t batch = 0; batch < batches_; batch++) {
            const size_t kept = select(batch);
            for (size_t k = 0; k < kept; k++) {
                const uint32_t i = indices_[k];
                proposals_[count++] = {boxes_[i], scores_[i], static_cast<int32_t>(batch)};
            }
        }
        return count;
    }
    const Proposal* proposals() const { return proposals_; }

private:
    /// Element of a tensor with `channels` channels in the layout of the operation.
    size_t at(size_t batch, size_t row, size_t column, size_t channel, size_t channels) const {
        const size_t pixel = row * width_ + column;
        const size_t image = batch * channels * height_ * width_;
        return image + channel * channelStep_ + pixel * (nchw_ ? 1 : channels);
    }

    size_t select(size_t batch) {
        const Tensor &scores = c_.input(kScores), &deltas = c_.input(kDeltas);
        const double rowStep = c_.real(kHeightRatio);
        const double columnStep = c_.real(kWidthRatio);
        const double minSize = c_.real(kMinSize);
        const double imageHeight = realAt(c_.input(kImage), 2 * batch);
        const double imageWidth = realAt(c_.input(kImage), 2 * batch + 1);
        size_t index = 0, count = 0;
        for (size_t row = 0; row < height_; row++) {
            for (size_t column = 0; column < width_; column++) {
                const double x = static_cast<double>(column) * columnStep;
                const double y = static_cast<double>(row) * rowStep;
                c_.spend(256 * anchors_);
                for (size_t a = 0; a < anchors_; a++, index++) {
                    const Box anchor = boxAt(c_.input(kAnchors), a);
                    const Box placed{anchor.x1 + x, anchor.y1 + y, anchor.x2 + x, anchor.y2 + y};
                    const auto delta = [&](size_t k) {
                        return realAt(deltas, at(batch, row, column, 4 * a + k, 4 * anchors_));
                    };
                    const Box box =
                        clipBox(applyDeltas(placed, delta(0), delta(1), delta(2), delta(3)),
                                imageWidth, imageHeight);
                    boxes_[index] = box;
                    scores_[index] = realAt(scores, at(batch, row, column, a, anchors_));
                    // What is NaN has no place in an order.
                    if (scores_[index] != scores_[index]) continue;
                    if (followsField() || (box.x2 - box.x1 >= minSize &&
                                           box.y2 - box.y1 >= minSize)) {
                        indices_[count++] = static_cast<uint32_t>(index);
                    }
                }
            }
        }
        sortByScore(scores_, indices_, count);
        // Reading: boxes that are too small do not count towards the limit. On devices that ship
        // they do: the limit comes first, then what is too small or has its centre outside goes.
        const int32_t before = c_.scalar<int32_t>(kMostBefore);
        const int32_t after = c_.scalar<int32_t>(kMostAfter);
        if (before > 0) count = std::min(count, static_cast<size_t>(before));
        if (followsField()) {
            const auto goes = [&](uint32_t i) {
                const Box& box = boxes_[i];
                const double width = box.x2 - box.x1, height = box.y2 - box.y1;
                return !(width > minSize && height > minSize &&
                         box.x1 + width / 2 < imageWidth && box.y1 + height / 2 < imageHeight);
            };
            count = static_cast<size_t>(std::remove_if(indices_, indices_ + count, goes) -
                                        indices_);
        }
        return suppress(c_, boxes_, indices_, count, c_.real(kThreshold),
                        after > 0 ? static_cast<size_t>(after) : SIZE_MAX);
    }

    Context& c_;
    size_t batches_ = 0, height_ = 0, width_ = 0, anchors_ = 0, channelStep_ = 0;
    bool nchw_ = false;
    Box* boxes_ = nullptr;
    double* scores_ = nullptr;
    uint32_t* indices_ = nullptr;
    Proposal* proposals_ = nullptr;
};

void prepare(Context& c) {
    Dims dims;
    checkInputs(c, dims);
    c.require(c.input(kScores).count() <= UINT32_MAX, "too many anchors");
    for (size_t a = 0; a < dims[ANCHORS]; a++) {
        c.require(isValid(boxAt(c.input(kAnchors), a)),
                  "an anchor must satisfy x1 <= x2 and y1 <= y2");
    }
    const auto rows = static_cast<uint32_t>(Generator(c).run());
    c.setShape(0, {rows});
    c.setShape(1, {rows, 4});
    c.setShape(2, {rows});
}

void execute(Context& c) {
    Generator generator(c);
    const size_t count = generator.run();
    for (size_t i = 0; i < count; i++) {
        const Proposal& one = generator.proposals()[i];
        storeReal(c.output(0), i, one.score);
        storeBox(c.output(1), i, one.box);
        c.out<int32_t>(2)[i] = one.batch;
    }
}

const Register registered(
    {{ANEURALNETWORKS_GENERATE_PROPOSALS, "GENERATE_PROPOSALS", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
