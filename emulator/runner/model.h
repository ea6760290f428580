/* Builds the models of a case through NNAPI. */
#ifndef NNAPI_RUNNER_MODEL_H
#define NNAPI_RUNNER_MODEL_H

#include "run.h"

bool build_models(struct run* run);
/* Frees the models alone, while what was compiled from them is still to be used. */
void orphan_models(struct run* run);
void free_models(struct run* run);

#endif
