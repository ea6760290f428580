// AVERAGE_POOL_2D, MAX_POOL_2D and L2_POOL_2D: windows over height and width, channel by channel.

#include "sliding.h"
#include "quantize.h"

namespace nnapi {
namespace {

constexpr int32_t kMost = 0x7FFFFFFF;

/// Explicit padding has 10 inputs, implicit 7; one more is the layout. The filter's width and
/// height follow the strides.
SlidingInputs inputs(size_t count) {
    if (count >= 10) return {true, 1, 5, 7, 10, SIZE_MAX};
    return {false, 1, 2, 4, 7, SIZE_MAX};
}

/// The input's rank and the window's size.
template <class Where>
void check(const Where& where, const SlidingInputs& at) {
    where.rank(in(0), 4);
    where.integer(in(at.next), 1, kMost);
    where.integer(in(at.next + 1), 1, kMost);
}

void validate(OpView& v, bool quantized) {
    v.inputs({7, 8, 10, 11});
    v.outputs(1);
    if (quantized) {
        v.type(in(0), {{TENSOR_FLOAT32, 1},
                       {TENSOR_FLOAT16, 3},
                       {TENSOR_QUANT8_ASYMM, 1},
                       {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    } else {
        v.type(in(0), {{TENSOR_FLOAT32, 1}, {TENSOR_FLOAT16, 3}});
    }
    v.sameType({in(0), out(0)});
    v.sameQuant({in(0), out(0)});
    v.rank(out(0), 4);
    const auto at = inputs(v.inputCount());
    validateSliding(v, at, true);
    check(v, at);
    validateSlidingOutput(v, at, v.intOf(in(at.next + 1)), v.intOf(in(at.next)));
    if (const auto nchw = v.flagOf(in(at.layout))) {
        v.sameDim(in(0), *nchw ? 1 : 3, out(0), *nchw ? 1 : 3);
    }
}
void validateAny(OpView& v) { validate(v, true); }
void validateFloat(OpView& v) { validate(v, false); }

struct Pool {
    bool nchw;
    Window x, y;
    int64_t filterWidth, filterHeight, strideWidth, strideHeight;
    size_t batch, height, width, channels;
};

/// Reading: a window that lies in the padding alone has no elements to pool (sum(1) is 0), so
/// padding that makes one is refused.
void requireElements(const Context& c, const Window& window, int64_t input, int64_t filter,
                     int64_t stride) {
    const bool first = window.head < filter;
    const bool last = (window.output - 1) * stride - window.head < input;
    c.require(window.output < 1 || (first && last), "a window lies in the padding alone");
}

Pool geometry(const Context& c) {
    const SlidingInputs at = inputs(c.inputCount());
    const Sliding sliding = readSliding(c, at);
    check(c, at);
    const Layout4 input(c.shape(0), sliding.nchw);
    Pool pool;
    pool.nchw = sliding.nchw;
    pool.batch = input.batch, pool.height = input.height, pool.width = input.width;
    pool.channels = input.channels;
    pool.filterWidth = c.scalar<int32_t>(at.next);
    pool.filterHeight = c.scalar<int32_t>(at.next + 1);
    pool.strideWidth = sliding.strideWidth, pool.strideHeight = sliding.strideHeight;
    pool.x = sliding.horizontal(input.width, pool.filterWidth);
    pool.y = sliding.vertical(input.height, pool.filterHeight);
    requireElements(c, pool.x, input.width, pool.filterWidth, pool.strideWidth);
    requireElements(c, pool.y, input.height, pool.filterHeight, pool.strideHeight);
    return pool;
}

void prepare(Context& c) {
    const Pool pool = geometry(c);
    setShape4(c, static_cast<int64_t>(pool.batch), pool.y.output, pool.x.output,
              static_cast<int64_t>(pool.channels), pool.nchw);
}

// How values are pooled: start, add one, finish. `count` elements are in the window.

struct FloatAverage {
    using Sum = double;  // in which sums of floats do not overflow
    FloatRange range;
    double start() const { return 0.0; }
    void add(double& sum, float value) const { sum += value; }
    float finish(double sum, int64_t count) const {
        return clampFloat(static_cast<float>(sum / static_cast<double>(count)), range);
    }
};

struct FloatMax {
    using Sum = float;
    FloatRange range;
    float start() const { return -std::numeric_limits<float>::infinity(); }
    void add(float& sum, float value) const {
        // NaN, once there, stays: no comparison with it is true.
        sum = value > sum || value != value ? value : sum;
    }
    float finish(float sum, int64_t) const { return clampFloat(sum, range); }
};

struct FloatL2 {
    using Sum = double;  // squares of floats neither overflow nor vanish in it
    FloatRange range;
    double start() const { return 0.0; }
    void add(double& sum, float value) const { sum += static_cast<double>(value) * value; }
    float finish(double sum, int64_t count) const {
        return clampFloat(static_cast<float>(std::sqrt(sum / static_cast<double>(count))), range);
    }
};

struct CodeAverage {
    using Sum = int64_t;
    CodeRange range;
    int32_t zeroPoint;
    int64_t start() const { return 0; }
    void add(int64_t& sum, int32_t code) const { sum += code - zeroPoint; }
    /// The mean in units of the scale, halves away from zero.
    int32_t finish(int64_t sum, int64_t count) const {
        const int64_t magnitude = ((sum < 0 ? -sum : sum) * 2 + count) / (2 * count);
        const int64_t code = (sum < 0 ? -magnitude : magnitude) + zeroPoint;
        return static_cast<int32_t>(std::clamp<int64_t>(code, range.least, range.most));
    }
};

struct CodeMax {
    using Sum = int32_t;
    CodeRange range;
    int32_t start() const { return std::numeric_limits<int32_t>::min(); }
    void add(int32_t& sum, int32_t code) const { sum = code > sum ? code : sum; }
    int32_t finish(int32_t sum, int64_t) const {
        return std::clamp(sum, range.least, range.most);
    }
};

/// Pools one tensor of rows of `channels` values; NCHW comes as one channel a plane.
template <class T, class Op>
void run(Context& c, const Pool& pool, const T* input, T* output, Op op) {
    const size_t images = pool.nchw ? pool.batch * pool.channels : pool.batch;
    const size_t channels = pool.nchw ? 1 : pool.channels;
    auto* sums = c.scratch<typename Op::Sum>(channels);
    const auto height = static_cast<int64_t>(pool.height);
    const auto width = static_cast<int64_t>(pool.width);
    for (size_t b = 0; b < images; b++) {
        const T* image = input + b * pool.height * pool.width * channels;
        for (int64_t y = 0; y < pool.y.output; y++) {
            c.checkDeadline();
            const int64_t top = y * pool.strideHeight - pool.y.head;
            const int64_t y0 = std::max<int64_t>(0, top);
            const int64_t y1 = std::min(height, top + pool.filterHeight);
            for (int64_t x = 0; x < pool.x.output; x++, output += channels) {
                const int64_t left = x * pool.strideWidth - pool.x.head;
                const int64_t x0 = std::max<int64_t>(0, left);
                const int64_t x1 = std::min(width, left + pool.filterWidth);
                for (size_t i = 0; i < channels; i++) sums[i] = op.start();
                for (int64_t iy = y0; iy < y1; iy++) {
                    for (int64_t ix = x0; ix < x1; ix++) {
                        const T* pixel = image + static_cast<size_t>(iy * width + ix) * channels;
                        for (size_t i = 0; i < channels; i++) op.add(sums[i], pixel[i]);
                    }
                }
                const int64_t count = (y1 - y0) * (x1 - x0);
                for (size_t i = 0; i < channels; i++) {
                    output[i] = static_cast<T>(op.finish(sums[i], count));
                }
            }
        }
    }
}

template <class Op>
void runFloat(Context& c, const Pool& pool, Op op) {
    if (c.type(0) == TENSOR_FLOAT32) return run(c, pool, c.in<float>(0), c.out<float>(0), op);
    const size_t inputs = c.input(0).count(), outputs = c.output(0).count();
    float* input = c.scratch<float>(inputs);
    float* output = c.scratch<float>(outputs);
    toFloat(c.in<Half>(0), input, inputs);
    run(c, pool, input, output, op);
    toHalf(output, c.out<Half>(0), outputs);
}

template <class T>
void runCodes(Context& c, const Pool& pool, int32_t fuse) {
    const Tensor& output = c.output(0);
    const CodeRange range = activationCodes(output.type, output.scale, output.zeroPoint, fuse);
    if (c.code() == ANEURALNETWORKS_MAX_POOL_2D) {
        run(c, pool, c.in<T>(0), c.out<T>(0), CodeMax{range});
    } else {
        run(c, pool, c.in<T>(0), c.out<T>(0), CodeAverage{range, output.zeroPoint});
    }
}

void execute(Context& c) {
    const Pool pool = geometry(c);
    const int32_t fuse = c.activation(inputs(c.inputCount()).activation());
    if (c.output(0).count() == 0) return;
    const FloatRange range = activationRange(fuse);
    switch (c.type(0)) {
        case TENSOR_QUANT8_ASYMM: return runCodes<uint8_t>(c, pool, fuse);
        case TENSOR_QUANT8_ASYMM_SIGNED: return runCodes<int8_t>(c, pool, fuse);
        default: break;
    }
    switch (c.code()) {
        case ANEURALNETWORKS_MAX_POOL_2D: return runFloat(c, pool, FloatMax{range});
        case ANEURALNETWORKS_L2_POOL_2D: return runFloat(c, pool, FloatL2{range});
        default: return runFloat(c, pool, FloatAverage{range});
    }
}

const Register registered({
    {ANEURALNETWORKS_AVERAGE_POOL_2D, "AVERAGE_POOL_2D", validateAny, prepare, execute},
    {ANEURALNETWORKS_MAX_POOL_2D, "MAX_POOL_2D", validateAny, prepare, execute},
    {ANEURALNETWORKS_L2_POOL_2D, "L2_POOL_2D", validateFloat, prepare, execute},
});

}  // namespace
}  // namespace nnapi
