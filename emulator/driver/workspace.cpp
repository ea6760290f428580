#include "workspace.h"

#include <algorithm>

namespace nnapi {

Pool::Block* Pool::take(size_t bytes) {
    Block* fit = nullptr;      // the smallest free block that is large enough
    Block* largest = nullptr;  // else the largest free one is replaced
    for (const auto& owned : blocks_) {
        Block* block = owned.get();
        if (block->used) continue;
        if (block->size >= bytes) {
            if (fit == nullptr || block->size < fit->size) fit = block;
        } else if (largest == nullptr || block->size > largest->size) {
            largest = block;
        }
    }
    if (fit == nullptr) {
        const size_t size = std::max<size_t>(bytes, 256);
        if (largest != nullptr) {
            largest->size = 0;
            largest->bytes.reset();
            largest->bytes = allocateBytes(size);
            fit = largest;
        } else {
            auto block = std::make_unique<Block>();
            block->bytes = allocateBytes(size);
            blocks_.push_back(std::move(block));
            fit = blocks_.back().get();
        }
        fit->size = size;
    }
    fit->used = true;
    return fit;
}

void Pool::releaseAll() noexcept {
    for (const auto& block : blocks_) block->used = false;
}

}  // namespace nnapi
