// Events: the end of an asynchronous execution, or a sync fence given by the application.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "execution.h"

namespace nnapi {

class Event {
public:
    /// Starts the evaluation of a scheduled execution on a thread of its own, once all
    /// `dependencies` have signaled; `duration` (ns, 0: none) limits it from then on.
    /// `fenced`: the event can be turned into a sync fence.
    static std::shared_ptr<Event> start(std::shared_ptr<Execution> execution,
                                        std::vector<std::shared_ptr<const Event>> dependencies,
                                        uint64_t duration, bool fenced);
    /// Duplicates the descriptor. Refuses with BAD_DATA one that cannot be polled.
    static std::shared_ptr<Event> fromFence(int fd);

    ~Event();
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    /// Blocks until the event has signaled; returns its result code. Any number of threads.
    int wait() const;
    /// After `wait`: the execution is in the completed state from now on.
    void completeExecution() const noexcept;
    /// Has signaled with an error; does not block.
    bool hasFailed() const;
    /// A new descriptor of the fence, which the caller owns; -1 when there is no fence. It polls
    /// POLLIN once the execution is done, with POLLERR if it failed.
    int duplicateFence();

private:
    Event() = default;
    int waitForFence() const;
    void makeFence();
    void signalFence() noexcept;
    void run(const std::vector<std::shared_ptr<const Event>>& dependencies, uint64_t duration);

    std::shared_ptr<Execution> execution_;
    std::thread thread_;
    mutable std::mutex mutex_;
    mutable std::condition_variable signal_;
    bool done_ = false;
    int code_ = 0;
    int fence_ = -1;  // given by the application
    // The fence of an execution, made when it is asked for: a pair of sockets. Guarded by mutex_.
    bool fenced_ = false;
    int theirs_ = -1;  // of which the application gets duplicates
    int ours_ = -1;    // written or just closed when the execution is done
    // Only the first wait completes: a reusable execution may be computing again by the next.
    mutable std::atomic<bool> completed_{false};
};

}  // namespace nnapi
