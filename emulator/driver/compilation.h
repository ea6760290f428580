// A compilation: a model, the properties set on it, and after `finish` its plan.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "plan.h"

namespace nnapi {

class Compilation {
public:
    /// `chosenDevices` is the length of the caller's device list, 0 without one.
    Compilation(std::shared_ptr<const Model> model, uint32_t chosenDevices);

    void setPreference(int32_t preference);
    void setPriority(int priority);
    void setTimeout(uint64_t nanoseconds);
    void setCaching(const char* directory, const uint8_t* token);
    void finish();

    /// Refuses with BAD_STATE unless `finish` was called, with BAD_DATA if it refused.
    void requireFinished() const;
    /// Timeouts and timing need exactly one chosen device; refuses with BAD_DATA otherwise.
    void requireOneDevice(const char* what) const;

    const Model& model() const { return *model_; }
    const Plan& plan() const { return *plan_; }

    /// A workspace for one execution; warm ones are kept.
    std::unique_ptr<Workspace> takeWorkspace() const;
    void returnWorkspace(std::unique_ptr<Workspace> workspace) const noexcept;

private:
    enum class State : uint8_t { BUILDING, FINISHED, INVALID };
    void requireBuilding() const;

    std::shared_ptr<const Model> model_;
    uint32_t chosenDevices_;
    State state_ = State::BUILDING;
    uint64_t timeout_ = 0;
    Planner planner_;
    const Plan* plan_ = nullptr;
    mutable std::mutex mutex_;  // guards idle_
    mutable std::vector<std::unique_ptr<Workspace>> idle_;
};

}  // namespace nnapi
