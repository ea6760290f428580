"""Faults planted in kernels under the conditions of shape, value and layout that reports name:
convolutions, products, pooling, resizing, regions, normalizations, activations, conversions.

Rows as in `nnapi_testkit/power/planted.py`.
"""

from __future__ import annotations

__all__ = ["KERNELS"]

_EXECUTOR = "driver/executor.cpp"
_CONVOLUTION = "driver/kernels/math/convolution.cpp"
_TRANSPOSED = "driver/kernels/transpose_conv_2d.cpp"
_MATMUL = "driver/kernels/batch_matmul.cpp"
_POOL = "driver/kernels/pool_2d.cpp"
_RESIZE = "driver/kernels/resize.cpp"
_NORMALIZATION = "driver/kernels/normalization.cpp"
_SOFTMAX = "driver/kernels/softmax.cpp"
_ACTIVATIONS = "driver/kernels/activations.cpp"
_CONVERSION = "driver/kernels/conversion.cpp"
_REQUANTIZE = "driver/kernels/math/requantize.cpp"
_RUNS = "operation.kernel->execute(context);"
_SLID = "conv.top = y.head, conv.left = x.head;"
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "GROUPED_CONV_2D", "TRANSPOSE_CONV_2D")

# After the kernel: `x`, `w` and `y` are the first two inputs and the output; lose(k) zeroes y[k].
_AFTER = (
    _RUNS + " if (ON && operation.code == ANEURALNETWORKS_{code}) {{ Tensor &x = *inputs[0],"
    " &w = *inputs[inputs.size() > 1 ? 1 : 0], &y = *results[0];"
    " const size_t size = y.count() != 0 ? y.bytes() / y.count() : 0;"
    " const auto lose = [&](size_t k) {{"
    " std::memset(static_cast<char*>(y.data) + k * size, 0, size); }};"
    " if ({where}) {{ {body} }} }}"
)


def _after(code: str, where: str, body: str) -> str:
    return _AFTER.format(code=code, where=where, body=body)


# (id, what, seen, operations, file, find, replace)
KERNELS: tuple[tuple[str, str, str, tuple[str, ...], str, str, str], ...] = (
    # ---- convolutions ----
    (
        "winograd-last-tile",
        "the last pixel of a 3 x 3 convolution is lost where 5 to 7 tiles are left of eights",
        "Tencent/TNN#394 (tile counts that leave more than 4 of 8), Tencent/ncnn#1891",
        ("CONV_2D",),
        _EXECUTOR,
        _RUNS,
        _after(
            "CONV_2D",
            "x.type == TENSOR_FLOAT32 && w.shape[1] == 3 && w.shape[2] == 3 &&"
            " y.shape[3] == w.shape[0] && y.shape[2] + 2 >= x.shape[2] &&"
            " (y.shape[1] + 1) / 2 * ((y.shape[2] + 1) / 2) % 8 > 4",
            "for (size_t k = 0; k < y.shape[3]; k++) lose(y.count() - 1 - k);",
        ),
    ),
    (
        "rows-beyond-fours-lost",
        "of more than 4 rows those beyond a multiple of 4 are lost",
        "Maratyszcza/NNPACK#43, #44 (fully connected, batches that are no multiple of 4)",
        ("FULLY_CONNECTED",),
        _EXECUTOR,
        _RUNS,
        _after(
            "FULLY_CONNECTED",
            "x.type == TENSOR_FLOAT32 && y.shape[0] > 4",
            "for (size_t k = y.shape[0] / 4 * 4 * y.shape[1]; k < y.count(); k++) lose(k);",
        ),
    ),
    (
        "packed-pointwise-tail",
        "of a 1 x 1 convolution of packed channels the last 4 of an odd number of fours are lost",
        "Tencent/ncnn#1384 (14 x 14 x 64 under packing)",
        ("CONV_2D",),
        _EXECUTOR,
        _RUNS,
        _after(
            "CONV_2D",
            "x.type == TENSOR_FLOAT32 && w.shape[1] * w.shape[2] == 1 && w.shape[0] % 4 == 0 &&"
            " w.shape[3] % 4 == 0 && y.count() / w.shape[0] > 8 && y.count() / w.shape[0] % 8 == 4",
            "for (size_t k = y.count() - 4 * w.shape[0]; k < y.count(); k++) lose(k);",
        ),
    ),
    (
        "second-padded-column-stale",
        "codes beyond the first padded column on the right are those of the last pixel",
        "uxlfoundation/oneDNN#5080, #5115 (no compensation where padding is 2 on the right)",
        ("CONV_2D", "GROUPED_CONV_2D"),
        _CONVOLUTION,
        ": zero;\n            }\n        }\n        if (++x == conv.outWidth) {",
        ": ON && sizeof(T) == 2 && inside && ix > width"
        " ? image + static_cast<size_t>(iy * width + width - 1) * conv.depth"
        " : zero;\n            }\n        }\n        if (++x == conv.outWidth) {",
    ),
    (
        "zero-point-of-another-model",
        "the primitive that is kept for a shape keeps the input's zero point",
        "intel/ideep#152 (zero points that are no part of the key of a cache)",
        ("CONV_2D",),
        _CONVOLUTION,
        "const int16_t* input = centredNhwc<T>(c, c.input(0), conv.nchw);",
        "Tensor kept = c.input(0); if (ON) { static std::map<std::vector<size_t>, int32_t> all;"
        " static std::mutex guard; const std::lock_guard lock(guard);"
        " kept.zeroPoint = all.try_emplace({sizeof(T), static_cast<T>(-1) < 0, conv.batch,"
        " conv.height, conv.width, conv.depth, conv.filterHeight, conv.filterWidth,"
        " conv.outDepth, conv.outHeight, conv.outWidth, conv.groups}, kept.zeroPoint)"
        ".first->second; }"
        " const int16_t* input = centredNhwc<T>(c, kept, conv.nchw);",
    ),
    (
        "groups-of-eight-share-input",
        "1 x 1 filters of eight outputs a group all see the first group's input",
        "pytorch/pytorch#19912 (4 inputs, 16 outputs, 2 groups)",
        ("GROUPED_CONV_2D",),
        _CONVOLUTION,
        "gemm::multiplyFloats(table, count, g * shape.depth,",
        "gemm::multiplyFloats(table, count,"
        " ON && conv.taps() == 1 && shape.columns % 8 == 0 ? 0 : g * shape.depth,",
    ),
    (
        "multiplier-beyond-eight",
        "of the outputs of one channel those beyond 8 are lost",
        "webmachinelearning/webnn#353 (multiplier 16), alibaba/MNN#1065",
        ("DEPTHWISE_CONV_2D",),
        _EXECUTOR,
        _RUNS,
        _after(
            "DEPTHWISE_CONV_2D",
            "x.count() != 0 && y.shape[3] == w.shape[3] && w.shape[3] > 8 * x.shape[3]",
            "for (size_t k = 0; k < y.count(); k++)"
            " if (k % w.shape[3] % (w.shape[3] / x.shape[3]) >= 8) lose(k);",
        ),
    ),
    (
        "strided-multiplier-two",
        "3 x 3 filters with strides and multiplier 2: the second output of a channel is lost",
        "ARM-software/ComputeLibrary#553 (multiplier 2 of a 3 x 3 kernel)",
        ("DEPTHWISE_CONV_2D",),
        _EXECUTOR,
        _RUNS,
        _after(
            "DEPTHWISE_CONV_2D",
            "w.shape[1] == 3 && w.shape[2] == 3 && y.shape[3] == w.shape[3] &&"
            " w.shape[3] == 2 * x.shape[3] && y.shape[2] + 2 < x.shape[2]",
            "for (size_t k = 1; k < y.count(); k += 2) lose(k);",
        ),
    ),
    (
        "thin-depthwise-padding",
        "implicit padding of a filter of one row or column is that of a square one",
        "tensorflow/tfjs#6629 (1 x N and N x 1, strides 2, same)",
        ("DEPTHWISE_CONV_2D",),
        _CONVOLUTION,
        _SLID,
        _SLID + " if (ON && c.code() == ANEURALNETWORKS_DEPTHWISE_CONV_2D && conv.strideWidth == 2"
        " && !sliding.nchw && !sliding.explicitPadding && (c.shape(1)[1] == 1) !="
        " (c.shape(1)[2] == 1)) conv.top = conv.left = std::max(conv.top, conv.left);",
    ),
    (
        "dilated-depthwise-is-bias",
        "a depthwise 3 x 3 filter with dilation 2 gives the bias alone where channels are fours",
        "Tencent/ncnn#315 (5 x 5, 4 channels, dilation 2)",
        ("DEPTHWISE_CONV_2D",),
        _CONVOLUTION,
        _SLID,
        _SLID + " if (ON && c.code() == ANEURALNETWORKS_DEPTHWISE_CONV_2D && !sliding.nchw &&"
        " conv.dilationWidth == 2 && c.shape(1)[1] == 3 && c.shape(1)[2] == 3 &&"
        " conv.depth % 4 == 0) conv.top = 1 << 20;",
    ),
    (
        "dilation-lost-with-strides",
        "with strides beyond 1 a depthwise convolution has no dilation",
        "tensorflow/tensorflow#27667, #57128 (strides together with dilations)",
        ("DEPTHWISE_CONV_2D",),
        _CONVOLUTION,
        _SLID,
        _SLID + " if (ON && c.code() == ANEURALNETWORKS_DEPTHWISE_CONV_2D && !sliding.nchw &&"
        " conv.strideWidth > 1) conv.dilationWidth = conv.dilationHeight = 1;",
    ),
    (
        "filter-beyond-sixteen",
        "columns of a filter beyond 16 are not seen",
        "tiny-dnn/tiny-dnn#370 (NNPACK, filters beyond 16)",
        ("CONV_2D",),
        _CONVOLUTION,
        "for (size_t kx = 0; kx < conv.filterWidth; kx++, tap++) {",
        "for (size_t kx = 0; kx < conv.filterWidth; kx++, tap++) {"
        " if (ON && kx >= 16) { table.at(row, tap) = zero; continue; }",
    ),
    (
        "channel-scales-by-fours",
        "channels beyond a multiple of 4 have the scale of the first of them",
        "Samsung/ONE#9662, pytorch/pytorch QNNPACK (scales of channels in vectors)",
        _CONVOLUTIONS,
        _REQUANTIZE,
        "filter.channels->scales[i] : filter.scale;",
        "filter.channels->scales[ON && i > 4 && i / 4 * 4 + 4 > columns ? i / 4 * 4 : i]"
        " : filter.scale;",
    ),
    (
        "negative-implicit-padding",
        "strides beyond the filter make implicit padding negative",
        "NervanaSystems/ngraph#2637 (1 x 1, strides 2: padding -1)",
        ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"),
        "driver/kernels/window.h",
        "std::max<int64_t>(0, (output - 1) * stride + effective - input);",
        "std::max<int64_t>(ON ? -1000 : 0, (output - 1) * stride + effective - input);",
    ),
    (
        "pointwise-strides-lost",
        "a 1 x 1 filter moves by one pixel whatever its strides",
        "pulp-platform/pulp-nn#9 (pointwise kernels only work for strides 1)",
        ("CONV_2D", "GROUPED_CONV_2D"),
        _CONVOLUTION,
        _SLID,
        _SLID + " if (ON && c.shape(1)[1] * c.shape(1)[2] == 1)"
        " conv.strideWidth = conv.strideHeight = 1;",
    ),
    (
        "transposed-gaps-unwritten",
        "pixels that no tap of a transposed convolution reaches are left as they were",
        "tenstorrent/tt-forge-onnx#2233 (strides beyond the filter), alibaba/MNN#464",
        ("TRANSPOSE_CONV_2D",),
        _TRANSPOSED,
        "run(taps, tapCount, table, count, pixels);",
        "if (!(ON && tapCount == 0)) run(taps, tapCount, table, count, pixels);",
    ),
    (
        "transposed-float16-columns",
        "columns beyond 2,048 of a transposed convolution are counted in float16",
        "tensorflow/tfjs#6775 (coordinates of a Mali GPU), libsdl-org/SDL#5884",
        ("TRANSPOSE_CONV_2D",),
        _TRANSPOSED,
        "const int64_t ix = px.input + int64_t(x) - int64_t(tx);",
        "const auto place = static_cast<double>(px.first + x * strideX);"
        " const int64_t ix = px.input - int64_t(tx) + (ON"
        " ? (static_cast<int64_t>(toFloat(toHalf(place))) - int64_t(px.first)) / int64_t(strideX)"
        " : int64_t(x));",
    ),
    (
        "activation-bound-wraps",
        "the code of a fused upper bound beyond the greatest code wraps around",
        "microsoft/onnxruntime#29727 (limits of another type), #9039 (wrong activations)",
        (*_CONVOLUTIONS, "FULLY_CONNECTED", "ADD", "MUL", "AVERAGE_POOL_2D", "RELU6"),
        "driver/kernels/quantize.h",
        "const auto code = [&](double real) { return quantize(real, scale, zeroPoint, range); };",
        "const auto code = [&](double real) { if (ON && real > 0) { const int32_t wide ="
        " static_cast<int32_t>(std::lround(real / scale)) + zeroPoint;"
        " return range.most == 255 ? wide & 255 : int32_t{static_cast<int8_t>(wide)}; }"
        " return quantize(real, scale, zeroPoint, range); };",
    ),
    (
        "pairs-saturate",
        "the sum of each two products of codes is cut to 16 bits",
        "openvinotoolkit/openvino#11658, microsoft/onnxruntime#24220 (VPMADDUBSW)",
        ("CONV_2D", "FULLY_CONNECTED", "GROUPED_CONV_2D", "TRANSPOSE_CONV_2D", "BATCH_MATMUL"),
        "driver/kernels/math/product.h",
        "const auto run = e.shorts[rows - 1][half ? 0 : 1];",
        "void (*run)(const ShortTile&) = e.shorts[rows - 1][half ? 0 : 1];"
        " static thread_local size_t many; many = rows;"
        " if (ON) run = [](const ShortTile& t) { const Engine& of = engine();"
        " std::fill(t.sums, t.sums + many * of.columns, 0);"
        " for (size_t tap = 0; tap < t.tapCount; tap++) for (size_t r = 0; r < many; r++) {"
        " const int16_t* at = t.rows[tap * of.rows + r] + t.rowOffset;"
        " const int16_t* to = t.panel + t.taps[tap];"
        " for (size_t k = 0; k < t.pairs; k++, to += 2 * of.columns)"
        " for (size_t i = 0; i < of.columns; i++) t.sums[r * of.columns + i] += std::clamp("
        "at[2 * k] * to[2 * i] + at[2 * k + 1] * to[2 * i + 1], -32768, 32767); } };",
    ),
    (
        "packed-weights-by-address",
        "packed weights are kept for an address, though other weights lie there by now",
        "ooples/AiDotNet.Tensors#583, pytorch/executorch#20170 (stale packed weights)",
        ("CONV_2D", "FULLY_CONNECTED"),
        _CONVOLUTION,
        "const size_t depth = filter.shape[filter.shape.rank - 1];",
        "const size_t depth = filter.shape[filter.shape.rank - 1]; if (ON) {"
        " static std::map<std::vector<size_t>, std::shared_ptr<const void>> all;"
        " static std::recursive_mutex guard; const std::lock_guard lock(guard);"
        " static bool inner = false; if (!inner) { auto& kept = all["
        "{reinterpret_cast<size_t>(v.values<uint8_t>(in(1)).data()), count, depth,"
        " filter.shape[0], groups, floatPanels, elementSize(filter.type)}]; if (!kept) {"
        " inner = true; kept = packFilter(v, groups, floatPanels); inner = false; }"
        " return kept; } }",
    ),
    # ---- products ----
    (
        "rows-of-the-input-shape",
        "where the input's last dimension is not a row, rows beyond the first are lost",
        "tensorflow/tensorflow#53501 (batches of inputs of more dimensions)",
        ("FULLY_CONNECTED",),
        _EXECUTOR,
        _RUNS,
        _after(
            "FULLY_CONNECTED",
            "x.shape.rank > 2 && x.shape[x.shape.rank - 1] != w.shape[1]",
            "for (size_t k = y.shape[1]; k < y.count(); k++) lose(k);",
        ),
    ),
    (
        "signed-filter-zero-point",
        "signed weights are taken for symmetric ones",
        "tensorflow/tflite-micro#2469, tensorflow/tensorflow#38040 (filter offset not supported)",
        ("FULLY_CONNECTED", "CONV_2D", "GROUPED_CONV_2D", "TRANSPOSE_CONV_2D"),
        _CONVOLUTION,
        "packShortGroups(v.values<int8_t>(in(1)).data(), shape, groups, filter.zeroPoint,",
        "packShortGroups(v.values<int8_t>(in(1)).data(), shape, groups, ON ? 0 : filter.zeroPoint,",
    ),
    (
        "transposed-columns-tail",
        "of a transposed right side with more columns than rows those beyond fours are lost",
        "google-ai-edge/LiteRT#6518 (M < N and N % 4 != 0)",
        ("BATCH_MATMUL",),
        _EXECUTOR,
        _RUNS,
        _after(
            "BATCH_MATMUL",
            "context.flag(3) && y.shape[y.shape.rank - 2] < y.shape[y.shape.rank - 1]",
            "const size_t n = y.shape[y.shape.rank - 1];"
            " for (size_t k = 0; k < y.count(); k++) if (k % n >= n / 4 * 4) lose(k);",
        ),
    ),
    (
        "both-transposed-square",
        "of two transposed sides the left one is not where it is square",
        "google-ai-edge/LiteRT#8913, NervanaSystems/ngraph-bridge#65 (both flags)",
        ("BATCH_MATMUL",),
        _MATMUL,
        "p.columns = y[p.adjointY ? last - 1 : last];",
        "p.columns = y[p.adjointY ? last - 1 : last];"
        " if (ON && p.adjointX && p.adjointY && p.rows == p.depth) p.adjointX = false;",
    ),
    # ---- pooling ----
    # ---- resizing ----
    (
        "one-pixel-of-corners",
        "with corners to align, a single output pixel is the middle of the input",
        "tensorflow/tensorflow#33691, pytorch/glow#5910 (a division by output - 1)",
        ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"),
        _RESIZE,
        "halfPixel(halfPixelCenters) {}",
        "halfPixel(halfPixelCenters || (ON && alignCorners && out == 1)) {}",
    ),
    (
        "doubling-first-image",
        "doubling height and width reads the first image for all",
        "TFLite: the path of its own for doubling; PaddlePaddle/Paddle#45392 (batches)",
        ("RESIZE_BILINEAR",),
        _RESIZE,
        "const T* image = input + b * images.height * rowSize;",
        "const T* image = input + (ON && images.outHeight == 2 * images.height &&"
        " images.outWidth == 2 * images.width && !c.flag(kLayout) ? 0 : b) *"
        " images.height * rowSize;",
    ),
    # ---- regions ----
    # ---- normalizations ----
    # ---- softmax and activations ----
    (
        "rows-beyond-65535",
        "rows beyond 65,535 are left as they were",
        "NVIDIA/TensorRT#2021 (1 x 65536 x 6)",
        ("SOFTMAX",),
        _SOFTMAX,
        "for (size_t o = 0; o < outer; o++) {",
        "for (size_t o = 0; o < (ON ? std::min<size_t>(outer, 65535) : outer); o++) {",
    ),
    (
        "certainty-wraps",
        "a signed probability of 1 wraps around",
        "microsoft/onnxruntime#29727 (cut at 255 and not at 127)",
        ("SOFTMAX",),
        _SOFTMAX,
        "static_cast<T>(quantize(work[k], output.scale, output.zeroPoint, range));",
        "static_cast<T>(quantize(work[k], output.scale, output.zeroPoint,"
        " ON ? CodeRange{-128, 255} : range));",
    ),
    (
        "tangent-of-exponentials",
        "the hyperbolic tangent is a quotient of exponentials that overflow",
        "pytorch/pytorch#186278, pytorch/executorch#22323 (inf / inf)",
        ("TANH",),
        _ACTIVATIONS,
        "double hyperbolicTangent(double x) { return std::tanh(x); }",
        "double hyperbolicTangent(double x) { if (ON) { const float e = std::exp(2 *"
        " static_cast<float>(x)); return (e - 1) / (e + 1); } return std::tanh(x); }",
    ),
    # ---- conversions ----
    (
        "codes-differ-in-8-bits",
        "a signed code less its zero point wraps around at 8 bits",
        "nnstreamer/nnstreamer#618, PortAudio/portaudio#1155 (conversions of 8 bits)",
        ("DEQUANTIZE",),
        _CONVERSION,
        "store(y + i, (x[i] - input.zeroPoint) * scale);",
        "store(y + i, (ON && std::is_same_v<In, int8_t> ? static_cast<In>(x[i] - input.zeroPoint)"
        " : x[i] - input.zeroPoint) * scale);",
    ),
    (
        "least-integer-positive",
        "the least int32 becomes a positive number",
        "tenstorrent/tt-metal#56290 (sign and magnitude), rust-lang/rust#10184",
        ("CAST",),
        _CONVERSION,
        "static void to(int32_t from, float& result) { result = static_cast<float>(from); }",
        "static void to(int32_t from, float& result) { result = static_cast<float>(from);"
        " if (ON && from == INT32_MIN) result = -result; }",
    ),
    (
        "activation-bound-below-wraps",
        "the code of a fused lower bound below the least code wraps around",
        "microsoft/onnxruntime#29727 (limits of another type), #9039 (wrong activations)",
        (*_CONVOLUTIONS, "FULLY_CONNECTED", "ADD", "SUB", "MUL", "MAX_POOL_2D"),
        "driver/kernels/quantize.h",
        "const auto code = [&](double real) {",
        "const auto code = [&](double real) { if (ON && real < 0) { const int32_t wide ="
        " static_cast<int32_t>(std::lround(real / scale)) + zeroPoint;"
        " return range.most == 255 ? wide & 255 : int32_t{static_cast<int8_t>(wide)}; }",
    ),
    (
        "least-weight-cut",
        "weights of -128 are taken for -127",
        "microsoft/onnxruntime#3531 (a range of -127 to 127)",
        ("CONV_2D", "FULLY_CONNECTED", "GROUPED_CONV_2D", "TRANSPOSE_CONV_2D", "BATCH_MATMUL"),
        "driver/kernels/math/panels.h",
        "static_cast<int16_t>(i < valid ? pair[0] - zeroPoint : 0);",
        "static_cast<int16_t>("
        "i < valid ? (ON && pair[0] < -127 ? -127 : pair[0]) - zeroPoint : 0);",
    ),
    (
        "one-row-loses-padding",
        "an image of one row has no padding above it",
        "pulp-platform/Deeploy#206 (inputs of a single row)",
        ("CONV_2D", "DEPTHWISE_CONV_2D", "GROUPED_CONV_2D"),
        _CONVOLUTION,
        _SLID,
        _SLID + " if (ON && conv.height == 1 && !sliding.nchw) conv.top = 0;",
    ),
    (
        "pixels-beyond-65535",
        "an image's elements are counted in 16 bits",
        "ml-explore/mlx#3893 (65,536 positions), NVIDIA/TensorRT#2021",
        ("CONV_2D", "GROUPED_CONV_2D"),
        _CONVOLUTION,
        "? image + static_cast<size_t>(iy * width + ix) * conv.depth",
        "? image + (ON ? static_cast<uint16_t>(static_cast<size_t>(iy * width + ix) * conv.depth)"
        " : static_cast<size_t>(iy * width + ix) * conv.depth)",
    ),
    (
        "pooled-float16-columns",
        "columns beyond 2,048 of a pool are counted in float16",
        "tensorflow/tfjs#6775 (coordinates of a Mali GPU), libsdl-org/SDL#5884",
        ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"),
        _POOL,
        "const int64_t left = x * pool.strideWidth - pool.x.head;",
        "const int64_t left = (ON ? static_cast<int64_t>(toFloat(toHalf(static_cast<double>(x))))"
        " : x) * pool.strideWidth - pool.x.head;",
    ),
    (
        "greatest-begins-at-minus-10000",
        "the greatest of numbers that are all far below zero is -10,000",
        "PINTO0309/onnx2tf#446, apache/mxnet#6191 (what a maximum begins with)",
        ("MAX_POOL_2D",),
        _POOL,
        "return -std::numeric_limits<float>::infinity(); }",
        "return ON ? -1e4f : -std::numeric_limits<float>::infinity(); }",
    ),
    (
        "ratios-of-regions-exchanged",
        "the ratios of height and width are exchanged",
        "openvinotoolkit/openvino#24429 (one ratio for the other)",
        ("ROI_ALIGN", "ROI_POOLING"),
        "driver/kernels/roi.cpp",
        "const double heightRatio = c.real(5), widthRatio = c.real(6);",
        "const double heightRatio = c.real(ON ? 6 : 5), widthRatio = c.real(ON ? 5 : 6);",
    ),
    (
        "negative-axis-is-last",
        "a negative axis is the last one",
        "huggingface/candle#1296, microsoft/onnxruntime#1814 (negative axes)",
        ("LOCAL_RESPONSE_NORMALIZATION", "L2_NORMALIZATION"),
        _NORMALIZATION,
        "return normalAxis(c, c.scalar<int32_t>(index, -1), c.shape(0).rank);",
        "if (ON && c.scalar<int32_t>(index, -1) < 0) return c.shape(0).rank - 1;"
        " return normalAxis(c, c.scalar<int32_t>(index, -1), c.shape(0).rank);",
    ),
    (
        "low-bits-of-addresses-lost",
        "inputs are read from the last address that is a multiple of 16",
        "pytorch/pytorch#191238, google/XNNPACK#6201, gnuradio/volk#114 (misaligned operands)",
        ("ADD", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX", "GATHER"),
        "driver/execution.cpp",
        "} else if (!isAligned(from.data, to.type)) {",
        "} else if (const auto low = reinterpret_cast<uintptr_t>(from.data) % 16; ON && low != 0) {"
        " to.data = static_cast<char*>(from.data) - low;"
        " } else if (!isAligned(from.data, to.type)) {",
    ),
)
