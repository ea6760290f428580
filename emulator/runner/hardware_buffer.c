#include "hardware_buffer.h"

/* android/hardware_buffer.h, API 26. */
enum { FORMAT_BLOB = 0x21, NO_FENCE = -1 };
static const uint64_t cpu_read_often = 3, cpu_write_often = 3u << 4;

struct description {
    uint32_t width; /* bytes of a blob */
    uint32_t height;
    uint32_t layers;
    uint32_t format;
    uint64_t usage;
    uint32_t stride;
    uint32_t reserved32;
    uint64_t reserved64;
};

static struct {
    bool looked;
    char reason[200]; /* why there are none; empty if there are */
    int (*allocate)(const struct description*, AHardwareBuffer**);
    int (*lock)(AHardwareBuffer*, uint64_t usage, int32_t fence, const void* rect, void** at);
    int (*unlock)(AHardwareBuffer*, int32_t* fence);
    void (*release)(AHardwareBuffer*);
} platform;

static bool find(void* library, const char* name, void* function) {
    void* symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    if (symbol == NULL)
        snprintf(platform.reason, sizeof platform.reason, "libnativewindow.so has no %s", name);
    return symbol != NULL;
}

static bool look(char* error, size_t error_size) {
    if (!platform.looked) {
        platform.looked = true;
        void* library = dlopen("libnativewindow.so", RTLD_NOW | RTLD_LOCAL);
        if (library == NULL) {
            const char* reason = dlerror();
            snprintf(platform.reason, sizeof platform.reason,
                     "AHardwareBuffer needs Android 10 or later: %s",
                     reason != NULL ? reason : "libnativewindow.so does not load");
        } else if (find(library, "AHardwareBuffer_allocate", &platform.allocate) &&
                   find(library, "AHardwareBuffer_lock", &platform.lock) &&
                   find(library, "AHardwareBuffer_unlock", &platform.unlock)) {
            find(library, "AHardwareBuffer_release", &platform.release);
        }
    }
    if (platform.reason[0] == 0) return true;
    snprintf(error, error_size, "%s", platform.reason);
    return false;
}

bool hardware_buffers_exist(void) {
    char error[sizeof platform.reason];
    return look(error, sizeof error);
}

AHardwareBuffer* hardware_buffer_create(size_t size, char* error, size_t error_size) {
    if (!look(error, error_size)) return NULL;
    if (size > UINT32_MAX) {
        snprintf(error, error_size, "an AHardwareBuffer blob cannot have %zu bytes", size);
        return NULL;
    }
    struct description description = {
            .width = (uint32_t)size,
            .height = 1,
            .layers = 1,
            .format = FORMAT_BLOB,
            .usage = cpu_read_often | cpu_write_often,
    };
    AHardwareBuffer* buffer = NULL;
    int code = platform.allocate(&description, &buffer);
    if (code == 0 && buffer != NULL) return buffer;
    snprintf(error, error_size, "AHardwareBuffer_allocate of %zu bytes returned %d", size, code);
    return NULL;
}

static bool copy(AHardwareBuffer* buffer, void* to, const void* from, size_t size, char* error,
                 size_t error_size) {
    void* at = NULL;
    uint64_t usage = to == NULL ? cpu_write_often : cpu_read_often;
    int code = platform.lock(buffer, usage, NO_FENCE, NULL, &at);
    if (code != 0 || at == NULL) {
        snprintf(error, error_size, "AHardwareBuffer_lock returned %d", code);
        return false;
    }
    memcpy(to == NULL ? at : to, to == NULL ? from : at, size);
    code = platform.unlock(buffer, NULL);
    if (code != 0) snprintf(error, error_size, "AHardwareBuffer_unlock returned %d", code);
    return code == 0;
}

bool hardware_buffer_write(AHardwareBuffer* buffer, const void* bytes, size_t size, char* error,
                           size_t error_size) {
    return copy(buffer, NULL, bytes, size, error, error_size);
}

bool hardware_buffer_read(AHardwareBuffer* buffer, void* bytes, size_t size, char* error,
                          size_t error_size) {
    return copy(buffer, bytes, NULL, size, error, error_size);
}

void hardware_buffer_free(AHardwareBuffer* buffer) { platform.release(buffer); }
