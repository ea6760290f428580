/* What bionic has and glibc has not, so that a runner built for Android starts on Linux: this is its
 * libc.so, everything else comes from the glibc that this one needs. Started as
 * `ld-linux --library-path FOLDER nnapi-runner`. */
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

int* __errno(void) { return &errno; }

_Noreturn void __libc_init(void* raw_stack, void (*unused)(void), int (*start)(int, char**),
                           void* const* structors) {
    long* words = raw_stack;
    (void)unused;
    (void)structors;
    exit(start((int)words[0], (char**)(words + 1)));
}

#ifndef __LP64__
/* RTLD_NOW is 0 in 32-bit bionic and 2 in glibc. */
void* dlopen(const char* path, int flags) {
    void* (*real)(const char*, int) = (void* (*)(const char*, int))dlsym(RTLD_NEXT, "dlopen");
    return real(path, flags == 0 ? RTLD_NOW : flags);
}
#endif
