// What sequences of calls are made of: counted calls, dice, pools of objects.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "nnapi.h"

namespace fuzz {

struct Count {
    uint64_t calls, successes;
};

/// Of each function, by its name without prefix.
inline std::map<std::string, Count>& counts() {
    static std::map<std::string, Count> all;
    return all;
}
inline uint64_t calls;

[[noreturn]] inline void broken(const char* promise, const char* function) {
    std::fprintf(stderr, "%s: %s\n", function, promise);
    std::abort();
}

inline void counted(const char* function) {
    calls++;
    Count& count = counts()[function];
    count.calls++, count.successes++;
}

inline int checked(int code, const char* function) {
    if (code < ANEURALNETWORKS_NO_ERROR || code > ANEURALNETWORKS_DEAD_OBJECT)
        broken("a result code that does not exist", function);
    calls++;
    Count& count = counts()[function];
    count.calls++;
    if (code == ANEURALNETWORKS_NO_ERROR) count.successes++;
    return code;
}

#define CALL(name, ...) ::fuzz::checked(ANeuralNetworks##name(__VA_ARGS__), #name)
#define CALL_VOID(name, ...) (::fuzz::counted(#name), ANeuralNetworks##name(__VA_ARGS__))

/// Bytes that outlive everything: models refer to long values, executions write to outputs.
constexpr size_t kArena = 1 << 16;
alignas(64) inline uint8_t arena[2][kArena];

/// Decisions from bytes; when they are used up, everything is 0 and the sequence ends.
class Dice {
public:
    Dice(const uint8_t* data, size_t size) : at_(data), end_(data + size) {
        // Some sequences are calm, so that calls get far; in others every tenth argument is odd.
        static constexpr uint32_t rates[] = {65536, 2000, 500, 100, 10};
        rate_ = rates[below(5)];
    }
    bool empty() const { return at_ == end_; }
    uint32_t byte() { return empty() ? 0 : *at_++; }
    uint32_t below(uint32_t n) { return n <= 1 ? 0 : byte() % n; }
    bool once(uint32_t in) { return below(in) == in - 1; }
    uint32_t word() { return byte() | byte() << 8; }

    /// Whether this argument is to make no sense.
    bool odd() { return !empty() && word() % rate_ == rate_ - 1; }

    /// Mostly what makes sense, sometimes a limit.
    template <class T>
    T sane(T value) {
        if (!odd()) return value;
        static constexpr uint64_t limits[] = {0,          1,          0x7FFFFFFF, 0x80000000,
                                              0xFFFFFFFF, 0xFFFFFFFE, 65536,      ~uint64_t{0}};
        return static_cast<T>(limits[below(8)]);
    }
    template <class T>
    T* orNull(T* pointer) {
        return odd() ? nullptr : pointer;
    }

private:
    const uint8_t* at_;
    const uint8_t* end_;
    uint32_t rate_ = 1;
};

template <class T>
class Pool {
public:
    explicit Pool(void (*free)(T*)) : free_(free) {}
    ~Pool() { clear(); }
    void clear() {
        for (T* item : items_) free_(item);
        items_.clear();
    }
    void add(Dice& dice, T* item) {
        if (item == nullptr) return;
        if (items_.size() >= 5) drop(dice);
        items_.push_back(item);
    }
    T* pick(Dice& dice) {
        return items_.empty() || dice.odd() ? nullptr : items_[dice.below(items_.size())];
    }
    /// The newest: what a sequence of calls on one object wants.
    T* last() { return items_.empty() ? nullptr : items_.back(); }
    bool empty() const { return items_.empty(); }
    bool has(const T* item) const {
        return std::find(items_.begin(), items_.end(), item) != items_.end();
    }
    void drop(Dice& dice) {
        if (items_.empty()) return;
        const size_t i = dice.below(static_cast<uint32_t>(items_.size()));
        free_(items_[i]);
        items_.erase(items_.begin() + static_cast<long>(i));
    }

private:
    void (*free_)(T*);
    std::vector<T*> items_;
};

struct TypeOf {
    int32_t code;
    float scale;
    int32_t zeroPoint;
    uint32_t size;
};
constexpr TypeOf kTensors[] = {
    {ANEURALNETWORKS_TENSOR_FLOAT32, 0, 0, 4},
    {ANEURALNETWORKS_TENSOR_FLOAT16, 0, 0, 2},
    {ANEURALNETWORKS_TENSOR_INT32, 0, 0, 4},
    {ANEURALNETWORKS_TENSOR_QUANT8_ASYMM, 0.5f, 128, 1},
    {ANEURALNETWORKS_TENSOR_QUANT8_ASYMM_SIGNED, 0.25f, -3, 1},
    {ANEURALNETWORKS_TENSOR_BOOL8, 0, 0, 1},
    {ANEURALNETWORKS_TENSOR_QUANT16_SYMM, 0.125f, 0, 2},
    {ANEURALNETWORKS_TENSOR_QUANT8_SYMM_PER_CHANNEL, 0, 0, 1},
};

/// What the harness remembers of a model, for calls that make sense.
struct Shape {
    std::vector<uint32_t> dims;
    TypeOf type;
    bool unknown = false;  // the model leaves dimensions open
    uint32_t bytes() const {
        uint32_t n = type.size;
        for (uint32_t d : dims) n *= d;
        return n;
    }
};
struct Known {
    std::vector<Shape> inputs, outputs;
    bool loops = false;  // a WHILE, perhaps one that only a timeout ends
};

}  // namespace fuzz
