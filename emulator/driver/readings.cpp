#include "readings.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace nnapi {
namespace {

Readings chosen() noexcept {
    const char* text = std::getenv("NNAPI_REFERENCE_READINGS");
    if (text == nullptr || *text == '\0' || std::strcmp(text, "field") == 0) {
        return Readings::FIELD;
    }
    if (std::strcmp(text, "documented") != 0) {
        std::fprintf(stderr,
                     "nnapi-reference: NNAPI_REFERENCE_READINGS is \"%s\": write field or "
                     "documented; field is taken\n",
                     text);
        return Readings::FIELD;
    }
    return Readings::DOCUMENTED;
}

const Readings kChosen = chosen();  // when the library is loaded

}  // namespace

Readings readings() noexcept { return kChosen; }

}  // namespace nnapi
