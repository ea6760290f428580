// What a kernel's `prepare` and `execute` see: one operation of one running execution.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>

#include "arena.h"
#include "deadline.h"
#include "half.h"
#include "ref.h"
#include "tensor.h"

namespace nnapi {

class Context {
public:
    size_t inputCount() const { return inputs_.size(); }
    size_t outputCount() const { return outputs_.size(); }
    /// The operation code, for kernels that serve several operations.
    int32_t code() const { return code_; }
    /// float32 may be computed with the range and precision of float16. Computing float32 is fine.
    bool relaxed() const { return relaxed_; }

    /// True where the input is in the list and not omitted.
    bool has(size_t i) const { return i < inputs_.size() && !inputs_[i]->omitted; }

    const Tensor& input(size_t i) const { return *inputs_[i]; }
    const Tensor& output(size_t i) const { return *outputs_[i]; }
    const Shape& shape(size_t i) const { return inputs_[i]->shape; }
    Type type(size_t i) const { return inputs_[i]->type; }

    /// The elements of an input. T: float, Half, uint8_t (QUANT8_ASYMM, BOOL8), int8_t,
    /// int16_t, uint16_t, int32_t.
    template <class T>
    const T* in(size_t i) const {
        return static_cast<const T*>(inputs_[i]->data);
    }
    /// The elements of an output; only in `execute`.
    template <class T>
    T* out(size_t i) const {
        return static_cast<T*>(outputs_[i]->data);
    }

    /// The value of a scalar input; with a default for an absent or omitted one.
    template <class T>
    T scalar(size_t i) const {
        T value;
        std::memcpy(&value, inputs_[i]->data, sizeof(T));
        return value;
    }
    template <class T>
    T scalar(size_t i, T absent) const {
        return has(i) ? scalar<T>(i) : absent;
    }
    /// A BOOL scalar; false when absent.
    bool flag(size_t i) const { return has(i) && scalar<uint8_t>(i) != 0; }
    /// A FLOAT32 or FLOAT16 scalar as float.
    float real(size_t i) const {
        return type(i) == FLOAT16 ? toFloat(scalar<Half>(i)) : scalar<float>(i);
    }
    float real(size_t i, float absent) const { return has(i) ? real(i) : absent; }
    /// An INT32 scalar that must lie in [least, most]: refuses otherwise.
    int32_t integer(size_t i, int32_t least, int32_t most) const;
    /// An INT32 scalar holding a FuseCode.
    int32_t activation(size_t i) const { return integer(i, 0, 3); }

    // --- what OpView has by the same names, so that one text states a rule for both ----------
    // Of inputs everything is known here; of outputs nothing, `setShape` looks at those.
    bool has(Ref ref) const { return !ref.output && has(size_t{ref.index}); }
    Type typeOf(Ref ref) const { return type(ref.index); }
    std::optional<uint32_t> rankOf(Ref ref, When = When::LATER) const {
        if (ref.output) return std::nullopt;
        return shape(ref.index).rank;
    }
    std::optional<uint32_t> dimOf(Ref ref, uint32_t axis, When = When::LATER) const {
        if (ref.output || axis >= shape(ref.index).rank) return std::nullopt;
        return shape(ref.index)[axis];
    }
    void rank(Ref ref, uint32_t least, uint32_t most, When = When::LATER) const;
    void rank(Ref ref, uint32_t exactly, When = When::LATER) const { rank(ref, exactly, exactly); }
    void dim(Ref ref, uint32_t axis, uint32_t size, When = When::LATER) const;
    void sameDim(Ref a, uint32_t axisA, Ref b, uint32_t axisB, When = When::LATER) const;
    void sameRank(std::initializer_list<Ref> refs, When = When::LATER) const;
    void sameShape(std::initializer_list<Ref> refs) const;
    std::optional<int32_t> intOf(Ref ref) const {
        if (!has(ref)) return std::nullopt;
        return scalar<int32_t>(ref.index);
    }
    std::span<const int32_t> intsOf(Ref ref) const {
        return {in<int32_t>(ref.index), input(ref.index).count()};
    }
    bool isKnown(Ref ref) const { return has(ref); }
    std::optional<float> realValue(Ref ref) const {
        if (!has(ref)) return std::nullopt;
        return real(ref.index);
    }
    std::optional<bool> flagOf(Ref ref) const { return flag(ref.index); }
    float scaleOf(Ref ref) const { return input(ref.index).scale; }
    void integer(Ref ref, int32_t least, int32_t most) const {
        if (has(ref)) integer(ref.index, least, most);
    }
    void activation(Ref ref) const { integer(ref, 0, 3); }
    void paddingScheme(Ref ref) const { integer(ref, 1, 2); }

    /// `prepare` calls this once for each output. Refuses what contradicts the
    /// dimensions that the model or the caller gave, with OUT_OF_MEMORY 2^31 bytes and more: the
    /// dimensions may be any numbers, their product need not fit anywhere.
    void setShape(size_t i, const Shape& shape);

    /// Uninitialised memory, aligned to 64 bytes, valid until the operation's `execute` returns
    /// (or `prepare`, when taken there).
    template <class T>
    T* scratch(size_t count) {
        return static_cast<T*>(scratch_->take(count * sizeof(T)));
    }

    /// For `execute` between blocks of work that may take milliseconds: ends the execution where
    /// its timeout has passed. Reads the clock only if there is a timeout.
    void checkDeadline() const { deadline_->check(); }
    /// The same for loops of short rounds: reads the clock about once in a millisecond. `work` is
    /// how long a round takes, in nanoseconds or so.
    void spend(size_t work) const {
        spent_ += work;
        if (spent_ < kWorkUnchecked) return;
        spent_ = 0;
        deadline_->check();
    }
    /// Calls block(first, end) for parts of [0, count), one after another; in between the timeout
    /// is looked at. An element takes nanoseconds.
    template <class Block>
    void forEachBlock(size_t count, Block block) const {
        constexpr size_t kBlock = 1 << 15;
        for (size_t first = 0; first < count; first += kBlock) {
            block(first, std::min(count, first + kBlock));
            checkDeadline();
        }
    }

    /// What `Kernel::pack` returned for this operation; null when there is nothing.
    template <class T>
    const T* packed() const {
        return static_cast<const T*>(packed_);
    }

    void require(bool holds, const char* rule, When = When::LATER) const {
        if (!holds) refuse(rule);
    }
    /// The values or shapes at hand break a documented rule; see `refusalAtExecution`.
    [[noreturn]] void refuse(const char* rule) const;

private:
    friend class Executor;
    [[noreturn]] void refuse(Ref ref, const char* rule) const;

    int32_t code_ = 0;
    bool relaxed_ = false;
    const char* name_ = "";
    std::span<Tensor* const> inputs_;
    std::span<Tensor* const> outputs_;
    std::span<const Shape* const> declared_;  // per output: dims the model gave, null: no rank
    Arena* scratch_ = nullptr;
    const Deadline* deadline_ = nullptr;
    static constexpr size_t kWorkUnchecked = size_t{1} << 20;
    mutable size_t spent_ = 0;
    const void* packed_ = nullptr;
};

}  // namespace nnapi
