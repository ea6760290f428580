// The opaque types of the C API, and the guard around every entry point.
//
// A handle owns its object through a shared pointer, so that freeing handles in an unfortunate
// order leaves no dangling reference inside the driver.
#pragma once

#include <atomic>
#include <memory>
#include <new>
#include <stdexcept>

#include "compilation.h"
#include "device.h"
#include "error.h"
#include "event.h"
#include "execution.h"
#include "memory_desc.h"
#include "model.h"

#define NNAPI_EXPORT extern "C" __attribute__((visibility("default")))

struct ANeuralNetworksModel {
    std::shared_ptr<nnapi::Model> object;
};
struct ANeuralNetworksCompilation {
    std::shared_ptr<nnapi::Compilation> object;
};
struct ANeuralNetworksExecution {
    std::shared_ptr<nnapi::Execution> object;
};
struct ANeuralNetworksBurst {
    std::shared_ptr<const nnapi::Compilation> compilation;
    std::atomic_flag busy = ATOMIC_FLAG_INIT;
};
struct ANeuralNetworksEvent {
    std::shared_ptr<nnapi::Event> object;
};
struct ANeuralNetworksMemory {
    std::shared_ptr<nnapi::Memory> object;
};
struct ANeuralNetworksMemoryDesc {
    nnapi::MemoryDesc object;
};

namespace nnapi {

/// Refuses a null argument with UNEXPECTED_NULL.
inline void requireNotNull(const void* pointer, const char* name) {
    if (pointer == nullptr) fail(ANEURALNETWORKS_UNEXPECTED_NULL, "%s is null", name);
}

/// Runs the body of an entry point; turns refusals and exceptions into result codes. The body
/// returns nothing or a result code.
template <class Body>
int guarded(const char* function, Body&& body) noexcept {
    int code = ANEURALNETWORKS_OP_FAILED;
    try {
        if constexpr (std::is_void_v<decltype(body())>) {
            body();
            return ANEURALNETWORKS_NO_ERROR;
        } else {
            return body();
        }
    } catch (const Refusal& refusal) {
        code = refusal.code();
        logRefusal(function, code, refusal.what());
    } catch (const std::bad_alloc&) {
        code = ANEURALNETWORKS_OUT_OF_MEMORY;
    } catch (const std::length_error&) {
        code = ANEURALNETWORKS_OUT_OF_MEMORY;
    } catch (const std::exception& error) {
        logRefusal(function, code, error.what());
    } catch (...) {
        logRefusal(function, code, "an unknown exception");
    }
    return code;
}

}  // namespace nnapi
