// A moment on the monotonic clock after which work is given up.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>

#include "error.h"

namespace nnapi {

class Deadline {
public:
    using Clock = std::chrono::steady_clock;

    /// Never passes.
    Deadline() = default;
    /// `nanoseconds` from now; 0 means never, as in the NNAPI timeouts.
    static Deadline after(uint64_t nanoseconds) {
        Deadline deadline;
        // Beyond a century the sum could overflow, and nobody waits.
        constexpr uint64_t kForever = uint64_t{100} * 365 * 86400 * 1'000'000'000;
        if (nanoseconds != 0 && nanoseconds < kForever) {
            deadline.end_ = Clock::now() + std::chrono::nanoseconds(nanoseconds);
        }
        return deadline;
    }
    /// The earlier one.
    static Deadline earlier(const Deadline& a, const Deadline& b) {
        if (!a.end_) return b;
        if (!b.end_) return a;
        return *a.end_ < *b.end_ ? a : b;
    }

    /// Sleeps for `time`, or until the deadline passes: then refuses as `check` does.
    void sleep(std::chrono::nanoseconds time) const {
        if (time.count() <= 0) return;
        const auto wanted = Clock::now() + time;
        std::this_thread::sleep_until(end_ && *end_ < wanted ? *end_ : wanted);
        check();
    }
    bool passed() const { return end_ && Clock::now() >= *end_; }
    void check() const {
        if (passed()) {
            fail(ANEURALNETWORKS_MISSED_DEADLINE_PERSISTENT, "the timeout duration has passed");
        }
    }

private:
    std::optional<Clock::time_point> end_;
};

}  // namespace nnapi
