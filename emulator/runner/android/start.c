/* The first instructions of a runner that no NDK helped to build, and what names it to Android. */
#include <stddef.h>
#include <stdint.h>

int main(int argc, char** argv);

/* bionic's entry: takes the stack as the kernel left it, runs `main` and exits with its result.
 * The last argument lists constructors; there are none in C, and bionic reads six pointers. */
_Noreturn void __libc_init(void* raw_stack, void (*unused)(void), int (*start)(int, char**),
                           void* const* structors);

static void* const no_structors[6];

__attribute__((used, noreturn, visibility("hidden"))) void runner_start(void* raw_stack) {
    __libc_init(raw_stack, NULL, main, no_structors);
}

#if defined(__x86_64__)
__asm__(".text\n.globl _start\n.type _start,@function\n_start:\n"
        "    xorl %ebp, %ebp\n    movq %rsp, %rdi\n    andq $-16, %rsp\n    call runner_start\n"
        ".size _start, .-_start\n");
#elif defined(__i386__)
__asm__(".text\n.globl _start\n.type _start,@function\n_start:\n"
        "    xorl %ebp, %ebp\n    movl %esp, %eax\n    andl $-16, %esp\n    subl $12, %esp\n"
        "    pushl %eax\n    call runner_start\n"
        ".size _start, .-_start\n");
#elif defined(__aarch64__)
__asm__(".text\n.globl _start\n.type _start,@function\n_start:\n"
        "    mov x29, #0\n    mov x30, #0\n    mov x0, sp\n    b runner_start\n"
        ".size _start, .-_start\n");
#elif defined(__arm__)
__asm__(".text\n.arm\n.globl _start\n.type _start,%function\n_start:\n"
        "    mov r0, sp\n    mov lr, #0\n    bic sp, sp, #7\n    bl runner_start\n"
        ".size _start, .-_start\n");
#else
#error "no Android ABI"
#endif

/* How the platform's tools tell which API level a program was built for. */
struct android_note {
    uint32_t name_size;
    uint32_t value_size;
    uint32_t type;
    char name[8];
    uint32_t api_level;
    char ndk_version[64];
    char ndk_build[64];
};

__attribute__((used, section(".note.android.ident"), aligned(4)))
static const struct android_note note = {
        .name_size = sizeof note.name,
        .value_size = sizeof note - offsetof(struct android_note, api_level),
        .type = 1,
        .name = "Android",
        .api_level = 27,
        .ndk_version = "none",
        .ndk_build = "nnapi-testkit",
};
