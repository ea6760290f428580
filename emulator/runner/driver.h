/* A loaded driver, and how far work on it has come. */
#ifndef NNAPI_RUNNER_DRIVER_H
#define NNAPI_RUNNER_DRIVER_H

#include "api.h"

/* Where a worker stands, in memory it shares with the parent: written by the worker before each
 * step, read by the parent when the worker is gone or late. A driver can write it too, so it only
 * tells a reader where a case was: nothing is decided by it. */
struct progress {
    _Atomic uint32_t stage;
    _Atomic uint32_t function;
};

/* The device cases are compiled for; `device` is NULL below feature level 3, where it cannot be
 * asked for and the result stays unattributed. */
enum { MAX_DEVICES = 64 };

struct driver {
    const struct api* api;
    const ANeuralNetworksDevice* device;
    const ANeuralNetworksDevice* devices[MAX_DEVICES]; /* the chosen one first */
    uint32_t device_count;
    const char* device_name;
    const char* cache_dir; /* for compilation caching, or NULL */
    struct progress* progress;
};

#endif
