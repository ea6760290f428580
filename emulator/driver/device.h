// The devices that this library offers.
#pragma once

#include <cstdint>
#include <span>

#include "nnapi.h"

/// A device; the handle is its address.
struct ANeuralNetworksDevice {
    const char* name;
    const char* version;
    int32_t type;
    int64_t featureLevel;
};

namespace nnapi {

inline constexpr int64_t kRuntimeFeatureLevel = ANEURALNETWORKS_FEATURE_LEVEL_8;

std::span<const ANeuralNetworksDevice> devices() noexcept;

/// Refuses a null list (UNEXPECTED_NULL), an empty one, unknown and repeated devices (BAD_DATA).
void checkDevices(const ANeuralNetworksDevice* const* list, uint32_t count);

}  // namespace nnapi
