#include "error.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace nnapi {

void fail(int code, const char* format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    throw Refusal(code, text);
}

void logRefusal(const char* where, int code, const char* message) noexcept {
    static const bool enabled = std::getenv("NNAPI_TESTKIT_LOG") != nullptr;
    if (enabled) std::fprintf(stderr, "nnapi-reference: %s: result %d: %s\n", where, code, message);
}

}  // namespace nnapi
