/* The wire format's numbers. Generated from wire.json by tools/generate_codes.py; do not edit. */
#ifndef NNAPI_TESTKIT_WIRE_CODES_H
#define NNAPI_TESTKIT_WIRE_CODES_H

enum {
    WIRE_VERSION = 1,
    WIRE_MAGIC = 0x4b544e4e, /* "NNTK" */
};

/* Bytes of a frame's payload. */
#ifndef MAX_FRAME
#define MAX_FRAME 1073741824u
#endif
/* Cases of a batch. */
#ifndef MAX_CASES
#define MAX_CASES 1048576u
#endif
/* Executions of a set. */
#ifndef MAX_REPETITIONS
#define MAX_REPETITIONS 10000u
#endif
/* Paddings more than the preferred one. */
#ifndef MAX_PADDINGS
#define MAX_PADDINGS 64u
#endif
/* What the outputs of a case may take, repetitions included. */
#ifndef MAX_OUTPUT_BYTES
#define MAX_OUTPUT_BYTES 536870912u
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
    FIELD_QUALITY = 14,
    FIELD_EXTRA = 15,
    FIELD_RESULT_HEAD = 30,
    FIELD_DEVICE = 31,
    FIELD_FUNCTION = 32,
    FIELD_EXECUTION = 33,
    FIELD_TEXT = 34,
    FIELD_SUPPORT = 35,
    FIELD_PEAK = 36,
    FIELD_RESOURCES = 37,
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

enum path {
    PATH_COMPUTE = 0,
    PATH_START_WAIT = 1,
    PATH_BURST = 2,
    PATH_FENCED = 3,
    PATH_REUSABLE = 4,
    PATHS
};

enum memory_kind {
    MEMORY_POINTER = 0,
    MEMORY_SHARED = 1,
    MEMORY_DEVICE = 2,
    MEMORY_AHARDWARE_BUFFER = 3,
    MEMORY_DYNAMIC = 4,
    MEMORIES
};

enum stage {
    STAGE_LOAD = 0,
    STAGE_DEVICE = 1,
    STAGE_MODEL = 2,
    STAGE_SUPPORT = 3,
    STAGE_COMPILATION = 4,
    STAGE_EXECUTION = 5,
    STAGE_DONE = 6,
    STAGES
};

enum ending {
    ENDING_COMPLETED = 0,
    ENDING_STOPPED = 1,
    ENDING_UNSUPPORTED = 2,
    ENDING_CRASHED = 3,
    ENDING_TIMED_OUT = 4,
    ENDING_OUT_OF_MEMORY = 5,
    ENDING_EXITED = 6,
    ENDING_BAD_CASE = 7,
};

enum lifetime {
    LIFE_TEMPORARY = 0,
    LIFE_INPUT = 1,
    LIFE_OUTPUT = 2,
    LIFE_CONSTANT = 3,
    LIFE_OMITTED = 4,
    LIFE_SUBGRAPH = 5,
};

enum error_kind {
    ERROR_INPUT = 1,
    ERROR_LIBRARY = 2,
    ERROR_DEVICE = 3,
    ERROR_SYSTEM = 4,
    ERROR_UNLOADABLE = 5,
    ERROR_FOREIGN = 6,
    ERROR_LISTING = 7,
};

enum {
    BATCH_ISOLATE = 1,
};

enum {
    CASE_RELAXED = 1,
    CASE_PADDING = 2,
    CASE_MEASURE = 4,
};

enum {
    EXTRA_ORPHAN = 1,
    EXTRA_TOGETHER = 2,
    EXTRA_DEVICES = 4,
    EXTRA_FOLDER_MISSING = 8,
    EXTRA_FOLDER_SEALED = 16,
    EXTRA_NO_TIMEOUT = 32,
    EXTRA_CHAINED = 64,
    EXTRA_SHORT = 128,
    EXTRA_ONE_BUFFER = 256,
    EXTRA_COMPILED_TWICE = 512,
    EXTRA_READ_ONLY = 1024,
    EXTRA_CUT_CACHE = 2048,
    EXTRA_PACKED = 4096,
    EXTRA_MORE_ROLES = 8192,
    EXTRA_UNALIGNED = 16384,
};

enum {
    OPERAND_CHANNEL_QUANT = 1,
};

enum {
    SET_OUTPUT_DIMS = 1,
};

enum {
    ARGUMENT_OMITTED = 1,
};

enum {
    EXECUTION_FIRST = 1,
    EXECUTION_UNTIMED = 2,
};

enum {
    FRAME_SIZE = 16,
    FIELD_SIZE = 8,
    BATCH_HEAD_SIZE = 16,
    CASE_HEAD_SIZE = 24,
    QUALITY_SIZE = 24,
    EXTRA_SIZE = 16,
    GRAPH_SIZE = 16,
    OPERAND_SIZE = 24,
    OPERATION_SIZE = 12,
    SET_SIZE = 12,
    ARGUMENT_SIZE = 12,
    RESULT_HEAD_SIZE = 24,
    EXECUTION_SIZE = 40,
    OUTPUT_SIZE = 32,
    PEAK_SIZE = 8,
    RESOURCES_SIZE = 48,
    HELLO_HEAD_SIZE = 16,
    LIBRARY_HEAD_SIZE = 8,
    DEVICE_INFO_SIZE = 20,
    END_HEAD_SIZE = 16,
    BYE_HEAD_SIZE = 8,
    ERROR_HEAD_SIZE = 4,
    KEPT_HEAD_SIZE = 8,
};

#endif
