// FarmHash's Fingerprint64, a 64-bit hash that is guaranteed to stay the same.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nnapi {

/// The fingerprint of `length` bytes, as FarmHash publishes it (https://github.com/google/farmhash).
uint64_t fingerprint64(const uint8_t* bytes, size_t length);

}  // namespace nnapi
