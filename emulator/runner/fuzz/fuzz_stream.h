#ifndef NNAPI_RUNNER_FUZZ_STREAM_H
#define NNAPI_RUNNER_FUZZ_STREAM_H

#include "../platform.h"

int fuzz_stream(const uint8_t* data, size_t size);

#endif
