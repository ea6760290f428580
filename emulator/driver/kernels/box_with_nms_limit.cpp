// BOX_WITH_NMS_LIMIT: the best boxes of each class, with hard or soft suppression.
//
// Reading: class 0 is the background and takes no part, as in the operation of Caffe2 whose name
// and operands this one has; with a single class there is no background. The
// scores of the output are the lowered ones. Order in a batch: by class, then by score.

#include <cmath>

#include "boxes.h"
#include "dims.h"
#include "kernel.h"

namespace nnapi {
namespace {

enum Name { ROIS, CLASSES };
enum Method { HARD, LINEAR, GAUSSIAN };
constexpr size_t kScores = 0, kBoxes = 1, kBatch = 2, kScoreThreshold = 3, kLimit = 4, kMethod = 5,
                 kOverlapThreshold = 6, kSigma = 7, kNmsThreshold = 8;

/// The rules on shapes and scalars, as far as either stage knows them.
template <class Where>
void check(const Where& where, Dims& dims) {
    dims.input(where, kScores, {ROIS, CLASSES});
    dims.input(where, kBoxes, {ROIS, Dims::kAny});
    dims.input(where, kBatch, {ROIS});
    const auto width = where.dimOf(in(kBoxes), 1);
    where.require(!width || !dims.known(CLASSES) || *width == uint64_t{dims[CLASSES]} * 4,
                  "the boxes must have four values for each class");
    where.integer(in(kMethod), HARD, GAUSSIAN);
    const auto sigma = where.realValue(in(kSigma));
    where.require(!sigma || where.intOf(in(kMethod)) != GAUSSIAN || *sigma > 0,
                  "sigma must be positive");
}

void validate(OpView& v) {
    v.inputs(9);
    v.outputs(4);
    const Type type = v.type(in(kScores), {{TENSOR_FLOAT16, 3},
                                           {TENSOR_FLOAT32, 3},
                                           {TENSOR_QUANT8_ASYMM, 3},
                                           {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    if (isQuantized(type)) {
        v.type(in(kBoxes), TENSOR_QUANT16_ASYMM);
        // Reading: the zero point of -128 that the reference gives for signed scores is none that
        // TENSOR_QUANT16_ASYMM can have; it is 0, as for the output.
        v.quant(in(kBoxes), 0.125f, 0);
        v.quant(out(1), 0.125f, 0);
    } else {
        v.sameType({in(kScores), in(kBoxes)});
    }
    v.type(in(kBatch), TENSOR_INT32);
    for (size_t i : {kScoreThreshold, kOverlapThreshold, kSigma, kNmsThreshold}) {
        v.anyRealScalar(in(i), type);
    }
    v.scalar(in(kLimit), INT32);
    v.sameType({in(kScores), out(0)});
    v.sameQuant({in(kScores), out(0)});
    v.sameType({in(kBoxes), out(1)});
    v.type(out(2), TENSOR_INT32);
    v.type(out(3), TENSOR_INT32);

    Dims dims;
    check(v, dims);
    enum { SELECTED };
    Dims results;
    results.match(v, out(0), {SELECTED});
    results.match(v, out(1), {SELECTED, Dims::exactly(4)});
    results.match(v, out(2), {SELECTED});
    results.match(v, out(3), {SELECTED});
}

struct Selected {
    size_t roi;
    size_t label;
    double score;
};

struct Rules {
    double scoreThreshold, overlapThreshold, sigma, nmsThreshold;
    int32_t method;

    /// The factor by which an overlap with a selected box lowers a score.
    double factor(double overlap) const {
        if (method == GAUSSIAN) return std::exp(-overlap * overlap / sigma);
        if (overlap < overlapThreshold) return 1;
        return method == HARD ? 0 : 1 - overlap;
    }
};

/// Selects from the pending boxes of one class, which it reorders; returns how many.
size_t selectClass(const Context& c, const Rules& rules, size_t classes, Selected* pending,
                   size_t count, Selected* selected) {
    const auto boxOf = [&](const Selected& s) {
        return boxAt(c.input(kBoxes), s.roi * classes + s.label);
    };
    size_t found = 0;
    while (count != 0) {
        size_t best = 0;
        for (size_t i = 1; i < count; i++) {
            if (pending[i].score > pending[best].score) best = i;
        }
        const Box box = boxOf(pending[best]);
        selected[found++] = pending[best];
        size_t left = 0;
        for (size_t i = 0; i < count; i++) {
            c.spend(64);
            if (i == best) continue;
            const double factor = rules.factor(overlap(box, boxOf(pending[i])));
            const double score = pending[i].score * factor;
            // Reading: hard suppression removes what it sets to 0; the second threshold is for
            // the soft kernels only.
            // NaN (inf * 0) has no place in an order and goes too.
            const bool stays = rules.method == HARD ? factor != 0 : score >= rules.nmsThreshold;
            if (!stays) continue;
            pending[left] = pending[i];  // the order stays: ties go to the first
            pending[left++].score = score;
        }
        count = left;
    }
    return found;
}

/// Keeps the `limit` best of one batch, in their order.
size_t keepBest(Context& c, Selected* selected, size_t count, size_t limit) {
    if (count <= limit) return count;
    double* scores = c.scratch<double>(count);
    uint32_t* indices = c.scratch<uint32_t>(count);
    for (size_t i = 0; i < count; i++) {
        scores[i] = selected[i].score;
        indices[i] = static_cast<uint32_t>(i);
    }
    sortByScore(scores, indices, count);
    std::sort(indices, indices + limit);
    for (size_t i = 0; i < limit; i++) selected[i] = selected[indices[i]];
    return limit;
}

/// All selected boxes, batch after batch; `count` receives their number.
Selected* select(Context& c, size_t& count) {
    const size_t rois = c.shape(kScores)[0], classes = c.shape(kScores)[1];
    const Rules rules{c.real(kScoreThreshold), c.real(kOverlapThreshold), c.real(kSigma),
                      c.real(kNmsThreshold),
                      c.scalar<int32_t>(kMethod)};
    const int32_t most = c.scalar<int32_t>(kLimit);
    const size_t limit = most < 0 ? SIZE_MAX : static_cast<size_t>(most);
    const int32_t* batch = c.in<int32_t>(kBatch);
    Selected* selected = c.scratch<Selected>(rois * classes);
    Selected* pending = c.scratch<Selected>(rois);
    count = 0;
    for (size_t first = 0, end = 0; first < rois; first = end) {
        while (end < rois && batch[end] == batch[first]) end++;
        size_t found = 0;
        for (size_t label = classes > 1 ? 1 : 0; label < classes; label++) {
            size_t candidates = 0;
            for (size_t roi = first; roi < end; roi++) {
                const double score = realAt(c.input(kScores), roi * classes + label);
                if (score >= rules.scoreThreshold) pending[candidates++] = {roi, label, score};
            }
            found += selectClass(c, rules, classes, pending, candidates, selected + count + found);
        }
        count += keepBest(c, selected + count, found, limit);
    }
    return selected;
}

/// Boxes of one batch must follow each other, or a batch would be selected from in parts.
bool isGrouped(Context& c, const int32_t* batch, size_t rois) {
    int32_t* heads = c.scratch<int32_t>(rois);
    size_t groups = 0;
    for (size_t i = 0; i < rois; i++) {
        if (i == 0 || batch[i] != batch[i - 1]) heads[groups++] = batch[i];
    }
    std::sort(heads, heads + groups);
    return std::adjacent_find(heads, heads + groups) == heads + groups;
}

void prepare(Context& c) {
    Dims dims;
    check(c, dims);
    const int32_t* batch = c.in<int32_t>(kBatch);
    for (size_t i = 0; i < dims[ROIS]; i++) c.require(batch[i] >= 0, "a batch index is negative");
    c.require(isGrouped(c, batch, dims[ROIS]), "boxes are not grouped by batch");
    for (size_t i = 0; i < size_t{dims[ROIS]} * dims[CLASSES]; i++) {
        c.require(isValid(boxAt(c.input(kBoxes), i)), "a box must satisfy x1 <= x2 and y1 <= y2");
    }
    size_t count = 0;
    select(c, count);
    c.require(count <= UINT32_MAX, "too many boxes");
    const auto rows = static_cast<uint32_t>(count);
    c.setShape(0, {rows});
    c.setShape(1, {rows, 4});
    c.setShape(2, {rows});
    c.setShape(3, {rows});
}

void execute(Context& c) {
    size_t count = 0;
    const Selected* selected = select(c, count);
    const size_t classes = c.shape(kScores)[1];
    for (size_t i = 0; i < count; i++) {
        const Selected& one = selected[i];
        storeReal(c.output(0), i, one.score);
        storeBox(c.output(1), i, boxAt(c.input(kBoxes), one.roi * classes + one.label));
        c.out<int32_t>(2)[i] = static_cast<int32_t>(one.label);
        c.out<int32_t>(3)[i] = c.in<int32_t>(kBatch)[one.roi];
    }
}

const Register registered(
    {{ANEURALNETWORKS_BOX_WITH_NMS_LIMIT, "BOX_WITH_NMS_LIMIT", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
