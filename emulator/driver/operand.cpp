#include "operand.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "error.h"
#include "readings.h"

namespace nnapi {
namespace {

// No tensor above this size: real ones do not come near, and sums of sizes cannot overflow.
constexpr uint64_t kMaxTensorBytes = uint64_t{1} << 32;

void checkQuantization(const Operand& operand) {
    const auto requireScale = [&] {
        if (!(operand.scale > 0) || !std::isfinite(operand.scale)) {
            fail(ANEURALNETWORKS_BAD_DATA, "%s needs a scale above 0", typeName(operand.type));
        }
    };
    const auto requireZeroPoint = [&](int32_t least, int32_t most) {
        if (operand.zeroPoint < least || operand.zeroPoint > most) {
            fail(ANEURALNETWORKS_BAD_DATA, "%s needs a zero point in [%d, %d]",
                 typeName(operand.type), least, most);
        }
    };
    switch (operand.type) {
        case TENSOR_QUANT8_ASYMM:
            requireScale();
            return requireZeroPoint(0, 255);
        case TENSOR_QUANT8_ASYMM_SIGNED:
            requireScale();
            return requireZeroPoint(-128, 127);
        case TENSOR_QUANT16_ASYMM:
            requireScale();
            return requireZeroPoint(0, 65535);
        case TENSOR_QUANT8_SYMM:
        case TENSOR_QUANT16_SYMM:
            requireScale();
            return requireZeroPoint(0, 0);
        case TENSOR_INT32:  // a bias has a scale
            if (!(operand.scale >= 0) || !std::isfinite(operand.scale)) {
                fail(ANEURALNETWORKS_BAD_DATA, "TENSOR_INT32 with a negative scale");
            }
            return requireZeroPoint(0, 0);
        case OEM_SCALAR:
        case TENSOR_OEM_BYTE: return;  // their meaning is the vendor's
        default:
            if (operand.scale != 0) {
                fail(ANEURALNETWORKS_BAD_DATA, "%s has no scale", typeName(operand.type));
            }
            return requireZeroPoint(0, 0);
    }
}

}  // namespace

bool Operand::fullySpecified() const {
    return rankKnown && std::find(shape.begin(), shape.end(), 0u) == shape.end();
}

void requireSize(const Operand& operand) {
    uint64_t bytes = elementSize(operand.type);
    for (uint32_t dim : operand.shape) {
        if (dim != 0) bytes *= dim;
        if (bytes >= kMaxTensorBytes) fail(ANEURALNETWORKS_BAD_DATA, "tensor of 4 GiB or more");
    }
}

Operand makeOperand(const ANeuralNetworksOperandType& type) {
    const std::optional<Type> known = typeOf(type.type);
    if (!known) fail(ANEURALNETWORKS_BAD_DATA, "unknown operand type %d", type.type);
    if ((type.dimensionCount == 0) != (type.dimensions == nullptr)) {
        // Reading: the documentation names no code for the one and allows the other.
        if (followsField()) {
            fail(ANEURALNETWORKS_BAD_DATA, "dimensionCount and dimensions contradict each other");
        }
        if (type.dimensions == nullptr) fail(ANEURALNETWORKS_UNEXPECTED_NULL, "dimensions are null");
    }
    Operand operand;
    operand.type = *known;
    operand.scale = type.scale;
    operand.zeroPoint = type.zeroPoint;
    if (!isTensor(operand.type)) {
        if (type.dimensionCount != 0) {
            fail(ANEURALNETWORKS_BAD_DATA, "%s must not have dimensions", typeName(operand.type));
        }
    } else if (type.dimensionCount == 0) {
        operand.rankKnown = false;
    } else {
        for (uint32_t i = 0; i < type.dimensionCount; i++) operand.shape.push(type.dimensions[i]);
        requireSize(operand);
    }
    checkQuantization(operand);
    return operand;
}

void mergeDimensions(Operand& a, const Operand& b) {
    if (!b.rankKnown) return;
    if (!a.rankKnown) {
        a.rankKnown = true;
        a.shape = b.shape;
        return;
    }
    if (a.shape.rank != b.shape.rank) fail(ANEURALNETWORKS_BAD_DATA, "the ranks differ");
    for (uint32_t i = 0; i < a.shape.rank; i++) {
        if (b.shape[i] == 0) continue;
        if (a.shape[i] != 0 && a.shape[i] != b.shape[i]) {
            fail(ANEURALNETWORKS_BAD_DATA, "dimension %u is %u, not %u", i, a.shape[i], b.shape[i]);
        }
        a.shape[i] = b.shape[i];
    }
}

}  // namespace nnapi
