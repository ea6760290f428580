#include "case.h"

#include "execute.h"
#include "model.h"

static bool check_support(struct run* run) {
    const struct graph* main = &run->c->graphs[run->c->graph_count - 1];
    enter_stage(run, STAGE_SUPPORT);
    if (run->driver->device == NULL) return true;
    bool* supported = arena_alloc(run->arena, (size_t)main->operation_count + 1, sizeof *supported);
    if (supported == NULL) return bad_case(run, "out of memory");
    memset(supported, 0, (size_t)main->operation_count + 1);
    TRY(run, ANeuralNetworksModel_getSupportedOperationsForDevices,
        run->models[run->c->graph_count - 1], &run->driver->device, 1, supported);
    for (uint32_t i = 0; i < main->operation_count; i++)
        if (!supported[i]) {
            run->ending = ENDING_UNSUPPORTED;
            run->code = main->operations[i].code;
            return false;
        }
    return true;
}

static bool compile(struct run* run) {
    ANeuralNetworksModel* model = run->models[run->c->graph_count - 1];
    enter_stage(run, STAGE_COMPILATION);
    if (run->driver->device != NULL)
        TRY(run, ANeuralNetworksCompilation_createForDevices, model, &run->driver->device, 1,
            &run->compilation);
    else
        TRY(run, ANeuralNetworksCompilation_create, model, &run->compilation);
    if (run->c->token != NULL) {
        if (run->driver->cache_dir == NULL)
            return bad_case(run, "no folder for compilation caches: start the runner with "
                            "--cache-dir FOLDER");
        TRY(run, ANeuralNetworksCompilation_setCaching, run->compilation, run->driver->cache_dir,
            run->c->token);
    }
    TRY(run, ANeuralNetworksCompilation_finish, run->compilation);
    return true;
}

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
    if (build_models(&run) && check_support(&run) && compile(&run) && execute_sets(&run) &&
        run.ending == ENDING_COMPLETED)
        enter_stage(&run, STAGE_DONE);
    enum stage reached = run.stage;
    if (run.burst != NULL) CALL(&run, ANeuralNetworksBurst_free, run.burst);
    if (run.compilation != NULL) CALL(&run, ANeuralNetworksCompilation_free, run.compilation);
    free_models(&run);
    atomic_store_explicit(&driver->progress->function, FN_NONE, memory_order_relaxed);
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
