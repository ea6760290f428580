#include "device.h"

#include "error.h"

namespace nnapi {
namespace {

constexpr ANeuralNetworksDevice kDevices[] = {
    {"nnapi-reference", "nnapi-testkit 0.1.0", ANEURALNETWORKS_DEVICE_CPU, kRuntimeFeatureLevel},
};

}  // namespace

std::span<const ANeuralNetworksDevice> devices() noexcept { return kDevices; }

void checkDevices(const ANeuralNetworksDevice* const* list, uint32_t count) {
    if (list == nullptr) fail(ANEURALNETWORKS_UNEXPECTED_NULL, "devices is null");
    if (count == 0) fail(ANEURALNETWORKS_BAD_DATA, "the list of devices is empty");
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] == nullptr) fail(ANEURALNETWORKS_UNEXPECTED_NULL, "device %u is null", i);
        bool known = false;
        for (const auto& device : devices()) known = known || &device == list[i];
        if (!known) fail(ANEURALNETWORKS_BAD_DATA, "device %u is none of this library", i);
        // The list is longer than there are devices only if it repeats one.
        for (uint32_t j = 0; j < i; j++)
            if (list[j] == list[i]) fail(ANEURALNETWORKS_BAD_DATA, "device %u is repeated", i);
    }
}

}  // namespace nnapi
