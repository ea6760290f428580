#include "wire.h"

/* zlib's CRC-32, eight bytes at a time. */
static uint32_t crc_table[8][256];

static void crc_prepare(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = (c & 1) ? 0xedb88320u ^ (c >> 1) : c >> 1;
        crc_table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            crc_table[k][i] =
                    (crc_table[k - 1][i] >> 8) ^ crc_table[0][crc_table[k - 1][i] & 0xff];
}

uint32_t wire_crc(uint32_t crc, const void* bytes, size_t count) {
    if (crc_table[0][1] == 0) crc_prepare();
    const uint8_t* p = bytes;
    uint32_t c = ~crc;
    for (; count >= 8; count -= 8, p += 8) {
        uint32_t lo, hi;
        memcpy(&lo, p, 4);
        memcpy(&hi, p + 4, 4);
        lo ^= c;
        c = crc_table[7][lo & 0xff] ^ crc_table[6][(lo >> 8) & 0xff] ^
            crc_table[5][(lo >> 16) & 0xff] ^ crc_table[4][lo >> 24] ^ crc_table[3][hi & 0xff] ^
            crc_table[2][(hi >> 8) & 0xff] ^ crc_table[1][(hi >> 16) & 0xff] ^
            crc_table[0][hi >> 24];
    }
    for (; count > 0; count--, p++) c = crc_table[0][(c ^ *p) & 0xff] ^ (c >> 8);
    return ~c;
}

static bool complain(char* error, const char* format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(error, ERROR_TEXT, format, list);
    va_end(list);
    return false;
}

int frame_parse(const uint8_t* bytes, size_t count, bool check, struct frame* out, char* error) {
    if (count < FRAME_SIZE) return 0;
    struct reader r = {bytes, FRAME_SIZE, true};
    uint32_t magic = take_u32(&r);
    uint16_t version = take_u16(&r);
    uint16_t kind = take_u16(&r);
    uint32_t length = take_u32(&r);
    uint32_t sum = take_u32(&r);
    if (magic != WIRE_MAGIC) {
        complain(error, "not a frame: it begins with 0x%08x, not 0x%08x", (unsigned)magic,
                 (unsigned)WIRE_MAGIC);
        return -1;
    }
    if (version != WIRE_VERSION) {
        complain(error, "wire format version %u, this runner speaks version %d: use the runner "
                 "and the kit of one release", version, WIRE_VERSION);
        return -1;
    }
    if (length > MAX_FRAME) {
        complain(error, "a frame of %u bytes, at most %d are allowed", (unsigned)length, MAX_FRAME);
        return -1;
    }
    if (count - FRAME_SIZE < length) return 0;
    if (check) {
        uint32_t actual = wire_crc(wire_crc(0, bytes + 4, 8), bytes + FRAME_SIZE, length);
        if (actual != sum) {
            complain(error, "a damaged frame: checksum 0x%08x instead of 0x%08x",
                     (unsigned)actual, (unsigned)sum);
            return -1;
        }
    }
    out->kind = kind;
    out->payload = bytes + FRAME_SIZE;
    out->length = length;
    out->total = FRAME_SIZE + (size_t)length;
    return 1;
}

size_t frame_open(struct buffer* b, uint16_t kind) {
    /* Relative to begin: growing the buffer moves its contents to the front. */
    size_t position = buffer_size(b);
    put_u32(b, WIRE_MAGIC);
    put_u16(b, WIRE_VERSION);
    put_u16(b, kind);
    put_u64(b, 0);
    return position;
}

void frame_close(struct buffer* b, size_t position) {
    if (b->failed) return;
    uint8_t* frame = buffer_front(b) + position;
    uint32_t length = (uint32_t)(buffer_size(b) - position - FRAME_SIZE);
    memcpy(frame + 8, &length, 4);
    uint32_t sum = wire_crc(wire_crc(0, frame + 4, 8), frame + FRAME_SIZE, length);
    memcpy(frame + 12, &sum, 4);
}

size_t field_open(struct buffer* b, uint16_t tag) {
    size_t position = buffer_size(b);
    put_u16(b, tag);
    put_u16(b, 0);
    put_u32(b, 0);
    return position;
}

void field_close(struct buffer* b, size_t position) {
    if (b->failed) return;
    uint32_t length = (uint32_t)(buffer_size(b) - position - FIELD_SIZE);
    memcpy(buffer_front(b) + position + 4, &length, 4);
}

void put_field(struct buffer* b, uint16_t tag, const void* bytes, size_t count) {
    size_t position = field_open(b, tag);
    put_bytes(b, bytes, count);
    field_close(b, position);
}

bool next_field(struct reader* r, uint16_t* tag, struct reader* field) {
    if (!r->ok || r->left == 0) return false;
    *tag = take_u16(r);
    uint16_t zero = take_u16(r);
    uint32_t length = take_u32(r);
    const uint8_t* data = take(r, length);
    if (zero != 0) r->ok = false;
    if (!r->ok) return false;
    *field = (struct reader){data, length, true};
    return true;
}

bool parse_batch(const uint8_t* payload, size_t length, struct wire_batch* out, char* error) {
    struct reader r = {payload, length, true}, f;
    uint16_t tag;
    bool head = false, device = false;
    memset(out, 0, sizeof *out);
    while (next_field(&r, &tag, &f)) {
        if (tag == FIELD_BATCH_HEAD && !head) {
            head = true;
            out->id = take_u32(&f);
            out->count = take_u32(&f);
            out->flags = take_u32(&f);
            out->memory_limit_mb = take_u32(&f);
            if (!f.ok || f.left != 0) return complain(error, "a batch head of a wrong size");
            if (out->count > MAX_CASES)
                return complain(error, "a batch of %u cases, at most %d are allowed",
                                (unsigned)out->count, MAX_CASES);
            if (out->flags & ~(uint32_t)BATCH_ISOLATE)
                return complain(error, "unknown batch flags 0x%x", (unsigned)out->flags);
        } else if (tag == FIELD_BATCH_DEVICE && !device) {
            device = true;
            if (f.left >= sizeof out->device || memchr(f.at, 0, f.left) != NULL)
                return complain(error, "a device name of %zu bytes in a batch", f.left);
            memcpy(out->device, f.at, f.left);
        } else {
            return complain(error, "unknown or repeated field %u in a batch", tag);
        }
    }
    if (!r.ok) return complain(error, "a batch frame whose fields do not fit");
    if (!head) return complain(error, "a batch frame without its head");
    return true;
}

static bool read_case_head(struct reader* f, struct wire_case* c, char* error) {
    c->index = take_u32(f);
    c->path = take_u8(f);
    c->memory = take_u8(f);
    c->expect = take_u8(f);
    c->flags = take_u8(f);
    c->repetitions = take_u32(f);
    c->deadline_ms = take_u32(f);
    c->loop_timeout_ns = take_u64(f);
    if (!f->ok || f->left != 0) return complain(error, "a case head of a wrong size");
    if (c->path >= PATHS) return complain(error, "unknown execution path %u", c->path);
    if (c->memory >= MEMORIES) return complain(error, "unknown memory kind %u", c->memory);
    if (c->expect >= STAGES) return complain(error, "unknown expected stage %u", c->expect);
    if (c->flags & ~(CASE_RELAXED | CASE_PADDING | CASE_MEASURE))
        return complain(error, "unknown case flags 0x%x", c->flags);
    if (c->repetitions < 1 || c->repetitions > MAX_REPETITIONS)
        return complain(error, "%u repetitions, 1 to %d are allowed", (unsigned)c->repetitions,
                        MAX_REPETITIONS);
    if (c->deadline_ms < 1) return complain(error, "a deadline of 0 ms");
    return true;
}

bool parse_case_head(const uint8_t* payload, size_t length, struct wire_case* out, char* error) {
    struct reader r = {payload, length, true}, f;
    uint16_t tag;
    memset(out, 0, sizeof *out);
    out->quality.preference = out->quality.priority = -1;
    if (!next_field(&r, &tag, &f) || tag != FIELD_CASE_HEAD)
        return complain(error, "a case that does not begin with its head");
    return read_case_head(&f, out, error);
}

/* `count` 32-bit words, copied so that they are aligned; NULL when they do not fit. */
static const void* take_words(struct reader* r, uint32_t count, struct arena* arena) {
    if (r->left / 4 < count) r->ok = false;
    const uint8_t* from = r->ok ? take(r, (size_t)count * 4) : NULL;
    if (from == NULL) return NULL;
    static const uint32_t nothing[1] = {0};
    if (count == 0) return nothing;
    void* words = arena_alloc(arena, count, 4);
    if (words == NULL) {
        r->ok = false;
        return NULL;
    }
    memcpy(words, from, (size_t)count * 4);
    return words;
}

/* Room for `count` records of at least `wire_size` bytes each on the wire: never more memory than
 * the bytes that are there justify. */
static void* take_room(struct reader* r, uint32_t count, size_t wire_size, size_t size,
                       struct arena* arena) {
    if (!r->ok || r->left / wire_size < count) {
        r->ok = false;
        return NULL;
    }
    void* room = arena_alloc(arena, count, size);
    if (room == NULL) {
        r->ok = false;
        return NULL;
    }
    memset(room, 0, (size_t)count * size);
    return room;
}

static bool read_operand(struct reader* r, struct operand* o, struct arena* arena, char* error) {
    o->type = (int32_t)take_u32(r);
    o->lifetime = take_u8(r);
    uint8_t flags = take_u8(r);
    o->rank = take_u16(r);
    o->scale = take_f32(r);
    o->zero_point = (int32_t)take_u32(r);
    o->subgraph = (int32_t)take_u32(r);
    o->value_length = take_u32(r);
    if (r->ok && o->lifetime > LIFE_SUBGRAPH)
        return complain(error, "unknown lifetime %u of an operand", o->lifetime);
    if (r->ok && flags > 1) return complain(error, "unknown operand flags 0x%x", flags);
    o->channel_quant = flags & OPERAND_CHANNEL_QUANT;
    o->dims = take_words(r, o->rank, arena);
    if (o->channel_quant) {
        o->channel_dim = take_u32(r);
        o->channel_count = take_u32(r);
        o->channel_scales = take_words(r, o->channel_count, arena);
    }
    o->value = take(r, o->value_length);
    return r->ok || complain(error, "an operand that does not fit");
}

static bool read_graph(struct reader* r, struct graph* g, struct arena* arena, char* error) {
    g->operand_count = take_u32(r);
    g->operation_count = take_u32(r);
    g->input_count = take_u32(r);
    g->output_count = take_u32(r);
    g->operands = take_room(r, g->operand_count, 24, sizeof *g->operands, arena);
    for (uint32_t i = 0; r->ok && i < g->operand_count; i++)
        if (!read_operand(r, &g->operands[i], arena, error)) return false;
    g->operations = take_room(r, g->operation_count, 12, sizeof *g->operations, arena);
    for (uint32_t i = 0; r->ok && i < g->operation_count; i++) {
        struct operation* o = &g->operations[i];
        o->code = (int32_t)take_u32(r);
        o->input_count = take_u32(r);
        o->output_count = take_u32(r);
        o->inputs = take_words(r, o->input_count, arena);
        o->outputs = take_words(r, o->output_count, arena);
    }
    g->inputs = take_words(r, g->input_count, arena);
    g->outputs = take_words(r, g->output_count, arena);
    if (!r->ok) return complain(error, "a graph whose parts do not fit");
    if (r->left != 0) return complain(error, "%zu bytes too many in a graph", r->left);
    return true;
}

static void read_argument(struct reader* r, struct argument* a, bool input, struct arena* arena,
                          uint8_t* flags) {
    *flags = take_u8(r);
    a->omitted = *flags & ARGUMENT_OMITTED;
    a->rank = take_u8(r);
    if (take_u16(r) != 0) r->ok = false;
    a->length = take_u64(r);
    a->dims = take_words(r, a->rank, arena);
    if (!input) return;
    if (a->length > r->left) r->ok = false;
    a->data = take(r, r->ok ? (size_t)a->length : 0);
}

static bool read_set(struct reader* r, struct input_set* s, struct arena* arena, char* error) {
    uint32_t flags = take_u32(r);
    if (r->ok && flags > 1)
        return complain(error, "unknown flags 0x%x of an input set", (unsigned)flags);
    s->set_output_dims = flags & SET_OUTPUT_DIMS;
    s->input_count = take_u32(r);
    s->output_count = take_u32(r);
    s->inputs = take_room(r, s->input_count, 12, sizeof *s->inputs, arena);
    uint8_t bits = 0, seen = 0;
    for (uint32_t i = 0; r->ok && i < s->input_count; i++) {
        read_argument(r, &s->inputs[i], true, arena, &bits);
        seen |= bits;
    }
    s->outputs = take_room(r, s->output_count, 12, sizeof *s->outputs, arena);
    for (uint32_t i = 0; r->ok && i < s->output_count; i++) {
        read_argument(r, &s->outputs[i], false, arena, &bits);
        seen |= bits;
    }
    if (!r->ok) return complain(error, "an input set whose parts do not fit");
    if (seen > 1) return complain(error, "unknown flags 0x%x of an argument", seen);
    if (r->left != 0) return complain(error, "%zu bytes too many in an input set", r->left);
    return true;
}

/* What the documentation of the format demands between the parts. */
static bool check_case(const struct wire_case* c, char* error) {
    const struct graph* main = &c->graphs[c->graph_count - 1];
    uint64_t total = 0;
    for (uint32_t i = 0; i < c->graph_count; i++) {
        const struct graph* g = &c->graphs[i];
        for (uint32_t k = 0; k < g->operand_count; k++) {
            const struct operand* o = &g->operands[k];
            if (o->lifetime == LIFE_SUBGRAPH &&
                (o->subgraph < 0 || (uint32_t)o->subgraph >= i))
                return complain(error, "operand %u of graph %u refers to graph %d: only earlier "
                                "ones exist", (unsigned)k, (unsigned)i, o->subgraph);
        }
    }
    for (uint32_t i = 0; i < c->set_count; i++) {
        const struct input_set* s = &c->sets[i];
        if (s->input_count != main->input_count || s->output_count != main->output_count)
            return complain(error, "input set %u has %u inputs and %u outputs, the model %u and %u",
                            (unsigned)i, (unsigned)s->input_count, (unsigned)s->output_count,
                            (unsigned)main->input_count, (unsigned)main->output_count);
        for (uint32_t k = 0; k < s->input_count; k++)
            if (main->inputs[k] >= main->operand_count)
                return complain(error, "input %u is operand %u of %u", (unsigned)k,
                                (unsigned)main->inputs[k], (unsigned)main->operand_count);
        for (uint32_t k = 0; k < s->output_count; k++) {
            if (main->outputs[k] >= main->operand_count)
                return complain(error, "output %u is operand %u of %u", (unsigned)k,
                                (unsigned)main->outputs[k], (unsigned)main->operand_count);
            if (s->outputs[k].length > MAX_OUTPUT_BYTES) total = MAX_OUTPUT_BYTES + 1;
            if (total <= MAX_OUTPUT_BYTES) total += s->outputs[k].length * c->repetitions;
        }
    }
    if (total > MAX_OUTPUT_BYTES)
        return complain(error, "outputs of more than %llu bytes in one case",
                        (unsigned long long)MAX_OUTPUT_BYTES);
    return true;
}

static void read_quality(struct reader* r, struct quality* q) {
    q->preference = (int32_t)take_u32(r);
    q->priority = (int32_t)take_u32(r);
    q->compile_timeout_ns = take_u64(r);
    q->execute_timeout_ns = take_u64(r);
}

static bool read_extra(struct reader* r, struct extra* e, char* error) {
    e->executions = take_u32(r);
    e->lives = take_u32(r);
    e->padding = take_u32(r);
    e->flags = take_u32(r);
    if (e->flags > (EXTRA_UNALIGNED << 1) - 1)
        return complain(error, "unknown flags 0x%x of what is extra", (unsigned)e->flags);
    if (e->executions > MAX_REPETITIONS || e->lives > MAX_REPETITIONS || e->padding > MAX_PADDINGS)
        return complain(error, "%u executions, %u lives and %u paddings more: too many",
                        (unsigned)e->executions, (unsigned)e->lives, (unsigned)e->padding);
    return true;
}

/* Room for the graphs and sets of a case, counted beforehand. */
static bool make_room(const uint8_t* payload, size_t length, struct arena* arena,
                      struct wire_case* out, char* error) {
    struct reader r = {payload, length, true}, f;
    uint16_t tag;
    uint32_t graphs = 0, sets = 0;
    while (next_field(&r, &tag, &f)) {
        graphs += tag == FIELD_GRAPH;
        sets += tag == FIELD_SET;
    }
    if (!r.ok) return complain(error, "a case whose fields do not fit");
    if (graphs == 0) return complain(error, "a case without a graph");
    /* Each counted field took at least its header from the payload, so this stays in proportion. */
    out->graphs = arena_alloc(arena, graphs, sizeof *out->graphs);
    out->sets = arena_alloc(arena, sets, sizeof *out->sets);
    if (out->graphs == NULL || out->sets == NULL) return complain(error, "out of memory");
    memset(out->graphs, 0, graphs * sizeof *out->graphs);
    memset(out->sets, 0, sets * sizeof *out->sets);
    return true;
}

/* The fields that a case has once at most. */
struct seen {
    bool quality, extra;
};

static bool read_field(uint16_t tag, struct reader* f, struct seen* seen, struct arena* arena,
                       struct wire_case* out, char* error) {
    if (tag == FIELD_GRAPH) return read_graph(f, &out->graphs[out->graph_count++], arena, error);
    if (tag == FIELD_SET) return read_set(f, &out->sets[out->set_count++], arena, error);
    if (tag == FIELD_TOKEN && out->token == NULL && f->left == 32) {
        out->token = f->at;
        return true;
    }
    if (tag == FIELD_QUALITY && !seen->quality && f->left == QUALITY_SIZE) {
        seen->quality = true;
        read_quality(f, &out->quality);
        return true;
    }
    if (tag == FIELD_EXTRA && !seen->extra && f->left == EXTRA_SIZE) {
        seen->extra = true;
        return read_extra(f, &out->extra, error);
    }
    return complain(error, "unknown, repeated or wrong field %u in a case", tag);
}

bool parse_case(const uint8_t* payload, size_t length, struct arena* arena, struct wire_case* out,
                char* error) {
    if (!parse_case_head(payload, length, out, error) ||
        !make_room(payload, length, arena, out, error))
        return false;
    struct reader r = {payload, length, true}, f;
    uint16_t tag;
    struct seen seen = {0};
    next_field(&r, &tag, &f); /* the head */
    while (next_field(&r, &tag, &f))
        if (!read_field(tag, &f, &seen, arena, out, error)) return false;
    return check_case(out, error);
}
