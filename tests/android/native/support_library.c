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

/* A device that has no memory of unknown size, which it need not have; or none at all. */
static int (*set_dimensions)(ANeuralNetworksMemoryDesc*, uint32_t, const uint32_t*);
static int (*create_from_desc)(const ANeuralNetworksMemoryDesc*, ANeuralNetworksMemory**);
static const ANeuralNetworksMemoryDesc* specified;

static int note_dimensions(ANeuralNetworksMemoryDesc* description, uint32_t rank,
                           const uint32_t* dimensions) {
    specified = description;
    return set_dimensions(description, rank, dimensions);
}

static int create_specified(const ANeuralNetworksMemoryDesc* description,
                            ANeuralNetworksMemory** memory) {
    bool good = description == specified && strcmp(getenv("NNAPI_TESTKIT_TEST_MEMORY"), "none") != 0;
    specified = NULL;
    *memory = NULL;
    return good ? create_from_desc(description, memory) : ANEURALNETWORKS_OP_FAILED;
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
    if (getenv("NNAPI_TESTKIT_TEST_MEMORY") == NULL) return &table;
    int (*note)(ANeuralNetworksMemoryDesc*, uint32_t, const uint32_t*) = note_dimensions;
    int (*create)(const ANeuralNetworksMemoryDesc*, ANeuralNetworksMemory**) = create_specified;
    memcpy(&set_dimensions, &table.ANeuralNetworksMemoryDesc_setDimensions, sizeof set_dimensions);
    memcpy(&create_from_desc, &table.ANeuralNetworksMemory_createFromDesc, sizeof create_from_desc);
    memcpy(&table.ANeuralNetworksMemoryDesc_setDimensions, &note, sizeof note);
    memcpy(&table.ANeuralNetworksMemory_createFromDesc, &create, sizeof create);
    return &table;
}
