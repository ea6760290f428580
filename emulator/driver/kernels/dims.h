// Named dimensions: sizes that several operands of one operation share, such as num_units.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include "../context.h"
#include "../opview.h"

namespace nnapi {

/// The first operand that knows the size of a name fixes it; later ones must agree. Serves
/// `validate` (where sizes may be unknown) and `prepare` (where 0 is a size like any other).
class Dims {
public:
    static constexpr int kNames = 16;
    /// In a list of names: this axis may have any size.
    static constexpr int kAny = kNames;
    /// In a list of names: exactly this size.
    static constexpr int exactly(int size) { return -size - 1; }

    /// The operand has one axis for each of `names`, an operand's own use of enum values.
    template <class Where>
    void match(const Where& where, Ref ref, std::initializer_list<int> names) {
        where.rank(ref, static_cast<uint32_t>(names.size()));
        uint32_t axis = 0;
        for (int name : names) {
            const auto size = where.dimOf(ref, axis);
            if (const auto expected = sizeOf(name)) {
                where.dim(ref, axis, *expected);
            } else if (size && name != kAny) {
                sizes_[static_cast<size_t>(name)] = *size;
            }
            axis++;
        }
    }
    /// The same for an input.
    template <class Where>
    void input(const Where& where, size_t i, std::initializer_list<int> names) {
        match(where, in(i), names);
    }

    /// Two names for one size.
    template <class View>
    void same(const View& view, int a, int b, const char* rule) {
        auto &first = sizes_[static_cast<size_t>(a)], &second = sizes_[static_cast<size_t>(b)];
        view.require(!first || !second || *first == *second, rule);
        if (first) second = first;
        if (second) first = second;
    }

    void set(int name, uint32_t size) { sizes_[static_cast<size_t>(name)] = size; }
    bool known(int name) const { return sizes_[static_cast<size_t>(name)].has_value(); }
    /// The size; 0 when no operand has told it.
    uint32_t operator[](int name) const { return sizes_[static_cast<size_t>(name)].value_or(0); }

private:
    std::optional<uint32_t> sizeOf(int name) const {
        if (name < 0) return static_cast<uint32_t>(-name - 1);
        if (name == kAny) return std::nullopt;
        return sizes_[static_cast<size_t>(name)];
    }

    std::array<std::optional<uint32_t>, kNames> sizes_;
};

/// Whether no size of an operand is known but its rank, and that is not `rank`: how a model
/// declares an optional input of which all it needs to say is that there is none.
inline bool isPlaceholder(const OpView& v, Ref ref, size_t rank) {
    const auto declared = v.rankOf(ref);
    if (!declared || *declared == rank) return false;
    for (uint32_t axis = 0; axis < *declared; axis++) {
        if (v.dimOf(ref, axis)) return false;
    }
    return true;
}

/// a * b as a dimension; refuses what does not fit.
inline uint32_t productDim(const Context& c, uint32_t a, uint32_t b) {
    const uint64_t product = static_cast<uint64_t>(a) * b;
    c.require(product <= UINT32_MAX, "a dimension is too large");
    return static_cast<uint32_t>(product);
}
/// a + b as a dimension; refuses what does not fit.
inline uint32_t sumDim(const Context& c, uint32_t a, uint32_t b) {
    c.require(a <= UINT32_MAX - b, "a dimension is too large");
    return a + b;
}
/// Refuses a shape with more elements than memory can hold; keeps element counts from overflowing.
inline void requireCountable(const Context& c, const Shape& shape) {
    constexpr uint64_t kMost = uint64_t{1} << 48;
    uint64_t count = 1;
    for (uint32_t dim : shape) {
        if (dim == 0) return;
    }
    for (uint32_t dim : shape) {
        c.require(count <= kMost / dim, "a tensor is too large");
        count *= dim;
    }
}

}  // namespace nnapi
