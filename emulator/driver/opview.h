// What a kernel's `validate` sees: one operation of a model.
//
// Every helper refuses with BAD_DATA when the rule is broken and stays silent when the model does
// not say yet (unknown rank or dimension, value not constant): `prepare` decides then. Devices
// that ship look at counts and types when the operation is added, and at shapes, values and
// quantization when it is executed; so `validate` is called twice, once for each Stage.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>

#include "model.h"
#include "ref.h"

namespace nnapi {

/// How far, relatively, a bias scale may be from the product of scales that it stands for: callers
/// compute it in float or double, and files may hold both with six digits.
inline constexpr double kBiasTolerance = 0x1p-17;

/// An operand type and the feature level (1 to 8) since which the operation takes it.
struct Since {
    Type type;
    int level = 1;
};

/// What `validate` is asked for: what has to hold when the operation is added (counts, types, and
/// what is stated to hold at once), or everything.
enum class Stage : uint8_t { SIGNATURE, EVERYTHING };

class OpView {
public:
    OpView(std::span<const Operand> operands, Operation& operation, const char* name,
           Stage stage = Stage::EVERYTHING)
        : operands_(operands), operation_(operation), name_(name), stage_(stage) {}

    // --- counts ---------------------------------------------------------------------------
    size_t inputCount() const { return operation_.inputs.size(); }
    size_t outputCount() const { return operation_.outputs.size(); }
    /// Exactly one of these numbers of inputs.
    void inputs(std::initializer_list<size_t> counts) const;
    void inputs(size_t count) const { inputs({count}); }
    void inputRange(size_t least, size_t most) const;
    void outputs(std::initializer_list<size_t> counts) const;
    void outputs(size_t count) const { outputs({count}); }

    // --- operands -------------------------------------------------------------------------
    const Operand& operator[](Ref ref) const;
    /// True where the operand is in the list and not omitted. An optional input that is a model
    /// input counts as present here; it may still be omitted at execution.
    bool has(Ref ref) const;
    /// Declares that an operand may be omitted (no value). All others must be there.
    void optional(Ref ref);

    // --- types ----------------------------------------------------------------------------
    /// One of these types; notes the level; returns the type.
    Type type(Ref ref, std::initializer_list<Since> allowed);
    Type type(Ref ref, Type only) { return type(ref, {Since{only, 1}}); }
    void sameType(std::initializer_list<Ref> refs) const;
    /// A scalar of this type (FLOAT32, INT32, UINT32, BOOL, FLOAT16).
    void scalar(Ref ref, Type type) const;
    /// FLOAT32 scalar for TENSOR_FLOAT32 and quantized tensors, FLOAT16 for TENSOR_FLOAT16.
    void realScalar(Ref ref, Type tensor) const;
    /// The same where the reference names FLOAT32, or no type, for every tensor. Devices that ship
    /// take FLOAT16 with TENSOR_FLOAT16; the documentation's reading takes either.
    void anyRealScalar(Ref ref, Type tensor) const;
    /// The value of a constant FLOAT32 or FLOAT16 scalar.
    std::optional<float> realValue(Ref ref) const;

    // --- shapes ---------------------------------------------------------------------------
    /// least <= rank <= most.
    void rank(Ref ref, uint32_t least, uint32_t most, When when = When::LATER) const;
    void rank(Ref ref, uint32_t exactly, When when = When::LATER) const {
        rank(ref, exactly, exactly, when);
    }
    /// The rank where the model knows it.
    std::optional<uint32_t> rankOf(Ref ref, When when = When::LATER) const;
    /// A dimension where the model knows it.
    std::optional<uint32_t> dimOf(Ref ref, uint32_t axis, When when = When::LATER) const;
    /// dims[axis] == size.
    void dim(Ref ref, uint32_t axis, uint32_t size, When when = When::LATER) const;
    /// dims[axis] of both are equal.
    void sameDim(Ref a, uint32_t axisA, Ref b, uint32_t axisB, When when = When::LATER) const;
    void sameRank(std::initializer_list<Ref> refs, When when = When::LATER) const;
    void sameShape(std::initializer_list<Ref> refs) const;

    // --- values ---------------------------------------------------------------------------
    /// The value of a constant scalar, or nothing when it is not constant.
    template <class T>
    std::optional<T> value(Ref ref) const {
        const Operand* operand = constant(ref, sizeof(T));
        if (operand == nullptr) return std::nullopt;
        T result;
        std::memcpy(&result, operand->data, sizeof(T));
        return result;
    }
    /// The elements of a constant tensor; empty when it is not constant. Data may be unaligned
    /// for T only if the caller handed unaligned memory: NNAPI forbids that.
    template <class T>
    std::span<const T> values(Ref ref) const {
        const Operand* operand = constant(ref, 0);
        if (operand == nullptr) return {};
        return {static_cast<const T*>(operand->data), operand->length / sizeof(T)};
    }
    /// The type that was given.
    Type typeOf(Ref ref) const { return (*this)[ref].type; }
    /// A constant INT32 scalar; the elements of a constant TENSOR_INT32, empty when it is not.
    std::optional<int32_t> intOf(Ref ref) const { return value<int32_t>(ref); }
    std::span<const int32_t> intsOf(Ref ref) const { return values<int32_t>(ref); }
    /// Whether the model tells the elements of an INT32 or a TENSOR_INT32.
    bool isKnown(Ref ref) const { return constant(ref, sizeof(int32_t)) != nullptr; }
    /// A BOOL scalar where the model tells it; false where it is omitted or not in the list.
    std::optional<bool> flagOf(Ref ref) const {
        if (!has(ref)) return false;
        const auto known = value<uint8_t>(ref);
        if (!known) return std::nullopt;
        return *known != 0;
    }
    /// INT32 scalar, least <= value <= most.
    void integer(Ref ref, int32_t least, int32_t most) const;
    /// INT32 scalar holding a FuseCode.
    void activation(Ref ref) const { integer(ref, 0, 3); }
    /// INT32 scalar holding a PaddingCode.
    void paddingScheme(Ref ref) const { integer(ref, 1, 2); }
    /// BOOL scalar that may be missing or omitted and defaults to false; `level` counts if present.
    void optionalFlag(Ref ref, int level);

    // --- quantization ---------------------------------------------------------------------
    float scaleOf(Ref ref) const { return (*this)[ref].scale; }
    /// Equal scale and zero point (nothing to check for other types).
    void sameQuant(std::initializer_list<Ref> refs, When when = When::LATER) const;
    /// Exactly this scale and zero point, when the operand is quantized.
    void quant(Ref ref, float scale, int32_t zeroPoint) const;
    /// A bias for `input` and `filter`: same type for floats; for quantized inputs TENSOR_INT32
    /// with zero point 0 and scale input.scale * filter.scale (0 for a per-channel filter).
    void bias(Ref bias, Ref input, Ref filter) const;

    // --- anything else --------------------------------------------------------------------
    void require(bool holds, const char* rule, When when = When::LATER) const {
        if (!holds && isDue(when)) refuse(rule);
    }
    /// Whether rules of this kind are looked at in this stage.
    bool isDue(When when) const { return when == When::AT_ONCE || stage_ == Stage::EVERYTHING; }
    /// This use of the operation is promised since this feature level.
    void since(int level) { operation_.level = level > operation_.level ? level : operation_.level; }

    /// Every input that was not declared optional has a value; called after `validate`.
    void requireInputs() const;

private:
    const Operand* constant(Ref ref, size_t size) const;
    [[noreturn]] void refuse(const char* rule) const;
    [[noreturn]] void refuse(Ref ref, const char* rule) const;

    std::span<const Operand> operands_;
    Operation& operation_;
    const char* name_;
    Stage stage_;
};

}  // namespace nnapi
