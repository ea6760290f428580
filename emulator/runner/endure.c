#include "endure.h"

#include "execute.h"
#include "life.h"

enum { ROUNDS_TO_FILL = 32, LIVES_TO_FILL = 4 };

struct held {
    uint32_t descriptors, threads, mappings;
    uint64_t resident_kib;
};

/* Entries of a folder of /proc; 0 if the system does not tell. */
static uint32_t count_entries(const char* path) {
    union {
        uint64_t align;
        char bytes[4096];
    } room;
    uint32_t count = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    for (;;) {
        long n = syscall(SYS_getdents64, fd, room.bytes, sizeof room.bytes);
        if (n <= 0) break;
        for (long at = 0; at < n;) {
            uint16_t length;
            memcpy(&length, room.bytes + at + 16, sizeof length); /* after inode and offset */
            count += room.bytes[at + 19] != '.';
            at += length;
        }
    }
    close(fd);
    return count;
}

static uint32_t count_lines(const char* path) {
    char bytes[4096];
    uint32_t count = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    for (;;) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        for (ssize_t i = 0; i < n; i++) count += bytes[i] == '\n';
    }
    close(fd);
    return count;
}

static uint64_t resident_kib(void) {
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return 0;
    text[n] = 0;
    const char* second = memchr(text, ' ', (size_t)n);
    if (second == NULL) return 0;
    return (uint64_t)strtoul(second + 1, NULL, 10) * ((uint64_t)getpagesize() / 1024);
}

/* What the process holds, once it stops changing: what a driver frees in threads of its own has
 * a moment for it. */
static struct held count_held(uint32_t at_most) {
    struct held h;
    for (int round = 0;; round++) {
        h.descriptors = count_entries("/proc/self/fd");
        h.threads = count_entries("/proc/self/task");
        h.mappings = count_lines("/proc/self/maps");
        h.resident_kib = resident_kib();
        if (round == 20 || h.descriptors + h.threads <= at_most) return h;
        poll(NULL, 0, 10);
    }
}

static void put_held(struct buffer* out, const struct held* h) {
    put_u32(out, h->descriptors);
    put_u32(out, h->threads);
    put_u32(out, h->mappings);
    put_u64(out, h->resident_kib);
}

/* The executions of all sets once more, whose results nobody reads. */
static bool execute_quietly(struct run* run) {
    struct arena own = {0}, *shared = run->arena;
    size_t kept = buffer_size(run->out);
    run->arena = &own;
    bool good = execute_sets(run) && run->ending == ENDING_COMPLETED;
    run->arena = shared;
    arena_free(&own);
    if (!run->out->failed) run->out->end = run->out->begin + kept;
    return good;
}

static bool live_quietly(struct run* run) {
    struct arena own = {0}, *shared = run->arena;
    run->arena = &own;
    bool good = begin_life(run) && execute_quietly(run);
    end_life(run);
    run->arena = shared;
    arena_free(&own);
    return good;
}

static bool endure(struct run* run, bool lives, uint32_t rounds, uint32_t to_fill) {
    if (rounds == 0) return true;
    struct held before = {0};
    for (uint32_t i = 0; i < to_fill + rounds; i++) {
        if (i == to_fill) before = count_held(UINT32_MAX);
        if (!(lives ? live_quietly(run) : execute_quietly(run))) return false;
    }
    struct held after = count_held(before.descriptors + before.threads);
    size_t field = field_open(run->out, FIELD_RESOURCES);
    put_u32(run->out, lives);
    put_u32(run->out, rounds);
    put_held(run->out, &before);
    put_held(run->out, &after);
    field_close(run->out, field);
    return true;
}

bool endure_executions(struct run* run) {
    return endure(run, false, run->c->extra.executions, ROUNDS_TO_FILL);
}

bool endure_lives(struct run* run) {
    return endure(run, true, run->c->extra.lives, LIVES_TO_FILL);
}
