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

namespace {

bool logEnabled() noexcept {
    static const bool enabled = std::getenv("NNAPI_TESTKIT_LOG") != nullptr;
    return enabled;
}

}  // namespace

void logRefusal(const char* where, int code, const char* message) noexcept {
    if (!logEnabled()) return;
    std::fprintf(stderr, "nnapi-reference: %s: result %d: %s\n", where, code, message);
}

void logNote(const char* format, ...) noexcept {
    if (!logEnabled()) return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    std::fprintf(stderr, "nnapi-reference: %s\n", text);
}

}  // namespace nnapi
