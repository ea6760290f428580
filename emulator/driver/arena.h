// Bump allocation for one execution: blocks are kept and reused, so a warm execution of a model
// allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace nnapi {

class Arena {
public:
    static constexpr size_t kAlignment = 64;

    Arena() = default;
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    /// Uninitialised memory aligned to 64 bytes; throws std::bad_alloc.
    void* take(size_t bytes);
    /// Forgets what was taken; the blocks stay.
    void reset() noexcept {
        current_ = 0;
        used_ = 0;
    }

private:
    struct Free {
        void operator()(void* block) const noexcept { std::free(block); }
    };
    struct Block {
        std::unique_ptr<void, Free> bytes;
        size_t size;
    };
    std::vector<Block> blocks_;
    size_t current_ = 0;  // the block that is being filled
    size_t used_ = 0;     // bytes used of it
};

}  // namespace nnapi
