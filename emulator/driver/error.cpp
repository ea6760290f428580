#include "error.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

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

/// Where to: standard error, or the file that NNAPI_TESTKIT_LOG names by a path; null for nowhere.
std::FILE* logStream() noexcept {
    static std::FILE* const stream = []() -> std::FILE* {
        const char* wanted = std::getenv("NNAPI_TESTKIT_LOG");
        if (wanted == nullptr) return nullptr;
        if (std::strchr(wanted, '/') == nullptr) return stderr;
        std::FILE* file = std::fopen(wanted, "a");
        if (file == nullptr) return stderr;
        std::setvbuf(file, nullptr, _IOLBF, 0);  // processes append whole lines
        return file;
    }();
    return stream;
}

}  // namespace

void logRefusal(const char* where, int code, const char* message) noexcept {
    if (logStream() == nullptr) return;
    std::fprintf(logStream(), "nnapi-reference: %s: result %d: %s\n", where, code, message);
}

void logNote(const char* format, ...) noexcept {
    if (logStream() == nullptr) return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    std::fprintf(logStream(), "nnapi-reference: %s\n", text);
}

}  // namespace nnapi
