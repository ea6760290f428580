/* The wire format between the kit and the runner; docs/wire-format.md describes it. */
#ifndef NNAPI_RUNNER_WIRE_H
#define NNAPI_RUNNER_WIRE_H

#include "buffer.h"
#include "wire_codes.h"

struct operand {
    int32_t type;
    uint8_t lifetime;
    bool channel_quant;
    uint32_t rank;
    const uint32_t* dims;
    float scale;
    int32_t zero_point;
    int32_t subgraph;
    uint32_t channel_dim;
    uint32_t channel_count;
    const float* channel_scales;
    const uint8_t* value;
    uint32_t value_length;
};

struct operation {
    int32_t code;
    uint32_t input_count;
    uint32_t output_count;
    const uint32_t* inputs;
    const uint32_t* outputs;
};

struct graph {
    uint32_t operand_count;
    uint32_t operation_count;
    uint32_t input_count;
    uint32_t output_count;
    struct operand* operands;
    struct operation* operations;
    const uint32_t* inputs;
    const uint32_t* outputs;
};

struct argument {
    bool omitted;
    uint32_t rank;
    const uint32_t* dims;
    const uint8_t* data; /* inputs only */
    uint64_t length;
};

struct input_set {
    bool set_output_dims;
    uint32_t input_count;
    uint32_t output_count;
    struct argument* inputs;
    struct argument* outputs;
};

/* What is asked of the driver's service: -1 and 0 ask for nothing. */
struct quality {
    int32_t preference;
    int32_t priority;
    uint64_t compile_timeout_ns;
    uint64_t execute_timeout_ns;
};

/* What few cases ask for. */
struct extra {
    uint32_t executions; /* so often again, while what the process holds is counted */
    uint32_t lives;      /* the same of model, compilation and executions */
    uint32_t padding;    /* so many paddings more than the preferred one */
    uint32_t flags;
};

struct wire_case {
    uint32_t index;
    uint8_t path;
    uint8_t memory;
    uint8_t expect;
    uint8_t flags;
    uint32_t repetitions;
    uint32_t deadline_ms;
    uint64_t loop_timeout_ns;
    const uint8_t* token; /* 32 bytes, or NULL */
    struct quality quality;
    struct extra extra;
    uint32_t graph_count; /* the last one is the main graph */
    struct graph* graphs;
    uint32_t set_count;
    struct input_set* sets;
};

struct wire_batch {
    uint32_t id;
    uint32_t count;
    uint32_t flags;
    uint32_t memory_limit_mb;
    char device[256];
};

struct frame {
    uint16_t kind;
    const uint8_t* payload;
    size_t length;
    size_t total; /* header included */
};

enum { ERROR_TEXT = 256 };

uint32_t wire_crc(uint32_t crc, const void* bytes, size_t count);

/* Looks for one frame at the start of `bytes`: 1 and `out` when it is complete and sound, 0 when
 * more bytes are needed, -1 and `error` when it is damaged. `check` verifies the checksum. */
int frame_parse(const uint8_t* bytes, size_t count, bool check, struct frame* out, char* error);

/* Opens a frame in `b` and returns its position for frame_close, which fills in length and sum. */
size_t frame_open(struct buffer* b, uint16_t kind);
void frame_close(struct buffer* b, size_t position);

/* The same for a field. */
size_t field_open(struct buffer* b, uint16_t tag);
void field_close(struct buffer* b, size_t position);
void put_field(struct buffer* b, uint16_t tag, const void* bytes, size_t count);

/* The next field of a payload; false at its end, or when damaged (then `r->ok` is false). */
bool next_field(struct reader* r, uint16_t* tag, struct reader* field);

/* Parse whole payloads. False fills `error`. Results point into `payload` or `arena`. */
bool parse_batch(const uint8_t* payload, size_t length, struct wire_batch* out, char* error);
bool parse_case_head(const uint8_t* payload, size_t length, struct wire_case* out, char* error);
bool parse_case(const uint8_t* payload, size_t length, struct arena* arena, struct wire_case* out,
                char* error);

#endif
