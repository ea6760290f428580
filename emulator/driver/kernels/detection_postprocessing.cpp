// DETECTION_POSTPROCESSING: anchors moved by deltas, then the best of them by hard suppression.

#include <cmath>

#include "boxes.h"
#include "dims.h"
#include "kernel.h"

namespace nnapi {
namespace {

enum Name { BATCHES, ANCHORS, CLASSES, CODES };
constexpr size_t kScores = 0, kDeltas = 1, kAnchors = 2, kScale = 3;  // kScale: dy, dx, dh, dw
constexpr size_t kRegular = 7, kMost = 8, kMostClasses = 9, kMostPerClass = 10,
                 kScoreThreshold = 11, kOverlapThreshold = 12, kBackground = 13;

/// The rules on shapes and scalars, as far as either stage knows them.
template <class View>
void checkInputs(const View& view, Dims& dims) {
    for (size_t i = kScale; i < kScale + 4; i++) {
        const auto scale = view.realValue(in(i));
        view.require(!scale || *scale > 0, "a scaling factor must be positive");
    }
    view.integer(in(kMost), 1, INT32_MAX);
    if (const auto regular = view.flagOf(in(kRegular))) {
        view.integer(in(*regular ? kMostPerClass : kMostClasses), 1, INT32_MAX);
    }
    dims.input(view, kScores, {BATCHES, ANCHORS, CLASSES});
    dims.input(view, kDeltas, {BATCHES, ANCHORS, CODES});
    dims.input(view, kAnchors, {ANCHORS, Dims::exactly(4)});
    view.require(!dims.known(CODES) || dims[CODES] >= 4,
                 "length_box_encoding must be at least 4");
    view.require(!dims.known(CLASSES) || dims[CLASSES] >= 1,
                 "there must be a background class");
}

void validate(OpView& v) {
    v.inputs(14);
    v.outputs(4);
    const Type type = v.type(in(kScores), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 3}});
    // Reading: the coordinates of the output have the type of the scores.
    v.sameType({in(kScores), in(kDeltas), in(kAnchors), out(0), out(1)});
    v.type(out(2), TENSOR_INT32);
    v.type(out(3), TENSOR_INT32);
    for (size_t i = kScale; i < kScale + 4; i++) v.anyRealScalar(in(i), type);
    v.scalar(in(kRegular), BOOL);
    v.scalar(in(kMostClasses), INT32);
    v.scalar(in(kMostPerClass), INT32);
    v.realScalar(in(kScoreThreshold), type);
    v.realScalar(in(kOverlapThreshold), type);
    v.scalar(in(kBackground), BOOL);
    enum { MOST = CODES + 1 };
    Dims dims;
    checkInputs(v, dims);
    const auto most = v.intOf(in(kMost));
    if (most) dims.set(MOST, static_cast<uint32_t>(*most));
    dims.match(v, out(0), {BATCHES, MOST});
    dims.match(v, out(1), {BATCHES, MOST, Dims::exactly(4)});
    dims.match(v, out(2), {BATCHES, MOST});
    dims.match(v, out(3), {BATCHES});
}

void prepare(Context& c) {
    Dims dims;
    checkInputs(c, dims);
    const auto most = static_cast<uint32_t>(c.scalar<int32_t>(kMost));
    const Shape boxes{dims[BATCHES], most, 4};
    requireCountable(c, boxes);
    c.setShape(0, {dims[BATCHES], most});
    c.setShape(1, boxes);
    c.setShape(2, {dims[BATCHES], most});
    c.setShape(3, {dims[BATCHES]});
}

/// A detection before it is written: an anchor's box with a class.
struct Detection {
    uint32_t anchor;
    uint32_t label;
    double score;
};

/// Scratch for one batch.
struct Work {
    Box* boxes;           // [anchors]
    double* scores;       // [anchors]: of the class at hand, or the best of all
    uint32_t* indices;    // [max(anchors, classes)]
    Detection* found;
};

class Batch {
public:
    Batch(const Context& c, size_t batch, const Work& work)
        : c_(c),
          work_(work),
          anchors_(c.shape(kScores)[1]),
          classes_(c.shape(kScores)[2]),
          first_(batch * anchors_) {}

    /// Reading: deltas are divided by their scaling factors, as they were multiplied by them when
    /// they were encoded.
    void decode() const {
        const size_t length = c_.shape(kDeltas)[2];
        for (size_t i = 0; i < anchors_; i++) {
            c_.spend(256);
            const size_t at = (first_ + i) * length;
            const auto delta = [&](size_t k) {
                return realAt(c_.input(kDeltas), at + k) /
                       static_cast<double>(c_.real(kScale + k));
            };
            const double y = realAt(c_.input(kAnchors), 4 * i);
            const double x = realAt(c_.input(kAnchors), 4 * i + 1);
            const double height = realAt(c_.input(kAnchors), 4 * i + 2);
            const double width = realAt(c_.input(kAnchors), 4 * i + 3);
            const Box anchor{x - width / 2, y - height / 2, x + width / 2, y + height / 2};
            work_.boxes[i] = applyDeltas(anchor, delta(1), delta(0), delta(3), delta(2));
        }
    }

    /// Suppression in each class but the background, then the best of all classes.
    size_t regular() const {
        const auto mostPerClass = static_cast<size_t>(c_.scalar<int32_t>(kMostPerClass));
        size_t count = 0;
        for (size_t label = 1; label < classes_; label++) {
            for (size_t i = 0; i < anchors_; i++) work_.scores[i] = score(i, label);
            const size_t kept = survivors(mostPerClass);
            for (size_t k = 0; k < kept; k++) {
                const uint32_t anchor = work_.indices[k];
                work_.found[count++] = {anchor, static_cast<uint32_t>(label),
                                        work_.scores[anchor]};
            }
        }
        std::sort(work_.found, work_.found + count, [](const Detection& a, const Detection& b) {
            if (a.score != b.score) return a.score > b.score;
            return a.label != b.label ? a.label < b.label : a.anchor < b.anchor;
        });
        return std::min(count, most());
    }

    /// One suppression by the best class of each anchor; each box left gives its best classes.
    /// Reading: box after box, best first, until there are as many detections as allowed.
    size_t fast() const {
        const size_t foreground = classes_ - 1;
        const size_t each = std::min(
            static_cast<size_t>(c_.scalar<int32_t>(kMostClasses)), foreground);
        if (each == 0) return 0;
        for (size_t i = 0; i < anchors_; i++) {
            double best = score(i, 1);
            for (size_t label = 2; label < classes_; label++) {
                if (score(i, label) > best) best = score(i, label);
            }
            work_.scores[i] = best;
        }
        const size_t kept = survivors(most());
        uint32_t* labels = work_.indices + anchors_;
        size_t count = 0;
        for (size_t k = 0; k < kept && count < most(); k++) {
            const uint32_t anchor = work_.indices[k];
            for (size_t i = 0; i < foreground; i++) labels[i] = static_cast<uint32_t>(i + 1);
            std::sort(labels, labels + foreground, [&](uint32_t a, uint32_t b) {
                const double x = rank(anchor, a), y = rank(anchor, b);
                return x > y || (x == y && a < b);
            });
            for (size_t i = 0; i < each && count < most(); i++) {
                work_.found[count++] = {anchor, labels[i], score(anchor, labels[i])};
            }
        }
        return count;
    }

private:
    size_t most() const { return static_cast<size_t>(c_.scalar<int32_t>(kMost)); }
    double score(size_t anchor, size_t label) const {
        return realAt(c_.input(kScores), (first_ + anchor) * classes_ + label);
    }
    /// For sorting: NaN last.
    double rank(size_t anchor, size_t label) const {
        const double value = score(anchor, label);
        return std::isnan(value) ? -std::numeric_limits<double>::infinity() : value;
    }
    /// Anchors that reach the score threshold and are not suppressed, best first, in `indices`.
    size_t survivors(size_t limit) const {
        const double threshold = c_.real(kScoreThreshold);
        size_t count = 0;
        for (size_t i = 0; i < anchors_; i++) {
            if (work_.scores[i] >= threshold) work_.indices[count++] = static_cast<uint32_t>(i);
        }
        sortByScore(work_.scores, work_.indices, count);
        // Reading: as in BOX_WITH_NMS_LIMIT, hard suppression keeps an overlap below the threshold.
        return suppress(c_, work_.boxes, work_.indices, count, c_.real(kOverlapThreshold), limit);
    }

    const Context& c_;
    const Work& work_;
    size_t anchors_, classes_, first_;
};

void execute(Context& c) {
    const size_t batches = c.shape(kScores)[0], anchors = c.shape(kScores)[1];
    const size_t classes = c.shape(kScores)[2], most = c.output(0).shape[1];
    const bool regular = c.flag(kRegular);
    const uint32_t labelOffset = c.flag(kBackground) ? 0 : 1;
    // `fast` stops at `most`; anchors * (classes - 1) bounds both.
    const Work work{c.scratch<Box>(anchors), c.scratch<double>(anchors),
                    c.scratch<uint32_t>(anchors + classes),
                    c.scratch<Detection>(anchors * (classes - 1))};
    for (size_t b = 0; b < batches; b++) {
        const Batch batch(c, b, work);
        batch.decode();
        const size_t count = regular ? batch.regular() : batch.fast();
        c.out<int32_t>(3)[b] = static_cast<int32_t>(count);
        for (size_t i = 0; i < most; i++) {
            const size_t at = b * most + i;
            // Reading: what lies behind the valid detections is filled with zeros.
            Box box{};
            double score = 0;
            int32_t label = 0;
            if (i < count) {
                box = work.boxes[work.found[i].anchor];
                score = work.found[i].score;
                label = static_cast<int32_t>(work.found[i].label - labelOffset);
            }
            storeReal(c.output(0), at, score);
            storeBox(c.output(1), at, {box.y1, box.x1, box.y2, box.x2});
            c.out<int32_t>(2)[at] = label;
        }
    }
}

const Register registered({{ANEURALNETWORKS_DETECTION_POSTPROCESSING, "DETECTION_POSTPROCESSING",
                            validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
