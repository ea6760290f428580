#include "supervisor.h"

#include "case.h"
#include "hardware_buffer.h"
#include "journal.h"
#include "process.h"

enum {
    EXIT_DEADLINE_MS = 10000,
    GONE_MS = 1,          /* between looks at a worker whose pipes are closed: it is leaving */
    IDLE_POLL_MS = 1000,  /* without a worker: how late a signal is seen that came before the wait */
    POLL_MS = 200,        /* how late a death is seen while a driver's child keeps the pipes open */
    MEMORY_POLL_MS = 20,  /* how often a limited worker's size is looked at */
    MAX_LOAD_DEATHS = 2,  /* in a row, before the library is given up */
    MAX_IDLE_DEATHS = 3,  /* in a row and without a result between them */
    MAX_OUTPUT_QUEUE = 64 << 20,
    MAX_INPUT_QUEUE = 256 << 20,
    READ_SIZE = 1 << 18,
};

struct span {
    uint64_t position; /* of the case's frame in the stream of stored bytes */
    size_t length;
    uint32_t deadline_ms;
};

/* How a worker left. */
struct leave {
    bool told;
    uint32_t ending;
    uint32_t status;
    size_t length;
    char text[LOG_KEPT];
};

struct supervisor {
    const struct options* options;
    int in_fd;
    int out_fd; /* -1 once nobody reads it and the batch goes on for the journal */
    struct journal journal;
    uint64_t orphaned_ns; /* since when that is so, 0 before */
    struct buffer input;
    struct buffer output;
    bool input_ended;
    bool finishing; /* no further batch will be read */
    char damage[ERROR_TEXT + 64]; /* why not, when the input was damaged */
    int status;

    bool in_batch;
    struct wire_batch batch;
    struct buffer store; /* frames of cases without a result yet */
    uint64_t store_base; /* stream position of its first byte */
    struct span* spans;
    uint32_t span_capacity;
    uint32_t received;
    uint32_t next_result;
    uint64_t sent; /* stream position up to which the worker has been fed */

    struct progress* progress;
    struct process worker;
    char device[256]; /* the one the worker was started for */
    char chosen[256]; /* the one the worker asks, by what its LIBRARY frame lists */
    bool clocked;      /* the worker has the case that is due, */
    uint64_t since_ns; /* since then */
    uint64_t quiet_ns; /* when its last result came */
    struct leave unclean; /* how the first worker left that left badly, and not in a case */
    struct buffer held; /* --isolate: the result, until its worker has left */
    bool library_told;
    const char* suspicion; /* why the worker was killed, when no ending says it */
    uint64_t measured_ns; /* when the worker's size was last looked at */
    uint32_t workers;
    uint32_t deaths;
    uint32_t load_deaths;
    uint32_t idle_deaths;
};

static bool isolated(const struct supervisor* s) {
    return s->options->isolate || (s->batch.flags & BATCH_ISOLATE);
}

static uint32_t memory_limit(const struct supervisor* s) {
    return s->batch.memory_limit_mb != 0 ? s->batch.memory_limit_mb
                                         : s->options->memory_limit_mb;
}

static const char* wanted_device(const struct supervisor* s) {
    return s->batch.device[0] != 0 ? s->batch.device : s->options->device;
}

static void put_hello(struct supervisor* s) {
    size_t frame = frame_open(&s->output, FRAME_HELLO);
    size_t field = field_open(&s->output, FIELD_HELLO_HEAD);
    put_u32(&s->output, WIRE_VERSION);
    put_u32(&s->output, (uint32_t)sizeof(void*) * 8);
    put_u32(&s->output, (uint32_t)getpagesize());
    put_u32(&s->output, (uint32_t)getpid());
    field_close(&s->output, field);
    frame_close(&s->output, frame);
}

static void put_error(struct supervisor* s, uint32_t kind, const char* text) {
    size_t frame = frame_open(&s->output, FRAME_ERROR);
    put_field(&s->output, FIELD_ERROR_HEAD, &kind, 4);
    put_field(&s->output, FIELD_TEXT, text, strlen(text));
    frame_close(&s->output, frame);
}

/* Keeps what was put into the output behind its first `from` bytes. */
static void keep(struct supervisor* s, size_t from) {
    journal_add(&s->journal, buffer_front(&s->output) + from, buffer_size(&s->output) - from);
}

static void put_end(struct supervisor* s) {
    size_t from = buffer_size(&s->output);
    size_t frame = frame_open(&s->output, FRAME_END);
    size_t field = field_open(&s->output, FIELD_END_HEAD);
    put_u32(&s->output, s->batch.id);
    put_u32(&s->output, s->batch.count);
    put_u32(&s->output, s->workers);
    put_u32(&s->output, s->deaths);
    field_close(&s->output, field);
    frame_close(&s->output, frame);
    keep(s, from);
}

/* How the workers left: with status 0 unless the driver or a leak checker thinks otherwise. */
static void put_bye(struct supervisor* s) {
    const struct leave* l = &s->unclean;
    size_t frame = frame_open(&s->output, FRAME_BYE);
    size_t field = field_open(&s->output, FIELD_BYE_HEAD);
    put_u32(&s->output, l->ending);
    put_u32(&s->output, l->status);
    field_close(&s->output, field);
    put_field(&s->output, FIELD_TEXT, l->text, l->length);
    frame_close(&s->output, frame);
}

/* A worker that died outside any case: in a thread of the driver, or while it was unloaded. */
static void note_leave(struct supervisor* s, uint8_t ending, int32_t code) {
    struct leave* l = &s->unclean;
    if (l->told) return;
    l->told = true;
    l->ending = ending;
    l->status = (uint32_t)code;
    l->length = process_text(&s->worker, l->text);
}

/* Ends everything with an ERROR frame. */
static void give_up(struct supervisor* s, uint32_t kind, int status, const char* text) {
    put_error(s, kind, text);
    s->status = status;
    s->in_batch = false;
    s->finishing = true;
    buffer_clear(&s->input);
    if (s->worker.pid != 0 && !s->worker.exited) process_kill(&s->worker, ENDING_EXITED);
}

/* ---- input ---- */

static void damaged(struct supervisor* s, const char* text) {
    s->finishing = true;
    buffer_clear(&s->input);
    if (!s->in_batch) {
        give_up(s, ERROR_INPUT, STATUS_DAMAGED, text);
        return;
    }
    /* What came before is sound: it runs, and the error follows the last result. */
    snprintf(s->damage, sizeof s->damage, "%s (after %u of %u cases)", text,
             (unsigned)s->received, (unsigned)s->batch.count);
    s->batch.count = s->received;
}

static bool store_case(struct supervisor* s, const uint8_t* frame, size_t length,
                       uint32_t deadline_ms) {
    if (s->received == s->span_capacity) {
        uint32_t capacity = s->span_capacity == 0 ? 512 : s->span_capacity * 2;
        struct span* spans = realloc(s->spans, capacity * sizeof *spans);
        if (spans == NULL) return false;
        s->spans = spans;
        s->span_capacity = capacity;
    }
    struct span* span = &s->spans[s->received];
    span->position = s->store_base + buffer_size(&s->store);
    span->length = length;
    span->deadline_ms = deadline_ms;
    put_bytes(&s->store, frame, length);
    if (s->store.failed) return false;
    s->received++;
    return true;
}

static void begin_batch(struct supervisor* s, const struct wire_batch* batch) {
    s->batch = *batch;
    s->in_batch = true;
    s->received = s->next_result = 0;
    s->clocked = false;
    buffer_clear(&s->store);
    s->store_base = s->sent = 0;
    journal_begin(&s->journal, batch->id);
}

/* Takes one frame from the input; false when there is none yet, or none wanted yet. */
static bool take_input(struct supervisor* s) {
    char error[ERROR_TEXT];
    struct frame frame;
    if (s->finishing || (s->in_batch && s->received == s->batch.count)) return false;
    int found = frame_parse(buffer_front(&s->input), buffer_size(&s->input), true, &frame, error);
    if (found == 0) return false;
    if (found < 0) {
        damaged(s, error);
        return false;
    }
    if (!s->in_batch) {
        struct wire_batch batch;
        if (frame.kind != FRAME_BATCH) {
            snprintf(error, sizeof error, "a frame of kind %u where a batch begins", frame.kind);
            damaged(s, error);
            return false;
        }
        if (!parse_batch(frame.payload, frame.length, &batch, error)) {
            damaged(s, error);
            return false;
        }
        begin_batch(s, &batch);
    } else {
        struct wire_case head;
        if (frame.kind != FRAME_CASE) {
            snprintf(error, sizeof error, "a frame of kind %u instead of case %u", frame.kind,
                     (unsigned)s->received);
            damaged(s, error);
            return false;
        }
        bool good = parse_case_head(frame.payload, frame.length, &head, error);
        if (good && head.index != s->received) {
            snprintf(error, sizeof error, "case %u says it is number %u", (unsigned)s->received,
                     (unsigned)head.index);
            good = false;
        }
        if (!good) {
            damaged(s, error);
            return false;
        }
        if (!store_case(s, buffer_front(&s->input), frame.total, head.deadline_ms)) {
            give_up(s, ERROR_SYSTEM, STATUS_SYSTEM, "out of memory for the batch");
            return false;
        }
    }
    buffer_consume(&s->input, frame.total);
    return true;
}

static void read_input(struct supervisor* s) {
    if (!buffer_reserve(&s->input, READ_SIZE)) {
        give_up(s, ERROR_SYSTEM, STATUS_SYSTEM, "out of memory for the input");
        return;
    }
    ssize_t n = read(s->in_fd, s->input.data + s->input.end, READ_SIZE);
    if (n > 0) s->input.end += (size_t)n;
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) s->input_ended = true;
}

static void end_of_input(struct supervisor* s) {
    if (!s->input_ended || s->finishing) return;
    if (s->options->list_devices) return; /* it has nothing to read, and tries the library twice */
    if (s->in_batch && s->received == s->batch.count) return; /* first finish what is there */
    if (s->in_batch || buffer_size(&s->input) > 0)
        damaged(s, "the input ends in the middle of a batch");
    s->finishing = true;
}

/* ---- results ---- */

static void result_done(struct supervisor* s) {
    const struct span* span = &s->spans[s->next_result];
    s->next_result++;
    s->idle_deaths = 0;
    s->clocked = false;
    s->quiet_ns = now_ns();
    /* Its bytes are not needed again. */
    uint64_t end = span->position + span->length;
    if (s->sent < end) return; /* a worker that answers before it was asked: keep the frame */
    buffer_consume(&s->store, (size_t)(end - s->store_base));
    s->store_base = end;
}

static void blame(struct supervisor* s, uint8_t ending, int32_t code) {
    char text[LOG_KEPT];
    uint32_t stage = atomic_load(&s->progress->stage);
    uint32_t function = atomic_load(&s->progress->function);
    uint64_t since = s->clocked ? s->since_ns : s->worker.started_ns, now = now_ns();
    size_t length = process_text(&s->worker, text);
    if (s->suspicion != NULL) {
        length = strlen(s->suspicion);
        memcpy(text, s->suspicion, length);
    }
    size_t from = buffer_size(&s->output);
    put_result(&s->output, s->next_result, ending,
               (uint8_t)(stage < STAGES ? stage : STAGE_EXECUTION), code,
               now > since ? now - since : 0, s->chosen,
               function_names[function < FN_COUNT ? function : FN_COUNT], text, length);
    keep(s, from);
    s->deaths++;
    s->sent = s->spans[s->next_result].position + s->spans[s->next_result].length;
    result_done(s);
}

/* Whether a RESULT frame is the one that is due. */
static bool expected_result(const struct supervisor* s, const struct frame* frame) {
    struct reader r = {frame->payload, frame->length, true}, f;
    uint16_t tag;
    return s->in_batch && s->next_result < s->received && buffer_size(&s->held) == 0 &&
           next_field(&r, &tag, &f) && tag == FIELD_RESULT_HEAD && f.left == RESULT_HEAD_SIZE &&
           take_u32(&f) == s->next_result;
}

/* Keeps the name of the device that a worker asks: the wanted one, or the first of its list. */
static void note_device(struct supervisor* s, const struct frame* frame) {
    struct reader r = {frame->payload, frame->length, true}, f;
    uint16_t tag;
    snprintf(s->chosen, sizeof s->chosen, "%s", s->device);
    while (s->chosen[0] == 0 && next_field(&r, &tag, &f)) {
        if (tag != FIELD_DEVICE_INFO) continue;
        take_u32(&f);
        take_u64(&f);
        uint32_t length = take_u32(&f);
        take_u32(&f);
        const uint8_t* name = take(&f, length);
        if (name != NULL && f.ok && length < sizeof s->chosen)
            snprintf(s->chosen, sizeof s->chosen, "%.*s", (int)length, (const char*)name);
        return;
    }
}

static void take_results(struct supervisor* s) {
    struct process* p = &s->worker;
    char error[ERROR_TEXT];
    struct frame frame;
    for (;;) {
        int found = frame_parse(buffer_front(&p->in), buffer_size(&p->in), true, &frame, error);
        if (found == 0) return;
        const uint8_t* bytes = buffer_front(&p->in);
        if (found > 0 && frame.kind == FRAME_LIBRARY && !p->loaded) {
            p->loaded = true;
            s->load_deaths = 0;
            note_device(s, &frame);
            if (!s->library_told) put_bytes(&s->output, bytes, frame.total);
            s->library_told = true;
        } else if (found > 0 && frame.kind == FRAME_ERROR && !p->loaded) {
            put_bytes(&s->output, bytes, frame.total);
            s->status = STATUS_LIBRARY;
            s->in_batch = false;
            s->finishing = true;
            process_kill(p, ENDING_EXITED);
        } else if (found > 0 && frame.kind == FRAME_RESULT && expected_result(s, &frame)) {
            if (isolated(s)) {
                put_bytes(&s->held, bytes, frame.total);
                s->quiet_ns = now_ns();
            } else {
                put_bytes(&s->output, bytes, frame.total);
                journal_add(&s->journal, bytes, frame.total);
                result_done(s);
            }
        } else {
            /* Only a driver that writes into descriptors it does not own gets here. */
            s->suspicion = "the driver wrote into the runner's own pipe";
            process_kill(p, ENDING_CRASHED);
            buffer_clear(&p->in);
            return;
        }
        buffer_consume(&p->in, frame.total);
    }
}

/* A result that waited for its worker to leave; a bad leave becomes the case's ending. */
static void release_held(struct supervisor* s, uint8_t ending, int32_t code, bool clean) {
    uint8_t* head = buffer_front(&s->held) + FRAME_SIZE + FIELD_SIZE;
    if (!clean && head[4] == ENDING_COMPLETED) {
        char text[LOG_KEPT];
        head[4] = ending;
        memcpy(head + 8, &code, 4);
        put_field(&s->held, FIELD_TEXT, text, process_text(&s->worker, text));
        frame_close(&s->held, 0);
        s->deaths++;
    }
    put_bytes(&s->output, buffer_front(&s->held), buffer_size(&s->held));
    journal_add(&s->journal, buffer_front(&s->held), buffer_size(&s->held));
    buffer_clear(&s->held);
    result_done(s);
}

/* ---- the worker's life ---- */

static void load_death(struct supervisor* s, uint8_t ending, int32_t code) {
    char text[1024], printed[LOG_KEPT];
    s->load_deaths++;
    if (s->load_deaths < MAX_LOAD_DEATHS && (ending != ENDING_TIMED_OUT || s->library_told)) return;
    size_t length = process_text(&s->worker, printed);
    if (length > 400) {
        memmove(printed, printed + length - 400, 400);
        length = 400;
    }
    uint32_t function = atomic_load(&s->progress->function);
    const char* where = function < FN_COUNT ? function_names[function] : "dlopen";
    int used;
    if (ending == ENDING_TIMED_OUT)
        used = snprintf(text, sizeof text, "%s did not load within %u ms (in %s)",
                        s->options->library[0], (unsigned)s->options->load_deadline_ms, where);
    else if (ending == ENDING_OUT_OF_MEMORY)
        used = snprintf(text, sizeof text, "%s grew past %u MB while it was loaded (in %s)",
                        s->options->library[0], (unsigned)memory_limit(s), where);
    else
        used = snprintf(text, sizeof text, "%s %s %d while it was loaded (in %s)",
                        s->options->library[0],
                        ending == ENDING_CRASHED ? "died of signal" : "left with status",
                        (int)code, where);
    if (length > 0 && used > 0 && (size_t)used < sizeof text)
        snprintf(text + used, sizeof text - (size_t)used, "; it printed: %.*s", (int)length,
                 printed);
    bool listing = function == FN_ANeuralNetworks_getDeviceCount;
    give_up(s, listing ? ERROR_LISTING : ERROR_LIBRARY, STATUS_LIBRARY, text);
}

/* Whether the worker has (a part of) the case that is due. */
static bool case_handed_over(const struct supervisor* s) {
    return s->sent > s->spans[s->next_result].position;
}

/* Whether it has all of it and is at work on it. */
static bool case_at_work(const struct supervisor* s) {
    if (!s->worker.loaded || !s->in_batch || s->next_result >= s->received) return false;
    const struct span* span = &s->spans[s->next_result];
    return buffer_size(&s->held) == 0 && s->sent >= span->position + span->length;
}

/* How a worker that is gone ended, and the number that goes with it: a signal, or what it exited
 * with. */
static uint8_t ending_of(const struct process* p, int32_t* code) {
    *code = WIFSIGNALED(p->status) ? WTERMSIG(p->status) : WEXITSTATUS(p->status);
    if (p->killed_as == ENDING_TIMED_OUT || p->killed_as == ENDING_OUT_OF_MEMORY) *code = 0;
    if (p->killed_as != ENDING_COMPLETED) return (uint8_t)p->killed_as;
    return WIFSIGNALED(p->status) ? ENDING_CRASHED : ENDING_EXITED;
}

/* Gives the death of a worker to whom it belongs: the case at work, the loading, or nobody. */
static void settle_death(struct supervisor* s, uint8_t ending, int32_t code, bool clean) {
    const struct process* p = &s->worker;
    bool due = s->in_batch && s->next_result < s->received;
    if (buffer_size(&s->held) > 0) {
        release_held(s, ending, code, clean);
    } else if (p->loaded && due && (case_handed_over(s) || s->suspicion != NULL)) {
        blame(s, ending, code);
    } else if (!p->loaded && (s->in_batch || !s->finishing)) {
        load_death(s, ending, code);
    } else if (p->loaded && (!clean || p->closed_ns == 0)) {
        note_leave(s, ending, code);
        /* Each case due takes the blame once in a while, so that this comes to an end. */
        if (due && p->closed_ns == 0 && ++s->idle_deaths >= MAX_IDLE_DEATHS)
            blame(s, ending, code);
    }
}

static void worker_gone(struct supervisor* s) {
    process_finish(&s->worker);
    take_results(s);
    int32_t code;
    uint8_t ending = ending_of(&s->worker, &code);
    bool by_itself = s->worker.killed_as == ENDING_COMPLETED;
    settle_death(s, ending, code, by_itself && ending == ENDING_EXITED && code == 0);
    s->suspicion = NULL;
    s->clocked = false;
}

static bool want_worker(const struct supervisor* s) {
    if (s->in_batch) return s->next_result < s->received;
    return !s->library_told && !s->finishing;
}

static void start_worker(struct supervisor* s) {
    snprintf(s->device, sizeof s->device, "%s", wanted_device(s));
    if (!process_start(&s->worker, s->options, s->device, s->progress)) {
        char text[128];
        snprintf(text, sizeof text, "cannot start a worker process: %s", strerror(errno));
        give_up(s, ERROR_SYSTEM, STATUS_SYSTEM, text);
        return;
    }
    s->workers++;
    s->clocked = false;
    if (s->in_batch && s->next_result < s->received)
        s->sent = s->spans[s->next_result].position;
}

/* Hands the worker what it may have of the batch. */
static void feed(struct supervisor* s) {
    struct process* p = &s->worker;
    if (!s->in_batch || p->cases < 0 || s->next_result >= s->received) return;
    uint32_t last = isolated(s) ? s->next_result : s->received - 1;
    uint64_t end = s->spans[last].position + s->spans[last].length;
    while (s->sent < end) {
        ssize_t n = write(p->cases, buffer_front(&s->store) + (s->sent - s->store_base),
                          (size_t)(end - s->sent));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return; /* full, or a dying worker that is noticed elsewhere */
        s->sent += (uint64_t)n;
    }
    if (isolated(s)) process_close_input(p);
}

static bool feeding(const struct supervisor* s) {
    if (!s->in_batch || s->worker.cases < 0 || s->next_result >= s->received) return false;
    uint32_t last = isolated(s) ? s->next_result : s->received - 1;
    return s->sent < s->spans[last].position + s->spans[last].length;
}

/* The moment (ns) the worker has until for what it does now; 0: no deadline. */
static uint64_t worker_deadline(const struct supervisor* s) {
    const struct process* p = &s->worker;
    uint64_t ms = 1000000;
    if (!p->loaded) return p->started_ns + s->options->load_deadline_ms * ms;
    if (case_at_work(s))
        return s->clocked ? s->since_ns + s->spans[s->next_result].deadline_ms * ms : 0;
    if (p->closed_ns == 0) return 0;
    uint64_t since = s->quiet_ns > p->closed_ns ? s->quiet_ns : p->closed_ns;
    return since + EXIT_DEADLINE_MS * ms;
}

/* A case's time is measured here, by when the worker was given it: a driver can write whatever
 * the worker would say of it. */
static void start_clock(struct supervisor* s) {
    bool full = buffer_size(&s->output) >= MAX_OUTPUT_QUEUE; /* the worker waits for our reader */
    if (!case_at_work(s) || (s->clocked && !full)) return;
    s->clocked = true;
    s->since_ns = now_ns();
}

static void watch_worker(struct supervisor* s) {
    struct process* p = &s->worker;
    if (p->pid == 0) return;
    uint64_t deadline = worker_deadline(s);
    if (deadline != 0 && now_ns() >= deadline) {
        /* Its result may have come in this moment: look before killing. */
        process_read_results(p);
        take_results(s);
        if (worker_deadline(s) == deadline) process_kill(p, ENDING_TIMED_OUT);
    }
    uint32_t limit = memory_limit(s);
    uint64_t now = now_ns();
    if (limit != 0 && now - s->measured_ns >= (uint64_t)MEMORY_POLL_MS * 1000000) {
        s->measured_ns = now;
        if (process_resident_mb(p) > limit) process_kill(p, ENDING_OUT_OF_MEMORY);
    }
    if (process_gone(p)) worker_gone(s);
}

static int poll_timeout(const struct supervisor* s) {
    if (s->worker.pid == 0) return IDLE_POLL_MS;
    int timeout = memory_limit(s) != 0 ? MEMORY_POLL_MS : POLL_MS;
    if (s->worker.results < 0) timeout = GONE_MS;
    uint64_t deadline = worker_deadline(s), now = now_ns();
    if (deadline != 0) {
        uint64_t left = deadline > now ? (deadline - now) / 1000000 + 1 : 0;
        if (left < (uint64_t)timeout) timeout = (int)left;
    }
    return timeout;
}

/* ---- the loop ---- */

/* False when the reader of our results is gone. */
static bool write_output(struct supervisor* s) {
    if (s->out_fd < 0) buffer_clear(&s->output);
    while (buffer_size(&s->output) > 0) {
        ssize_t n = write(s->out_fd, buffer_front(&s->output), buffer_size(&s->output));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return true;
        if (n <= 0) return false;
        buffer_consume(&s->output, (size_t)n);
    }
    return true;
}

/* When the reader is gone: whether to go on with the batch, whose results the journal keeps. */
static bool go_on_alone(struct supervisor* s) {
    if (s->journal.fd < 0 || !s->in_batch || s->orphaned_ns != 0) return false;
    s->orphaned_ns = now_ns();
    close(s->out_fd);
    s->out_fd = -1;
    s->input_ended = true;
    end_of_input(s);
    return write_output(s);
}

/* Everything that can be done without waiting. */
static void advance(struct supervisor* s) {
    while (take_input(s)) {
    }
    end_of_input(s);
    if (s->in_batch && s->next_result == s->batch.count && s->received == s->batch.count) {
        if (s->damage[0] != 0) {
            give_up(s, ERROR_INPUT, STATUS_DAMAGED, s->damage);
            return;
        }
        put_end(s);
        s->in_batch = false;
        if (!s->options->serve) s->finishing = true;
        while (take_input(s)) {
        }
        end_of_input(s);
    }
    if (s->options->list_devices && s->library_told) s->finishing = true;
    if (s->worker.pid != 0) {
        bool other = s->in_batch && strcmp(s->device, wanted_device(s)) != 0;
        if ((s->finishing && !s->in_batch) || other) process_close_input(&s->worker);
        if (s->worker.loaded && !other) feed(s);
    } else if (want_worker(s)) {
        start_worker(s);
    }
    start_clock(s);
}

static bool finished(const struct supervisor* s) {
    return s->finishing && !s->in_batch && s->worker.pid == 0;
}

/* What is waited for; the first three by their place, -1 where they are not. */
struct waiting {
    struct pollfd fds[5];
    nfds_t count;
    int in, results, log;
};

static int wait_also(struct waiting* w, bool wanted, int fd, short events) {
    if (!wanted) return -1;
    w->fds[w->count] = (struct pollfd){.fd = fd, .events = events};
    return (int)w->count++;
}

/* Whether there is room for more of the input, and need of it. */
static bool wants_input(const struct supervisor* s) {
    bool room = buffer_size(&s->store) < MAX_INPUT_QUEUE || s->next_result == s->received;
    bool whole = s->in_batch && s->received == s->batch.count;
    return !s->input_ended && !s->finishing && room && !whole;
}

static struct waiting what_to_wait_for(const struct supervisor* s) {
    const struct process* p = &s->worker;
    bool alive = p->pid != 0;
    struct waiting w = {.count = 0};
    w.in = wait_also(&w, wants_input(s), s->in_fd, POLLIN);
    w.results = wait_also(
            &w, alive && p->results >= 0 && buffer_size(&s->output) < MAX_OUTPUT_QUEUE, p->results,
            POLLIN);
    w.log = wait_also(&w, alive && p->log >= 0, p->log, POLLIN);
    wait_also(&w, alive && p->loaded && feeding(s), p->cases, POLLOUT);
    wait_also(&w, buffer_size(&s->output) > 0, s->out_fd, POLLOUT);
    return w;
}

static bool has_come(const struct waiting* w, int place) {
    return place >= 0 && w->fds[place].revents != 0;
}

/* False when nobody reads our output any more. */
static bool wait_for_something(struct supervisor* s) {
    struct waiting w = what_to_wait_for(s);
    if (poll(w.fds, w.count, poll_timeout(s)) > 0) {
        if (has_come(&w, w.in)) read_input(s);
        if (has_come(&w, w.log)) process_read_log(&s->worker);
        if (has_come(&w, w.results)) {
            if (!process_read_results(&s->worker)) {
                close(s->worker.results);
                s->worker.results = -1;
            }
            take_results(s);
        }
    }
    watch_worker(s);
    advance(s);
    if (s->orphaned_ns != 0 && now_ns() - s->orphaned_ns > (uint64_t)ORPHAN_MS * 1000000)
        return false;
    return write_output(s);
}

/* Before anything else: only one runner at a time is to use the driver. */
static bool begin_journal(struct supervisor* s) {
    char error[ERROR_TEXT] = "";
    s->status = STATUS_SYSTEM;
    if (!write_output(s)) return false;
    const uint32_t* from = s->options->resume ? &s->options->resume_from : NULL;
    if (!journal_open(&s->journal, s->options->journal, from, s->out_fd, error)) {
        put_error(s, ERROR_SYSTEM, error);
        write_output(s);
        return false;
    }
    s->status = STATUS_DONE;
    /* A shell that loses its host sends this. */
    signal(SIGHUP, SIG_IGN);
    return true;
}

static volatile sig_atomic_t told_to_end;

static void end_soon(int number) { told_to_end = number; }

/* As the signal would have ended us, so that it is seen which it was. */
static int end_now(struct supervisor* s) {
    process_end(&s->worker);
    if (told_to_end) {
        signal(told_to_end, SIG_DFL);
        kill(getpid(), told_to_end);
    }
    return STATUS_SYSTEM;
}

int supervise(const struct options* options, int in, int out) {
    static struct supervisor state;
    struct supervisor* s = &state;
    struct stat info;
    *s = (struct supervisor){.options = options, .in_fd = in, .out_fd = out, .journal.fd = -1};
    s->progress = mmap(NULL, sizeof *s->progress, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->progress == MAP_FAILED) return STATUS_SYSTEM;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, end_soon);
    signal(SIGINT, end_soon);
    signal(SIGHUP, end_soon);
    /* What a driver's processes leave behind becomes ours, and ends with the worker. */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    put_hello(s);
    if (options->journal != NULL && !begin_journal(s)) return s->status;
    /* Only a pipe of our own: other files may share their flags with a shell. */
    if (fstat(out, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode)))
        fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
    hardware_buffers_try();
    advance(s);
    bool read = write_output(s);
    while (read && !told_to_end && !finished(s))
        read = wait_for_something(s) || go_on_alone(s);
    if (!read || told_to_end) return end_now(s); /* nobody listens, or wants more */
    if (s->status == STATUS_DONE) put_bye(s);
    while (buffer_size(&s->output) > 0) {
        struct pollfd fd = {.fd = out, .events = POLLOUT};
        if (told_to_end || !write_output(s)) return end_now(s);
        if (buffer_size(&s->output) > 0) poll(&fd, 1, 1000);
    }
    return s->status;
}
