#include "life.h"

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
            put_field(run->out, FIELD_SUPPORT, supported, main->operation_count);
            run->ending = ENDING_UNSUPPORTED;
            run->code = main->operations[i].code;
            return false;
        }
    return true;
}

/* The folder for compilation caches that a case asks for; NULL where there is no room. */
static const char* cache_folder(struct run* run) {
    const char* folder = run->driver->cache_dir;
    uint32_t flags = run->c->extra.flags & (EXTRA_FOLDER_MISSING | EXTRA_FOLDER_SEALED);
    if (flags == 0) return folder;
    const char* name = flags & EXTRA_FOLDER_MISSING ? "missing" : "sealed";
    size_t size = strlen(folder) + strlen(name) + 2;
    char* path = arena_alloc(run->arena, size, 1);
    if (path == NULL) return NULL;
    snprintf(path, size, "%s/%s", folder, name);
    if (flags & EXTRA_FOLDER_SEALED) mkdir(path, 0500); /* it may be there already */
    return path;
}

static bool compile(struct run* run) {
    ANeuralNetworksModel* model = run->models[run->c->graph_count - 1];
    const struct driver* driver = run->driver;
    enter_stage(run, STAGE_COMPILATION);
    if (driver->device != NULL && (run->c->extra.flags & EXTRA_DEVICES) && driver->device_count > 0)
        TRY(run, ANeuralNetworksCompilation_createForDevices, model, driver->devices,
            driver->device_count, &run->compilation);
    else if (driver->device != NULL)
        TRY(run, ANeuralNetworksCompilation_createForDevices, model, &run->driver->device, 1,
            &run->compilation);
    else
        TRY(run, ANeuralNetworksCompilation_create, model, &run->compilation);
    if (run->c->token != NULL) {
        if (run->driver->cache_dir == NULL)
            return bad_case(run, "no folder for compilation caches: start the runner with "
                            "--cache-dir FOLDER");
        const char* folder = cache_folder(run);
        if (folder == NULL) return bad_case(run, "out of memory");
        TRY(run, ANeuralNetworksCompilation_setCaching, run->compilation, folder, run->c->token);
    }
    const struct quality* asked = &run->c->quality;
    if (asked->preference != -1)
        TRY(run, ANeuralNetworksCompilation_setPreference, run->compilation, asked->preference);
    if (asked->priority != -1)
        TRY(run, ANeuralNetworksCompilation_setPriority, run->compilation, asked->priority);
    if (asked->compile_timeout_ns != 0 || (run->c->extra.flags & EXTRA_NO_TIMEOUT))
        TRY(run, ANeuralNetworksCompilation_setTimeout, run->compilation,
            asked->compile_timeout_ns);
    TRY(run, ANeuralNetworksCompilation_finish, run->compilation);
    if (run->c->extra.flags & EXTRA_ORPHAN) orphan_models(run);
    return true;
}

bool begin_life(struct run* run) { return build_models(run) && check_support(run) && compile(run); }

void end_life(struct run* run) {
    if (run->burst != NULL) CALL(run, ANeuralNetworksBurst_free, run->burst);
    if (run->compilation != NULL) CALL(run, ANeuralNetworksCompilation_free, run->compilation);
    run->burst = NULL;
    run->compilation = NULL;
    free_models(run);
}
