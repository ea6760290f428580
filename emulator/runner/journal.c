#include "journal.h"

enum { STEP_MS = 20, KILL_MS = 5000, READ_SIZE = 1 << 18 };

static void rest(int ms) { poll(NULL, 0, ms); }

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

/* What has been read of a file that another runner may still write. */
struct reading {
    struct buffer held;
    uint64_t sound;  /* bytes of whole, sound frames */
    bool done;       /* the batch has its end, or the file makes no sense */
    uint32_t batch;
    pid_t writer;    /* who wrote last; 0 if nobody says so */
    int out;         /* where frames are copied to, or -1 */
    uint32_t from;   /* the first result that is copied */
};

static bool wanted(const struct reading* r, const struct frame* frame) {
    struct reader payload = {frame->payload, frame->length, true}, field;
    uint16_t tag;
    if (frame->kind != FRAME_RESULT) return true;
    return next_field(&payload, &tag, &field) && tag == FIELD_RESULT_HEAD &&
           take_u32(&field) >= r->from;
}

static void note_writer(struct reading* r, const struct frame* frame) {
    struct reader payload = {frame->payload, frame->length, true}, field;
    uint16_t tag;
    if (!next_field(&payload, &tag, &field) || tag != FIELD_KEPT_HEAD) return;
    uint32_t batch = take_u32(&field), pid = take_u32(&field);
    if (!field.ok) return;
    r->batch = batch;
    r->writer = pid > 1 && pid <= 0x7fffffff ? (pid_t)pid : 0;
}

/* Takes the frames that have come, and copies them; false when nobody reads the copy. */
static bool copy_frames(int fd, struct reading* r) {
    char error[ERROR_TEXT];
    struct frame frame;
    for (;;) {
        if (!buffer_reserve(&r->held, READ_SIZE)) return false;
        ssize_t n = read(fd, r->held.data + r->held.end, READ_SIZE);
        if (n < 0 && errno == EINTR) continue;
        if (n > 0) r->held.end += (size_t)n;
        size_t whole = 0;
        int found = 1;
        while (found > 0) {
            found = frame_parse(buffer_front(&r->held) + whole, buffer_size(&r->held) - whole,
                                true, &frame, error);
            if (found <= 0) break;
            if (r->out >= 0 && wanted(r, &frame) &&
                !write_all(r->out, buffer_front(&r->held) + whole, frame.total))
                return false;
            whole += frame.total;
            if (frame.kind == FRAME_KEPT) note_writer(r, &frame);
            r->done = r->done || frame.kind == FRAME_END;
        }
        r->sound += whole;
        buffer_consume(&r->held, whole);
        if (found < 0) r->done = true;
        if (n <= 0 || found < 0) return true;
    }
}

/* Waits until the file is ours; false fills `error`. */
static bool take_over(int fd, struct reading* r, bool resume, char* error) {
    uint64_t begun = now_ns(), limit = resume ? (uint64_t)ORPHAN_MS + KILL_MS : 0;
    bool killed = false;
    for (;;) {
        bool mine = lock(fd);
        if ((resume || !mine) && !copy_frames(fd, r)) {
            snprintf(error, ERROR_TEXT, "nobody reads the results that were kept");
            return false;
        }
        if (mine) return true;
        bool late = now_ns() - begun > limit * 1000000;
        if (late && killed) {
            snprintf(error, ERROR_TEXT, "another runner does not let go of its results");
            return false;
        }
        if (late || r->done) {
            /* It may not know yet that its line is broken, and wait for another batch. The lock
             * says that it lives, so its number is still its own. */
            if (r->writer > 0) kill(r->writer, SIGKILL);
            if (!killed) {
                begun = now_ns();
                limit = KILL_MS;
            }
            killed = true;
        }
        rest(STEP_MS);
    }
}

static void put_kept(struct journal* j, uint32_t batch) {
    struct buffer b = {0};
    size_t frame = frame_open(&b, FRAME_KEPT);
    size_t field = field_open(&b, FIELD_KEPT_HEAD);
    put_u32(&b, batch);
    put_u32(&b, (uint32_t)getpid());
    field_close(&b, field);
    frame_close(&b, frame);
    if (!b.failed) journal_add(j, buffer_front(&b), buffer_size(&b));
    buffer_free(&b);
}

static void cut(struct journal* j, uint64_t length) {
    if (ftruncate(j->fd, (off_t)length) == 0) return;
    close(j->fd);
    j->fd = -1;
}

bool journal_open(struct journal* j, const char* path, const uint32_t* from, int out,
                  char* error) {
    bool resume = from != NULL;
    struct reading reading = {.out = resume ? out : -1, .from = resume ? *from : 0};
    j->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (j->fd < 0) {
        snprintf(error, ERROR_TEXT, "cannot keep results in %s: %s", path, strerror(errno));
        return false;
    }
    bool mine = take_over(j->fd, &reading, resume, error);
    if (mine && resume) {
        /* What it holds stays until the kit, which may not have read it yet, sends a batch. */
        cut(j, reading.sound);
        if (j->fd >= 0) put_kept(j, reading.batch);
    } else if (mine) {
        journal_begin(j, 0);
    } else {
        close(j->fd);
        j->fd = -1;
    }
    buffer_free(&reading.held);
    return mine;
}

void journal_begin(struct journal* j, uint32_t batch) {
    if (j->fd >= 0) cut(j, 0);
    if (j->fd >= 0) put_kept(j, batch);
}

void journal_add(struct journal* j, const void* bytes, size_t count) {
    if (j->fd < 0 || write_all(j->fd, bytes, count)) return;
    close(j->fd);
    j->fd = -1;
}
