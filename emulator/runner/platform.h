/* Every libc facility the runner uses, in one place.
 *
 * Only functions that bionic has at API 27 appear here; newer kernel services go through
 * syscall(). A build without an NDK takes its declarations from android/bionic.h, whose names
 * android/symbols.txt lists.
 */
#ifndef NNAPI_RUNNER_PLATFORM_H
#define NNAPI_RUNNER_PLATFORM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef NNAPI_RUNNER_OWN_HEADERS
#include "android/bionic.h"
#else
#include <dlfcn.h>       /* dlopen dlsym dlerror dladdr */
#include <errno.h>       /* errno EINTR EAGAIN */
#include <fcntl.h>       /* open fcntl */
#include <poll.h>        /* poll */
#include <pthread.h>     /* pthread_create pthread_join */
#include <signal.h>      /* kill signal */
#include <stdio.h>       /* snprintf vsnprintf */
#include <stdlib.h>      /* malloc realloc free exit getenv strtoul mkdtemp */
#include <string.h>      /* memcpy memmove memset memchr memcmp strlen strnlen strcmp strerror */
#include <sys/file.h>    /* flock */
#include <sys/mman.h>    /* mmap munmap */
#include <sys/prctl.h>   /* prctl */
#include <sys/stat.h>    /* fstat mkdir */
#include <sys/syscall.h> /* SYS_memfd_create SYS_getdents64 */
#include <sys/wait.h>    /* waitpid */
#include <time.h>        /* clock_gettime */
#include <unistd.h>      /* read write close pipe2 fork dup2 ftruncate unlink syscall _exit getpagesize */
#endif

/* The NDK says __ANDROID__; a build with headers of our own is always one for Android. */
#if defined(__ANDROID__) || defined(NNAPI_RUNNER_OWN_HEADERS)
#define NNAPI_RUNNER_ANDROID 1
#else
#define NNAPI_RUNNER_ANDROID 0
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the wire format and NNAPI's targets are little-endian"
#endif

/* Nanoseconds of the monotonic clock. */
static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
