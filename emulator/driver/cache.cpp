#include "cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

#include "error.h"

namespace nnapi {
namespace {

constexpr std::array<char, 8> kMagic = {'N', 'N', 'T', 'K', 'C', 'C', '0', '1'};

/// 64 bits of a stream of words; a round of SplitMix64 (Steele, Lea, Flood 2014) for each.
class Hash {
public:
    explicit Hash(uint64_t seed) : state_(seed) {}

    void word(uint64_t value) {
        uint64_t z = (state_ ^ value) + 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        state_ = z ^ z >> 31;
    }
    void bytes(const void* data, size_t size) {
        word(size);
        const char* at = static_cast<const char*>(data);
        for (; size >= 8; at += 8, size -= 8) word(load(at, 8));
        if (size != 0) word(load(at, size));
    }
    void text(const std::string& value) { bytes(value.data(), value.size()); }
    void real(double value) { bytes(&value, sizeof value); }
    uint64_t value() const { return state_; }

private:
    static uint64_t load(const char* at, size_t size) {
        uint64_t value = 0;
        std::memcpy(&value, at, size);
        return value;
    }
    uint64_t state_;
};

/// Everything about a model that compiling looks at: all but the bytes of constants.
class ModelHash {
public:
    uint64_t of(const Model& model) {
        if (const auto known = known_.find(&model); known != known_.end()) return known->second;
        Hash hash(1);
        hash.word(model.relaxed());
        hash.word(model.operands().size());
        for (const Operand& operand : model.operands()) add(hash, operand);
        hash.word(model.operations().size());
        for (const Operation& operation : model.operations()) {
            hash.word(static_cast<uint64_t>(operation.code));
            add(hash, operation.inputs);
            add(hash, operation.outputs);
        }
        add(hash, model.inputs());
        add(hash, model.outputs());
        return known_[&model] = hash.value();
    }

private:
    static void add(Hash& hash, std::span<const uint32_t> list) {
        hash.bytes(list.data(), list.size_bytes());
    }
    void add(Hash& hash, const Operand& operand) {
        hash.word(static_cast<uint64_t>(operand.type));
        hash.word(static_cast<uint64_t>(operand.lifetime));
        hash.word(operand.rankKnown);
        add(hash, std::span(operand.shape.begin(), operand.shape.end()));
        hash.real(operand.scale);
        hash.word(static_cast<uint64_t>(operand.zeroPoint));
        hash.word(operand.length);
        if (operand.channels) {
            hash.word(operand.channels->channelDim);
            hash.bytes(operand.channels->scales.data(), operand.channels->scales.size() * 4);
        }
        if (operand.subgraph) hash.word(of(*operand.subgraph));
    }
    std::map<const Model*, uint64_t> known_;
};

uint64_t hashOf(const DeviceList& devices) {
    Hash hash(2);
    for (const ANeuralNetworksDevice* device : devices) {
        hash.text(device->name);
        hash.text(device->version);
        hash.word(static_cast<uint64_t>(device->level));
        hash.word(device->types);
        hash.text(device->operations.to_string());
        hash.real(device->performance);
    }
    return hash.value();
}

/// The file, in this machine's byte order; entries follow. The checksum covers all after it.
struct Header {
    std::array<char, 8> magic;
    uint64_t checksum;
    CacheToken token;
    uint64_t devices;
    uint64_t model;
    uint64_t count;
};
static_assert(sizeof(Header) == 72 && sizeof(Assignment::Entry) == 8, "no padding in the file");

uint64_t checksumOf(const std::vector<char>& file) {
    constexpr size_t first = offsetof(Header, token);
    Hash hash(3);
    hash.text(kDriverVersion);
    hash.bytes(file.data() + first, file.size() - first);
    return hash.value();
}

class File {
public:
    File(const std::string& path, int flags) : fd_(open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
    ~File() {
        if (fd_ >= 0) close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    bool opened() const { return fd_ >= 0; }
    /// The file's length; nothing for anything but a regular file.
    std::optional<uint64_t> size() const {
        struct stat status {};
        if (fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
        return static_cast<uint64_t>(status.st_size);
    }
    bool readAll(std::vector<char>& bytes) const {
        return all(bytes, [this](char* at, size_t left) { return read(fd_, at, left); });
    }
    bool writeAll(std::vector<char>& bytes) const {
        return all(bytes, [this](char* at, size_t left) { return write(fd_, at, left); });
    }

private:
    template <class Step>
    static bool all(std::vector<char>& bytes, Step step) {
        for (size_t at = 0; at < bytes.size();) {
            const ssize_t moved = step(bytes.data() + at, bytes.size() - at);
            if (moved < 0 && errno == EINTR) continue;
            if (moved <= 0) return false;
            at += static_cast<size_t>(moved);
        }
        return true;
    }
    int fd_;
};

}  // namespace

std::string CompilationCache::path(const DeviceList& devices) const {
    char digits[3];
    std::string name = directory_ + "/nnapi-reference-";
    for (uint8_t byte : token_) {
        std::snprintf(digits, sizeof digits, "%02x", byte);
        name += digits;
    }
    char suffix[32];
    std::snprintf(suffix, sizeof suffix, "-%016llx",
                  static_cast<unsigned long long>(hashOf(devices)));
    return name + suffix;
}

std::optional<Assignment> CompilationCache::load(const Model& model,
                                                 const DeviceList& devices) const {
    const std::string name = path(devices);
    const auto miss = [&](const char* why) {
        logNote("cache: %s: %s", name.c_str(), why);
        return std::nullopt;
    };
    // Nonblocking: whatever lies there under this name must not make us wait.
    const File file(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file.opened()) return miss("not there");
    // The length that this model's file has; nothing else is read.
    const size_t count = model.operations().size();
    const size_t expected = sizeof(Header) + count * sizeof(Assignment::Entry);
    if (file.size() != expected) return miss("of another length");
    std::vector<char> bytes(expected);
    if (!file.readAll(bytes)) return miss("not readable");
    Header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.magic != kMagic || header.checksum != checksumOf(bytes)) return miss("damaged");
    if (header.token != token_ || header.devices != hashOf(devices)) return miss("foreign");
    if (header.count != count || header.model != ModelHash().of(model)) {
        return miss("of another model");
    }
    Assignment result;
    result.entries.resize(count);
    std::memcpy(result.entries.data(), bytes.data() + sizeof header,
                count * sizeof(Assignment::Entry));
    if (!isValid(result, model, devices)) return miss("not valid for this model");
    logNote("cache: %s: used", name.c_str());
    return result;
}

bool CompilationCache::store(const Assignment& assignment, const Model& model,
                             const DeviceList& devices) const {
    const size_t payload = assignment.entries.size() * sizeof(Assignment::Entry);
    std::vector<char> bytes(sizeof(Header) + payload);
    Header header{kMagic,          0, token_, hashOf(devices), ModelHash().of(model),
                  assignment.entries.size()};
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, assignment.entries.data(), payload);
    header.checksum = checksumOf(bytes);
    std::memcpy(bytes.data(), &header, sizeof header);

    static std::atomic<uint64_t> counter{0};
    const std::string name = path(devices);
    const std::string fresh =
        name + "." + std::to_string(getpid()) + "." + std::to_string(counter++);
    bool done = false;
    {
        const File file(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
        if (file.opened()) done = file.writeAll(bytes);
    }
    if (done) done = std::rename(fresh.c_str(), name.c_str()) == 0;
    if (!done) unlink(fresh.c_str());
    logNote("cache: %s: %s", name.c_str(), done ? "written" : "cannot be written");
    return done;
}

}  // namespace nnapi
