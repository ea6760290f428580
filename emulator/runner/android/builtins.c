/* 64-bit division on 32-bit machines, where compilers call a function for it. A build without an
 * NDK has no compiler runtime for Android; these are hidden, so no library ever binds to them. */
#include <stdint.h>

#if defined(__i386__) || defined(__arm__)

#define HIDDEN __attribute__((used, visibility("hidden")))

/* Long division, one bit a step: nothing here divides often. */
HIDDEN uint64_t __udivmoddi4(uint64_t n, uint64_t d, uint64_t* remainder) {
    uint64_t quotient = 0, rest = 0;
    if (d == 0) __builtin_trap();
    for (int i = 63; i >= 0; i--) {
        uint64_t carry = rest >> 63;
        rest = (rest << 1) | ((n >> i) & 1);
        if (carry || rest >= d) {
            rest -= d;
            quotient |= (uint64_t)1 << i;
        }
    }
    if (remainder) *remainder = rest;
    return quotient;
}

#if defined(__i386__)
HIDDEN uint64_t __udivdi3(uint64_t n, uint64_t d) { return __udivmoddi4(n, d, 0); }

HIDDEN uint64_t __umoddi3(uint64_t n, uint64_t d) {
    uint64_t rest;
    __udivmoddi4(n, d, &rest);
    return rest;
}
#else
/* The ARM run-time ABI: quotient in r0 and r1, remainder in r2 and r3. */
__asm__(".text\n.arm\n.globl __aeabi_uldivmod\n.hidden __aeabi_uldivmod\n"
        ".type __aeabi_uldivmod,%function\n__aeabi_uldivmod:\n"
        "    push {r6, lr}\n    sub sp, sp, #16\n    add r6, sp, #8\n    str r6, [sp]\n"
        "    bl __udivmoddi4\n    ldr r2, [sp, #8]\n    ldr r3, [sp, #12]\n"
        "    add sp, sp, #16\n    pop {r6, pc}\n.size __aeabi_uldivmod, .-__aeabi_uldivmod\n");

/* 32-bit division, for cores without the instruction. */
HIDDEN uint32_t __aeabi_uidiv(uint32_t n, uint32_t d) {
    uint32_t quotient = 0, rest = 0;
    if (d == 0) __builtin_trap();
    for (int i = 31; i >= 0; i--) {
        uint32_t carry = rest >> 31;
        rest = (rest << 1) | ((n >> i) & 1);
        if (carry || rest >= d) {
            rest -= d;
            quotient |= (uint32_t)1 << i;
        }
    }
    return quotient;
}

/* Quotient in r0, remainder in r1. */
__asm__(".text\n.arm\n.globl __aeabi_uidivmod\n.hidden __aeabi_uidivmod\n"
        ".type __aeabi_uidivmod,%function\n__aeabi_uidivmod:\n"
        "    push {r0, r1, r2, lr}\n    bl __aeabi_uidiv\n    pop {r1, r2, r3, lr}\n"
        "    mul r3, r2, r0\n    sub r1, r1, r3\n    bx lr\n"
        ".size __aeabi_uidivmod, .-__aeabi_uidivmod\n");
#endif

#endif
