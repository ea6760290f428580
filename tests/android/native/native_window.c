/* A libnativewindow.so with AHardwareBuffer blobs over memfd, as strict as a real one: the CPU has
 * a blob only while it is locked, at another address each time. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct AHardwareBuffer {
    int fd;
    int locked;
    size_t size;
    void* at;
} AHardwareBuffer;

struct description {
    uint32_t width, height, layers, format;
    uint64_t usage;
    uint32_t stride, reserved32;
    uint64_t reserved64;
};

int AHardwareBuffer_allocate(const struct description* d, AHardwareBuffer** out) {
    if (d->format != 0x21 || d->height != 1 || d->layers != 1 || d->width == 0 || d->stride != 0 ||
        d->reserved32 != 0 || d->reserved64 != 0 || d->usage != (3 | 3 << 4))
        return -EINVAL;
    const char* fault = getenv("NNAPI_TESTKIT_TEST_BLOB");
    if (fault != NULL && strcmp(fault, "none") == 0) return -ENOMEM;
    if (fault != NULL && strcmp(fault, "abort") == 0) abort();
    while (fault != NULL && strcmp(fault, "hang") == 0) pause();
    AHardwareBuffer* buffer = calloc(1, sizeof *buffer);
    if (buffer == NULL) return -ENOMEM;
    buffer->size = d->width;
    buffer->fd = memfd_create("blob", MFD_CLOEXEC);
    if (buffer->fd < 0 || ftruncate(buffer->fd, (off_t)buffer->size) != 0) return -ENOMEM;
    *out = buffer;
    return 0;
}

int AHardwareBuffer_lock(AHardwareBuffer* buffer, uint64_t usage, int32_t fence, const void* rect,
                         void** at) {
    if (buffer->locked || usage == 0 || fence != -1 || rect != NULL) return -EINVAL;
    buffer->at = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->fd, 0);
    if (buffer->at == MAP_FAILED) return -ENOMEM;
    buffer->locked = 1;
    *at = buffer->at;
    return 0;
}

int AHardwareBuffer_unlock(AHardwareBuffer* buffer, int32_t* fence) {
    if (!buffer->locked || fence != NULL) return -EINVAL;
    const char* fault = getenv("NNAPI_TESTKIT_TEST_BLOB");
    if (fault != NULL && strcmp(fault, "forget") == 0) memset(buffer->at, 0, buffer->size);
    munmap(buffer->at, buffer->size);
    buffer->locked = 0;
    return 0;
}

void AHardwareBuffer_release(AHardwareBuffer* buffer) {
    if (buffer->locked) abort();
    close(buffer->fd);
    free(buffer);
}
