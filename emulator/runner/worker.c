#include "worker.h"

#include "case.h"
#include "hardware_buffer.h"

static pid_t self;

/* A driver may have made our pipe one that does not wait. */
static void wait_for(int fd, short events) {
    struct pollfd one = {.fd = fd, .events = events};
    poll(&one, 1, -1);
}

static void write_all(int fd, const uint8_t* at, size_t count) {
    /* A driver that forked and came back twice: its child has no business here. */
    if (getpid() != self) _exit(0);
    while (count > 0) {
        ssize_t n = write(fd, at, count);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            wait_for(fd, POLLOUT);
            continue;
        }
        if (n <= 0) _exit(0); /* the parent is gone, nobody is left to tell */
        at += n;
        count -= (size_t)n;
    }
}

static void deliver(int fd, struct buffer* out) {
    if (out->failed) _exit(70); /* out of memory before there was anything to report */
    write_all(fd, buffer_front(out), buffer_size(out));
    buffer_clear(out);
}

static _Noreturn void fail(int results, uint32_t kind, const char* format, ...) {
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    struct buffer out = {0};
    size_t frame = frame_open(&out, FRAME_ERROR);
    put_field(&out, FIELD_ERROR_HEAD, &kind, 4);
    put_field(&out, FIELD_TEXT, text, strlen(text));
    frame_close(&out, frame);
    deliver(results, &out);
    buffer_free(&out);
    exit(0);
}

static void note(struct progress* p, enum function_id function) {
    atomic_store_explicit(&p->function, function, memory_order_relaxed);
}

#define NOTED(name, ...) (note(progress, FN_##name), api->name(__VA_ARGS__))

static uint32_t short_length(const char* text) {
    return text == NULL ? 0 : (uint32_t)strnlen(text, MAX_DEVICE_NAME);
}

/* Describes one device; false when it does not even tell its name. */
static bool describe_device(const struct api* api, struct progress* progress,
                            const ANeuralNetworksDevice* device, struct buffer* out,
                            const char** name) {
    const char* version = NULL;
    int32_t type = -1;
    int64_t level = -1;
    *name = NULL;
    if (!api->has[FN_ANeuralNetworksDevice_getName] ||
        NOTED(ANeuralNetworksDevice_getName, device, name) != 0 || *name == NULL)
        return false;
    if (api->has[FN_ANeuralNetworksDevice_getVersion] &&
        NOTED(ANeuralNetworksDevice_getVersion, device, &version) != 0)
        version = NULL;
    if (api->has[FN_ANeuralNetworksDevice_getType] &&
        NOTED(ANeuralNetworksDevice_getType, device, &type) != 0)
        type = -1;
    if (api->has[FN_ANeuralNetworksDevice_getFeatureLevel] &&
        NOTED(ANeuralNetworksDevice_getFeatureLevel, device, &level) != 0)
        level = -1;
    size_t field = field_open(out, FIELD_DEVICE_INFO);
    put_u32(out, (uint32_t)type);
    put_u64(out, (uint64_t)level);
    put_u32(out, short_length(*name));
    put_u32(out, short_length(version));
    put_bytes(out, *name, short_length(*name));
    put_bytes(out, version, short_length(version));
    field_close(out, field);
    return true;
}

static char device_name[MAX_DEVICE_NAME + 1];

/* What is told of the library itself: its level, its path, what it lacks. */
static void describe_library(const struct api* api, struct progress* progress,
                             struct buffer* out) {
    int64_t level = -1;
    if (api->has[FN_ANeuralNetworks_getRuntimeFeatureLevel]) {
        note(progress, FN_ANeuralNetworks_getRuntimeFeatureLevel);
        level = api->ANeuralNetworks_getRuntimeFeatureLevel();
    }
    put_field(out, FIELD_LIBRARY_HEAD, &level, 8);
    put_field(out, FIELD_LIBRARY_PATH, api->path, strlen(api->path));
    for (int i = 0; i < FN_COUNT; i++)
        if (!api->has[i])
            put_field(out, FIELD_MISSING, function_names[i], strlen(function_names[i]));
    const char* lack = hardware_buffers_lack();
    if (!api->has[FN_ANeuralNetworksMemory_createFromAHardwareBuffer])
        lack = "the library has no ANeuralNetworksMemory_createFromAHardwareBuffer";
    put_field(out, FIELD_HARDWARE_BUFFERS, lack, strlen(lack));
}

/* Whether the library lets a device be asked for, as it does since feature level 3. */
static bool can_choose(const struct api* api) {
    return api->has[FN_ANeuralNetworks_getDeviceCount] && api->has[FN_ANeuralNetworks_getDevice] &&
           api->has[FN_ANeuralNetworksModel_getSupportedOperationsForDevices] &&
           api->has[FN_ANeuralNetworksCompilation_createForDevices];
}

/* Adds device `i` to the driver's, the wanted one (or the first) in front, and its name to
 * `names`. */
static void add_device(struct driver* driver, uint32_t i, const char* wanted, struct buffer* out,
                       char* names, size_t size) {
    const struct api* api = driver->api;
    struct progress* progress = driver->progress;
    ANeuralNetworksDevice* device = NULL;
    const char* name;
    if (NOTED(ANeuralNetworks_getDevice, i, &device) != 0 || device == NULL) return;
    if (!describe_device(api, progress, device, out, &name)) return;
    size_t used = strlen(names);
    snprintf(names + used, size - used, "%s%.*s", used > 0 ? ", " : "", MAX_DEVICE_NAME, name);
    driver->devices[driver->device_count++] = device;
    bool chosen = *wanted != 0 ? strncmp(name, wanted, MAX_DEVICE_NAME) == 0
                               : driver->device == NULL;
    if (!chosen) return;
    driver->device = device;
    /* It comes first where all are asked. */
    driver->devices[driver->device_count - 1] = driver->devices[0];
    driver->devices[0] = device;
    snprintf(device_name, sizeof device_name, "%s", name);
}

/* Writes the LIBRARY frame and chooses the device. */
static void open_driver(struct driver* driver, const char* wanted, struct buffer* out,
                        int results) {
    const struct api* api = driver->api;
    struct progress* progress = driver->progress;
    size_t frame = frame_open(out, FRAME_LIBRARY);
    describe_library(api, progress, out);
    uint32_t count = 0;
    if (can_choose(api)) {
        int code = NOTED(ANeuralNetworks_getDeviceCount, &count);
        if (code != 0)
            fail(results, ERROR_LISTING, "%s: ANeuralNetworks_getDeviceCount returned error %d",
                 api->path, code);
    }
    char names[512] = "";
    for (uint32_t i = 0; i < count && i < MAX_DEVICES; i++)
        add_device(driver, i, wanted, out, names, sizeof names);
    frame_close(out, frame);
    if (*wanted != 0 && driver->device == NULL)
        fail(results, ERROR_DEVICE, "no NNAPI device is called \"%s\"; %s has: %s", wanted,
             api->path, *names != 0 ? names : "none that can be asked for by name");
    if (can_choose(api) && driver->device == NULL)
        fail(results, ERROR_LISTING, "%s lists no NNAPI device", api->path);
    driver->device_name = device_name;
}

/* Reads frames from `fd`; gives one after another, NULL at the end. */
static const struct frame* next_frame(int fd, struct buffer* in, struct frame* frame) {
    char error[ERROR_TEXT];
    for (;;) {
        /* The parent checked the sum, and a pipe does not damage bytes. */
        int found = frame_parse(buffer_front(in), buffer_size(in), false, frame, error);
        if (found > 0) return frame;
        if (found < 0 || !buffer_reserve(in, 65536)) _exit(71);
        ssize_t n = read(fd, in->data + in->end, in->capacity - in->end);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            wait_for(fd, POLLIN);
            continue;
        }
        if (n <= 0) return NULL;
        in->end += (size_t)n;
    }
}

static void run_frame(const struct driver* driver, const struct frame* frame, struct arena* arena,
                      struct buffer* out) {
    char error[ERROR_TEXT] = "";
    struct wire_case c;
    if (parse_case(frame->payload, frame->length, arena, &c, error))
        run_case(driver, &c, arena, out);
    else
        put_result(out, c.index, ENDING_BAD_CASE, STAGE_LOAD, 0, 0, driver->device_name, "", error,
                   strlen(error));
}

_Noreturn void worker_main(const struct options* options, const char* wanted, int cases,
                           int results, struct progress* progress) {
    static struct api api;
    char error[1024];
    struct buffer in = {0}, out = {0};
    struct driver driver = {.api = &api, .cache_dir = options->cache_dir, .progress = progress};
    self = getpid();
    note(progress, FN_NONE);
    uint32_t trouble =
        api_load(&api, options->library, options->support_library, error, sizeof error);
    if (trouble != 0) fail(results, trouble, "%s", error);
    open_driver(&driver, wanted, &out, results);
    deliver(results, &out);
    note(progress, FN_NONE);
    struct frame frame;
    while (next_frame(cases, &in, &frame) != NULL) {
        struct arena arena = {0};
        atomic_store(&progress->stage, STAGE_LOAD);
        run_frame(&driver, &frame, &arena, &out);
        arena_free(&arena);
        deliver(results, &out);
        buffer_consume(&in, frame.total);
    }
    buffer_free(&in);
    buffer_free(&out);
    exit(0);
}
