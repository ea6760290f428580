/* Executes a compiled case on its input sets. */
#ifndef NNAPI_RUNNER_EXECUTE_H
#define NNAPI_RUNNER_EXECUTE_H

#include "run.h"

/* Executes every set `repetitions` times and appends one EXECUTION field for each to the open
 * RESULT frame. An execution that an NNAPI call refuses is reported and the next one runs; false
 * means that nothing further can run (a missing function, no memory). */
bool execute_sets(struct run* run);

#endif
