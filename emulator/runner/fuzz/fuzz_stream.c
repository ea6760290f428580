/* What the runner does with bytes it did not write: frames, batches, cases, models, results.
 *
 * The input is a stream of frames; checksums are not verified, so that mutations reach what lies
 * behind them. Each case that parses is built, compiled and executed against the null driver. */
#include "fuzz_stream.h"

#include "../case.h"
#include "null_driver.h"

#include <assert.h>

enum { MAX_RUNS = 3 };

static void run(const struct wire_case* parsed, struct arena* arena, uint32_t seed) {
    static struct progress progress;
    static const int device = 0;
    struct wire_case c = *parsed;
    struct api api;
    struct buffer out = {0};
    struct driver driver = {
            .api = &api,
            .device = seed % 4 == 3 ? NULL : (const ANeuralNetworksDevice*)&device,
            .device_name = "null",
            .cache_dir = seed % 4 == 2 ? NULL : "/nowhere",
            .progress = &progress,
    };
    if (c.repetitions > MAX_RUNS) c.repetitions = MAX_RUNS;
    if (c.extra.executions > MAX_RUNS) c.extra.executions = MAX_RUNS;
    if (c.extra.lives > MAX_RUNS) c.extra.lives = MAX_RUNS;
    c.extra.flags &= ~(uint32_t)EXTRA_FOLDER_SEALED; /* it makes a folder */
    null_driver(&api, seed);
    run_case(&driver, &c, arena, &out);
    assert(null_driver_objects == 0);
    /* What leaves must itself be a sound frame. */
    struct frame frame;
    char error[ERROR_TEXT];
    assert(frame_parse(buffer_front(&out), buffer_size(&out), true, &frame, error) == 1);
    assert(frame.kind == FRAME_RESULT && frame.total == buffer_size(&out));
    buffer_free(&out);
}

int fuzz_stream(const uint8_t* data, size_t size) {
    char error[ERROR_TEXT];
    struct frame frame;
    uint32_t seed = wire_crc(0, data, size);
    /* A copy of its own size: reading one byte too far is then an error. */
    uint8_t* copy = malloc(size > 0 ? size : 1);
    assert(copy != NULL);
    if (size > 0) memcpy(copy, data, size);
    size_t at = 0;
    while (frame_parse(copy + at, size - at, false, &frame, error) == 1) {
        struct wire_batch batch;
        struct wire_case c;
        struct arena arena = {0};
        if (frame.kind == FRAME_BATCH) {
            parse_batch(frame.payload, frame.length, &batch, error);
        } else {
            parse_case_head(frame.payload, frame.length, &c, error);
            if (parse_case(frame.payload, frame.length, &arena, &c, error))
                run(&c, &arena, seed % 3 == 0 ? 0 : seed);
        }
        arena_free(&arena);
        at += frame.total;
    }
    free(copy);
    return 0;
}
