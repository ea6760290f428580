// The C API: executions.

#include "handles.h"

using namespace nnapi;

namespace {

/// Schedules, evaluates, completes; returns the result of the evaluation.
int computeNow(Execution& execution) {
    execution.schedule();
    const int code = execution.evaluate();
    execution.complete();
    return code;
}

void startEvent(ANeuralNetworksExecution* execution,
                std::vector<std::shared_ptr<const Event>> dependencies, uint64_t duration,
                bool fenced, ANeuralNetworksEvent** event) {
    auto handle = std::make_unique<ANeuralNetworksEvent>();
    execution->object->schedule();
    handle->object = Event::start(execution->object, std::move(dependencies), duration, fenced);
    *event = handle.release();
}

}  // namespace

NNAPI_EXPORT int ANeuralNetworksExecution_create(ANeuralNetworksCompilation* compilation,
                                                 ANeuralNetworksExecution** execution) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        *execution = nullptr;
        requireNotNull(compilation, "compilation");
        *execution =
            new ANeuralNetworksExecution{std::make_shared<Execution>(compilation->object)};
    });
}

NNAPI_EXPORT void ANeuralNetworksExecution_free(ANeuralNetworksExecution* execution) {
    delete execution;
}

NNAPI_EXPORT int ANeuralNetworksExecution_setInput(ANeuralNetworksExecution* execution,
                                                   int32_t index,
                                                   const ANeuralNetworksOperandType* type,
                                                   const void* buffer, size_t length) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        execution->object->setInput(index, type, buffer, length);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_setInputFromMemory(
    ANeuralNetworksExecution* execution, int32_t index, const ANeuralNetworksOperandType* type,
    const ANeuralNetworksMemory* memory, size_t offset, size_t length) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        requireNotNull(memory, "memory");
        execution->object->setFromMemory(false, index, type, memory->object, offset, length);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_setOutput(ANeuralNetworksExecution* execution,
                                                    int32_t index,
                                                    const ANeuralNetworksOperandType* type,
                                                    void* buffer, size_t length) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        execution->object->setOutput(index, type, buffer, length);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_setOutputFromMemory(
    ANeuralNetworksExecution* execution, int32_t index, const ANeuralNetworksOperandType* type,
    const ANeuralNetworksMemory* memory, size_t offset, size_t length) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        requireNotNull(memory, "memory");
        execution->object->setFromMemory(true, index, type, memory->object, offset, length);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_compute(ANeuralNetworksExecution* execution) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        return computeNow(*execution->object);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_burstCompute(ANeuralNetworksExecution* execution,
                                                       ANeuralNetworksBurst* burst) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        requireNotNull(burst, "burst");
        if (burst->compilation.get() != &execution->object->compilation()) {
            fail(ANEURALNETWORKS_BAD_DATA, "burst and execution have different compilations");
        }
        if (burst->busy.test_and_set(std::memory_order_acquire)) {
            fail(ANEURALNETWORKS_BAD_STATE, "the burst is processing an execution");
        }
        struct Release {
            std::atomic_flag& flag;
            ~Release() { flag.clear(std::memory_order_release); }
        } release{burst->busy};
        return computeNow(*execution->object);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_startCompute(ANeuralNetworksExecution* execution,
                                                       ANeuralNetworksEvent** event) {
    return guarded(__func__, [&] {
        requireNotNull(event, "event");
        *event = nullptr;
        requireNotNull(execution, "execution");
        startEvent(execution, {}, 0, false, event);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_startComputeWithDependencies(
    ANeuralNetworksExecution* execution, const ANeuralNetworksEvent* const* dependencies,
    uint32_t num_dependencies, uint64_t duration, ANeuralNetworksEvent** event) {
    return guarded(__func__, [&] {
        requireNotNull(event, "event");
        *event = nullptr;
        requireNotNull(execution, "execution");
        if (num_dependencies != 0) requireNotNull(dependencies, "dependencies");
        if (duration != 0) {
            execution->object->compilation().requireOneDevice("a timeout");
            if (execution->object->compilation().level() < 4) duration = 0;  // the hint is ignored
        }
        std::vector<std::shared_ptr<const Event>> events;
        for (uint32_t i = 0; i < num_dependencies; i++) {
            requireNotNull(dependencies[i], "a dependency");
            if (dependencies[i]->object->hasFailed()) {
                fail(ANEURALNETWORKS_BAD_STATE, "dependency %u has failed", i);
            }
            events.push_back(dependencies[i]->object);
        }
        execution->object->requireSpecifiedOutputs();
        startEvent(execution, std::move(events), duration, true, event);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_enableInputAndOutputPadding(
    ANeuralNetworksExecution* execution, bool enable) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        execution->object->enablePadding(enable);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_setReusable(ANeuralNetworksExecution* execution,
                                                      bool reusable) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        execution->object->setReusable(reusable);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_setMeasureTiming(ANeuralNetworksExecution* execution,
                                                           bool measure) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        execution->object->setMeasureTiming(measure);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_setTimeout(ANeuralNetworksExecution* execution,
                                                     uint64_t duration) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        execution->object->setTimeout(duration);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_setLoopTimeout(ANeuralNetworksExecution* execution,
                                                         uint64_t duration) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        execution->object->setLoopTimeout(duration);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_getDuration(const ANeuralNetworksExecution* execution,
                                                      int32_t durationCode, uint64_t* duration) {
    return guarded(__func__, [&] {
        requireNotNull(duration, "duration");
        requireNotNull(execution, "execution");
        *duration = execution->object->duration(durationCode);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_getOutputOperandRank(ANeuralNetworksExecution* execution,
                                                               int32_t index, uint32_t* rank) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        requireNotNull(rank, "rank");
        *rank = execution->object->outputRank(index);
        return execution->object->outputStatus(index);
    });
}

NNAPI_EXPORT int ANeuralNetworksExecution_getOutputOperandDimensions(
    ANeuralNetworksExecution* execution, int32_t index, uint32_t* dimensions) {
    return guarded(__func__, [&] {
        requireNotNull(execution, "execution");
        requireNotNull(dimensions, "dimensions");
        return execution->object->outputDimensions(index, dimensions);
    });
}

NNAPI_EXPORT int ANeuralNetworksEvent_wait(ANeuralNetworksEvent* event) {
    return guarded(__func__, [&] {
        requireNotNull(event, "event");
        const int code = event->object->wait();
        event->object->completeExecution();
        return code;
    });
}

NNAPI_EXPORT void ANeuralNetworksEvent_free(ANeuralNetworksEvent* event) { delete event; }

NNAPI_EXPORT int ANeuralNetworksEvent_createFromSyncFenceFd(int sync_fence_fd,
                                                            ANeuralNetworksEvent** event) {
    return guarded(__func__, [&] {
        requireNotNull(event, "event");
        *event = nullptr;
        auto fence = Event::fromFence(sync_fence_fd);
        *event = new ANeuralNetworksEvent{std::move(fence)};
    });
}

NNAPI_EXPORT int ANeuralNetworksEvent_getSyncFenceFd(const ANeuralNetworksEvent* event,
                                                     int* sync_fence_fd) {
    return guarded(__func__, [&] {
        requireNotNull(sync_fence_fd, "sync_fence_fd");
        *sync_fence_fd = -1;
        requireNotNull(event, "event");
        const int fd = event->object->duplicateFence();
        if (fd < 0) fail(ANEURALNETWORKS_BAD_DATA, "the event is not backed by a sync fence");
        *sync_fence_fd = fd;
    });
}
