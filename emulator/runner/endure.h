/* Counts what the process holds while executions and whole lives are repeated. */
#ifndef NNAPI_RUNNER_ENDURE_H
#define NNAPI_RUNNER_ENDURE_H

#include "run.h"

/* Executes the compiled case `extra.executions` times more and appends a RESOURCES field: what the
 * process held before and after. The first rounds, in which caches fill, are not counted. False
 * when something failed that had gone well before. */
bool endure_executions(struct run* run);

/* The same for `extra.lives` of models, compilation and executions. */
bool endure_lives(struct run* run);

#endif
