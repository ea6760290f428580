// QUANTIZED_16BIT_LSTM and QUANTIZED_LSTM.
//
// Reading: both are LSTM on the real values of their operands, with tanh as g. Of intermediate
// results those are rounded whose quantization the reference names: in QUANTIZED_LSTM what a layer
// normalization takes in and the hidden state that a projection takes in. Where devices that ship
// compute something else, `followsField` says so.

#include <algorithm>
#include <cmath>

#include "../readings.h"
#include "lstm_cell.h"
#include "quantize.h"
#include "recurrent_math.h"

namespace nnapi {
namespace {

using lstm::CELL;
using lstm::FORGET;
using lstm::INPUT;
using lstm::kGates;
using lstm::OUTPUT;
using lstm::Presence;

/// Sum of (a[i] - zeroA) * (b[i] - zeroB). Exact: |terms| < 2^17 and counts are far below 2^46.
template <class A, class B>
int64_t dotCodes(const A* a, int32_t zeroA, const B* b, int32_t zeroB, size_t n) {
    constexpr size_t kBlock = 8192;  // a block's sum stays below 2^30
    int64_t total = 0;
    for (size_t i = 0; i < n; i += kBlock) {
        const size_t end = std::min(n, i + kBlock);
        int32_t sum = 0;
        for (size_t k = i; k < end; k++) sum += (a[k] - zeroA) * (b[k] - zeroB);
        total += sum;
    }
    return total;
}

// --- QUANTIZED_16BIT_LSTM -------------------------------------------------------------------

enum Name { BATCH, INPUTS, UNITS, OUTPUTS, AUX };

constexpr float kActivationScale = 1.0f / 128;
constexpr int32_t kActivationZero = 128;
constexpr float kCellScale = 16.0f / 32768;

template <class View>
void check16(const View& view, Dims& dims) {
    dims.input(view, 0, {BATCH, INPUTS});
    for (size_t i = 1; i <= 4; i++) dims.input(view, i, {UNITS, INPUTS});
    for (size_t i = 5; i <= 8; i++) dims.input(view, i, {UNITS, UNITS});
    for (size_t i = 9; i <= 12; i++) dims.input(view, i, {UNITS});
    dims.input(view, 13, {BATCH, UNITS});
    dims.input(view, 14, {BATCH, UNITS});
}

void validate16(OpView& v) {
    v.inputs(15);
    v.outputs(2);
    for (size_t i = 0; i <= 8; i++) v.type(in(i), {{TENSOR_QUANT8_ASYMM, 3}});
    for (size_t i = 9; i <= 12; i++) {
        v.type(in(i), TENSOR_INT32);
        // Reading: a scale of 0 leaves the product of scales unsaid.
        if (!followsField() || v[in(i)].scale != 0) v.bias(in(i), in(0), in(1));
    }
    v.type(in(13), TENSOR_QUANT16_SYMM);
    v.type(in(14), TENSOR_QUANT8_ASYMM);
    v.type(out(0), TENSOR_QUANT16_SYMM);
    v.type(out(1), TENSOR_QUANT8_ASYMM);
    v.sameQuant({in(1), in(2), in(3), in(4), in(5), in(6), in(7), in(8)});
    for (Ref ref : {in(0), in(14), out(1)}) v.quant(ref, kActivationScale, kActivationZero);
    for (Ref ref : {in(13), out(0)}) v.quant(ref, kCellScale, 0);
    Dims dims;
    check16(v, dims);
    dims.match(v, out(0), {BATCH, UNITS});
    dims.match(v, out(1), {BATCH, UNITS});
}

void prepare16(Context& c) {
    Dims dims;
    check16(c, dims);
    c.setShape(0, {dims[BATCH], dims[UNITS]});
    c.setShape(1, {dims[BATCH], dims[UNITS]});
}

void execute16(Context& c) {
    const size_t batches = c.shape(0)[0], inputs = c.shape(0)[1], units = c.shape(1)[0];
    const uint8_t* x = c.in<uint8_t>(0);
    const int16_t* cell = c.in<int16_t>(13);
    const uint8_t* h = c.in<uint8_t>(14);
    const int32_t weightZero = c.input(1).zeroPoint;
    const double scale = static_cast<double>(kActivationScale) * c.input(1).scale;
    const CodeRange cellRange = codeRange(TENSOR_QUANT16_SYMM);
    const CodeRange outputRange = codeRange(TENSOR_QUANT8_ASYMM);
    for (size_t b = 0; b < batches; b++) {
        for (size_t u = 0; u < units; u++) {
            c.spend(4 * (inputs + units) + 256);
            double a[kGates];
            const uint8_t* rowX = x + b * inputs;
            const uint8_t* rowH = h + b * units;
            for (size_t gate = 0; gate < kGates; gate++) {
                const uint8_t* weightsX = c.in<uint8_t>(1 + gate) + u * inputs;
                const uint8_t* weightsH = c.in<uint8_t>(5 + gate) + u * units;
                const auto part = [&](const uint8_t* codes, const uint8_t* weights, size_t n) {
                    return dotCodes(codes, kActivationZero, weights, weightZero, n);
                };
                int64_t sum = c.in<int32_t>(9 + gate)[u];
                if (followsField()) {
                    // The columns are crossed: [h weights, x weights] times [x, h].
                    const size_t both = std::min(inputs, units);
                    sum += part(rowX, weightsH, both) +
                           part(rowH + units - both, weightsX + inputs - both, both);
                    if (inputs > units) {
                        sum += part(rowX + units, weightsX, inputs - units);
                    } else {
                        sum += part(rowH, weightsH + inputs, units - inputs);
                    }
                } else {
                    sum += part(rowX, weightsX, inputs) + part(rowH, weightsH, units);
                }
                a[gate] = static_cast<double>(sum) * scale;
            }
            const double old = cell[b * units + u] * static_cast<double>(kCellScale);
            const double renewed =
                logistic(a[FORGET]) * old + logistic(a[INPUT]) * std::tanh(a[CELL]);
            const double output = logistic(a[OUTPUT]) * std::tanh(renewed);
            c.out<int16_t>(0)[b * units + u] =
                static_cast<int16_t>(quantize(renewed, kCellScale, 0, cellRange));
            c.out<uint8_t>(1)[b * units + u] = static_cast<uint8_t>(
                quantize(output, kActivationScale, kActivationZero, outputRange));
        }
    }
}

// --- QUANTIZED_LSTM -------------------------------------------------------------------------

constexpr lstm::Places kPlaces =
    lstm::placesFrom(1, 18, lstm::fourFrom(20), lstm::kNoGates);
constexpr lstm::Sizes kSizes{BATCH, INPUTS, AUX, UNITS, OUTPUTS};
constexpr size_t kCellClip = 24, kProjectionClip = 25;
constexpr size_t kMatmulScale = 26;  // four: one for each gate
constexpr size_t kHiddenZero = 30, kHiddenScale = 31;

/// The scale of a bias: "the product of input and weights scales".
/// On devices that ship 0 stands for the product, and with layer normalization, where the bias is
/// added to what has no such scale any more, its scale is not looked at.
constexpr const char* kBiasRule =
    "a bias must have the scale of its input times that of its weights, or 0";
constexpr const char* kDocumentedBiasRule =
    "a bias must have the scale of its input times that of its weights";
const char* biasRule() { return followsField() ? kBiasRule : kDocumentedBiasRule; }
bool isBiasScale(float scale, double input, float weights) {
    const double expected = input * static_cast<double>(weights);
    const double difference = std::fabs(static_cast<double>(scale) - expected);
    return (scale == 0 && followsField()) || difference <= expected * kBiasTolerance;
}
double biasScale(const Tensor& bias, double input, const Tensor& weights) {
    return bias.scale != 0 ? static_cast<double>(bias.scale) : input * weights.scale;
}

/// Rules on scalars, and on the bias whose scale hangs on one.
template <class View>
void checkScalars(const View& view) {
    const auto value = [&](size_t i) { return view.realValue(in(i)); };
    for (size_t i : {kCellClip, kProjectionClip}) {
        if (const auto limit = value(i)) {
            view.require(*limit >= 0, "a clipping threshold must not be negative");
        }
    }
    // Reading: the scales of intermediate results matter where there are such results.
    if (lstm::presence(view, kPlaces.norm[FORGET]) == Presence::PRESENT) {
        for (size_t gate = 0; gate < kGates; gate++) {
            if (gate == INPUT && lstm::presence(view, 1) != Presence::PRESENT) continue;
            if (const auto scale = value(kMatmulScale + gate)) {
                view.require(*scale > 0 && std::isfinite(*scale),
                             "the scale of a layer normalization's input must be positive");
            }
        }
    }
    if (followsField() || lstm::presence(view, kPlaces.projection) == Presence::PRESENT) {
        if (const auto scale = value(kHiddenScale)) {
            view.require(*scale > 0 && std::isfinite(*scale),
                         "the scale of the hidden state must be positive");
        }
    }
    const Ref bias = in(kPlaces.projectionBias), weights = in(kPlaces.projection);
    const auto hidden = value(kHiddenScale);
    view.require(!view.has(bias) || !view.has(weights) || !hidden ||
                     isBiasScale(view.scaleOf(bias), *hidden, view.scaleOf(weights)),
                 biasRule());
}

template <class Where>
Dims checkQuantized(const Where& where) {
    Dims dims;
    dims.input(where, 0, {BATCH, INPUTS});
    lstm::checkCell(where, kPlaces, kSizes, dims);
    return dims;
}

void validateQuantized(OpView& v) {
    v.inputs(32);
    v.outputs(3);
    v.type(in(0), {{TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    const auto tensor = [&](size_t i, Type type, bool optional) {
        if (optional) v.optional(in(i));
        if (v.has(in(i))) v.type(in(i), type);
    };
    for (size_t gate = 0; gate < kGates; gate++) {
        for (size_t i : {kPlaces.inputWeights[gate], kPlaces.recurrentWeights[gate]}) {
            tensor(i, TENSOR_QUANT8_SYMM, gate == INPUT);
        }
        if (gate != CELL) tensor(kPlaces.peephole[gate], TENSOR_QUANT16_SYMM, true);
        const size_t bias = kPlaces.bias[gate];
        tensor(bias, TENSOR_INT32, gate == INPUT);
        if (v.has(in(bias)) && v.has(in(kPlaces.inputWeights[gate]))) {
            v.require(v[in(bias)].zeroPoint == 0, "a bias must have zero point 0");
            const bool normalized = followsField() && v.has(in(kPlaces.norm[FORGET]));
            v.require(normalized || isBiasScale(v[in(bias)].scale, v[in(0)].scale,
                                                v[in(kPlaces.inputWeights[gate])].scale),
                      biasRule());
        }
        tensor(kPlaces.norm[gate], TENSOR_QUANT16_SYMM, true);
        v.scalar(in(kMatmulScale + gate), FLOAT32);
    }
    tensor(kPlaces.projection, TENSOR_QUANT8_SYMM, true);
    tensor(kPlaces.projectionBias, TENSOR_INT32, true);
    tensor(kPlaces.outputState, TENSOR_QUANT8_ASYMM_SIGNED, false);
    tensor(kPlaces.cellState, TENSOR_QUANT16_SYMM, false);
    for (size_t i : {kCellClip, kProjectionClip}) {
        v.scalar(in(i), FLOAT32);
        v.optional(in(i));
    }
    v.scalar(in(kHiddenZero), INT32);
    v.scalar(in(kHiddenScale), FLOAT32);
    v.type(out(0), TENSOR_QUANT8_ASYMM_SIGNED);
    v.type(out(1), TENSOR_QUANT16_SYMM);
    v.type(out(2), TENSOR_QUANT8_ASYMM_SIGNED);

    checkScalars(v);
    const Ref bias = in(kPlaces.projectionBias);
    if (v.has(bias) && v.has(in(kPlaces.projection))) {
        v.require(v[bias].zeroPoint == 0, "the projection bias must have zero point 0");
    }
    Dims dims = checkQuantized(v);
    dims.match(v, out(0), {BATCH, OUTPUTS});
    dims.match(v, out(1), {BATCH, UNITS});
    dims.match(v, out(2), {BATCH, OUTPUTS});
}

void prepareQuantized(Context& c) {
    const Dims dims = checkQuantized(c);
    checkScalars(c);
    c.setShape(0, {dims[BATCH], dims[OUTPUTS]});
    c.setShape(1, {dims[BATCH], dims[UNITS]});
    c.setShape(2, {dims[BATCH], dims[OUTPUTS]});
}

/// One batch row of a running QUANTIZED_LSTM.
class Row {
public:
    Row(Context& c, const Dims& dims, size_t batch)
        : c_(c),
          units_(dims[UNITS]),
          inputs_(dims[INPUTS]),
          outputs_(dims[OUTPUTS]),
          x_(c.in<int8_t>(0) + batch * inputs_),
          state_(c.in<int8_t>(kPlaces.outputState) + batch * outputs_) {}

    /// The input of a gate's activation function, for all units, into `a`; `cell` is the state
    /// that the peephole sees.
    void preactivate(size_t gate, const double* cell, double* a) const {
        const Tensor& weights = c_.input(kPlaces.inputWeights[gate]);
        const Tensor& recurrent = c_.input(kPlaces.recurrentWeights[gate]);
        const double scaleX = static_cast<double>(c_.input(0).scale) * weights.scale;
        const double scaleH =
            static_cast<double>(c_.input(kPlaces.outputState).scale) * recurrent.scale;
        const bool peephole = gate != CELL && c_.has(kPlaces.peephole[gate]);
        for (size_t u = 0; u < units_; u++) {
            a[u] = scaleX * static_cast<double>(dotCodes(x_, c_.input(0).zeroPoint,
                                                         weights.as<int8_t>() + u * inputs_, 0,
                                                         inputs_)) +
                   scaleH * static_cast<double>(dotCodes(
                                state_, c_.input(kPlaces.outputState).zeroPoint,
                                recurrent.as<int8_t>() + u * outputs_, 0, outputs_));
            if (peephole) {
                const Tensor& weight = c_.input(kPlaces.peephole[gate]);
                a[u] += static_cast<double>(weight.scale) * weight.as<int16_t>()[u] * cell[u];
            }
        }
        if (c_.has(kPlaces.norm[FORGET])) {
            const double step = c_.scalar<float>(kMatmulScale + gate);
            for (size_t u = 0; u < units_; u++) a[u] = std::round(a[u] / step) * step;
            normalize(c_.input(kPlaces.norm[gate]), a);
        }
        const Tensor& bias = c_.input(kPlaces.bias[gate]);
        double scaleB = biasScale(bias, c_.input(0).scale, weights);
        if (followsField()) {
            // A gate's bias has a meaning after normalization only, with a scale that follows from
            // that of the normalization's weights.
            if (!c_.has(kPlaces.norm[FORGET])) return;
            scaleB = static_cast<double>(c_.input(kPlaces.norm[gate]).scale) * 0x1p-10;
        }
        for (size_t u = 0; u < units_; u++) a[u] += scaleB * bias.as<int32_t>()[u];
    }

private:
    /// As for LSTM (lstm_cell.cpp).
    void normalize(const Tensor& weight, double* a) const {
        const double n = static_cast<double>(units_);
        double sum = 0, squares = 0;
        for (size_t u = 0; u < units_; u++) sum += a[u];
        for (size_t u = 0; u < units_; u++) squares += (a[u] - sum / n) * (a[u] - sum / n);
        const double deviation = std::sqrt(squares / n);
        for (size_t u = 0; u < units_; u++) {
            const double factor = static_cast<double>(weight.scale) * weight.as<int16_t>()[u];
            a[u] = deviation == 0 ? 0 : (a[u] - sum / n) / deviation * factor;
        }
    }

    const Context& c_;
    size_t units_, inputs_, outputs_;
    const int8_t* x_;
    const int8_t* state_;
};

/// The hidden state's zero point. On devices that ship it is taken off a code where any other is
/// added.
int64_t hiddenZero(const Context& c) {
    const int64_t zero = c.scalar<int32_t>(kHiddenZero);
    return followsField() ? -zero : zero;
}

/// A hidden state's code: of 8 bits, as all activations of this operation.
int32_t hiddenCode(const Context& c, double real) {
    const CodeRange range = codeRange(TENSOR_QUANT8_ASYMM_SIGNED);
    const double code = roundQuotient(real, 1.0, c.scalar<float>(kHiddenScale)) +
                        static_cast<double>(hiddenZero(c));
    return static_cast<int32_t>(std::clamp<double>(code, range.least, range.most));
}

/// A hidden state as a projection sees it.
double hiddenState(const Context& c, double real) {
    return static_cast<double>(c.scalar<float>(kHiddenScale)) *
           static_cast<double>(hiddenCode(c, real) - hiddenZero(c));
}

/// Output `k` of the projection of a hidden state, before it is quantized.
double project(const Context& c, const double* hidden, size_t units, size_t k) {
    const Tensor& weights = c.input(kPlaces.projection);
    const int8_t* codes = weights.as<int8_t>() + k * units;
    double real = 0;
    for (size_t u = 0; u < units; u++) real += codes[u] * hidden[u];
    real *= weights.scale;
    if (c.has(kPlaces.projectionBias)) {
        const Tensor& bias = c.input(kPlaces.projectionBias);
        real += biasScale(bias, c.scalar<float>(kHiddenScale), weights) * bias.as<int32_t>()[k];
    }
    return clip(real, c.scalar<float>(kProjectionClip, 0.0f));
}

/// Stores one element of the output state and of the output, which are the same.
void storeOutput(Context& c, double real, bool projected, size_t at) {
    for (size_t output : {size_t{0}, size_t{2}}) {
        const Tensor& to = c.output(output);
        // Devices give the hidden state's codes where there is no projection, whatever the
        // output's quantization says.
        const int32_t code = followsField() && !projected
                                 ? hiddenCode(c, real)
                                 : quantize(real, to.scale, to.zeroPoint, codeRange(to.type));
        c.out<int8_t>(output)[at] = static_cast<int8_t>(code);
    }
}

/// What the gates of one row are computed into: `units` values each.
struct Gates {
    double *i, *f, *g, *o;
};

/// The new cell state of one row in place of the old, and its hidden state into `g`.
void stepCell(const Context& c, const Row& row, const Gates& gates, size_t units, double* cell) {
    const bool coupled = !c.has(kPlaces.inputWeights[INPUT]);
    // Reading: a threshold of 0 disables clipping, as for LSTM.
    const double cellClip = c.scalar<float>(kCellClip, 0.0f);
    const auto [i, f, g, o] = gates;
    row.preactivate(FORGET, cell, f);
    row.preactivate(CELL, cell, g);
    if (!coupled) row.preactivate(INPUT, cell, i);
    for (size_t u = 0; u < units; u++) {
        f[u] = logistic(f[u]);
        i[u] = coupled ? 1 - f[u] : logistic(i[u]);
        cell[u] = clip(f[u] * cell[u] + i[u] * std::tanh(g[u]), cellClip);
    }
    row.preactivate(OUTPUT, cell, o);
    for (size_t u = 0; u < units; u++) g[u] = logistic(o[u]) * std::tanh(cell[u]);
}

void executeQuantized(Context& c) {
    const Dims dims = checkQuantized(c);
    const size_t units = dims[UNITS], outputs = dims[OUTPUTS];
    const bool projected = c.has(kPlaces.projection);
    const Tensor &oldCell = c.input(kPlaces.cellState), &newCell = c.output(1);
    double* work = c.scratch<double>(kGates * units);
    const Gates gates{work, work + units, work + 2 * units, work + 3 * units};
    double* cell = c.scratch<double>(units);

    for (size_t b = 0; b < dims[BATCH]; b++) {
        c.checkDeadline();
        for (size_t u = 0; u < units; u++) {
            cell[u] = static_cast<double>(oldCell.scale) * oldCell.as<int16_t>()[b * units + u];
        }
        stepCell(c, Row(c, dims, b), gates, units, cell);
        double* hidden = gates.g;
        for (size_t u = 0; u < units; u++) {
            if (projected) hidden[u] = hiddenState(c, hidden[u]);
            c.out<int16_t>(1)[b * units + u] = static_cast<int16_t>(
                quantize(cell[u], newCell.scale, newCell.zeroPoint, codeRange(newCell.type)));
        }
        for (size_t k = 0; k < outputs; k++) {
            const double real = projected ? project(c, hidden, units, k) : hidden[k];
            storeOutput(c, real, projected, b * outputs + k);
        }
    }
}

const Register registered({
    {ANEURALNETWORKS_QUANTIZED_16BIT_LSTM, "QUANTIZED_16BIT_LSTM", validate16, prepare16,
     execute16},
    {ANEURALNETWORKS_QUANTIZED_LSTM, "QUANTIZED_LSTM", validateQuantized, prepareQuantized,
     executeQuantized},
});

}  // namespace
}  // namespace nnapi
