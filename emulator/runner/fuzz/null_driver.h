/* An NNAPI that computes nothing, reads everything it is handed and fails where it is told to. */
#ifndef NNAPI_RUNNER_NULL_DRIVER_H
#define NNAPI_RUNNER_NULL_DRIVER_H

#include "../api.h"

/* Fills the table. `seed` decides which calls fail and which functions are missing; 0: none. */
void null_driver(struct api* api, uint32_t seed);

/* Objects that were created and not freed yet. */
extern int null_driver_objects;

#endif
