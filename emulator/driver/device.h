// The devices that this library offers: nnapi-reference, and those of a description file
// (device_file.cpp) that claim less, take longer or fail.
#pragma once

#include <bitset>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model.h"

/// A device; the handle is its address. What it computes, it computes like nnapi-reference.
struct ANeuralNetworksDevice {
    enum class Failure : uint8_t { NEVER, COMPILATION, EXECUTION };

    std::string name;
    std::string version;
    int32_t type = ANEURALNETWORKS_DEVICE_CPU;
    int level = 8;                                   // feature level, 1 to 8
    uint32_t types = ~uint32_t{0};                   // bit t: tensors of operand type t
    std::bitset<nnapi::kOperationCount> operations;  // by operation code
    double performance = 1;                          // time compared to nnapi-reference
    std::chrono::nanoseconds executionTime{0};       // each execution takes at least this
    std::chrono::nanoseconds compilationTime{0};     // each compilation, unless it is cached
    Failure fails = Failure::NEVER;

    /// True where an execution has to wait or to fail on this device.
    bool needsAttention() const { return executionTime.count() > 0 || fails == Failure::EXECUTION; }
    /// The value of ANeuralNetworksDevice_getFeatureLevel.
    int64_t featureLevel() const;
    /// Executes this operation of a model: list, types and level claim it, those of referenced
    /// models included.
    bool supports(const nnapi::Operation& operation,
                  std::span<const nnapi::Operand> operands) const;
};

namespace nnapi {

inline constexpr int64_t kRuntimeFeatureLevel = ANEURALNETWORKS_FEATURE_LEVEL_8;
/// What ANeuralNetworksDevice_getVersion says of nnapi-reference; also part of cached compilations.
inline constexpr const char* kDriverVersion = "nnapi-testkit 0.1.0";

using DeviceList = std::vector<const ANeuralNetworksDevice*>;

/// nnapi-reference first, then those of the file that NNAPI_REFERENCE_DEVICES names, in its order.
/// Read once. A file with a mistake adds nothing.
std::span<const ANeuralNetworksDevice> devices() noexcept;
/// Refuses with OP_FAILED when the device file has a mistake.
void requireDevices();
/// The place of a device in `devices()`, which is also its bit in DeviceMask.
uint32_t deviceIndex(const ANeuralNetworksDevice* device);

/// Refuses a null list (UNEXPECTED_NULL), an empty one, unknown and repeated devices (BAD_DATA).
void checkDevices(const ANeuralNetworksDevice* const* list, uint32_t count);

/// The devices described by a text (device_file.cpp); refuses with OP_FAILED, the message names
/// the line. `path` is for messages.
std::vector<ANeuralNetworksDevice> parseDevices(const std::string& text, const std::string& path);

}  // namespace nnapi
