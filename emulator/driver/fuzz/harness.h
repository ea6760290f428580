// One sequence of calls, decided by bytes: the same bytes make the same calls.
#pragma once

#include <cstddef>
#include <cstdint>

/// Runs the sequence that `data` describes and frees everything it made. Aborts where the API
/// breaks a promise that holds for any call: result codes, handles after an error.
void runSequence(const uint8_t* data, size_t size);

/// Calls of the C API made so far, in all sequences.
uint64_t callsMade();

/// Calls of each function and how many succeeded, as text: a line for each, the rarest first.
void printCalls();
