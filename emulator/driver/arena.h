// Bump allocation: blocks are kept and reused, so a warm execution of a model allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace nnapi {

inline constexpr size_t kAlignment = 64;

/// Deleter for memory from aligned_alloc.
struct FreeBytes {
    void operator()(void* block) const noexcept { std::free(block); }
};

/// Uninitialised memory aligned to 64 bytes; throws std::bad_alloc. Never null.
std::unique_ptr<void, FreeBytes> allocateBytes(size_t bytes);

class Arena {
public:
    Arena() = default;
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    /// Uninitialised memory aligned to 64 bytes; throws std::bad_alloc.
    void* take(size_t bytes);

    /// A moment to return to: everything taken after `mark` is forgotten by `release`.
    struct Mark {
        size_t block;
        size_t used;
    };
    Mark mark() const noexcept { return {current_, used_}; }
    void release(Mark mark) noexcept {
        current_ = mark.block;
        used_ = mark.used;
    }

private:
    struct Block {
        std::unique_ptr<void, FreeBytes> bytes;
        size_t size;
    };
    std::vector<Block> blocks_;
    size_t current_ = 0;  // the block that is being filled
    size_t used_ = 0;     // bytes used of it
};

}  // namespace nnapi
