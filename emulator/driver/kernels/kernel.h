// The contract between the driver's core and its operation kernels. See README.md beside it.
//
// An operation is one Kernel, registered by a static Register object in its file; nothing else
// has to change. Kernels hold no state: executions of one compilation run concurrently.
#pragma once

#include <initializer_list>
#include <memory>

#include "../context.h"
#include "../opview.h"

namespace nnapi {

struct Kernel {
    int32_t code = 0;  // ANEURALNETWORKS_ADD, ...
    const char* name = "";  // "ADD"
    /// At ANeuralNetworksModel_finish: every documented rule that the model alone can break.
    void (*validate)(OpView& v) = nullptr;
    /// At execution, inputs known: rules on run-time values, and `setShape` for each output.
    void (*prepare)(Context& c) = nullptr;
    /// Computes. Outputs have their buffers; they never overlap the inputs.
    void (*execute)(Context& c) = nullptr;
    /// Optional. At ANeuralNetworksCompilation_finish: whatever is worth computing once from
    /// constant operands (reordered weights); read-only afterwards, see Context::packed. Return
    /// null when the constants needed are not constant here.
    std::shared_ptr<const void> (*pack)(const OpView& v) = nullptr;
};

/// Registers kernels when the library is loaded: `static const Register registered({kAdd});`
class Register {
public:
    Register(std::initializer_list<Kernel> kernels);
};

/// The kernel of an operation code, or null.
const Kernel* findKernel(int32_t code) noexcept;

}  // namespace nnapi
