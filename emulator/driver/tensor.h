// Operand types, shapes, and tensors: an operand with its shape and bytes during an execution.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "error.h"
#include "nnapi.h"

namespace nnapi {

/// The operand types of the NNAPI reference, without their prefix.
enum Type : int32_t {
    FLOAT32 = ANEURALNETWORKS_FLOAT32,
    INT32 = ANEURALNETWORKS_INT32,
    UINT32 = ANEURALNETWORKS_UINT32,
    TENSOR_FLOAT32 = ANEURALNETWORKS_TENSOR_FLOAT32,
    TENSOR_INT32 = ANEURALNETWORKS_TENSOR_INT32,
    TENSOR_QUANT8_ASYMM = ANEURALNETWORKS_TENSOR_QUANT8_ASYMM,
    BOOL = ANEURALNETWORKS_BOOL,
    TENSOR_QUANT16_SYMM = ANEURALNETWORKS_TENSOR_QUANT16_SYMM,
    TENSOR_FLOAT16 = ANEURALNETWORKS_TENSOR_FLOAT16,
    TENSOR_BOOL8 = ANEURALNETWORKS_TENSOR_BOOL8,
    FLOAT16 = ANEURALNETWORKS_FLOAT16,
    TENSOR_QUANT8_SYMM_PER_CHANNEL = ANEURALNETWORKS_TENSOR_QUANT8_SYMM_PER_CHANNEL,
    TENSOR_QUANT16_ASYMM = ANEURALNETWORKS_TENSOR_QUANT16_ASYMM,
    TENSOR_QUANT8_SYMM = ANEURALNETWORKS_TENSOR_QUANT8_SYMM,
    TENSOR_QUANT8_ASYMM_SIGNED = ANEURALNETWORKS_TENSOR_QUANT8_ASYMM_SIGNED,
    MODEL = ANEURALNETWORKS_MODEL,
    // Vendors' types from before extensions, 10000 and 10001 in the interface: no kernel takes them.
    OEM_SCALAR,
    TENSOR_OEM_BYTE,
};
inline constexpr int kDocumentedTypes = 16;
inline constexpr int kTypeCount = 18;

/// The type of a code of the interface; nothing for an unknown one.
constexpr std::optional<Type> typeOf(int32_t code) {
    constexpr int32_t kFirstOem = 10000;
    if (code >= kFirstOem && code < kFirstOem + 2) {
        return static_cast<Type>(OEM_SCALAR + code - kFirstOem);
    }
    if (code < 0 || code >= kDocumentedTypes) return std::nullopt;
    return static_cast<Type>(code);
}

/// The name of an operand type as in the reference, for messages.
const char* typeName(Type type);

/// Bytes of one element; 0 for MODEL.
constexpr size_t elementSize(Type type) {
    constexpr auto sizes = [] {
        std::array<uint8_t, kTypeCount> bytes{};
#define NNAPI_SIZE(name, size) bytes[name] = size;
        NNAPI_ELEMENT_SIZES(NNAPI_SIZE)
#undef NNAPI_SIZE
        bytes[OEM_SCALAR] = bytes[TENSOR_OEM_BYTE] = 1;
        return bytes;
    }();
    return sizes[type];
}

/// True where kernels may read and write elements of this type in place.
inline bool isAligned(const void* data, Type type) {
    return reinterpret_cast<uintptr_t>(data) % elementSize(type) == 0;
}

constexpr bool isTensor(Type type) {
    return !(type == FLOAT32 || type == INT32 || type == UINT32 || type == BOOL ||
             type == FLOAT16 || type == MODEL || type == OEM_SCALAR);
}

/// True for the types whose scale is part of the operand type (per-channel is not among them).
constexpr bool isQuantized(Type type) {
    return type == TENSOR_QUANT8_ASYMM || type == TENSOR_QUANT16_SYMM ||
           type == TENSOR_QUANT16_ASYMM || type == TENSOR_QUANT8_SYMM ||
           type == TENSOR_QUANT8_ASYMM_SIGNED;
}

/// Dimensions of a tensor. In a model 0 means "not known yet"; in an execution it means "empty".
struct Shape {
    static constexpr uint32_t kMaxRank = 16;

    uint32_t rank = 0;
    std::array<uint32_t, kMaxRank> dims{};

    Shape() = default;
    Shape(std::initializer_list<uint32_t> list) {
        for (uint32_t dim : list) push(dim);
    }

    uint32_t operator[](size_t axis) const { return dims[axis]; }
    uint32_t& operator[](size_t axis) { return dims[axis]; }
    const uint32_t* begin() const { return dims.data(); }
    const uint32_t* end() const { return dims.data() + rank; }

    /// Appends a dimension; refuses (BAD_DATA) a rank above kMaxRank.
    void push(uint32_t dim) {
        if (rank == kMaxRank) fail(ANEURALNETWORKS_BAD_DATA, "rank above %u", kMaxRank);
        dims[rank++] = dim;
    }

    /// Number of elements; 1 for rank 0 (a scalar).
    size_t count() const { return countFrom(0, rank); }

    /// Product of dims[first, last).
    size_t countFrom(uint32_t first, uint32_t last) const {
        size_t product = 1;
        for (uint32_t i = first; i < last; i++) product *= dims[i];
        return product;
    }

    /// Row-major strides in elements.
    std::array<size_t, kMaxRank> strides() const {
        std::array<size_t, kMaxRank> result{};
        size_t stride = 1;
        for (uint32_t i = rank; i-- > 0;) {
            result[i] = stride;
            stride *= dims[i];
        }
        return result;
    }

    bool operator==(const Shape& other) const {
        if (rank != other.rank) return false;
        for (uint32_t i = 0; i < rank; i++)
            if (dims[i] != other.dims[i]) return false;
        return true;
    }
};

/// Parameters of a TENSOR_QUANT8_SYMM_PER_CHANNEL operand: real = code * scales[channel].
struct ChannelQuant {
    uint32_t channelDim = 0;
    std::vector<float> scales;
};

/// An operand during one execution: its shape is fully known, its bytes are there.
struct Tensor {
    Type type = TENSOR_FLOAT32;
    bool omitted = false;  // an optional input that the caller left out
    float scale = 0;
    int32_t zeroPoint = 0;
    const ChannelQuant* channels = nullptr;
    Shape shape;  // a dimension of 0 means that the tensor is empty
    void* data = nullptr;

    size_t count() const { return shape.count(); }
    size_t bytes() const { return shape.count() * elementSize(type); }
    template <class T>
    const T* as() const {
        return static_cast<const T*>(data);
    }
};

}  // namespace nnapi
