/* Executes the input sets of a case all at once. */
#ifndef NNAPI_RUNNER_TOGETHER_H
#define NNAPI_RUNNER_TOGETHER_H

#include "run.h"

/* The executions of all sets, alive and computing at once: in threads, or started one after another
 * and awaited from the last. */
bool execute_together(struct run* run);

#endif
