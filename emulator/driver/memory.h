// Memory objects: mapped file descriptors, and device memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "arena.h"
#include "operand.h"

namespace nnapi {

class Compilation;

/// One use of a device memory: an input or output of the executions of a compilation.
struct MemoryRole {
    std::shared_ptr<const Compilation> compilation;
    bool output;
    uint32_t index;
    bool operator==(const MemoryRole&) const = default;
};

class Memory {
public:
    enum Access : int { READ = 1, WRITE = 2 };

    /// Maps a file; see ANeuralNetworksMemory_createFromFd. Refuses with BAD_DATA for bad
    /// arguments, UNMAPPABLE where mmap fails.
    static std::shared_ptr<Memory> fromFd(size_t size, int protection, int fd, size_t offset);
    /// Device memory for these roles; `operand` is what they agree on.
    static std::shared_ptr<Memory> forRoles(std::vector<MemoryRole> roles, Operand operand);
    /// ANeuralNetworksMemory_copy.
    static void copy(const Memory& from, Memory& to);

    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    /// Bytes [offset, offset + length), of any alignment: the reference knows preferred ones only.
    /// Refuses with BAD_DATA what lies outside or lacks the access; and device memory.
    void* region(size_t offset, size_t length, Access access) const;

    bool isDevice() const { return device_; }
    /// Device memory: refuses with BAD_DATA unless it was made for this role.
    void requireRole(const Compilation* compilation, bool output, uint32_t index) const;
    /// Device memory: type, quantization, dimensions (merged from the roles).
    const Operand& operand() const { return operand_; }
    /// Device memory as an input: its bytes and their shape. BAD_DATA when uninitialized.
    const void* initialized(Shape& shape) const;
    /// Device memory as an output: room for `bytes`; uninitialized until `commit`.
    void* overwrite(size_t bytes);
    void commit(const Shape& shape);
    void invalidate();

private:
    Memory() = default;

    void* data_ = nullptr;
    size_t size_ = 0;
    int access_ = 0;
    bool device_ = false;

    // Device memory only. The mutex covers state and shape: copies may run beside executions.
    mutable std::mutex mutex_;
    std::vector<MemoryRole> roles_;
    Operand operand_;
    Shape shape_;
    bool initialized_ = false;
    std::unique_ptr<void, FreeBytes> bytes_;
    size_t capacity_ = 0;
};

}  // namespace nnapi
