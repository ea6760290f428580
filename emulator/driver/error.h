// Refusals: one exception type carries an NNAPI result code from wherever a rule is broken to the
// C entry point, which turns it into a return value (handles.h). Nothing else is thrown on purpose.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include "nnapi.h"

namespace nnapi {

/// A documented rule was broken; `code` is the NNAPI result code that reports it.
class Refusal : public std::exception {
public:
    Refusal(int code, std::string message) : code_(code), message_(std::move(message)) {}
    int code() const noexcept { return code_; }
    const char* what() const noexcept override { return message_.c_str(); }

private:
    int code_;
    std::string message_;
};

/// A device broke down, as its description says: another may take its place.
class DeviceFailure : public Refusal {
public:
    using Refusal::Refusal;
};

/// Throws a Refusal with a printf-style message, kept for the log (see `logRefusal`).
[[noreturn]] [[gnu::format(printf, 2, 3)]] void fail(int code, const char* format, ...);

/// Writes one line when the environment variable NNAPI_TESTKIT_LOG is set: to standard error, or to
/// the file it names by a path.
void logRefusal(const char* where, int code, const char* message) noexcept;

/// A line of that log for what is no refusal: where a compilation came from, how it was divided.
[[gnu::format(printf, 1, 2)]] void logNote(const char* format, ...) noexcept;

}  // namespace nnapi
