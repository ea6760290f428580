/* Runs one case against a loaded driver. */
#ifndef NNAPI_RUNNER_CASE_H
#define NNAPI_RUNNER_CASE_H

#include "driver.h"
#include "wire.h"

/* Runs `c` and appends one RESULT frame to `out`. */
void run_case(const struct driver* driver, const struct wire_case* c, struct arena* arena,
              struct buffer* out);

/* Appends a RESULT frame that holds no execution. */
void put_result(struct buffer* out, uint32_t index, uint8_t ending, uint8_t stage, int32_t code,
                uint64_t ns, const char* device, const char* function, const char* text,
                size_t text_length);

#endif
