#include "event.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace nnapi {

std::shared_ptr<Event> Event::start(std::shared_ptr<Execution> execution,
                                    std::vector<std::shared_ptr<const Event>> dependencies,
                                    uint64_t duration, bool fenced) {
    std::shared_ptr<Event> event(new Event);
    event->fenced_ = fenced;
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
    if (code == ANEURALNETWORKS_NO_ERROR) {
        code = execution_->evaluate(Deadline::after(duration));
    } else {
        execution_->forget();
    }
    const std::lock_guard lock(mutex_);
    code_ = code;
    done_ = true;
    signalFence();
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
    for (int fd : {fence_, theirs_, ours_})
        if (fd >= 0) close(fd);
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

int Event::duplicateFence() {
    const std::lock_guard lock(mutex_);
    if (fenced_ && theirs_ < 0) makeFence();
    const int fd = fenced_ ? theirs_ : fence_;
    if (fd < 0) return -1;
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        fail(ANEURALNETWORKS_RESOURCE_EXHAUSTED_TRANSIENT, "sync fence: %s", std::strerror(errno));
    }
    return copy;
}

void Event::makeFence() {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        fail(ANEURALNETWORKS_RESOURCE_EXHAUSTED_TRANSIENT, "sync fence: %s", std::strerror(errno));
    }
    theirs_ = pair[0];
    ours_ = pair[1];
    // Closing a socket with bytes to read is an error for the other side: see signalFence.
    (void)!send(theirs_, "", 1, MSG_NOSIGNAL);
    if (done_) signalFence();
}

void Event::signalFence() noexcept {
    if (ours_ < 0) return;
    if (code_ == ANEURALNETWORKS_NO_ERROR) {
        char byte;
        (void)!recv(ours_, &byte, 1, MSG_DONTWAIT);
        (void)!send(ours_, "", 1, MSG_NOSIGNAL);
    }
    close(ours_);
    ours_ = -1;
}

}  // namespace nnapi
