/* The wire format between the kit and the runner; docs/wire-format.md describes it. */
#ifndef NNAPI_RUNNER_WIRE_H
#define NNAPI_RUNNER_WIRE_H

#include "buffer.h"

enum {
    WIRE_VERSION = 1,
    WIRE_MAGIC = 0x4b544e4e, /* "NNTK" */
    FRAME_HEADER = 16,
    FIELD_HEADER = 8,
    MAX_FRAME = 1 << 30,
    MAX_CASES = 1 << 20,
    MAX_REPETITIONS = 10000,
    CASE_HEAD_SIZE = 24,
    RESULT_HEAD_SIZE = 24,
};
/* What one case's outputs may take together, repetitions included. */
#ifndef MAX_OUTPUT_BYTES
#define MAX_OUTPUT_BYTES ((uint64_t)1 << 29)
#endif

enum frame_kind {
    FRAME_BATCH = 1,
    FRAME_CASE = 2,
    FRAME_HELLO = 16,
    FRAME_LIBRARY = 17,
    FRAME_RESULT = 18,
    FRAME_END = 19,
    FRAME_BYE = 20,
    FRAME_ERROR = 21,
    FRAME_KEPT = 22,
};

enum field_tag {
    FIELD_BATCH_HEAD = 1,
    FIELD_BATCH_DEVICE = 2,
    FIELD_CASE_HEAD = 10,
    FIELD_TOKEN = 11,
    FIELD_GRAPH = 12,
    FIELD_SET = 13,
    FIELD_RESULT_HEAD = 30,
    FIELD_DEVICE = 31,
    FIELD_FUNCTION = 32,
    FIELD_EXECUTION = 33,
    FIELD_TEXT = 34,
    FIELD_HELLO_HEAD = 40,
    FIELD_LIBRARY_HEAD = 50,
    FIELD_LIBRARY_PATH = 51,
    FIELD_MISSING = 52,
    FIELD_DEVICE_INFO = 53,
    FIELD_HARDWARE_BUFFERS = 54,
    FIELD_END_HEAD = 60,
    FIELD_BYE_HEAD = 70,
    FIELD_ERROR_HEAD = 80,
    FIELD_KEPT_HEAD = 90,
};

enum { CASE_RELAXED = 1, CASE_PADDING = 2, CASE_MEASURE = 4 };
enum { BATCH_ISOLATE = 1 };

/* Numbers of nnapi_testkit.model.case: Path, MemoryKind, Stage, Ending; of model.types: Lifetime. */
enum path { PATH_COMPUTE, PATH_START_WAIT, PATH_BURST, PATH_FENCED, PATH_REUSABLE, PATHS };
enum memory_kind {
    MEMORY_POINTER,
    MEMORY_SHARED,
    MEMORY_DEVICE,
    MEMORY_HARDWARE_BUFFER,
    MEMORY_DYNAMIC,
    MEMORIES
};
enum stage {
    STAGE_LOAD,
    STAGE_DEVICE,
    STAGE_MODEL,
    STAGE_SUPPORT,
    STAGE_COMPILATION,
    STAGE_EXECUTION,
    STAGE_DONE,
    STAGES
};
enum ending {
    ENDING_COMPLETED,
    ENDING_STOPPED,
    ENDING_UNSUPPORTED,
    ENDING_CRASHED,
    ENDING_TIMED_OUT,
    ENDING_OUT_OF_MEMORY,
    ENDING_EXITED,
    ENDING_BAD_CASE,
};
enum lifetime { LIFE_TEMPORARY, LIFE_INPUT, LIFE_OUTPUT, LIFE_CONSTANT, LIFE_OMITTED, LIFE_SUBGRAPH };
enum error_kind { ERROR_INPUT = 1, ERROR_LIBRARY = 2, ERROR_DEVICE = 3, ERROR_SYSTEM = 4 };

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
