/* One input set at work: its buffers and memories, its execution, and what that left. */
#ifndef NNAPI_RUNNER_SET_RUN_H
#define NNAPI_RUNNER_SET_RUN_H

#include "memory.h"
#include "run.h"

enum { MAX_REPORTED_RANK = 64 };

/* One input or output of a set. */
struct io {
    const struct argument* argument;
    const struct operand* operand;
    uint8_t* data;    /* the offered bytes, with a guard on either side */
    uint8_t* alias;   /* where the guards begin */
    size_t offered;   /* bytes of the argument */
    size_t length;    /* bytes told to NNAPI: offered and the padding */
    size_t alignment; /* a power of two */
    size_t offset;    /* of data in the region */
    size_t skew;      /* how far behind a multiple of the alignment the data begin */
    ANeuralNetworksMemory* staging; /* device memory: the host's side */
    ANeuralNetworksMemory* device;
    bool dynamic; /* device memory without some of its dimensions */
    /* What the current execution left, outputs only. */
    int32_t rank; /* -1: not reported */
    int32_t rank_code;
    uint32_t dims[MAX_REPORTED_RANK];
    uint64_t overrun;
    uint64_t early; /* the same of an execution in which the output did not fit */
    /* What the first repetition left. */
    const uint8_t* first;
    int64_t unwritten;
};

struct set_run {
    struct run* run;
    const struct input_set* set;
    const struct graph* graph;
    struct io* in;
    struct io* out;
    struct region region;
    bool has_region;
    ANeuralNetworksMemory* memory;
    ANeuralNetworksExecution* execution;
    const struct set_run* before; /* whose first output is the first input, or NULL */
    bool good; /* the last execution succeeded */
};

struct outcome {
    int32_t code;
    bool computed; /* reached the driver: dimensions and buffers mean something */
    uint64_t ns;
    uint64_t hardware_ns;
    uint64_t driver_ns;
    bool untimed; /* asking for a duration failed */
    uint32_t modified_inputs;
};

/* Gives every argument its memory and inputs their values. */
bool prepare_memory(struct set_run* s);
/* NNAPI's memory objects, where the case asks for them. */
bool make_memories(struct set_run* s);
/* Everything before a computation; `which` sentinel fills the outputs. */
bool begin_once(struct set_run* s, int which, struct outcome* o);
/* Looks at what a computation left; `good` is whether it succeeded, as is the result. */
bool finish_once(struct set_run* s, int which, struct outcome* o, bool good);
/* An execution of which the first output gets too few bytes: it has to fail for that, say how many it
 * takes, and touch nothing behind. Returns false where it does not. */
bool execute_short(struct set_run* s);
/* One execution, from its arguments to what it left. */
bool execute_once(struct set_run* s, int which, struct outcome* o);
void drop_execution(struct set_run* s);
/* Another set in the same buffers, memories and, where it is reusable, the same execution: what a
 * driver remembers of the last data shows. */
bool next_set(struct set_run* s, const struct input_set* set);
/* Keeps what the first repetition left, to compare the others with. */
bool keep_first(struct set_run* s);
/* Finds what the first repetition left unwritten; the probe overwrites what the outputs say of it. */
bool watch_first(struct set_run* s);
/* One EXECUTION field; `o->computed` decides whether there is anything to tell of outputs. */
void put_execution(struct set_run* s, const struct outcome* o, bool first, const bool* same);
void free_set(struct set_run* s);

#endif
