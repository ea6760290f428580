/* The process that loads the driver and runs cases. */
#ifndef NNAPI_RUNNER_WORKER_H
#define NNAPI_RUNNER_WORKER_H

#include "driver.h"
#include "options.h"

enum { MAX_DEVICE_NAME = 255 };

/* Loads the library, writes a LIBRARY frame (or an ERROR frame) to `results`, then runs every CASE
 * frame from `cases` until its end and writes a RESULT frame for each. Never returns: leaves
 * through exit(), so that leak checks and the driver's own exit handlers run. */
_Noreturn void worker_main(const struct options* options, const char* device, int cases,
                           int results, struct progress* progress);

#endif
