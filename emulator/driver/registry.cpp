#include "kernels/kernel.h"

namespace nnapi {
namespace {

// Plain storage, zero before any constructor runs: the order of static objects does not matter.
constinit Kernel kernels[kOperationCount];

}  // namespace

Register::Register(std::initializer_list<Kernel> list) {
    for (const Kernel& kernel : list)
        if (kernel.code >= 0 && kernel.code < kOperationCount) kernels[kernel.code] = kernel;
}

const Kernel* findKernel(int32_t code) noexcept {
    if (code < 0 || code >= kOperationCount || kernels[code].execute == nullptr) return nullptr;
    return &kernels[code];
}

}  // namespace nnapi
