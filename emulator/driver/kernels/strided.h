// Copies of rectangular blocks of elements between two strided layouts: transposing, slicing,
// tiling, padding and concatenating are all such copies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../tensor.h"

namespace nnapi {

/// Describes the block by its dimensions, outermost first, each with the step between neighbours
/// on both sides, in elements; steps may be negative or 0. Then `run` copies.
class StridedCopy {
public:
    static constexpr uint32_t kMaxDims = 2 * Shape::kMaxRank;

    void dim(size_t count, ptrdiff_t from, ptrdiff_t to) {
        if (count == 0) empty_ = true;
        if (count == 1 || empty_) return;
        const auto inner = static_cast<ptrdiff_t>(count);
        if (used_ != 0) {  // one run with the dimension around it, where the steps allow
            Dim& last = dims_[used_ - 1];
            if (last.from == inner * from && last.to == inner * to) {
                last = {last.count * count, from, to};
                return;
            }
        }
        dims_[used_++] = {count, from, to};
    }

    /// Copies elements of `size` bytes (1, 2, 4), from and to the addresses of the first one.
    void run(const void* from, void* to, size_t size) const {
        if (empty_) return;
        switch (size) {
            case 1: return copy(static_cast<const uint8_t*>(from), static_cast<uint8_t*>(to));
            case 2: return copy(static_cast<const uint16_t*>(from), static_cast<uint16_t*>(to));
            default: return copy(static_cast<const uint32_t*>(from), static_cast<uint32_t*>(to));
        }
    }

private:
    struct Dim {
        size_t count;
        ptrdiff_t from, to;
    };

    template <class T>
    void copy(const T* from, T* to) const {
        if (used_ == 0) {
            *to = *from;
            return;
        }
        const Dim row = dims_[used_ - 1];
        const bool plain = row.from == 1 && row.to == 1;
        std::array<size_t, kMaxDims> index{};
        for (;;) {
            if (plain) {
                std::memcpy(to, from, row.count * sizeof(T));
            } else {
                const T* x = from;
                T* y = to;
                for (size_t i = 0; i < row.count; i++, x += row.from, y += row.to) *y = *x;
            }
            uint32_t k = used_ - 1;
            for (;;) {
                if (k == 0) return;
                const Dim& d = dims_[--k];
                if (++index[k] < d.count) {
                    from += d.from, to += d.to;
                    break;
                }
                const auto back = static_cast<ptrdiff_t>(d.count - 1);
                from -= back * d.from, to -= back * d.to;
                index[k] = 0;
            }
        }
    }

    std::array<Dim, kMaxDims> dims_{};
    uint32_t used_ = 0;
    bool empty_ = false;
};

}  // namespace nnapi
