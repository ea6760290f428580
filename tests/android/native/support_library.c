/* A support library driver around an NNAPI library: the table that vendors export, filled with the
 * functions of $NNAPI_TESTKIT_TEST_WRAPPED. Hardware buffers of native_window.c work in it. */
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define NNAPI_NO_PROTOTYPES 1
#include "nnapi.h"
#include "support_library.h"

struct AHardwareBuffer { /* native_window.c has the same */
    int fd;
    int locked;
    size_t size;
};

static int (*create_from_fd)(size_t, int, int, size_t, ANeuralNetworksMemory**);

static int create_from_hardware_buffer(const AHardwareBuffer* buffer,
                                       ANeuralNetworksMemory** memory) {
    if (buffer == NULL || buffer->locked) return ANEURALNETWORKS_BAD_STATE;
    return create_from_fd(buffer->size, PROT_READ | PROT_WRITE, buffer->fd, 0, memory);
}

struct table {
    int64_t feature_level;
#define X(name) void* name;
    SUPPORT_LIBRARY_FUNCTIONS(X)
#undef X
};

const struct table* ANeuralNetworks_getSLDriverImpl(void) {
    static struct table table;
    const char* path = getenv("NNAPI_TESTKIT_TEST_WRAPPED");
    const char* omitted = getenv("NNAPI_TESTKIT_TEST_OMITTED");
    void* library = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL) return NULL;
    table.feature_level = ANEURALNETWORKS_FEATURE_LEVEL_8;
#define X(function)                                                                      \
    table.function = omitted != NULL && strcmp(omitted, #function) == 0 ? NULL           \
                                                                        : dlsym(library, #function);
    SUPPORT_LIBRARY_FUNCTIONS(X)
#undef X
    memcpy(&create_from_fd, &table.ANeuralNetworksMemory_createFromFd, sizeof create_from_fd);
    int (*own)(const AHardwareBuffer*, ANeuralNetworksMemory**) = create_from_hardware_buffer;
    memcpy(&table.ANeuralNetworksMemory_createFromAHardwareBuffer, &own, sizeof own);
    return &table;
}
