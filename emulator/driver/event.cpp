#include "event.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace nnapi {

std::shared_ptr<Event> Event::start(std::shared_ptr<Execution> execution,
                                    std::vector<std::shared_ptr<const Event>> dependencies,
                                    uint64_t duration) {
    std::shared_ptr<Event> event(new Event);
    event->execution_ = std::move(execution);
    Event* self = event.get();  // ~Event joins the thread: it never outlives the event
    try {
        event->thread_ = std::thread([self, waitFor = std::move(dependencies), duration] {
            self->run(waitFor, duration);
        });
    } catch (const std::system_error& error) {
        event->execution_->complete();
        fail(ANEURALNETWORKS_RESOURCE_EXHAUSTED_TRANSIENT, "no thread: %s", error.what());
    }
    return event;
}

void Event::run(const std::vector<std::shared_ptr<const Event>>& dependencies,
                uint64_t duration) {
    int code = ANEURALNETWORKS_NO_ERROR;
    for (const auto& dependency : dependencies) {
        if (dependency->wait() != ANEURALNETWORKS_NO_ERROR) code = ANEURALNETWORKS_OP_FAILED;
    }
    if (code == ANEURALNETWORKS_NO_ERROR) code = execution_->evaluate(Deadline::after(duration));
    const std::lock_guard lock(mutex_);
    code_ = code;
    done_ = true;
    signal_.notify_all();
}

std::shared_ptr<Event> Event::fromFence(int fd) {
    if (fd < 0) fail(ANEURALNETWORKS_BAD_DATA, "the sync fence is negative");
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) fail(ANEURALNETWORKS_BAD_DATA, "sync fence %d: %s", fd, std::strerror(errno));
    std::shared_ptr<Event> event(new Event);
    event->fence_ = copy;
    return event;
}

Event::~Event() {
    if (thread_.joinable()) thread_.join();
    completeExecution();
    if (fence_ >= 0) close(fence_);
}

int Event::waitForFence() const {
    pollfd entry{fence_, POLLIN, 0};
    while (poll(&entry, 1, -1) < 0) {
        if (errno != EINTR && errno != EAGAIN) return ANEURALNETWORKS_OP_FAILED;
    }
    return (entry.revents & (POLLERR | POLLNVAL)) != 0 ? ANEURALNETWORKS_OP_FAILED
                                                       : ANEURALNETWORKS_NO_ERROR;
}

int Event::wait() const {
    if (fence_ >= 0) return waitForFence();
    std::unique_lock lock(mutex_);
    signal_.wait(lock, [this] { return done_; });
    return code_;
}

void Event::completeExecution() const noexcept {
    if (!completed_.exchange(true) && execution_) execution_->complete();
}

bool Event::hasFailed() const {
    if (fence_ >= 0) {
        pollfd entry{fence_, POLLIN, 0};
        return poll(&entry, 1, 0) < 0 || (entry.revents & (POLLERR | POLLNVAL)) != 0;
    }
    const std::lock_guard lock(mutex_);
    return done_ && code_ != ANEURALNETWORKS_NO_ERROR;
}

int Event::duplicateFence() const {
    return fence_ < 0 ? -1 : fcntl(fence_, F_DUPFD_CLOEXEC, 0);
}

}  // namespace nnapi
