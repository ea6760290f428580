/* The runner's parent process: it never loads a driver and never calls NNAPI. */
#ifndef NNAPI_RUNNER_SUPERVISOR_H
#define NNAPI_RUNNER_SUPERVISOR_H

#include "options.h"

/* Reads batches from descriptor `in`, writes frames to `out`. */
int supervise(const struct options* options, int in, int out);

#endif
