// Threads on one driver: concurrent executions of one compilation by every path, models built and
// compiled side by side with one cache, chains of events, expiring deadlines, device memory.
// Every result is compared bit by bit with one computed alone. Run it under a sanitizer.
//
//     nnapi-stress [--threads N] [--rounds N] [--cache FOLDER]
//     nnapi-stress --plant race | leak     a defect that the sanitizer must report

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "models.h"

namespace {

using stress::kInputSize;
using stress::kOutputSize;
using stress::network;

std::atomic<int> failures{0};

void expect(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "wrong: %s\n", what);
    failures++;
}

std::vector<float> input(size_t seed) {
    std::vector<float> values(kInputSize);
    for (size_t i = 0; i < kInputSize; i++) {
        values[i] = static_cast<float>(static_cast<int>((i + seed) * 53 % 127) - 63) / 64;
    }
    return values;
}

const ANeuralNetworksDevice* reference() {
    ANeuralNetworksDevice* device = nullptr;
    CHECK(ANeuralNetworks_getDevice(0, &device));
    return device;
}

struct Compilation {
    explicit Compilation(const stress::Model& model, const char* cache = nullptr) {
        const ANeuralNetworksDevice* device = reference();
        CHECK(ANeuralNetworksCompilation_createForDevices(model.handle, &device, 1, &handle));
        if (cache != nullptr) {
            const uint8_t token[ANEURALNETWORKS_BYTE_SIZE_OF_CACHE_TOKEN] = {1, 2, 3};
            CHECK(ANeuralNetworksCompilation_setCaching(handle, cache, token));
        }
        CHECK(ANeuralNetworksCompilation_finish(handle));
    }
    ~Compilation() { ANeuralNetworksCompilation_free(handle); }
    Compilation(const Compilation&) = delete;
    Compilation& operator=(const Compilation&) = delete;
    ANeuralNetworksCompilation* handle = nullptr;
};

struct Execution {
    Execution(const Compilation& compilation, size_t seed)
        : Execution(compilation, seed, std::vector<float>(kOutputSize)) {
        CHECK(ANeuralNetworksExecution_setOutput(handle, 0, nullptr, out.data(), out.size() * 4));
    }
    /// Without a buffer for the output, or with one that is not its own.
    Execution(const Compilation& compilation, size_t seed, std::vector<float> output)
        : in(input(seed)), out(std::move(output)) {
        CHECK(ANeuralNetworksExecution_create(compilation.handle, &handle));
        CHECK(ANeuralNetworksExecution_setInput(handle, 0, nullptr, in.data(), in.size() * 4));
    }
    ~Execution() { ANeuralNetworksExecution_free(handle); }
    Execution(const Execution&) = delete;
    Execution& operator=(const Execution&) = delete;
    bool equals(const std::vector<float>& other) const {
        return std::memcmp(out.data(), other.data(), out.size() * 4) == 0;
    }
    ANeuralNetworksExecution* handle = nullptr;
    std::vector<float> in, out;
};

std::vector<float> alone(const Compilation& compilation, size_t seed) {
    Execution execution(compilation, seed);
    CHECK(ANeuralNetworksExecution_compute(execution.handle));
    return execution.out;
}

void finishEvent(ANeuralNetworksEvent* event) {
    CHECK(ANeuralNetworksEvent_wait(event));
    ANeuralNetworksEvent_free(event);
}

/// One execution by the path that `round` picks.
void execute(const Compilation& compilation, ANeuralNetworksBurst* burst, size_t round,
             const std::vector<float>& expected, size_t seed) {
    Execution execution(compilation, seed);
    switch (round % 5) {
        case 0:
            CHECK(ANeuralNetworksExecution_compute(execution.handle));
            break;
        case 1: {
            ANeuralNetworksEvent* event = nullptr;
            CHECK(ANeuralNetworksExecution_startCompute(execution.handle, &event));
            finishEvent(event);
            break;
        }
        case 2:
            CHECK(ANeuralNetworksExecution_burstCompute(execution.handle, burst));
            break;
        case 3:
            CHECK(ANeuralNetworksExecution_setReusable(execution.handle, true));
            CHECK(ANeuralNetworksExecution_compute(execution.handle));
            std::memset(execution.out.data(), 0, execution.out.size() * 4);
            CHECK(ANeuralNetworksExecution_compute(execution.handle));
            break;
        default: {  // a chain of two
            Execution first(compilation, seed);
            ANeuralNetworksEvent *before = nullptr, *after = nullptr;
            CHECK(ANeuralNetworksExecution_startComputeWithDependencies(first.handle, nullptr, 0, 0,
                                                                        &before));
            CHECK(ANeuralNetworksExecution_startComputeWithDependencies(execution.handle, &before,
                                                                        1, 0, &after));
            finishEvent(after);
            finishEvent(before);
            expect(first.equals(expected), "the first of a chain");
        }
    }
    expect(execution.equals(expected), "a concurrent execution");
}

/// Output to device memory, then from there to a file's memory; one role, one writer each.
void throughDeviceMemory(const Compilation& compilation, const std::vector<float>& expected,
                         size_t seed) {
    ANeuralNetworksMemoryDesc* desc = nullptr;
    ANeuralNetworksMemory* memory = nullptr;
    CHECK(ANeuralNetworksMemoryDesc_create(&desc));
    CHECK(ANeuralNetworksMemoryDesc_addOutputRole(desc, compilation.handle, 0, 1.0f));
    CHECK(ANeuralNetworksMemoryDesc_finish(desc));
    CHECK(ANeuralNetworksMemory_createFromDesc(desc, &memory));
    Execution execution(compilation, seed, {});
    CHECK(ANeuralNetworksExecution_setOutputFromMemory(execution.handle, 0, nullptr, memory, 0, 0));
    CHECK(ANeuralNetworksExecution_compute(execution.handle));
    std::FILE* file = std::tmpfile();
    const size_t size = kOutputSize * 4;
    if (file == nullptr || ftruncate(fileno(file), static_cast<off_t>(size)) != 0) std::abort();
    ANeuralNetworksMemory* shared = nullptr;
    CHECK(ANeuralNetworksMemory_createFromFd(size, 3, fileno(file), 0, &shared));
    CHECK(ANeuralNetworksMemory_copy(memory, shared));
    ANeuralNetworksMemory_free(shared);
    std::vector<float> result(kOutputSize);
    expect(std::fread(result.data(), 4, kOutputSize, file) == kOutputSize &&
               std::memcmp(result.data(), expected.data(), size) == 0,
           "device memory");
    std::fclose(file);
    ANeuralNetworksMemory_free(memory);
    ANeuralNetworksMemoryDesc_free(desc);
}

void expire(const Compilation& compilation) {
    Execution execution(compilation, 0);
    CHECK(ANeuralNetworksExecution_setTimeout(execution.handle, 1));
    const int code = ANeuralNetworksExecution_compute(execution.handle);
    expect(code == ANEURALNETWORKS_MISSED_DEADLINE_PERSISTENT, "a deadline");
}

struct Options {
    size_t threads = 4;
    size_t rounds = 100;
    const char* cache = nullptr;
};

void work(size_t thread, const Options& options, const Compilation& shared,
          const std::vector<float>& expected) {
    ANeuralNetworksBurst* burst = nullptr;
    CHECK(ANeuralNetworksBurst_create(shared.handle, &burst));
    for (size_t round = 0; round < options.rounds; round++) {
        execute(shared, burst, thread + round, expected, 7);
        if (round % 8 == thread % 8) {
            const auto model = network();
            const Compilation own(*model, options.cache);
            expect(alone(own, 7) == expected, "a compilation of its own");
            throughDeviceMemory(shared, expected, 7);
            expire(shared);
        }
    }
    ANeuralNetworksBurst_free(burst);
}

/// Two threads compute with one output buffer, which the API forbids; often enough to overlap.
void plantRace() {
    const auto model = network();
    const Compilation compilation(*model);
    Execution first(compilation, 1), second(compilation, 2, {});
    CHECK(ANeuralNetworksExecution_setOutput(second.handle, 0, nullptr, first.out.data(),
                                             first.out.size() * 4));
    const auto repeat = [](ANeuralNetworksExecution* execution) {
        CHECK(ANeuralNetworksExecution_setReusable(execution, true));
        for (int i = 0; i < 2000; i++) CHECK(ANeuralNetworksExecution_compute(execution));
    };
    std::thread other([&] { repeat(first.handle); });
    repeat(second.handle);
    other.join();
    std::printf("two threads wrote one buffer\n");
}

/// A model that nobody frees.
void plantLeak() {
    ANeuralNetworksModel* model = nullptr;
    CHECK(ANeuralNetworksModel_create(&model));
    std::printf("leaked a model\n");
}

int stressDriver(const Options& options) {
    const auto model = network();
    const Compilation compilation(*model, options.cache);
    const std::vector<float> expected = alone(compilation, 7);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < options.threads; i++) {
        threads.emplace_back([&, i] { work(i, options, compilation, expected); });
    }
    for (std::thread& thread : threads) thread.join();
    std::printf("%zu threads, %zu rounds each: %d wrong\n", options.threads, options.rounds,
                failures.load());
    return failures == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; i += 2) {
        const std::string name = argv[i];
        const char* value = i + 1 < argc ? argv[i + 1] : "";
        const size_t number = std::strtoul(value, nullptr, 10);
        if (name == "--plant" && std::string(value) == "race") return plantRace(), 0;
        if (name == "--plant" && std::string(value) == "leak") return plantLeak(), 0;
        if (name == "--threads" && number > 0) {
            options.threads = number;
        } else if (name == "--rounds" && number > 0) {
            options.rounds = number;
        } else if (name == "--cache" && *value != '\0') {
            options.cache = value;
        } else {
            std::fprintf(stderr, "%s: %s %s: write [--threads N] [--rounds N] [--cache FOLDER] or "
                         "--plant race|leak\n", argv[0], name.c_str(), value);
            return 2;
        }
    }
    return stressDriver(options);
}
