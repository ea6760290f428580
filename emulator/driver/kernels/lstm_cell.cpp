#include "lstm_cell.h"

#include <algorithm>
#include <cmath>

#include "recurrent_math.h"

namespace nnapi::lstm {
namespace {

/// The activation function g of an LSTM, by the numbers of the reference.
double activate(int32_t function, double x) {
    switch (function) {
        case 1: return x < 0 ? 0 : x;
        case 3: return x < 0 ? 0 : (x > 6 ? 6 : x);
        case 4: return std::tanh(x);
        case 6: return logistic(x);
        default: return x;
    }
}
constexpr bool isActivation(int32_t function) {
    return function == 0 || function == 1 || function == 3 || function == 4 || function == 6;
}

template <class View>
Presence allTogether(const View& view, std::initializer_list<size_t> inputs, const char* rule) {
    bool some = false, maybe = false, missing = false;
    for (size_t input : inputs) {
        if (input == kNone) continue;
        const Presence one = presence(view, input);
        some |= one == Presence::PRESENT;
        maybe |= one == Presence::MAYBE;
        missing |= one == Presence::ABSENT;
    }
    view.require(!missing || !some, rule);
    if (missing) return Presence::ABSENT;
    return some || !maybe ? Presence::PRESENT : Presence::MAYBE;
}

/// Weights of all gates: those of forget, cell and output gate together, that of the input gate
/// with them unless the input gate is coupled to the forget gate: then there must be none, or
/// (`idle`) there may be weights that nothing reads.
template <class View>
Presence gateWeights(const View& view, const std::array<size_t, kGates>& places,
                     Presence inputGate, const char* rule, bool idle = false) {
    const Presence all = together(view, {places[FORGET], places[CELL], places[OUTPUT]}, rule);
    if (places[INPUT] == kNone) return all;
    const Presence own = presence(view, places[INPUT]);
    if (all == Presence::ABSENT || (inputGate == Presence::ABSENT && !idle)) {
        view.require(own != Presence::PRESENT, rule);
    } else if (all == Presence::PRESENT && inputGate == Presence::PRESENT) {
        view.require(own != Presence::ABSENT, rule);
    }
    return all;
}

template <class View>
void check(const View& view, const Places& p, const Sizes& s, Dims& dims) {
    const Presence inputGate = together(
        view, {p.inputWeights[INPUT], p.recurrentWeights[INPUT], p.bias[INPUT]},
        "input gate weights and bias must all have values, or none (CIFG)");
    gateWeights(view, p.peephole, inputGate,
                "cell-to-gate weights must all have values (input gate: unless CIFG), or none");
    if (p.norm[FORGET] != kNone) {
        gateWeights(view, p.norm, inputGate,
                    "layer normalization weights must all have values (input gate: unless CIFG), "
                    "or none");
    }
    if (p.auxWeights[FORGET] != kNone) {
        // Reading: of auxiliary weights the reference does not say that CIFG forbids those of the
        // input gate.
        gateWeights(view, p.auxWeights, inputGate,
                    "auxiliary weights must all have values (input gate: unless CIFG), or none",
                    true);
    }
    const Presence projection = presence(view, p.projection);
    view.require(projection != Presence::ABSENT ||
                     presence(view, p.projectionBias) != Presence::PRESENT,
                 "a projection bias needs projection weights");

    const auto match = [&](bool optional, size_t input, std::initializer_list<int> names) {
        if (input == kNone || presence(view, input) == Presence::ABSENT) return;
        if (optional && mustBeOmitted(view, input, names.size())) return;
        dims.input(view, input, names);
    };
    for (int gate : {FORGET, CELL, OUTPUT, INPUT}) {
        const auto g = static_cast<size_t>(gate);
        match(gate == INPUT, p.inputWeights[g], {s.units, s.input});
        match(gate == INPUT, p.recurrentWeights[g], {s.units, s.output});
        match(true, p.auxWeights[g], {s.units, s.aux});
        match(true, p.peephole[g], {s.units});
        match(gate == INPUT, p.bias[g], {s.units});
        match(true, p.norm[g], {s.units});
    }
    match(true, p.projection, {s.output, s.units});
    match(true, p.projectionBias, {s.output});
    match(false, p.outputState, {s.batch, s.output});
    match(false, p.cellState, {s.batch, s.units});
    if (projection == Presence::ABSENT) {
        dims.same(view, s.output, s.units, "without a projection output_size must be num_units");
    }
}

/// The rules on the values of a cell's scalars.
template <class View>
void checkValues(const View& view, size_t first) {
    const auto function = view.intOf(in(first));
    view.require(!function || isActivation(*function),
                 "the activation function must be 0, 1, 3, 4 or 6");
    for (size_t i = first + 1; i <= first + 2; i++) {
        // Reading: [-clip, clip] is no interval for a negative threshold.
        const auto limit = view.realValue(in(i));
        view.require(!limit || *limit >= 0, "a clipping threshold must not be negative");
    }
}

}  // namespace

Presence presence(const OpView& v, size_t input) {
    if (!v.has(in(input))) return Presence::ABSENT;
    return v[in(input)].lifetime == Lifetime::INPUT ? Presence::MAYBE : Presence::PRESENT;
}

bool mustBeOmitted(const OpView& v, size_t input, size_t rank) {
    return presence(v, input) == Presence::MAYBE && isPlaceholder(v, in(input), rank);
}

Presence presence(const Context& c, size_t input) {
    return c.has(input) ? Presence::PRESENT : Presence::ABSENT;
}

Presence together(const OpView& v, std::initializer_list<size_t> inputs, const char* rule) {
    return allTogether(v, inputs, rule);
}

Presence together(const Context& c, std::initializer_list<size_t> inputs, const char* rule) {
    return allTogether(c, inputs, rule);
}

void validateCell(OpView& v, const Places& p, Type type) {
    const auto operand = [&](size_t input, bool optional) {
        if (input == kNone || input >= v.inputCount()) return;
        if (optional) v.optional(in(input));
        if (v.has(in(input))) v.type(in(input), type);
    };
    for (size_t g = 0; g < kGates; g++) {
        operand(p.inputWeights[g], g == INPUT);
        operand(p.recurrentWeights[g], g == INPUT);
        operand(p.bias[g], g == INPUT);
        operand(p.peephole[g], true);
        operand(p.auxWeights[g], true);
        operand(p.norm[g], true);
    }
    operand(p.projection, true);
    operand(p.projectionBias, true);
    operand(p.outputState, false);
    operand(p.cellState, false);
}

void checkCell(const OpView& v, const Places& places, const Sizes& sizes, Dims& dims) {
    check(v, places, sizes, dims);
}

void checkCell(const Context& c, const Places& places, const Sizes& sizes, Dims& dims) {
    check(c, places, sizes, dims);
}

void validateScalars(OpView& v, size_t first, Type type, bool anyReal) {
    v.scalar(in(first), INT32);
    for (size_t i = first + 1; i <= first + 2; i++) {
        anyReal ? v.anyRealScalar(in(i), type) : v.realScalar(in(i), type);
    }
    checkValues(v, first);
}

void checkScalars(const Context& c, size_t first) { checkValues(c, first); }

Cell makeCell(Context& c, FloatIo& io, const Places& p, const Sizes& sizes, const Dims& dims,
              size_t scalars) {
    const auto has = [&](size_t input) { return input != kNone && c.has(input); };
    const auto read = [&](size_t input) { return has(input) ? io.in(input) : nullptr; };
    Cell cell{};
    for (size_t g = 0; g < kGates; g++) {
        cell.gates[g] = {read(p.inputWeights[g]), read(p.recurrentWeights[g]),
                         read(p.auxWeights[g]),   read(p.peephole[g]),
                         read(p.bias[g]),         read(p.norm[g])};
    }
    cell.projection = read(p.projection);
    cell.projectionBias = read(p.projectionBias);
    cell.inputSize = dims[sizes.input];
    cell.auxSize = dims[sizes.aux];
    cell.units = dims[sizes.units];
    cell.outputSize = dims[sizes.output];
    cell.coupled = !has(p.inputWeights[INPUT]);
    cell.peephole = has(p.peephole[FORGET]);
    cell.normalized = has(p.norm[FORGET]);
    cell.hasAux = has(p.auxWeights[FORGET]);
    cell.projected = has(p.projection);
    cell.activation = c.scalar<int32_t>(scalars);
    cell.cellClip = c.real(scalars + 1);
    cell.projectionClip = c.real(scalars + 2);
    return cell;
}

Work makeWork(Context& c, const Cell& cell) {
    return {c.scratch<double>(kGates * cell.units), c.scratch<double>(cell.units),
            c.scratch<float>(cell.units)};
}

namespace {

/// (a - mean) / deviation * weight, over the units of one row: equation 4 of arXiv:1607.06450.
/// Reading: the paper has no epsilon; where all units are equal, their difference from the mean
/// is 0 and so is the normalized value.
void normalize(double* a, const float* weight, size_t n) {
    double sum = 0;
    for (size_t u = 0; u < n; u++) sum += a[u];
    const double mean = sum / static_cast<double>(n);
    double squares = 0;
    for (size_t u = 0; u < n; u++) squares += (a[u] - mean) * (a[u] - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(n));
    for (size_t u = 0; u < n; u++) {
        a[u] = deviation == 0 ? 0 : (a[u] - mean) / deviation * weight[u];
    }
}

/// The input of a gate's activation function, into `a`. `cellState` is what the peephole sees.
template <class T>
void preactivate(const Cell& cell, const Cell::Gate& gate, const float* x, const float* aux,
                 const float* state, const T* cellState, double* a) {
    for (size_t u = 0; u < cell.units; u++) {
        a[u] = dot(gate.input + u * cell.inputSize, x, cell.inputSize) +
               dot(gate.recurrent + u * cell.outputSize, state, cell.outputSize);
        if (cell.hasAux) a[u] += dot(gate.aux + u * cell.auxSize, aux, cell.auxSize);
        if (cellState != nullptr) {
            a[u] += static_cast<double>(gate.peephole[u]) * static_cast<double>(cellState[u]);
        }
    }
    if (cell.normalized) normalize(a, gate.norm, cell.units);
    for (size_t u = 0; u < cell.units; u++) a[u] += gate.bias[u];
}

}  // namespace

void step(const Cell& cell, const float* x, const float* aux, float* state, float* cellState,
          const Work& work) {
    const size_t units = cell.units;
    double* i = work.gates + INPUT * units;
    double* f = work.gates + FORGET * units;
    double* g = work.gates + CELL * units;
    double* o = work.gates + OUTPUT * units;
    const float* seen = cell.peephole ? cellState : nullptr;

    preactivate(cell, cell.gates[FORGET], x, aux, state, seen, f);
    for (size_t u = 0; u < units; u++) f[u] = logistic(f[u]);
    if (cell.coupled) {
        for (size_t u = 0; u < units; u++) i[u] = 1 - f[u];
    } else {
        preactivate(cell, cell.gates[INPUT], x, aux, state, seen, i);
        for (size_t u = 0; u < units; u++) i[u] = logistic(i[u]);
    }
    const float* nothing = nullptr;  // the cell gate has no peephole
    preactivate(cell, cell.gates[CELL], x, aux, state, nothing, g);
    for (size_t u = 0; u < units; u++) {
        g[u] = activate(cell.activation, g[u]);
        work.cell[u] = clip(f[u] * cellState[u] + i[u] * g[u], cell.cellClip);
    }
    // The output gate's peephole sees the new cell state.
    const double* renewed = cell.peephole ? work.cell : nullptr;
    preactivate(cell, cell.gates[OUTPUT], x, aux, state, renewed, o);
    for (size_t u = 0; u < units; u++) {
        o[u] = logistic(o[u]);
        const double hidden = o[u] * activate(cell.activation, work.cell[u]);
        work.hidden[u] = static_cast<float>(hidden);
        cellState[u] = static_cast<float>(work.cell[u]);
    }
    if (!cell.projected) {
        std::copy_n(work.hidden, units, state);
        return;
    }
    for (size_t k = 0; k < cell.outputSize; k++) {
        double sum = dot(cell.projection + k * units, work.hidden, units);
        if (cell.projectionBias != nullptr) sum += cell.projectionBias[k];
        state[k] = static_cast<float>(clip(sum, cell.projectionClip));
    }
}

void run(const Context& c, const Cell& cell, const Sequence& s, const Work& work) {
    for (size_t b = 0; b < s.batch; b++) {
        float* state = s.state + b * cell.outputSize;
        float* cellState = s.cellState + b * cell.units;
        for (size_t k = 0; k < s.time; k++) {
            c.checkDeadline();
            const size_t t = s.reverse ? s.time - 1 - k : k;
            const size_t row = s.timeMajor ? t * s.batch + b : b * s.time + t;
            const float* aux = s.aux == nullptr ? nullptr : s.aux + row * cell.auxSize;
            step(cell, s.x + row * cell.inputSize, aux, state, cellState, work);
            std::copy_n(state, cell.outputSize, s.output + row * s.outputStride);
        }
    }
}

}  // namespace nnapi::lstm
