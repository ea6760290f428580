// Which device executes which operation, and in which order.
#pragma once

#include <optional>
#include <vector>

#include "device.h"

namespace nnapi {

/// The operations of a main model in an order in which values are written before they are read,
/// each with its device. Neighbours on the same device form a part.
struct Assignment {
    struct Entry {
        uint32_t operation;
        uint32_t device;  // place in the list that the assignment was made for
        bool operator==(const Entry&) const = default;
    };
    std::vector<Entry> entries;
};

/// Gives each operation to the device of the list with the best performance among those that
/// support it (the first of equals), in an order that keeps the parts long. Refuses with BAD_DATA
/// an operation that none supports.
Assignment assign(const Model& model, const DeviceList& devices);

/// An assignment that may come from anywhere: every operation once, each after those whose values
/// it reads, each on a device that supports it.
bool isValid(const Assignment& assignment, const Model& model, const DeviceList& devices);

}  // namespace nnapi
