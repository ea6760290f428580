#include "journal.h"

enum { STEP_MS = 20, KILL_MS = 5000, READ_SIZE = 1 << 18 };

static void rest(int ms) { poll(NULL, 0, ms); }

/* The process that the file's first frame names; 0 if there is none. */
static pid_t writer_of(int fd) {
    uint8_t head[64];
    char error[ERROR_TEXT];
    struct frame frame;
    ssize_t n = pread(fd, head, sizeof head, 0);
    if (n <= 0 || frame_parse(head, (size_t)n, true, &frame, error) <= 0) return 0;
    struct reader r = {frame.payload, frame.length, true}, field;
    uint16_t tag;
    if (frame.kind != FRAME_KEPT || !next_field(&r, &tag, &field) || tag != FIELD_KEPT_HEAD)
        return 0;
    take_u32(&field);
    uint32_t pid = take_u32(&field);
    return field.ok && pid > 1 && pid <= 0x7fffffff ? (pid_t)pid : 0;
}

/* False while another runner holds it. A file system without locks has none that does. */
static bool lock(int fd) {
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EAGAIN) return false;
        if (errno != EINTR) return true;
    }
    return true;
}

static bool write_all(int fd, const uint8_t* at, size_t count) {
    while (count > 0) {
        ssize_t n = write(fd, at, count);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
        count -= (size_t)n;
    }
    return true;
}

/* Copies the whole, sound frames that have come; false when nobody reads `out` any more. `done` is
 * set behind the last frame of a batch, and where the file makes no sense. */
static bool copy_frames(int fd, struct buffer* held, int out, bool* done) {
    char error[ERROR_TEXT];
    struct frame frame;
    for (;;) {
        if (!buffer_reserve(held, READ_SIZE)) return false;
        ssize_t n = read(fd, held->data + held->end, READ_SIZE);
        if (n < 0 && errno == EINTR) continue;
        if (n > 0) held->end += (size_t)n;
        size_t whole = 0;
        int found = 1;
        while (!*done && found > 0) {
            found = frame_parse(buffer_front(held) + whole, buffer_size(held) - whole, true,
                                &frame, error);
            if (found > 0) whole += frame.total;
            *done = found < 0 || (found > 0 && frame.kind == FRAME_END);
        }
        if (!write_all(out, buffer_front(held), whole)) return false;
        buffer_consume(held, whole);
        if (n <= 0 || *done) return true;
    }
}

bool journal_open(struct journal* j, const char* path, bool resume, int out, char* error) {
    struct buffer held = {0};
    uint64_t begun = now_ns(), limit = resume ? (uint64_t)ORPHAN_MS + KILL_MS : KILL_MS;
    bool killed = false, mine = false, done = false;
    j->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (j->fd < 0) {
        snprintf(error, ERROR_TEXT, "cannot keep results in %s: %s", path, strerror(errno));
        return false;
    }
    while (!mine) {
        mine = lock(j->fd);
        if (resume && !copy_frames(j->fd, &held, out, &done)) {
            snprintf(error, ERROR_TEXT, "nobody reads the results of %s", path);
            break;
        }
        if (mine) break;
        bool late = now_ns() - begun > limit * 1000000;
        if (late && killed) {
            snprintf(error, ERROR_TEXT, "another runner does not let go of %s", path);
            break;
        }
        if (late || !resume || done) {
            /* It may not know yet that its line is broken, and wait for another batch. The lock says that it lives, so its number is still its own. */
            pid_t writer = writer_of(j->fd);
            if (writer > 0) kill(writer, SIGKILL);
            if (!killed) {
                begun = now_ns();
                limit = KILL_MS;
            }
            killed = true;
        }
        rest(STEP_MS);
    }
    buffer_free(&held);
    if (mine && error[0] == 0) {
        journal_begin(j, 0);
        return true;
    }
    close(j->fd);
    j->fd = -1;
    return false;
}

void journal_begin(struct journal* j, uint32_t batch) {
    struct buffer b = {0};
    if (j->fd < 0) return;
    size_t frame = frame_open(&b, FRAME_KEPT);
    size_t field = field_open(&b, FIELD_KEPT_HEAD);
    put_u32(&b, batch);
    put_u32(&b, (uint32_t)getpid());
    field_close(&b, field);
    frame_close(&b, frame);
    if (ftruncate(j->fd, 0) != 0 || b.failed) {
        close(j->fd);
        j->fd = -1;
    } else {
        journal_add(j, buffer_front(&b), buffer_size(&b));
    }
    buffer_free(&b);
}

void journal_add(struct journal* j, const void* bytes, size_t count) {
    if (j->fd < 0 || write_all(j->fd, bytes, count)) return;
    close(j->fd);
    j->fd = -1;
}
