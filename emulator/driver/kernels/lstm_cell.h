// The LSTM cell that LSTM and the sequence operations share: rules of its operands and one step.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dims.h"
#include "float_io.h"
#include "kernel.h"

namespace nnapi::lstm {

/// The gates in the order of the operands of every LSTM operation.
enum GateIndex { INPUT, FORGET, CELL, OUTPUT, kGates };

inline constexpr size_t kNone = SIZE_MAX;

/// Where a cell's operands stand among the inputs of an operation; kNone: the operation or gate
/// has no such operand. Arrays are by gate.
struct Places {
    std::array<size_t, kGates> inputWeights;
    std::array<size_t, kGates> recurrentWeights;
    std::array<size_t, kGates> auxWeights;
    std::array<size_t, kGates> peephole;  // cell-to-gate weights; none for the cell gate
    std::array<size_t, kGates> bias;
    std::array<size_t, kGates> norm;  // layer normalization weights
    size_t projection;
    size_t projectionBias;
    size_t outputState;
    size_t cellState;
};

/// Places first, first + 1, ... for the four gates.
constexpr std::array<size_t, kGates> fourFrom(size_t first) {
    return {first, first + 1, first + 2, first + 3};
}
inline constexpr std::array<size_t, kGates> kNoGates{kNone, kNone, kNone, kNone};

/// A cell whose weights begin at input `first` in the order of LSTM's inputs 1 to 17.
constexpr Places placesFrom(size_t first, size_t state, const std::array<size_t, kGates>& norm,
                            const std::array<size_t, kGates>& aux) {
    return {fourFrom(first),
            fourFrom(first + 4),
            aux,
            {first + 8, first + 9, kNone, first + 10},
            fourFrom(first + 11),
            norm,
            first + 15,
            first + 16,
            state,
            state + 1};
}

/// Names (for Dims) of the sizes of one cell.
struct Sizes {
    int batch;
    int input;
    int aux;
    int units;
    int output;
};

/// Whether an optional operand has a value; a model input may still be omitted at execution.
/// Where operands must have values together, a model is refused for what its constants and its
/// omitted operands say alone; an execution is, once it is known which inputs are omitted.
enum class Presence { ABSENT, MAYBE, PRESENT };
Presence presence(const OpView& v, size_t input);
Presence presence(const Context& c, size_t input);

/// Whether an optional input is a model input that a model only has as a placeholder, see
/// `isPlaceholder`: each execution has to omit it.
bool mustBeOmitted(const OpView& v, size_t input, size_t rank);
inline bool mustBeOmitted(const Context&, size_t, size_t) { return false; }

/// One for all of these inputs, skipping kNone: refuses when some have values and some have not.
/// ABSENT where one has none, PRESENT where one has, MAYBE where all depend on the execution.
Presence together(const OpView& v, std::initializer_list<size_t> inputs, const char* rule);
Presence together(const Context& c, std::initializer_list<size_t> inputs, const char* rule);

/// Declares the cell's optional inputs and checks their types against `type`.
void validateCell(OpView& v, const Places& places, Type type);
/// Checks which optional inputs go together, and all shapes; in both stages.
void checkCell(const OpView& v, const Places& places, const Sizes& sizes, Dims& dims);
void checkCell(const Context& c, const Places& places, const Sizes& sizes, Dims& dims);

/// The scalars of a cell: activation function, cell clip, projection clip, at `first` and after.
/// `anyReal`: the clips may be FLOAT32 with TENSOR_FLOAT16 too.
void validateScalars(OpView& v, size_t first, Type type, bool anyReal = false);
void checkScalars(const Context& c, size_t first);

/// A cell ready to run.
struct Cell {
    struct Gate {
        const float* input;      // [units, inputSize]
        const float* recurrent;  // [units, outputSize]
        const float* aux;        // [units, auxSize]
        const float* peephole;   // [units]
        const float* bias;       // [units]
        const float* norm;       // [units]
    };
    std::array<Gate, kGates> gates;
    const float* projection;      // [outputSize, units]
    const float* projectionBias;  // [outputSize] or null
    size_t inputSize, auxSize, units, outputSize;
    bool coupled;  // i = 1 - f (CIFG)
    bool peephole;
    bool normalized;
    bool hasAux;
    bool projected;
    int32_t activation;  // 0 none, 1 relu, 3 relu6, 4 tanh, 6 sigmoid
    float cellClip;      // 0: none
    float projectionClip;
};
/// Reads the operands of a prepared operation; `scalars` is the place of the activation function.
Cell makeCell(Context& c, FloatIo& io, const Places& places, const Sizes& sizes, const Dims& dims,
              size_t scalars);

/// Scratch of one step: the gates' values, [kGates][units], and what lies behind them.
struct Work {
    double* gates;
    double* cell;   // [units]
    float* hidden;  // [units]
};
Work makeWork(Context& c, const Cell& cell);

/// One time step of one batch row. `x` is [inputSize], `aux` [auxSize] (null without); `state`
/// [outputSize] and `cellState` [units] are updated in place.
void step(const Cell& cell, const float* x, const float* aux, float* state, float* cellState,
          const Work& work);

/// A sequence in one direction. Rows of x, aux and output are [time, batch] or [batch, time].
struct Sequence {
    const float* x;
    const float* aux;  // null without
    float* output;
    size_t outputStride;  // elements from one output row to the next
    size_t time, batch;
    bool timeMajor;
    bool reverse;
    float* state;      // [batch, outputSize], in: first state, out: last state
    float* cellState;  // [batch, units], likewise
};
void run(const Context& c, const Cell& cell, const Sequence& sequence, const Work& work);

}  // namespace nnapi::lstm
