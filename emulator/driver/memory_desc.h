// Descriptors, from which device memory is made.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "memory.h"

namespace nnapi {

/// What ANeuralNetworksMemoryDesc collects.
class MemoryDesc {
public:
    /// Refuses with BAD_STATE once finished, BAD_DATA for a bad index, frequency, repetition or
    /// an operand that does not agree with the roles so far.
    void addRole(MemoryRole role, float frequency);
    void setDimensions(std::span<const uint32_t> dimensions);
    void finish();

    /// Device memory for the roles; refuses with BAD_STATE unless finished.
    std::shared_ptr<Memory> make() const;

private:
    void requireUnfinished() const;

    bool finished_ = false;
    bool hasDimensions_ = false;
    std::vector<MemoryRole> roles_;
    /// Type, quantization and the dimensions that all roles and setDimensions agree on; before the
    /// first role: only dimensions.
    Operand operand_;
};

}  // namespace nnapi
