#include "set_run.h"

enum { MAX_PADDING = 1 << 20, MAX_ALIGNMENT = 4096, PATTERN = 4096 };

/* Two sentinels that differ in every byte; neither repeats within a short distance, so that a
 * driver which copies or clears does not write them by accident. */
static uint8_t patterns[2][PATTERN];

static void prepare_patterns(void) {
    if (patterns[1][0] != patterns[0][0]) return;
    uint32_t x = 0x9e3779b9u;
    for (size_t i = 0; i < PATTERN; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        patterns[0][i] = (uint8_t)(x >> 24);
        patterns[1][i] = (uint8_t)~patterns[0][i];
    }
}

static void fill(uint8_t* at, size_t count, int which) {
    while (count > 0) {
        size_t part = count < PATTERN ? count : PATTERN;
        memcpy(at, patterns[which], part);
        at += part;
        count -= part;
    }
}

/* Bytes of an element; 1 where there are none (MODEL) and for the types of vendors. */
static size_t element_size(int32_t type) {
    switch (type) {
#define NNAPI_SIZE(name, bytes) \
    case ANEURALNETWORKS_##name: \
        return (bytes) > 0 ? (bytes) : 1;
        NNAPI_ELEMENT_SIZES(NNAPI_SIZE)
#undef NNAPI_SIZE
        default:
            return 1;
    }
}

/* Bytes of an output that the driver had to write: what its dimensions need, at most what was
 * offered. */
static size_t extent(const struct io* io) {
    if (io->rank < 0) return io->offered;
    uint64_t count = element_size(io->operand->type);
    for (int32_t i = 0; i < io->rank; i++)
        if (io->dims[i] == 0) return 0;
    for (int32_t i = 0; i < io->rank && count <= io->offered; i++) count *= io->dims[i];
    return count < io->offered ? (size_t)count : io->offered;
}

/* Whether enough of an output equals the sentinel to look again. Elements of 2 and 4 bytes do not
 * match by accident often; single bytes do (one in 256), so for those it takes all of a short
 * output's odds, its end, two in a row, or more than chance explains. */
static bool suspicious(const struct io* io) {
    size_t count = extent(io), size = element_size(io->operand->type), equal = 0, row = 0;
    bool pair = false;
    for (size_t i = 0; i + size <= count; i += size) {
        if (memcmp(io->data + i, patterns[0] + i % PATTERN, size) != 0) {
            row = 0;
            continue;
        }
        if (size > 1) return true;
        equal++;
        pair = pair || ++row >= 2;
    }
    if (equal == 0) return false;
    size_t expected = count / 256;
    return count <= 64 || pair || equal > expected + 2 * (expected / 16) + 6 ||
           io->data[count - 1] == patterns[0][(count - 1) % PATTERN];
}

/* Rounds up to a multiple of a power of two or of any padding. */
static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

static bool ask_padding(struct set_run* s, struct io* io, uint32_t index, bool input) {
    struct run* run = s->run;
    uint32_t padding = 1, alignment = 1;
    if (input) {
        TRY(run, ANeuralNetworksCompilation_getPreferredMemoryPaddingForInput, run->compilation,
            index, &padding);
        TRY(run, ANeuralNetworksCompilation_getPreferredMemoryAlignmentForInput, run->compilation,
            index, &alignment);
    } else {
        TRY(run, ANeuralNetworksCompilation_getPreferredMemoryPaddingForOutput, run->compilation,
            index, &padding);
        TRY(run, ANeuralNetworksCompilation_getPreferredMemoryAlignmentForOutput,
            run->compilation, index, &alignment);
    }
    if (padding < 1 || padding > MAX_PADDING || alignment < 1 || alignment > MAX_ALIGNMENT ||
        (alignment & (alignment - 1)) != 0)
        return stop(run, input ? FN_ANeuralNetworksCompilation_getPreferredMemoryPaddingForInput
                               : FN_ANeuralNetworksCompilation_getPreferredMemoryPaddingForOutput,
                    ANEURALNETWORKS_BAD_DATA);
    io->length = round_up(io->offered, padding) + (size_t)padding * run->c->extra.padding;
    if (alignment > io->alignment) io->alignment = alignment;
    return true;
}

static size_t page_size(void) {
    static size_t size;
    if (size == 0) size = (size_t)getpagesize();
    return size;
}

static bool in_device_memory(const struct run* run) {
    return run->c->memory == MEMORY_DEVICE || run->c->memory == MEMORY_DYNAMIC;
}

static bool describe_io(struct set_run* s, struct io* io, uint32_t index, bool input) {
    const struct graph* g = s->graph;
    io->argument = input ? &s->set->inputs[index] : &s->set->outputs[index];
    io->operand = &g->operands[input ? g->inputs[index] : g->outputs[index]];
    io->offered = io->argument->omitted ? 0 : (size_t)io->argument->length;
    io->length = io->offered;
    io->alignment = in_device_memory(s->run) ? page_size() : REGION_ALIGN;
    if (!in_device_memory(s->run)) io->skew = skew_of(s->run);
    if ((s->run->c->flags & CASE_PADDING) && !io->argument->omitted)
        return ask_padding(s, io, index, input);
    return true;
}

/* Bytes from one slot's start to its end, whatever the alignment of the slot before. */
static size_t slot_size(const struct io* io) {
    return io->alignment + GUARD + round_up(io->skew + io->length + GUARD, io->alignment);
}

static void place(struct io* io, uint8_t* base, size_t* used) {
    size_t start = round_up((size_t)(uintptr_t)(base + *used) + GUARD, io->alignment);
    start += io->skew;
    io->data = base + (start - (size_t)(uintptr_t)base);
    io->alias = io->data - GUARD;
    io->offset = (size_t)(io->data - base);
    *used = io->offset + io->length + GUARD;
}

/* Gives an input the buffer of an earlier one that has the same bytes. */
static void share_buffer(struct set_run* s, uint32_t index) {
    struct io* io = &s->in[index];
    for (uint32_t i = 0; i < index; i++) {
        const struct io* other = &s->in[i];
        if (other->length != io->length || other->offered != io->offered || io->offered == 0 ||
            memcmp(other->argument->data, io->argument->data, io->offered) != 0)
            continue;
        io->data = other->data;
        io->alias = other->alias;
        io->offset = other->offset;
        return;
    }
}

bool prepare_memory(struct set_run* s) {
    struct run* run = s->run;
    prepare_patterns();
    uint32_t ins = s->set->input_count, outs = s->set->output_count;
    s->in = arena_alloc(run->arena, (size_t)ins + 1, sizeof *s->in);
    s->out = arena_alloc(run->arena, (size_t)outs + 1, sizeof *s->out);
    if (s->in == NULL || s->out == NULL) return bad_case(run, "out of memory for arguments");
    memset(s->in, 0, ins * sizeof *s->in);
    memset(s->out, 0, outs * sizeof *s->out);
    size_t total = 0, used = 0;
    for (uint32_t i = 0; i < ins; i++) {
        if (!describe_io(s, &s->in[i], i, true)) return false;
        total += slot_size(&s->in[i]);
    }
    for (uint32_t i = 0; i < outs; i++) {
        if (!describe_io(s, &s->out[i], i, false)) return false;
        total += slot_size(&s->out[i]);
    }
    bool shared = run->c->memory != MEMORY_POINTER;
    if (shared) {
        char error[ERROR_TEXT];
        bool hardware = run->c->memory == MEMORY_AHARDWARE_BUFFER;
        if (!region_create(&s->region, total + page_size(), hardware, error, sizeof error))
            return bad_case(run, "%s", error);
        s->has_region = true;
    }
    for (uint32_t i = 0; i < ins + outs; i++) {
        struct io* io = i < ins ? &s->in[i] : &s->out[i - ins];
        if (shared) {
            place(io, s->region.base, &used);
        } else {
            /* A block for each: a memory checker in the driver then sees reads past its end. */
            size_t own = 0;
            uint8_t* block = arena_alloc(run->arena, slot_size(io), 1);
            if (block == NULL)
                return bad_case(run, "out of memory for an argument of %zu bytes", io->length);
            place(io, block, &own);
        }
        if (i < ins && (run->c->extra.flags & EXTRA_ONE_BUFFER)) share_buffer(s, i);
        if (i < ins) {
            fill(io->alias, GUARD + io->length + GUARD, 0);
            if (io->offered > 0) memcpy(io->data, io->argument->data, io->offered);
        }
    }
    return true;
}

static bool is_specified(const struct operand* o) {
    for (uint32_t i = 0; i < o->rank; i++)
        if (o->dims[i] == 0) return false;
    return o->rank > 0;
}

static bool same_kind(const struct operand* a, const struct operand* b) {
    return a->type == b->type && a->rank == b->rank && a->scale == b->scale &&
           a->zero_point == b->zero_point && !a->channel_quant && !b->channel_quant &&
           is_specified(a) && memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0;
}

/* The roles of all other arguments of the kind, before the one that the memory is used in. */
static int add_other_roles(struct set_run* s, ANeuralNetworksMemoryDesc* desc, const struct io* io) {
    struct run* run = s->run;
    int code = ANEURALNETWORKS_NO_ERROR;
    for (uint32_t i = 0; i < s->set->input_count && code == ANEURALNETWORKS_NO_ERROR; i++)
        if (&s->in[i] != io && same_kind(s->in[i].operand, io->operand))
            code = CALL(run, ANeuralNetworksMemoryDesc_addInputRole, desc, run->compilation, i,
                        1.0f);
    for (uint32_t i = 0; i < s->set->output_count && code == ANEURALNETWORKS_NO_ERROR; i++)
        if (&s->out[i] != io && same_kind(s->out[i].operand, io->operand))
            code = CALL(run, ANeuralNetworksMemoryDesc_addOutputRole, desc, run->compilation, i,
                        1.0f);
    return code;
}

static bool make_device_memory(struct set_run* s, struct io* io, uint32_t index, bool input) {
    struct run* run = s->run;
    if (io->argument->omitted) return true;
    io->dynamic = run->c->memory == MEMORY_DYNAMIC && !input && !is_specified(io->operand);
    if (!io->dynamic)
        TRY(run, ANeuralNetworksMemory_createFromFd, io->offered, PROT_READ | PROT_WRITE,
            s->region.fd, io->offset, &io->staging);
    ANeuralNetworksMemoryDesc* desc = NULL;
    TRY(run, ANeuralNetworksMemoryDesc_create, &desc);
    enum function_id function = FN_ANeuralNetworksMemoryDesc_addInputRole;
    int code = run->c->extra.flags & EXTRA_MORE_ROLES ? add_other_roles(s, desc, io) : 0;
    if (code != ANEURALNETWORKS_NO_ERROR) {
        CALL(run, ANeuralNetworksMemoryDesc_free, desc);
        return stop(run, function, code);
    }
    if (input) {
        code = CALL(run, ANeuralNetworksMemoryDesc_addInputRole, desc, run->compilation, index,
                    1.0f);
    } else {
        function = FN_ANeuralNetworksMemoryDesc_addOutputRole;
        code = CALL(run, ANeuralNetworksMemoryDesc_addOutputRole, desc, run->compilation, index,
                    1.0f);
    }
    if (code == ANEURALNETWORKS_NO_ERROR && io->argument->rank > 0 && !io->dynamic) {
        function = FN_ANeuralNetworksMemoryDesc_setDimensions;
        code = CALL(run, ANeuralNetworksMemoryDesc_setDimensions, desc, io->argument->rank,
                    io->argument->dims);
    }
    if (code == ANEURALNETWORKS_NO_ERROR) {
        function = FN_ANeuralNetworksMemoryDesc_finish;
        code = CALL(run, ANeuralNetworksMemoryDesc_finish, desc);
    }
    if (code == ANEURALNETWORKS_NO_ERROR) {
        function = FN_ANeuralNetworksMemory_createFromDesc;
        code = CALL(run, ANeuralNetworksMemory_createFromDesc, desc, &io->device);
    }
    CALL(run, ANeuralNetworksMemoryDesc_free, desc);
    /* By the reference a device need not have memory of unknown size. */
    if (io->dynamic && code == ANEURALNETWORKS_OP_FAILED &&
        function == FN_ANeuralNetworksMemory_createFromDesc)
        return not_offered(run, function, code);
    if (code != ANEURALNETWORKS_NO_ERROR) return stop(run, function, code);
    if (input) TRY(run, ANeuralNetworksMemory_copy, io->staging, io->device);
    return true;
}

bool make_memories(struct set_run* s) {
    struct run* run = s->run;
    if (run->c->memory == MEMORY_SHARED)
        TRY(run, ANeuralNetworksMemory_createFromFd, s->region.size, PROT_READ | PROT_WRITE,
            s->region.fd, 0, &s->memory);
    if (run->c->memory == MEMORY_AHARDWARE_BUFFER)
        TRY(run, ANeuralNetworksMemory_createFromAHardwareBuffer, s->region.hardware, &s->memory);
    if (!in_device_memory(run)) return true;
    static const enum function_id needed[] = {
            FN_ANeuralNetworksMemoryDesc_create,       FN_ANeuralNetworksMemoryDesc_free,
            FN_ANeuralNetworksMemoryDesc_addInputRole, FN_ANeuralNetworksMemoryDesc_addOutputRole,
            FN_ANeuralNetworksMemoryDesc_finish,       FN_ANeuralNetworksMemoryDesc_setDimensions,
            FN_ANeuralNetworksMemory_createFromDesc,   FN_ANeuralNetworksMemory_copy,
    };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!run->api->has[needed[i]]) return missing(run, needed[i]);
    for (uint32_t i = 0; i < s->set->input_count; i++)
        if (!make_device_memory(s, &s->in[i], i, true)) return false;
    for (uint32_t i = 0; i < s->set->output_count; i++)
        if (!make_device_memory(s, &s->out[i], i, false)) return false;
    return true;
}

/* The operand type to hand over with an argument: only where the array's shape tells something
 * that the model left open (or contradicts it, as a refusal case may want). */
static const ANeuralNetworksOperandType* shape_of(const struct io* io, bool wanted,
                                                  ANeuralNetworksOperandType* type) {
    const struct argument* a = io->argument;
    const struct operand* o = io->operand;
    if (!wanted || a->omitted) return NULL;
    if (a->rank == o->rank && memcmp(a->dims, o->dims, a->rank * sizeof *a->dims) == 0)
        return NULL;
    *type = (ANeuralNetworksOperandType){
            .type = o->type,
            .dimensionCount = a->rank,
            .dimensions = a->rank > 0 ? a->dims : NULL,
            .scale = o->scale,
            .zeroPoint = o->zero_point,
    };
    return type;
}

static bool set_arguments(struct set_run* s) {
    struct run* run = s->run;
    ANeuralNetworksOperandType room;
    for (uint32_t i = 0; i < s->set->input_count; i++) {
        struct io* io = &s->in[i];
        const ANeuralNetworksOperandType* type = shape_of(io, true, &room);
        if (io->argument->omitted)
            TRY(run, ANeuralNetworksExecution_setInput, s->execution, (int32_t)i, NULL, NULL, 0);
        else if (i == 0 && s->before != NULL)
            TRY(run, ANeuralNetworksExecution_setInputFromMemory, s->execution, 0, type,
                s->before->memory, s->before->out[0].offset, s->before->out[0].length);
        else if (io->device != NULL)
            TRY(run, ANeuralNetworksExecution_setInputFromMemory, s->execution, (int32_t)i, type,
                io->device, 0, 0);
        else if (s->memory != NULL)
            TRY(run, ANeuralNetworksExecution_setInputFromMemory, s->execution, (int32_t)i, type,
                s->memory, io->offset, io->length);
        else
            TRY(run, ANeuralNetworksExecution_setInput, s->execution, (int32_t)i, type, io->data,
                io->length);
    }
    for (uint32_t i = 0; i < s->set->output_count; i++) {
        struct io* io = &s->out[i];
        const ANeuralNetworksOperandType* type = shape_of(io, s->set->set_output_dims, &room);
        if (io->argument->omitted)
            TRY(run, ANeuralNetworksExecution_setOutput, s->execution, (int32_t)i, NULL, NULL, 0);
        else if (io->device != NULL)
            TRY(run, ANeuralNetworksExecution_setOutputFromMemory, s->execution, (int32_t)i, type,
                io->device, 0, 0);
        else if (s->memory != NULL)
            TRY(run, ANeuralNetworksExecution_setOutputFromMemory, s->execution, (int32_t)i, type,
                s->memory, io->offset, io->length);
        else
            TRY(run, ANeuralNetworksExecution_setOutput, s->execution, (int32_t)i, type, io->data,
                io->length);
    }
    return true;
}

static bool create_execution(struct set_run* s) {
    struct run* run = s->run;
    TRY(run, ANeuralNetworksExecution_create, run->compilation, &s->execution);
    if (run->c->path == PATH_REUSABLE)
        TRY(run, ANeuralNetworksExecution_setReusable, s->execution, true);
    if (run->c->flags & CASE_MEASURE)
        TRY(run, ANeuralNetworksExecution_setMeasureTiming, s->execution, true);
    if (run->c->flags & CASE_PADDING)
        TRY(run, ANeuralNetworksExecution_enableInputAndOutputPadding, s->execution, true);
    if (run->c->quality.execute_timeout_ns != 0 || (run->c->extra.flags & EXTRA_NO_TIMEOUT))
        TRY(run, ANeuralNetworksExecution_setTimeout, s->execution,
            run->c->quality.execute_timeout_ns);
    if (run->c->loop_timeout_ns != 0)
        TRY(run, ANeuralNetworksExecution_setLoopTimeout, s->execution, run->c->loop_timeout_ns);
    return set_arguments(s);
}

static bool wait_event(struct run* run, ANeuralNetworksEvent* event, enum function_id started) {
    if (event == NULL) return stop(run, started, ANEURALNETWORKS_UNEXPECTED_NULL);
    int code = CALL(run, ANeuralNetworksEvent_wait, event);
    CALL(run, ANeuralNetworksEvent_free, event);
    if (code != ANEURALNETWORKS_NO_ERROR) return stop(run, FN_ANeuralNetworksEvent_wait, code);
    return true;
}

/* Asks for the descriptor of a fence, waits for it as for one from elsewhere, and closes it. A
 * driver need not have descriptors: then there is an error, and nothing to give back. */
static bool use_fence(struct run* run, const ANeuralNetworksEvent* event) {
    int fd = -1;
    ANeuralNetworksEvent* other = NULL;
    if (!run->api->has[FN_ANeuralNetworksEvent_getSyncFenceFd] ||
        !run->api->has[FN_ANeuralNetworksEvent_createFromSyncFenceFd])
        return true;
    if (CALL(run, ANeuralNetworksEvent_getSyncFenceFd, event, &fd) != ANEURALNETWORKS_NO_ERROR ||
        fd < 0)
        return true;
    int code = CALL(run, ANeuralNetworksEvent_createFromSyncFenceFd, fd, &other);
    close(fd);
    if (code != ANEURALNETWORKS_NO_ERROR)
        return stop(run, FN_ANeuralNetworksEvent_createFromSyncFenceFd, code);
    return wait_event(run, other, FN_ANeuralNetworksEvent_createFromSyncFenceFd);
}

static bool compute(struct set_run* s) {
    struct run* run = s->run;
    ANeuralNetworksEvent* event = NULL;
    enum path path = run->c->path;
    /* Level 1 and 2 know no other way than startCompute. */
    if (path == PATH_COMPUTE && !run->api->has[FN_ANeuralNetworksExecution_compute])
        path = PATH_START_WAIT;
    switch (path) {
        case PATH_COMPUTE:
        case PATH_REUSABLE:
            TRY(run, ANeuralNetworksExecution_compute, s->execution);
            return true;
        case PATH_BURST:
            if (run->burst == NULL)
                TRY(run, ANeuralNetworksBurst_create, run->compilation, &run->burst);
            TRY(run, ANeuralNetworksExecution_burstCompute, s->execution, run->burst);
            return true;
        case PATH_FENCED:
            TRY(run, ANeuralNetworksExecution_startComputeWithDependencies, s->execution, NULL, 0,
                0, &event);
            if (event != NULL && run->c->extra.executions > 0 && !use_fence(run, event)) {
                CALL(run, ANeuralNetworksEvent_free, event);
                return false;
            }
            return wait_event(run, event,
                              FN_ANeuralNetworksExecution_startComputeWithDependencies);
        case PATH_START_WAIT:
        case PATHS:
            break;
    }
    TRY(run, ANeuralNetworksExecution_startCompute, s->execution, &event);
    return wait_event(run, event, FN_ANeuralNetworksExecution_startCompute);
}

/* Before each execution: sentinels in the outputs, guards around everything. */
static bool reset_outputs(struct set_run* s, int which) {
    struct run* run = s->run;
    for (uint32_t i = 0; i < s->set->output_count; i++) {
        struct io* io = &s->out[i];
        fill(io->alias, GUARD, which);
        fill(io->data, io->length, which);
        fill(io->data + io->length, GUARD, which);
        if (io->staging != NULL) TRY(run, ANeuralNetworksMemory_copy, io->staging, io->device);
    }
    return true;
}

static uint64_t count_changed(const uint8_t* at, size_t count, int which) {
    uint64_t changed = 0;
    for (size_t i = 0; i < count; i++) changed += at[i] != patterns[which][i % PATTERN];
    return changed;
}

static void read_dimensions(struct set_run* s, struct io* io, int32_t index) {
    struct run* run = s->run;
    io->rank = -1;
    io->rank_code = 0;
    if (!run->api->has[FN_ANeuralNetworksExecution_getOutputOperandRank] ||
        !run->api->has[FN_ANeuralNetworksExecution_getOutputOperandDimensions])
        return;
    uint32_t rank = 0;
    io->rank_code = CALL(run, ANeuralNetworksExecution_getOutputOperandRank, s->execution, index,
                         &rank);
    /* While the size is insufficient, both functions say so and answer all the same. */
    if (io->rank_code != ANEURALNETWORKS_NO_ERROR &&
        io->rank_code != ANEURALNETWORKS_OUTPUT_INSUFFICIENT_SIZE)
        return;
    if (rank > MAX_REPORTED_RANK) {
        io->rank_code = ANEURALNETWORKS_BAD_DATA;
        return;
    }
    if (rank > 0) {
        /* A scalar has rank 0, and asking for its dimensions is an error by the reference. */
        io->rank_code = CALL(run, ANeuralNetworksExecution_getOutputOperandDimensions,
                             s->execution, index, io->dims);
        if (io->rank_code != ANEURALNETWORKS_NO_ERROR &&
            io->rank_code != ANEURALNETWORKS_OUTPUT_INSUFFICIENT_SIZE)
            return;
    }
    io->rank = (int32_t)rank;
}

/* Copies an output from device memory; of a dynamic one its size is known only now. */
static bool fetch_output(struct set_run* s, struct io* io, int32_t index) {
    struct run* run = s->run;
    if (!io->dynamic) {
        TRY(run, ANeuralNetworksMemory_copy, io->device, io->staging);
        return true;
    }
    read_dimensions(s, io, index);
    size_t count = extent(io);
    if (io->rank < 0 || count == 0) return true;
    ANeuralNetworksMemory* staging = NULL;
    TRY(run, ANeuralNetworksMemory_createFromFd, count, PROT_READ | PROT_WRITE, s->region.fd,
        io->offset, &staging);
    int code = CALL(run, ANeuralNetworksMemory_copy, io->device, staging);
    CALL(run, ANeuralNetworksMemory_free, staging);
    if (code != ANEURALNETWORKS_NO_ERROR)
        return stop(run, FN_ANeuralNetworksMemory_copy, code);
    return true;
}

static void read_durations(struct set_run* s, struct outcome* o) {
    struct run* run = s->run;
    if (!(run->c->flags & CASE_MEASURE) ||
        !run->api->has[FN_ANeuralNetworksExecution_getDuration])
        return;
    bool fenced = run->c->path == PATH_FENCED;
    int32_t hardware = fenced ? ANEURALNETWORKS_FENCED_DURATION_ON_HARDWARE
                              : ANEURALNETWORKS_DURATION_ON_HARDWARE;
    int32_t driver = fenced ? ANEURALNETWORKS_FENCED_DURATION_IN_DRIVER
                            : ANEURALNETWORKS_DURATION_IN_DRIVER;
    if (CALL(run, ANeuralNetworksExecution_getDuration, s->execution, hardware,
             &o->hardware_ns) != ANEURALNETWORKS_NO_ERROR) {
        o->hardware_ns = UINT64_MAX;
        o->untimed = true;
    }
    if (CALL(run, ANeuralNetworksExecution_getDuration, s->execution, driver, &o->driver_ns) !=
        ANEURALNETWORKS_NO_ERROR) {
        o->driver_ns = UINT64_MAX;
        o->untimed = true;
    }
}

bool begin_once(struct set_run* s, int which, struct outcome* o) {
    struct run* run = s->run;
    char error[ERROR_TEXT];
    *o = (struct outcome){.hardware_ns = UINT64_MAX, .driver_ns = UINT64_MAX};
    run->last_code = 0;
    if (!reset_outputs(s, which)) return false;
    if (s->has_region && !region_publish(&s->region, error, sizeof error))
        return bad_case(run, "%s", error);
    return s->execution != NULL || create_execution(s);
}

bool finish_once(struct set_run* s, int which, struct outcome* o, bool good) {
    struct run* run = s->run;
    char error[ERROR_TEXT];
    if (s->has_region && !region_fetch(&s->region, error, sizeof error))
        return bad_case(run, "%s", error);
    o->computed = true;
    for (uint32_t i = 0; i < s->set->output_count; i++) {
        struct io* io = &s->out[i];
        io->overrun = io->early;
        io->early = 0;
        if (good && io->device != NULL && !fetch_output(s, io, (int32_t)i)) return false;
        io->overrun += count_changed(io->alias, GUARD, which) +
                       count_changed(io->data + io->length, GUARD, which);
        /* Where a failure is expected, what the outputs say of it is judged too. */
        if (good || run->last_code == ANEURALNETWORKS_OUTPUT_INSUFFICIENT_SIZE ||
            run->c->expect == STAGE_EXECUTION)
            read_dimensions(s, io, (int32_t)i);
        else
            io->rank = -1, io->rank_code = 0;
    }
    for (uint32_t i = 0; i < s->set->input_count; i++) {
        const struct io* io = &s->in[i];
        o->modified_inputs += (io->offered > 0 &&
                               memcmp(io->data, io->argument->data, io->offered) != 0) ||
                              count_changed(io->alias, GUARD, 0) != 0;
    }
    if (good) read_durations(s, o);
    return good;
}

bool execute_once(struct set_run* s, int which, struct outcome* o) {
    if (!begin_once(s, which, o)) return false;
    uint64_t start = now_ns();
    bool good = compute(s);
    o->ns = now_ns() - start;
    if (!good && s->run->last_code == 0) return false; /* nothing was called */
    return finish_once(s, which, o, good);
}

/* What an execution says of an output that did not fit: its dimensions all the same. */
static bool told_dimensions(struct set_run* s, struct io* io) {
    struct run* run = s->run;
    read_dimensions(s, io, 0);
    if (!run->api->has[FN_ANeuralNetworksExecution_getOutputOperandDimensions]) return true;
    const struct argument* a = io->argument;
    if (io->rank < 0)
        return stop(run, FN_ANeuralNetworksExecution_getOutputOperandRank, io->rank_code);
    bool right = (uint32_t)io->rank == a->rank &&
                 memcmp(io->dims, a->dims, a->rank * sizeof *a->dims) == 0;
    return right || stop(run, FN_ANeuralNetworksExecution_getOutputOperandDimensions,
                         ANEURALNETWORKS_BAD_DATA);
}

bool execute_short(struct set_run* s) {
    static const enum function_id functions[PATHS] = {
            FN_ANeuralNetworksExecution_compute,
            FN_ANeuralNetworksExecution_startCompute,
            FN_ANeuralNetworksExecution_burstCompute,
            FN_ANeuralNetworksExecution_startComputeWithDependencies,
            FN_ANeuralNetworksExecution_compute,
    };
    struct run* run = s->run;
    struct io* io = &s->out[0];
    size_t whole = io->length;
    ANeuralNetworksExecution* kept = s->execution;
    struct outcome o;
    if (s->set->output_count == 0 || io->offered < 2) return true;
    s->execution = NULL;
    io->length = io->offered / 2;
    bool ready = begin_once(s, 0, &o);
    io->length = whole;
    fill(io->data, whole, 0);
    if (ready) {
        /* That it fails must not end the case. */
        struct run saved = *run;
        bool good = compute(s);
        int32_t code = run->last_code;
        ANeuralNetworksBurst* burst = run->burst;
        *run = saved;
        run->burst = burst;
        if (good || code != ANEURALNETWORKS_OUTPUT_INSUFFICIENT_SIZE)
            ready = stop(run, functions[run->c->path], good ? ANEURALNETWORKS_BAD_DATA : code);
        else
            ready = told_dimensions(s, io);
        for (size_t i = io->offered / 2; i < whole; i++)
            io->early += io->data[i] != patterns[0][i % PATTERN];
    }
    drop_execution(s);
    s->execution = kept;
    return ready;
}

void drop_execution(struct set_run* s) {
    if (s->execution != NULL) CALL(s->run, ANeuralNetworksExecution_free, s->execution);
    s->execution = NULL;
}

/* Looks with the other sentinel at outputs that seem to hold the first one. */
static void find_unwritten(struct set_run* s) {
    struct run* run = s->run;
    bool again = false;
    for (uint32_t i = 0; i < s->set->output_count; i++)
        again = suspicious(&s->out[i]) || again;
    if (!again) return;
    size_t* extents = arena_alloc(run->arena, s->set->output_count, sizeof *extents);
    if (extents == NULL) return;
    for (uint32_t i = 0; i < s->set->output_count; i++) extents[i] = extent(&s->out[i]);
    /* The probe must not change how the case ends. */
    struct run saved = *run;
    struct outcome o;
    if (run->c->path != PATH_REUSABLE) drop_execution(s);
    bool good = execute_once(s, 1, &o);
    ANeuralNetworksBurst* burst = run->burst;
    *run = saved;
    run->burst = burst;
    for (uint32_t i = 0; i < s->set->output_count; i++) {
        struct io* io = &s->out[i];
        io->unwritten = good ? 0 : -1;
        size_t count = extents[i] < extent(io) ? extents[i] : extent(io);
        for (size_t k = 0; good && k < count; k++)
            io->unwritten += io->first[k] == patterns[0][k % PATTERN] &&
                             io->data[k] == patterns[1][k % PATTERN];
    }
}

void put_execution(struct set_run* s, const struct outcome* o, bool first, const bool* same) {
    struct buffer* b = s->run->out;
    size_t field = field_open(b, FIELD_EXECUTION);
    put_u32(b, (uint32_t)o->code);
    put_u32(b, o->computed ? s->set->output_count : 0);
    put_u64(b, o->ns);
    put_u64(b, o->hardware_ns);
    put_u64(b, o->driver_ns);
    put_u32(b, o->modified_inputs);
    put_u32(b, (first ? EXECUTION_FIRST : 0) | (o->untimed ? EXECUTION_UNTIMED : 0));
    for (uint32_t i = 0; o->computed && i < s->set->output_count; i++) {
        const struct io* io = &s->out[i];
        bool data = o->code == ANEURALNETWORKS_NO_ERROR;
        put_u32(b, (uint32_t)io->rank);
        put_u32(b, (uint32_t)io->rank_code);
        put_u64(b, (uint64_t)(data ? io->unwritten : -1));
        put_u64(b, io->overrun);
        put_u64(b, !data ? 0 : same[i] ? UINT64_MAX : io->offered);
        if (io->rank > 0) put_bytes(b, io->dims, (size_t)io->rank * 4);
        if (data && !same[i]) put_bytes(b, first ? io->first : io->data, io->offered);
    }
    field_close(b, field);
}

bool keep_first(struct set_run* s) {
    for (uint32_t i = 0; i < s->set->output_count; i++) {
        struct io* io = &s->out[i];
        uint8_t* copy = arena_alloc(s->run->arena, io->offered, 1);
        if (copy == NULL) return bad_case(s->run, "out of memory for an output");
        if (io->offered > 0) memcpy(copy, io->data, io->offered);
        io->first = copy;
    }
    return true;
}

bool watch_first(struct set_run* s) {
    uint32_t outputs = s->set->output_count;
    struct io* told = arena_alloc(s->run->arena, (size_t)outputs + 1, sizeof *told);
    if (told == NULL) return bad_case(s->run, "out of memory");
    memcpy(told, s->out, outputs * sizeof *told);
    find_unwritten(s);
    for (uint32_t i = 0; i < outputs; i++) {
        told[i].unwritten = s->out[i].unwritten;
        s->out[i] = told[i];
    }
    return true;
}

bool next_set(struct set_run* s, const struct input_set* set) {
    struct run* run = s->run;
    s->set = set;
    for (uint32_t i = 0; i < set->input_count; i++) {
        struct io* io = &s->in[i];
        io->argument = &set->inputs[i];
        fill(io->alias, GUARD + io->length + GUARD, 0);
        if (io->offered > 0) memcpy(io->data, io->argument->data, io->offered);
        if (io->staging != NULL) TRY(run, ANeuralNetworksMemory_copy, io->staging, io->device);
    }
    for (uint32_t i = 0; i < set->output_count; i++) {
        s->out[i].argument = &set->outputs[i];
        s->out[i].unwritten = 0;
    }
    return true;
}

void free_set(struct set_run* s) {
    struct run* run = s->run;
    drop_execution(s);
    for (uint32_t i = 0; s->in != NULL && s->out != NULL &&
                         i < s->set->input_count + s->set->output_count; i++) {
        struct io* io = i < s->set->input_count ? &s->in[i] : &s->out[i - s->set->input_count];
        if (io->device != NULL) CALL(run, ANeuralNetworksMemory_free, io->device);
        if (io->staging != NULL) CALL(run, ANeuralNetworksMemory_free, io->staging);
    }
    if (s->memory != NULL) CALL(run, ANeuralNetworksMemory_free, s->memory);
    if (s->has_region) region_free(&s->region);
}
