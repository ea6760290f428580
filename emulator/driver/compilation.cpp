#include "compilation.h"

namespace nnapi {

Compilation::Compilation(std::shared_ptr<const Model> model, uint32_t chosenDevices)
    : model_(std::move(model)), chosenDevices_(chosenDevices) {
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
    if (chosenDevices_ != 1) {
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
    timeout_ = nanoseconds;
}

void Compilation::setCaching(const char* directory, const uint8_t* token) {
    if (directory == nullptr) fail(ANEURALNETWORKS_UNEXPECTED_NULL, "cacheDir is null");
    if (token == nullptr) fail(ANEURALNETWORKS_UNEXPECTED_NULL, "token is null");
    requireBuilding();
    // Planning takes microseconds: there is nothing worth storing.
}

void Compilation::finish() {
    requireBuilding();
    state_ = State::INVALID;
    plan_ = planner_.plan(*model_, Deadline::after(timeout_));
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
