/* Runs one case against a loaded driver. */
#ifndef NNAPI_RUNNER_CASE_H
#define NNAPI_RUNNER_CASE_H

#include "api.h"
#include "wire.h"

/* Where a worker stands, in memory it shares with the parent: written by the worker before each
 * step, read by the parent when the worker is gone or late. A driver that scribbles over it can
 * spoil the report on its own case, nothing else. */
enum progress_state { PROGRESS_LOADING, PROGRESS_IDLE, PROGRESS_RUNNING, PROGRESS_DELIVERING };

struct progress {
    _Atomic uint32_t state;
    _Atomic uint32_t ordinal;
    _Atomic uint32_t stage;
    _Atomic uint32_t function;
    _Atomic uint64_t since_ns;
    char device[256];
};

/* The device cases are compiled for; `device` is NULL below feature level 3, where it cannot be
 * asked for and the result stays unattributed. */
struct driver {
    const struct api* api;
    const ANeuralNetworksDevice* device;
    const char* device_name;
    const char* cache_dir; /* for compilation caching, or NULL */
    struct progress* progress;
};

/* Runs `c` and appends one RESULT frame to `out`. */
void run_case(const struct driver* driver, const struct wire_case* c, struct arena* arena,
              struct buffer* out);

/* Appends a RESULT frame that holds no execution. */
void put_result(struct buffer* out, uint32_t index, uint8_t ending, uint8_t stage, int32_t code,
                uint64_t ns, const char* device, const char* function, const char* text,
                size_t text_length);

#endif
