#include "case.h"

#include "endure.h"
#include "execute.h"
#include "life.h"

static void put_head(struct buffer* out, uint32_t index, uint8_t ending, uint8_t stage,
                     int32_t code, uint64_t ns) {
    size_t field = field_open(out, FIELD_RESULT_HEAD);
    put_u32(out, index);
    put_bytes(out, &ending, 1);
    put_bytes(out, &stage, 1);
    put_u16(out, 0);
    put_u32(out, (uint32_t)code);
    put_u32(out, 0);
    put_u64(out, ns);
    field_close(out, field);
}

void put_result(struct buffer* out, uint32_t index, uint8_t ending, uint8_t stage, int32_t code,
                uint64_t ns, const char* device, const char* function, const char* text,
                size_t text_length) {
    size_t frame = frame_open(out, FRAME_RESULT);
    put_head(out, index, ending, stage, code, ns);
    put_field(out, FIELD_DEVICE, device, strlen(device));
    put_field(out, FIELD_FUNCTION, function, strlen(function));
    put_field(out, FIELD_TEXT, text, text_length);
    frame_close(out, frame);
}

/* The most resident memory that this process ever had, in KiB; 0 if the system does not tell. */
static uint64_t peak_memory(void) {
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0) return 0;
    text[got] = 0;
    static const char name[] = "VmHWM:";
    const char* line = text;
    while (*line != 0 && strncmp(line, name, sizeof name - 1) != 0) line++;
    if (*line == 0) return 0;
    uint64_t kib = 0;
    for (line += sizeof name - 1; *line == ' ' || *line == '\t'; line++) {
    }
    for (; *line >= '0' && *line <= '9'; line++) kib = kib * 10 + (uint64_t)(*line - '0');
    return kib;
}

void run_case(const struct driver* driver, const struct wire_case* c, struct arena* arena,
              struct buffer* out) {
    struct run run = {
            .driver = driver, .api = driver->api, .c = c, .arena = arena, .out = out,
            .function = FN_NONE,
    };
    uint64_t start = now_ns();
    size_t frame = frame_open(out, FRAME_RESULT);
    size_t head = buffer_size(out);
    put_head(out, c->index, 0, 0, 0, 0);
    put_field(out, FIELD_DEVICE, driver->device_name, strlen(driver->device_name));
    bool good = begin_life(&run) && execute_sets(&run) && run.ending == ENDING_COMPLETED &&
                endure_executions(&run);
    if (good) enter_stage(&run, STAGE_DONE); /* what happens while all is freed is after the case */
    enum stage reached = run.stage;
    end_life(&run);
    if (good && !endure_lives(&run)) reached = run.stage;
    atomic_store_explicit(&driver->progress->function, FN_NONE, memory_order_relaxed);
    if (c->flags & CASE_MEASURE) {
        size_t field = field_open(out, FIELD_PEAK);
        put_u64(out, peak_memory());
        field_close(out, field);
    }
    const char* function = function_names[run.function];
    put_field(out, FIELD_FUNCTION, function, strlen(function));
    put_field(out, FIELD_TEXT, run.text, strlen(run.text));
    if (out->failed) {
        static const char text[] = "out of memory for the result";
        buffer_clear(out);
        put_result(out, c->index, ENDING_BAD_CASE, (uint8_t)reached, 0, now_ns() - start,
                   driver->device_name, "", text, sizeof text - 1);
        return;
    }
    struct buffer patch = {0};
    put_head(&patch, c->index, (uint8_t)run.ending, (uint8_t)reached, run.code, now_ns() - start);
    if (!patch.failed) memcpy(buffer_front(out) + head, buffer_front(&patch), buffer_size(&patch));
    buffer_free(&patch);
    frame_close(out, frame);
}
