#include "tensor.h"

namespace nnapi {

const char* typeName(Type type) {
    static constexpr const char* names[kTypeCount] = {
        "FLOAT32",
        "INT32",
        "UINT32",
        "TENSOR_FLOAT32",
        "TENSOR_INT32",
        "TENSOR_QUANT8_ASYMM",
        "BOOL",
        "TENSOR_QUANT16_SYMM",
        "TENSOR_FLOAT16",
        "TENSOR_BOOL8",
        "FLOAT16",
        "TENSOR_QUANT8_SYMM_PER_CHANNEL",
        "TENSOR_QUANT16_ASYMM",
        "TENSOR_QUANT8_SYMM",
        "TENSOR_QUANT8_ASYMM_SIGNED",
        "MODEL",
        "an OEM scalar",
        "an OEM byte tensor",
    };
    return type >= 0 && type < kTypeCount ? names[type] : "an unknown type";
}

}  // namespace nnapi
