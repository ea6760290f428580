/* One case at work, whatever is being done of it. */
#ifndef NNAPI_RUNNER_RUN_H
#define NNAPI_RUNNER_RUN_H

#include "driver.h"
#include "wire.h"

struct region; /* shared memory, memory.h */

/* One case at work: everything that has to be freed, and how it ended so far. */
struct run {
    const struct driver* driver;
    const struct api* api;
    const struct wire_case* c;
    struct arena* arena;
    struct buffer* out;

    ANeuralNetworksModel** models; /* one for each graph */
    struct region* constants;      /* large constants of MEMORY_SHARED and beyond, or NULL */
    ANeuralNetworksMemory* constants_memory;
    ANeuralNetworksCompilation* compilation;
    ANeuralNetworksCompilation* earlier; /* of the same model, where the case asks for two */
    ANeuralNetworksBurst* burst;

    enum ending ending;
    enum stage stage;
    enum function_id function;
    int32_t code;
    int32_t last_code; /* of the last call that failed, also after the first */
    char text[ERROR_TEXT];
};

/* Calls a function after noting it as in flight. */
#define CALL(run, name, ...)                                                    \
    (atomic_store_explicit(&(run)->driver->progress->function, FN_##name,       \
                           memory_order_relaxed),                               \
     (run)->api->name(__VA_ARGS__))

/* Calls a function that returns a ResultCode; on an error the case stops here. */
#define TRY(run, name, ...)                                                     \
    do {                                                                        \
        if (!(run)->api->has[FN_##name]) return missing(run, FN_##name);        \
        int code_ = CALL(run, name, __VA_ARGS__);                               \
        if (code_ != ANEURALNETWORKS_NO_ERROR) return stop(run, FN_##name, code_); \
    } while (0)

/* How far behind a multiple of REGION_ALIGN arguments and constants begin: what is packed is
 * aligned for every type and no more, what is unaligned for bytes alone. */
static inline size_t skew_of(const struct run* run) {
    enum { ODD = 1, PACKED = 4 };
    if (run->c->extra.flags & EXTRA_UNALIGNED) return ODD;
    return run->c->extra.flags & EXTRA_PACKED ? PACKED : 0;
}

void enter_stage(struct run* run, enum stage stage);
/* Each returns false and keeps the first reason. */
bool stop(struct run* run, enum function_id function, int code);
bool missing(struct run* run, enum function_id function);
/* The function is there, and said with this code that it need not do what was asked. */
bool not_offered(struct run* run, enum function_id function, int code);
bool bad_case(struct run* run, const char* format, ...);

#endif
