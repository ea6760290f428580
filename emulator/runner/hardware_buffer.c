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

enum { TRIAL_BYTES = 4096, TRIAL_MS = 5000 };
static char lack[200] = "no buffer was tried";

static bool works(char* error, size_t error_size) {
    unsigned char out[TRIAL_BYTES], in[TRIAL_BYTES];
    AHardwareBuffer* buffer = hardware_buffer_create(sizeof out, error, error_size);
    if (buffer == NULL) return false;
    for (size_t i = 0; i < sizeof out; i++) out[i] = (unsigned char)(i * 7 + 1);
    memset(in, 0, sizeof in);
    if (!hardware_buffer_write(buffer, out, sizeof out, error, error_size) ||
        !hardware_buffer_read(buffer, in, sizeof in, error, error_size))
        return false;
    if (memcmp(in, out, sizeof in) != 0) {
        snprintf(error, error_size, "an AHardwareBuffer does not hold what is written to it");
        return false;
    }
    hardware_buffer_free(buffer);
    return true;
}

static _Noreturn void trial(int out) {
    char error[sizeof lack] = "";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The first byte says that it came to its end, which no dying process does. */
    bool good = works(error, sizeof error);
    size_t length = good ? 0 : strlen(error);
    bool told = write(out, good ? "+" : "-", 1) == 1 && write(out, error, length) >= 0;
    _exit(told ? 0 : 1);
}

/* Reads all that comes until the end or the deadline; false at the deadline. */
static bool read_all(int in, char* text, size_t size, size_t* length) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t until = now.tv_sec * 1000LL + now.tv_nsec / 1000000 + TRIAL_MS;
    for (*length = 0; *length < size;) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t left = until - (now.tv_sec * 1000LL + now.tv_nsec / 1000000);
        struct pollfd fd = {.fd = in, .events = POLLIN};
        if (left <= 0 || poll(&fd, 1, (int)left) == 0) return false;
        ssize_t n = read(in, text + *length, size - *length);
        if (n == 0) return true;
        if (n > 0) *length += (size_t)n;
        if (n < 0 && errno != EINTR) return true;
    }
    return true;
}

void hardware_buffers_try(void) {
    int ends[2], status = 0;
    char text[sizeof lack] = "";
    size_t length = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        trial(ends[1]);
    }
    close(ends[1]);
    bool ended = child < 0 || read_all(ends[0], text, sizeof text - 1, &length);
    close(ends[0]);
    if (child > 0) {
        if (!ended) kill(child, SIGKILL);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
    }
    if (length > 0 && (text[0] == '+' || text[0] == '-'))
        snprintf(lack, sizeof lack, "%s", text + 1);
    else if (!ended)
        snprintf(lack, sizeof lack, "the allocation of an AHardwareBuffer hangs");
    else if (child > 0 && WIFSIGNALED(status))
        snprintf(lack, sizeof lack,
                 "the allocation of an AHardwareBuffer ended its process: signal %d",
                 WTERMSIG(status));
    else
        snprintf(lack, sizeof lack, "the allocation of an AHardwareBuffer ended its process");
}

const char* hardware_buffers_lack(void) { return lack; }
