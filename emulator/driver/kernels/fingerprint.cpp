#include "fingerprint.h"

#include <bit>
#include <utility>

namespace nnapi {
namespace {

// Odd constants with well mixed bits, primes between 2^63 and 2^64.
constexpr uint64_t k0 = 0xC3A5C85C97CB3127u;
constexpr uint64_t k1 = 0xB492B66FBE98F273u;
constexpr uint64_t k2 = 0x9AE16A3B2F90404Fu;

/// Little-endian words, whatever the machine.
uint64_t word(const uint8_t* p, int bytes) {
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--) value = value << 8 | p[i];
    return value;
}
uint64_t word64(const uint8_t* p) { return word(p, 8); }
uint64_t word32(const uint8_t* p) { return word(p, 4); }

constexpr uint64_t fold(uint64_t v) { return v ^ v >> 47; }

/// Two words into one.
constexpr uint64_t combine(uint64_t u, uint64_t v, uint64_t factor) {
    const uint64_t a = fold((u ^ v) * factor);
    return fold((v ^ a) * factor) * factor;
}

uint64_t upTo16(const uint8_t* s, size_t n) {
    const uint64_t factor = k2 + n * 2;
    if (n >= 8) {
        const uint64_t a = word64(s) + k2, b = word64(s + n - 8);
        return combine(std::rotr(b, 37) * factor + a, (std::rotr(a, 25) + b) * factor, factor);
    }
    if (n >= 4) return combine(n + (word32(s) << 3), word32(s + n - 4), factor);
    if (n == 0) return k2;
    const uint64_t y = s[0] + (static_cast<uint64_t>(s[n / 2]) << 8);
    const uint64_t z = n + (static_cast<uint64_t>(s[n - 1]) << 2);
    return fold(y * k2 ^ z * k0) * k2;
}

uint64_t upTo32(const uint8_t* s, size_t n) {
    const uint64_t factor = k2 + n * 2;
    const uint64_t a = word64(s) * k1, b = word64(s + 8);
    const uint64_t c = word64(s + n - 8) * factor, d = word64(s + n - 16) * k2;
    return combine(std::rotr(a + b, 43) + std::rotr(c, 30) + d, a + std::rotr(b + k2, 18) + c,
                   factor);
}

uint64_t upTo64(const uint8_t* s, size_t n) {
    const uint64_t factor = k2 + n * 2;
    const uint64_t a = word64(s) * k2, b = word64(s + 8);
    const uint64_t c = word64(s + n - 8) * factor, d = word64(s + n - 16) * k2;
    const uint64_t y = std::rotr(a + b, 43) + std::rotr(c, 30) + d;
    const uint64_t z = combine(y, a + std::rotr(b + k2, 18) + c, factor);
    const uint64_t e = word64(s + 16) * factor, f = word64(s + 24);
    const uint64_t g = (y + word64(s + n - 32)) * factor;
    const uint64_t h = (z + word64(s + n - 24)) * factor;
    return combine(std::rotr(e + f, 43) + std::rotr(g, 30) + h, e + std::rotr(f + a, 18) + g,
                   factor);
}

struct Pair {
    uint64_t first = 0, second = 0;
};

/// 32 bytes and two seeds into two words.
Pair mix32(const uint8_t* s, uint64_t a, uint64_t b) {
    a += word64(s);
    b = std::rotr(b + a + word64(s + 24), 21);
    const uint64_t start = a;
    a += word64(s + 8) + word64(s + 16);
    b += std::rotr(a, 44);
    return {a + word64(s + 24), b + start};
}

/// 56 bytes of state, mixed with 64 bytes of text at a time.
struct State {
    uint64_t x, y, z;
    Pair v, w;

    /// `weight` is 1 for all blocks but the last.
    void mix(const uint8_t* s, uint64_t factor, uint64_t weight) {
        x = std::rotr(x + y + v.first + word64(s + 8), 37) * factor;
        y = std::rotr(y + v.second + word64(s + 48), 42) * factor;
        x ^= w.second * weight;
        y += v.first * weight + word64(s + 40);
        z = std::rotr(z + w.first, 33) * factor;
        v = mix32(s, v.second * factor, x + w.first);
        w = mix32(s + 32, z + w.second, y + word64(s + 16));
        std::swap(z, x);
    }
};

}  // namespace

uint64_t fingerprint64(const uint8_t* s, size_t n) {
    if (n <= 16) return upTo16(s, n);
    if (n <= 32) return upTo32(s, n);
    if (n <= 64) return upTo64(s, n);
    constexpr uint64_t seed = 81;
    State state{};
    state.x = seed * k2 + word64(s);
    state.y = seed * k1 + 113;
    state.z = fold(state.y * k2 + 113) * k2;
    const size_t blocks = (n - 1) / 64;
    for (size_t i = 0; i < blocks; i++) state.mix(s + i * 64, k1, 1);
    // The last 64 bytes, which may overlap the block before.
    const uint64_t factor = k1 + ((state.z & 0xFF) << 1);
    state.w.first += (n - 1) & 63;
    state.v.first += state.w.first;
    state.w.first += state.v.first;
    state.mix(s + n - 64, factor, 9);
    return combine(combine(state.v.first, state.w.first, factor) + fold(state.y) * k0 + state.z,
                   combine(state.v.second, state.w.second, factor) + state.x, factor);
}

}  // namespace nnapi
