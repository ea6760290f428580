/* Entry point for clang's libFuzzer. */
#include "fuzz_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { return fuzz_stream(data, size); }
