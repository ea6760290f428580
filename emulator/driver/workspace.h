// The memory of one running execution: an arena for what lives as long as an operation or a
// frame, and a pool for operand values, whose blocks are reused as soon as the value is dead.
#pragma once

#include <memory>
#include <vector>

#include "arena.h"

namespace nnapi {

class Pool {
public:
    struct Block {
        std::unique_ptr<void, FreeBytes> bytes;
        size_t size = 0;
        bool used = false;
    };

    /// A block of at least `bytes`; throws std::bad_alloc.
    Block* take(size_t bytes);
    void release(Block* block) noexcept {
        if (block != nullptr) block->used = false;
    }
    void releaseAll() noexcept;

private:
    std::vector<std::unique_ptr<Block>> blocks_;
};

struct Workspace {
    Arena arena;
    Pool pool;

    void reset() noexcept {
        arena.release({0, 0});
        pool.releaseAll();
    }
};

}  // namespace nnapi
