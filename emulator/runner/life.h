/* The life of what a case is executed on: its models and its compilation. */
#ifndef NNAPI_RUNNER_LIFE_H
#define NNAPI_RUNNER_LIFE_H

#include "run.h"

/* Builds the models, asks for support and compiles. */
bool begin_life(struct run* run);
/* Frees what that made, however far it came. */
void end_life(struct run* run);

#endif
