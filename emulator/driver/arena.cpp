#include "arena.h"

#include <algorithm>
#include <new>

namespace nnapi {

std::unique_ptr<void, FreeBytes> allocateBytes(size_t bytes) {
    if (bytes > SIZE_MAX - 2 * kAlignment) throw std::bad_alloc();
    const size_t rounded = std::max(kAlignment, (bytes + kAlignment - 1) & ~(kAlignment - 1));
    void* memory = std::aligned_alloc(kAlignment, rounded);
    if (memory == nullptr) throw std::bad_alloc();
    return std::unique_ptr<void, FreeBytes>(memory);
}

void* Arena::take(size_t bytes) {
    constexpr size_t kSmallest = 16384;
    if (bytes > SIZE_MAX - 2 * kAlignment) throw std::bad_alloc();
    const size_t rounded = (bytes + kAlignment - 1) & ~(kAlignment - 1);
    while (current_ < blocks_.size()) {
        Block& block = blocks_[current_];
        if (block.size - used_ >= rounded) {
            void* result = static_cast<uint8_t*>(block.bytes.get()) + used_;
            used_ += rounded;
            return result;
        }
        current_++;
        used_ = 0;
    }
    const size_t size = std::max(rounded, kSmallest);
    blocks_.push_back(Block{allocateBytes(size), size});
    used_ = rounded;
    return blocks_.back().bytes.get();
}

}  // namespace nnapi
