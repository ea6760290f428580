// A compilation: a model, the properties set on it, and after `finish` its plan.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "cache.h"
#include "plan.h"

namespace nnapi {

class Compilation {
public:
    /// For the devices that the caller chose; an empty list lets the runtime choose.
    Compilation(std::shared_ptr<const Model> model, DeviceList chosen);

    void setPreference(int32_t preference);
    void setPriority(int priority);
    void setTimeout(uint64_t nanoseconds);
    void setCaching(const char* directory, const uint8_t* token);
    void finish();

    /// Refuses with BAD_STATE unless `finish` was called, with BAD_DATA if it refused.
    void requireFinished() const;
    bool finished() const { return state_ == State::FINISHED; }
    /// Timeouts and timing need exactly one chosen device; refuses with BAD_DATA otherwise.
    void requireOneDevice(const char* what) const;
    /// The feature level of that one device.
    int level() const { return chosen_[0]->level; }

    const Model& model() const { return *model_; }
    const Plan& plan() const { return *plan_; }
    /// What to execute when a device of `plan` fails: the same on nnapi-reference. Null where the
    /// caller chose the devices, and where none can fail.
    const Plan* fallback() const { return fallback_; }

    /// A workspace for one execution; warm ones are kept.
    std::unique_ptr<Workspace> takeWorkspace() const;
    void returnWorkspace(std::unique_ptr<Workspace> workspace) const noexcept;

private:
    enum class State : uint8_t { BUILDING, FINISHED, INVALID };
    void requireBuilding() const;
    const Plan* compile(Planner& planner, const DeviceList& devices, const Deadline& deadline);
    Assignment assignment(const DeviceList& devices, const Deadline& deadline) const;

    std::shared_ptr<const Model> model_;
    DeviceList chosen_;
    State state_ = State::BUILDING;
    uint64_t timeout_ = 0;
    std::optional<CompilationCache> cache_;
    Planner planner_;
    Planner fallbackPlanner_;
    const Plan* plan_ = nullptr;
    const Plan* fallback_ = nullptr;
    mutable std::mutex mutex_;  // guards idle_
    mutable std::vector<std::unique_ptr<Workspace>> idle_;
};

}  // namespace nnapi
