// Compilations on disk: one file for each token and list of devices.
//
// A file holds what compiling decides (order and devices of the operations), the token, and a
// fingerprint of driver, devices and model. It is believed only if length, checksum, token and
// fingerprint agree, and even then every entry is checked against the model: nothing that a file
// may hold can change a result. Weights are packed anew, which costs no more than reading them.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "partition.h"

namespace nnapi {

using CacheToken = std::array<uint8_t, ANEURALNETWORKS_BYTE_SIZE_OF_CACHE_TOKEN>;

class CompilationCache {
public:
    CompilationCache(std::string directory, const CacheToken& token)
        : directory_(std::move(directory)), token_(token) {}

    /// What was stored for this token, model and devices; nothing if there is no such file or it
    /// is not to be believed. Never refuses.
    std::optional<Assignment> load(const Model& model, const DeviceList& devices) const;
    /// Replaces the file at once (rename): readers see the old or the new one. Returns false where
    /// it cannot be written; compiling goes on without.
    bool store(const Assignment& assignment, const Model& model, const DeviceList& devices) const;

private:
    std::string path(const DeviceList& devices) const;

    std::string directory_;
    CacheToken token_;
};

}  // namespace nnapi
