// Corpus first, then random sequences until the wanted number of calls is reached.
//
//   api-fuzz CALLS SEED [CORPUS FILE...]
//
// Before each sequence its bytes are written to api-fuzz-last.bin: after a crash, the culprit.

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "harness.h"

namespace {

std::vector<uint8_t> contents(const char* path) {
    std::vector<uint8_t> bytes;
    if (FILE* file = std::fopen(path, "rb")) {
        uint8_t block[4096];
        for (size_t n; (n = std::fread(block, 1, sizeof block, file)) > 0;)
            bytes.insert(bytes.end(), block, block + n);
        std::fclose(file);
    } else {
        std::perror(path);
        std::exit(2);
    }
    return bytes;
}

void keep(const std::vector<uint8_t>& bytes) {
    if (FILE* file = std::fopen("api-fuzz-last.bin", "wb")) {
        std::fwrite(bytes.data(), 1, bytes.size(), file);
        std::fclose(file);
    }
}

uint64_t state;

uint64_t random64() {  // splitmix64
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

}  // namespace

int main(int count, char** words) {
    if (count < 3) {
        std::fprintf(stderr, "usage: %s CALLS SEED [CORPUS FILE...]\n", words[0]);
        return 2;
    }
    const uint64_t wanted = std::strtoull(words[1], nullptr, 10);
    state = std::strtoull(words[2], nullptr, 10);
    uint64_t sequences = 0;
    for (int i = 3; i < count; i++, sequences++) {
        const auto bytes = contents(words[i]);
        keep(bytes);
        runSequence(bytes.data(), bytes.size());
    }
    uint64_t told = 0;
    while (callsMade() < wanted) {
        std::vector<uint8_t> bytes(256 + random64() % 3840);
        for (auto& byte : bytes) byte = static_cast<uint8_t>(random64());
        keep(bytes);
        runSequence(bytes.data(), bytes.size());
        sequences++;
        if (callsMade() / 500000 > told) {
            told = callsMade() / 500000;
            std::printf("%llu calls\n", static_cast<unsigned long long>(callsMade()));
            std::fflush(stdout);
        }
    }
    printCalls();
    std::printf("%llu calls in %llu sequences: no crash\n",
                static_cast<unsigned long long>(callsMade()),
                static_cast<unsigned long long>(sequences));
    std::remove("api-fuzz-last.bin");
    return 0;
}
