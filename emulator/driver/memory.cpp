#include "memory.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "error.h"

namespace nnapi {

std::shared_ptr<Memory> Memory::fromFd(size_t size, int protection, int fd, size_t offset) {
    if (fd < 0) fail(ANEURALNETWORKS_BAD_DATA, "the file descriptor is negative");
    if (size == 0) fail(ANEURALNETWORKS_BAD_DATA, "the size is 0");
    if ((protection & ~(PROT_READ | PROT_WRITE)) != 0) {
        fail(ANEURALNETWORKS_BAD_DATA, "the protection must be of PROT_READ and PROT_WRITE");
    }
    if (offset % static_cast<size_t>(sysconf(_SC_PAGESIZE)) != 0) {
        fail(ANEURALNETWORKS_BAD_DATA, "the offset is not a multiple of the page size");
    }
    struct stat status{};
    if (fstat(fd, &status) != 0) {
        fail(ANEURALNETWORKS_BAD_DATA, "file descriptor %d: %s", fd, std::strerror(errno));
    }
    // Beyond the end of a file a mapping can be made, but reading it kills the process.
    if (S_ISREG(status.st_mode)) {
        const auto length = static_cast<uint64_t>(status.st_size);
        if (offset > length || size > length - offset) {
            fail(ANEURALNETWORKS_BAD_DATA, "the region lies beyond the end of the file");
        }
    }
    std::shared_ptr<Memory> memory(new Memory);
    void* address = mmap(nullptr, size, protection, MAP_SHARED, fd, static_cast<off_t>(offset));
    if (address == MAP_FAILED) {
        fail(ANEURALNETWORKS_UNMAPPABLE, "mmap: %s", std::strerror(errno));
    }
    memory->data_ = address;
    memory->size_ = size;
    memory->access_ = ((protection & PROT_READ) != 0 ? READ : 0) |
                      ((protection & PROT_WRITE) != 0 ? WRITE : 0);
    return memory;
}

std::shared_ptr<Memory> Memory::forRoles(std::vector<MemoryRole> roles, Operand operand) {
    std::shared_ptr<Memory> memory(new Memory);
    memory->device_ = true;
    memory->roles_ = std::move(roles);
    memory->operand_ = std::move(operand);
    if (memory->operand_.fullySpecified()) memory->overwrite(memory->operand_.bytes());
    return memory;
}

Memory::~Memory() {
    if (!device_ && data_ != nullptr) munmap(data_, size_);
}

void* Memory::region(size_t offset, size_t length, Access access) const {
    if (device_) fail(ANEURALNETWORKS_BAD_DATA, "device memory cannot be used in parts");
    if (offset > size_ || length > size_ - offset) {
        fail(ANEURALNETWORKS_BAD_DATA, "the region lies outside the memory");
    }
    if ((access_ & access) == 0) {
        fail(ANEURALNETWORKS_BAD_DATA, "the memory is not mapped for %s",
             access == READ ? "reading" : "writing");
    }
    return static_cast<uint8_t*>(data_) + offset;
}

void Memory::requireRole(const Compilation* compilation, bool output, uint32_t index) const {
    for (const MemoryRole& role : roles_) {
        if (role.compilation.get() == compilation && role.output == output && role.index == index) {
            return;
        }
    }
    fail(ANEURALNETWORKS_BAD_DATA, "the device memory was not made for this role");
}

const void* Memory::initialized(Shape& shape) const {
    const std::lock_guard lock(mutex_);
    if (!initialized_) fail(ANEURALNETWORKS_BAD_DATA, "the device memory is not initialized");
    shape = shape_;
    return bytes_.get();
}

void* Memory::overwrite(size_t bytes) {
    const std::lock_guard lock(mutex_);
    initialized_ = false;
    if (bytes > capacity_ || bytes_ == nullptr) {
        bytes_ = allocateBytes(bytes);
        capacity_ = bytes;
    }
    return bytes_.get();
}

void Memory::commit(const Shape& shape) {
    const std::lock_guard lock(mutex_);
    shape_ = shape;
    initialized_ = true;
}

void Memory::invalidate() {
    const std::lock_guard lock(mutex_);
    initialized_ = false;
}

void Memory::copy(const Memory& from, Memory& to) {
    try {
        Shape shape;
        const void* bytes = from.data_;
        size_t size = from.size_;
        if (from.device_) {
            bytes = from.initialized(shape);
            size = shape.count() * elementSize(from.operand_.type);
        } else if ((from.access_ & READ) == 0) {
            fail(ANEURALNETWORKS_BAD_DATA, "the source is not mapped for reading");
        }
        if (!to.device_) {
            if ((to.access_ & WRITE) == 0) {
                fail(ANEURALNETWORKS_BAD_DATA, "the destination is not mapped for writing");
            }
            if (size != to.size_) fail(ANEURALNETWORKS_BAD_DATA, "the sizes differ");
            if (to.data_ != bytes) std::memcpy(to.data_, bytes, size);
            return;
        }
        if (&from == &to) return;
        if (from.device_) {
            if (from.operand_.type != to.operand_.type) {
                fail(ANEURALNETWORKS_BAD_DATA, "the operand types differ");
            }
            Operand actual = from.operand_;
            actual.rankKnown = true;
            actual.shape = shape;
            Operand wanted = to.operand_;
            mergeDimensions(wanted, actual);
        } else {
            if (!to.operand_.fullySpecified()) {
                fail(ANEURALNETWORKS_BAD_DATA, "the destination's size is not known");
            }
            if (size != to.operand_.bytes()) fail(ANEURALNETWORKS_BAD_DATA, "the sizes differ");
            shape = to.operand_.shape;
        }
        std::memcpy(to.overwrite(size), bytes, size);
        to.commit(shape);
    } catch (...) {
        to.invalidate();
        throw;
    }
}

}  // namespace nnapi
