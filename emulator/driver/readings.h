// Which of two readings this library follows where the documentation and shipping devices differ.
#pragma once

#include "nnapi.h"

namespace nnapi {

/// What every device that ships computes and refuses (the default), or the letter of the
/// documentation. NNAPI_REFERENCE_READINGS=documented chooses the latter; it is read when the
/// library is loaded.
enum class Readings { FIELD, DOCUMENTED };

Readings readings() noexcept;

inline bool followsField() noexcept { return readings() == Readings::FIELD; }

/// The code for shapes and values that an execution finds to be wrong.
inline int refusalAtExecution() noexcept {
    return followsField() ? ANEURALNETWORKS_OP_FAILED : ANEURALNETWORKS_BAD_DATA;
}

}  // namespace nnapi
