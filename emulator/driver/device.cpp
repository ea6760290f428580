#include "device.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "error.h"

namespace nnapi {
namespace {

struct DeviceTable {
    std::vector<ANeuralNetworksDevice> list;
    std::string error;
};

std::string readFile(const char* path) {
    constexpr size_t kMost = size_t{1} << 20;
    std::ifstream file(path, std::ios::binary);
    if (!file) fail(ANEURALNETWORKS_OP_FAILED, "%s: cannot be read", path);
    std::string text(kMost + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(file.gcount()));
    if (text.empty() && file.bad()) fail(ANEURALNETWORKS_OP_FAILED, "%s: cannot be read", path);
    if (text.size() > kMost) fail(ANEURALNETWORKS_OP_FAILED, "%s: more than 1 MiB", path);
    return text;
}

DeviceTable loadDevices() {
    DeviceTable table;
    ANeuralNetworksDevice reference;
    reference.name = "nnapi-reference";
    reference.version = kDriverVersion;
    reference.operations.set();
    table.list.push_back(std::move(reference));
    const char* path = std::getenv("NNAPI_REFERENCE_DEVICES");
    if (path == nullptr || *path == '\0') return table;
    try {
        auto described = parseDevices(readFile(path), path);
        table.list.insert(table.list.end(), std::move_iterator(described.begin()),
                          std::move_iterator(described.end()));
    } catch (const Refusal& refusal) {
        table.error = refusal.what();
        // Whoever set the variable must see the reason, log or not.
        std::fprintf(stderr, "nnapi-reference: NNAPI_REFERENCE_DEVICES: %s\n", refusal.what());
    }
    return table;
}

const DeviceTable& deviceTable() {
    // Never destroyed: executions may still run while the process exits.
    static const DeviceTable& table = *new DeviceTable(loadDevices());
    return table;
}

}  // namespace

std::span<const ANeuralNetworksDevice> devices() noexcept { return deviceTable().list; }

void requireDevices() {
    if (!deviceTable().error.empty()) {
        fail(ANEURALNETWORKS_OP_FAILED, "NNAPI_REFERENCE_DEVICES: %s", deviceTable().error.c_str());
    }
}

uint32_t deviceIndex(const ANeuralNetworksDevice* device) {
    return static_cast<uint32_t>(device - devices().data());
}

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

using namespace nnapi;

int64_t ANeuralNetworksDevice::featureLevel() const {
    // Up to 5 the value is the API level of the Android release that brought it.
    return level <= 5 ? ANEURALNETWORKS_FEATURE_LEVEL_1 + level - 1
                      : ANEURALNETWORKS_FEATURE_LEVEL_6 + level - 6;
}

bool ANeuralNetworksDevice::supports(const Operation& operation,
                                     std::span<const Operand> operands) const {
    if (!operation.supported || operation.level > level) return false;
    if (!operations[static_cast<size_t>(operation.code)]) return false;
    const uint32_t self = uint32_t{1} << deviceIndex(this);
    for (const auto* list : {&operation.inputs, &operation.outputs}) {
        for (uint32_t index : *list) {
            const Operand& operand = operands[index];
            if (operand.subgraph && (operand.subgraph->deviceMask() & self) == 0) return false;
            if (isTensor(operand.type) && (types >> operand.type & 1) == 0) return false;
        }
    }
    return true;
}
