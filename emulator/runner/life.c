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
    uint32_t flags = run->c->extra.flags &
                     (EXTRA_FOLDER_MISSING | EXTRA_FOLDER_SEALED | EXTRA_CUT_CACHE);
    if (flags == 0) return folder;
    char own[40];
    const char* name = flags & EXTRA_FOLDER_MISSING ? "missing" : "sealed";
    if (flags & EXTRA_CUT_CACHE) { /* nobody else's files are cut */
        snprintf(own, sizeof own, "cut-%llx", (unsigned long long)now_ns());
        name = own;
    }
    size_t size = strlen(folder) + strlen(name) + 2;
    char* path = arena_alloc(run->arena, size, 1);
    if (path == NULL) return NULL;
    snprintf(path, size, "%s/%s", folder, name);
    if (flags & EXTRA_FOLDER_SEALED) mkdir(path, 0500); /* it may be there already */
    if (flags & EXTRA_CUT_CACHE) mkdir(path, 0700);
    return path;
}

/* Leaves the first half of a file. */
static void cut_file(const char* folder, const char* name) {
    char room[4096];
    ssize_t n;
    off_t size = 0;
    snprintf(room, sizeof room, "%s/%s", folder, name);
    int fd = open(room, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return;
    while ((n = read(fd, room, sizeof room)) > 0) size += n;
    (void)!ftruncate(fd, size / 2);
    close(fd);
}

/* Cuts all files of a folder, as a full disk or a killed process leaves them. */
static void cut_files(const char* folder) {
    union {
        uint64_t align;
        char bytes[4096];
    } room;
    int fd = open(folder, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    for (;;) {
        long n = syscall(SYS_getdents64, fd, room.bytes, sizeof room.bytes);
        if (n <= 0) break;
        for (long at = 0; at < n;) {
            uint16_t length;
            memcpy(&length, room.bytes + at + 16, sizeof length); /* after inode and offset */
            if (room.bytes[at + 19] != '.') cut_file(folder, room.bytes + at + 19);
            at += length;
        }
    }
    close(fd);
}

/* One compilation, with all that is asked of it; `folder` is that of caches. */
static bool compile_once(struct run* run, const char* folder) {
    ANeuralNetworksModel* model = run->models[run->c->graph_count - 1];
    const struct driver* driver = run->driver;
    if (driver->device != NULL && (run->c->extra.flags & EXTRA_DEVICES) && driver->device_count > 0)
        TRY(run, ANeuralNetworksCompilation_createForDevices, model, driver->devices,
            driver->device_count, &run->compilation);
    else if (driver->device != NULL)
        TRY(run, ANeuralNetworksCompilation_createForDevices, model, &run->driver->device, 1,
            &run->compilation);
    else
        TRY(run, ANeuralNetworksCompilation_create, model, &run->compilation);
    if (run->c->token != NULL)
        TRY(run, ANeuralNetworksCompilation_setCaching, run->compilation, folder, run->c->token);
    const struct quality* asked = &run->c->quality;
    if (asked->preference != -1)
        TRY(run, ANeuralNetworksCompilation_setPreference, run->compilation, asked->preference);
    if (asked->priority != -1)
        TRY(run, ANeuralNetworksCompilation_setPriority, run->compilation, asked->priority);
    if (asked->compile_timeout_ns != 0 || (run->c->extra.flags & EXTRA_NO_TIMEOUT))
        TRY(run, ANeuralNetworksCompilation_setTimeout, run->compilation,
            asked->compile_timeout_ns);
    TRY(run, ANeuralNetworksCompilation_finish, run->compilation);
    return true;
}

static bool compile(struct run* run) {
    const char* folder = NULL;
    enter_stage(run, STAGE_COMPILATION);
    if (run->c->token != NULL) {
        if (run->driver->cache_dir == NULL)
            return bad_case(run, "no folder for compilation caches: start the runner with "
                            "--cache-dir FOLDER");
        folder = cache_folder(run);
        if (folder == NULL) return bad_case(run, "out of memory");
    }
    if (!compile_once(run, folder)) return false;
    if (run->c->extra.flags & (EXTRA_COMPILED_TWICE | EXTRA_CUT_CACHE)) {
        run->earlier = run->compilation;
        run->compilation = NULL;
        if (folder != NULL && (run->c->extra.flags & EXTRA_CUT_CACHE)) cut_files(folder);
        if (!compile_once(run, folder)) return false;
    }
    if (run->c->extra.flags & EXTRA_ORPHAN) orphan_models(run);
    return true;
}

bool begin_life(struct run* run) { return build_models(run) && check_support(run) && compile(run); }

void end_life(struct run* run) {
    if (run->burst != NULL) CALL(run, ANeuralNetworksBurst_free, run->burst);
    if (run->compilation != NULL) CALL(run, ANeuralNetworksCompilation_free, run->compilation);
    if (run->earlier != NULL) CALL(run, ANeuralNetworksCompilation_free, run->earlier);
    run->burst = NULL;
    run->compilation = run->earlier = NULL;
    free_models(run);
}
