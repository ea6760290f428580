#include "partition.h"

#include <functional>
#include <limits>
#include <queue>

#include "error.h"

namespace nnapi {
namespace {

constexpr uint32_t kNobody = std::numeric_limits<uint32_t>::max();

bool supports(const ANeuralNetworksDevice* device, const Operation& operation) {
    return (operation.devices >> deviceIndex(device) & 1) != 0;
}

/// For each operand the operation that writes it, or kNobody.
std::vector<uint32_t> writers(const Model& model) {
    std::vector<uint32_t> result(model.operands().size(), kNobody);
    for (size_t i = 0; i < model.operations().size(); i++)
        for (uint32_t output : model.operations()[i].outputs) {
            result[output] = static_cast<uint32_t>(i);
        }
    return result;
}

uint32_t choose(const Operation& operation, uint32_t index, const DeviceList& devices) {
    uint32_t best = kNobody;
    for (uint32_t i = 0; i < devices.size(); i++) {
        if (!supports(devices[i], operation)) continue;
        if (best == kNobody || devices[i]->performance < devices[best]->performance) best = i;
    }
    if (best == kNobody) {
        fail(ANEURALNETWORKS_BAD_DATA, "operation %u (code %d) is not supported by these devices",
             index, operation.code);
    }
    return best;
}

}  // namespace

Assignment assign(const Model& model, const DeviceList& devices) {
    const auto operations = model.operations();
    const size_t count = operations.size();
    const std::vector<uint32_t> writer = writers(model);
    std::vector<uint32_t> device(count), waiting(count, 0);
    std::vector<std::vector<uint32_t>> readers(count);
    // For each device what is ready; the operation that was added first comes first.
    using Ready = std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>>;
    std::vector<Ready> ready(devices.size());
    for (uint32_t i = 0; i < count; i++) {
        device[i] = choose(operations[i], i, devices);
        for (uint32_t input : operations[i].inputs) {
            if (writer[input] == kNobody) continue;
            waiting[i]++;
            readers[writer[input]].push_back(i);
        }
        if (waiting[i] == 0) ready[device[i]].push(i);
    }
    Assignment result;
    result.entries.reserve(count);
    uint32_t current = 0;
    while (result.entries.size() < count) {  // a finished model has no cycle: something is ready
        if (ready[current].empty()) {
            uint32_t next = kNobody;
            for (uint32_t i = 0; i < ready.size(); i++) {
                if (ready[i].empty()) continue;
                if (next == kNobody || ready[i].top() < ready[next].top()) next = i;
            }
            current = next;
        }
        const uint32_t index = ready[current].top();
        ready[current].pop();
        result.entries.push_back({index, current});
        for (uint32_t reader : readers[index])
            if (--waiting[reader] == 0) ready[device[reader]].push(reader);
    }
    return result;
}

bool isValid(const Assignment& assignment, const Model& model, const DeviceList& devices) {
    const auto operations = model.operations();
    if (assignment.entries.size() != operations.size()) return false;
    const std::vector<uint32_t> writer = writers(model);
    std::vector<uint8_t> done(operations.size(), 0);
    for (const auto& [index, device] : assignment.entries) {
        if (index >= operations.size() || device >= devices.size()) return false;
        if (done[index] != 0) return false;
        if (!supports(devices[device], operations[index])) return false;
        for (uint32_t input : operations[index].inputs) {
            if (writer[input] != kNobody && done[writer[input]] == 0) return false;
        }
        done[index] = 1;
    }
    return true;
}

}  // namespace nnapi
