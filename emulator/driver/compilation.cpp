#include "compilation.h"

#include <algorithm>
#include <cstring>

namespace nnapi {

Compilation::Compilation(std::shared_ptr<const Model> model, DeviceList chosen)
    : model_(std::move(model)), chosen_(std::move(chosen)) {
    requireDevices();
    model_->requireFinished();
}

void Compilation::requireBuilding() const {
    if (state_ != State::BUILDING) {
        fail(ANEURALNETWORKS_BAD_STATE, "the compilation is finished: it cannot be changed");
    }
}

void Compilation::requireFinished() const {
    if (state_ == State::BUILDING) {
        fail(ANEURALNETWORKS_BAD_STATE, "the compilation is not finished");
    }
    if (state_ == State::INVALID) {
        fail(ANEURALNETWORKS_BAD_DATA, "Compilation_finish refused this compilation");
    }
}

void Compilation::requireOneDevice(const char* what) const {
    if (chosen_.size() != 1) {
        fail(ANEURALNETWORKS_BAD_DATA, "%s needs createForDevices with one device", what);
    }
}

void Compilation::setPreference(int32_t preference) {
    requireBuilding();
    if (preference < ANEURALNETWORKS_PREFER_LOW_POWER ||
        preference > ANEURALNETWORKS_PREFER_SUSTAINED_SPEED) {
        fail(ANEURALNETWORKS_BAD_DATA, "unknown preference %d", preference);
    }
}

void Compilation::setPriority(int priority) {
    requireBuilding();
    if (priority != ANEURALNETWORKS_PRIORITY_LOW && priority != ANEURALNETWORKS_PRIORITY_MEDIUM &&
        priority != ANEURALNETWORKS_PRIORITY_HIGH) {
        fail(ANEURALNETWORKS_BAD_DATA, "unknown priority %d", priority);
    }
}

void Compilation::setTimeout(uint64_t nanoseconds) {
    requireBuilding();
    requireOneDevice("a compilation timeout");
    if (level() >= 4) timeout_ = nanoseconds;  // older devices ignore the hint
}

void Compilation::setCaching(const char* directory, const uint8_t* token) {
    if (directory == nullptr) fail(ANEURALNETWORKS_UNEXPECTED_NULL, "cacheDir is null");
    if (token == nullptr) fail(ANEURALNETWORKS_UNEXPECTED_NULL, "token is null");
    requireBuilding();
    CacheToken copy;
    std::memcpy(copy.data(), token, copy.size());
    cache_.emplace(directory, copy);
}

/// From the cache where it is there; otherwise made, at the cost that the devices claim, and kept.
Assignment Compilation::assignment(const DeviceList& devices, const Deadline& deadline) const {
    if (cache_) {
        if (auto stored = cache_->load(*model_, devices)) return std::move(*stored);
    }
    Assignment made = assign(*model_, devices);
    for (uint32_t i = 0; i < devices.size(); i++) {
        const bool used = std::any_of(made.entries.begin(), made.entries.end(),
                                      [i](const auto& entry) { return entry.device == i; });
        if (!used) continue;
        if (devices[i]->fails == ANeuralNetworksDevice::Failure::COMPILATION) {
            throw DeviceFailure(ANEURALNETWORKS_OP_FAILED, devices[i]->name + " fails to compile");
        }
        deadline.sleep(devices[i]->compilationTime);
    }
    if (cache_) cache_->store(made, *model_, devices);
    return made;
}

const Plan* Compilation::compile(Planner& planner, const DeviceList& devices,
                                 const Deadline& deadline) {
    // The usual case has nothing to decide.
    if (!cache_ && devices.size() == 1 && devices[0] == &nnapi::devices()[0]) {
        return planner.plan(*model_, deadline);
    }
    return planner.plan(*model_, assignment(devices, deadline), devices, deadline);
}

void Compilation::finish() {
    requireBuilding();
    state_ = State::INVALID;
    const Deadline deadline = Deadline::after(timeout_);
    if (!chosen_.empty()) {
        plan_ = compile(planner_, chosen_, deadline);
    } else {
        const DeviceList reference{&nnapi::devices()[0]};
        DeviceList all;
        for (const ANeuralNetworksDevice& device : nnapi::devices()) all.push_back(&device);
        try {
            plan_ = compile(planner_, all, deadline);
            const auto& steps = plan_->steps();
            if (std::any_of(steps.begin(), steps.end(),
                            [](const Step& step) { return step.enters != nullptr; })) {
                fallback_ = fallbackPlanner_.plan(*model_, deadline);
            }
        } catch (const DeviceFailure& failure) {
            logNote("%s: compiling for nnapi-reference instead", failure.what());
            plan_ = compile(planner_, reference, deadline);
        }
    }
    state_ = State::FINISHED;
}

std::unique_ptr<Workspace> Compilation::takeWorkspace() const {
    {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            auto workspace = std::move(idle_.back());
            idle_.pop_back();
            return workspace;
        }
    }
    return std::make_unique<Workspace>();
}

void Compilation::returnWorkspace(std::unique_ptr<Workspace> workspace) const noexcept {
    workspace->reset();
    const std::lock_guard lock(mutex_);
    try {
        idle_.push_back(std::move(workspace));
    } catch (...) {
        // No room in the list: the workspace is freed instead of kept.
    }
}

}  // namespace nnapi
