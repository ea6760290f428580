/* What the runner is asked to do, and what it exits with. */
#ifndef NNAPI_RUNNER_OPTIONS_H
#define NNAPI_RUNNER_OPTIONS_H

#include "platform.h"

enum { MAX_LIBRARIES = 8 };

struct options {
    const char* library[MAX_LIBRARIES + 1]; /* the first that loads is taken; NULL behind the last */
    const char* device;    /* "" chooses the first */
    const char* cache_dir; /* or NULL */
    const char* journal;   /* file that keeps results until the kit has them, or NULL */
    bool resume;           /* tell first what the file kept, */
    uint32_t resume_from;  /* results from this index on */
    bool support_library;  /* `library` offers a table, not symbols */
    bool isolate;          /* a worker for each case */
    bool list_devices;     /* stop after the LIBRARY frame */
    bool serve;            /* read batches until the end of input, not only one */
    uint32_t memory_limit_mb;
    uint32_t load_deadline_ms;
};

/* What the process exits with. */
enum exit_status {
    STATUS_DONE = 0,
    STATUS_USAGE = 2,
    STATUS_DAMAGED = 3, /* the input is not what the wire format allows */
    STATUS_LIBRARY = 4, /* the library or the device cannot be used */
    STATUS_SYSTEM = 5,  /* the machine refused something (fork, memory) */
};

#endif
