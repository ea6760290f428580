// AXIS_ALIGNED_BBOX_TRANSFORM: boxes refined by deltas for each class, cut at the image.

#include "boxes.h"
#include "dims.h"
#include "kernel.h"

namespace nnapi {
namespace {

enum Name { ROIS, CLASSES4, BATCHES };
constexpr size_t kBoxes = 0, kDeltas = 1, kBatch = 2, kImage = 3;

template <class View>
void checkInputs(const View& view, Dims& dims) {
    dims.input(view, kBoxes, {ROIS, Dims::exactly(4)});
    dims.input(view, kDeltas, {ROIS, CLASSES4});
    dims.input(view, kBatch, {ROIS});
    dims.input(view, kImage, {BATCHES, Dims::exactly(2)});
    view.require(dims[CLASSES4] % 4 == 0, "the deltas must have four values for each class");
}

void validate(OpView& v) {
    v.inputs(4);
    v.outputs(1);
    const Type type = v.type(in(kBoxes), {{TENSOR_FLOAT16, 3},
                                          {TENSOR_FLOAT32, 3},
                                          {TENSOR_QUANT16_ASYMM, 3}});
    if (type == TENSOR_QUANT16_ASYMM) {
        v.type(in(kDeltas), {{TENSOR_QUANT8_ASYMM, 3}, {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    } else {
        v.sameType({in(kBoxes), in(kDeltas)});
    }
    v.type(in(kBatch), TENSOR_INT32);
    // Reading: the image sizes have the type of the boxes, and any quantization.
    v.sameType({in(kBoxes), in(kImage), out(0)});
    v.quant(in(kBoxes), 0.125f, 0);
    v.quant(out(0), 0.125f, 0);
    Dims dims;
    checkInputs(v, dims);
    dims.match(v, out(0), {ROIS, CLASSES4});
}

void prepare(Context& c) {
    Dims dims;
    checkInputs(c, dims);
    const int32_t* batch = c.in<int32_t>(kBatch);
    for (size_t i = 0; i < dims[ROIS]; i++) {
        c.require(batch[i] >= 0 && static_cast<uint32_t>(batch[i]) < dims[BATCHES],
                  "a batch index is out of bounds");
    }
    c.setShape(0, {dims[ROIS], dims[CLASSES4]});
}

void execute(Context& c) {
    const size_t rois = c.shape(kDeltas)[0], classes = c.shape(kDeltas)[1] / 4;
    const Tensor &deltas = c.input(kDeltas), &image = c.input(kImage);
    const int32_t* batch = c.in<int32_t>(kBatch);
    for (size_t roi = 0; roi < rois; roi++) {
        c.spend(128 * classes);
        const Box box = boxAt(c.input(kBoxes), roi);
        const auto b = static_cast<size_t>(batch[roi]);
        const double height = realAt(image, 2 * b), width = realAt(image, 2 * b + 1);
        for (size_t k = roi * classes; k < (roi + 1) * classes; k++) {
            const Box moved =
                applyDeltas(box, realAt(deltas, 4 * k), realAt(deltas, 4 * k + 1),
                            realAt(deltas, 4 * k + 2), realAt(deltas, 4 * k + 3));
            storeBox(c.output(0), k, clipBox(moved, width, height));
        }
    }
}

const Register registered({{ANEURALNETWORKS_AXIS_ALIGNED_BBOX_TRANSFORM,
                            "AXIS_ALIGNED_BBOX_TRANSFORM", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
