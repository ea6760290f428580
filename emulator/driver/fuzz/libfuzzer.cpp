// The same sequences, chosen by libFuzzer.

#include "harness.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    runSequence(data, size);
    return 0;
}
