/* A small NNAPI driver for the runner's tests: it adds float32 tensors and misbehaves on request.
 *
 * Operation code 0 is ADD. A code of 9000 or more is an ADD with a fault; codes below 9100 name
 * the fault and the function it happens in:
 *
 *     9000 + 10 * fault + place
 *
 * fault: 0 SIGSEGV, 1 abort, 2 hang, 3 take memory without end, 4 exit(3), 5 print a lot and go on,
 *        6 return OP_FAILED, 7 kill itself after forking a child that keeps all descriptors
 * place: 0 Model_finish, 1 getSupportedOperations, 2 Compilation_finish, 3 setInput, 4 compute,
 *        5 getOutputOperandRank, 6 Model_free
 *
 * 9100 writes nothing, 9101 only the first half, 9102 eight bytes past the end, 9103 other bits
 * each time, 9104 into its input, 9105 into every open descriptor, 9106 is not supported,
 * 9107 reports an absurd rank, 9108 needs more room than it gets, 9109 eight bytes before the
 * start, 9110 crashes in an exit handler, 9111 crashes in a worker that has run another case,
 * 9112 does what HOSTILE names (hostile.c),
 * 9113 knows its inputs by their addresses and repeats the last result when both come again,
 * 9114 repeats the first result of each execution,
 * 9120 fails when it is asked for a duration, 9121 takes longer on hardware than in the driver.
 *
 * Compiled with TOY_LEVEL=1 it lacks what came after feature level 1, with TOY_LEVEL=5 it has
 * reusable executions, with TOY_WITHOUT_WAIT it lacks a function that every NNAPI library must have.
 *
 * TOY_ON_LOAD=crash|hang|exit|print acts while the library is loaded, TOY_ON_LIST=abort|hang while
 * devices are counted, as a runtime without its services does; TOY_DEVICES=N lists N devices.
 * TOY_EXECUTIONS names a file that each execution adds a line to: the first number of its input.
 * TOY_SLOW=MS takes as long for each. Like binder, it aborts when a process uses it after its parent did.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"
#include "nnapi.h"

#ifndef TOY_LEVEL
#define TOY_LEVEL 3
#endif

enum { MAX = 64 };
enum place { FINISH, SUPPORT, COMPILE, SET_INPUT, COMPUTE, RANK, FREE };
enum fault { SEGV, ABORT, HANG, BALLOON, EXIT, PRINT, REFUSE, FORK };

struct ANeuralNetworksModel {
    ANeuralNetworksOperandType types[MAX];
    uint32_t dims[MAX][8];
    const void* values[MAX];
    char copies[MAX][128];
    uint32_t operands;
    int32_t code;
    uint32_t operations;
    uint32_t arguments[MAX][4];
    uint32_t inputs[MAX], outputs[MAX], input_count, output_count;
};
struct ANeuralNetworksCompilation {
    ANeuralNetworksModel* model;
};
struct ANeuralNetworksMemory {
    int unused;
};
struct ANeuralNetworksEvent {
    int code;
};
struct ANeuralNetworksBurst {
    int unused;
};
struct ANeuralNetworksDevice {
    char name[32];
};
struct ANeuralNetworksExecution {
    ANeuralNetworksModel* model;
    const void* in[MAX];
    size_t in_size[MAX];
    void* out[MAX];
    size_t out_size[MAX];
    int code;
    float* kept; /* 9114: what it gave first */
};

static pid_t owner;
static int cases_run;

/* What binder does to a process whose parent has already talked to a service. */
static void touch(void) {
    if (owner == 0) owner = getpid();
    if (owner != getpid()) abort();
}

static void crash(void) {
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

static void print_much(void) {
    static char text[1 << 16];
    memset(text, 'x', sizeof text);
    memcpy(text, "NNTK\1\0\22\0", 8); /* looks like a frame */
    for (int i = 0; i < 32; i++) {
        if (write(1, text, sizeof text) < 0 || write(2, text, sizeof text) < 0) break;
    }
    printf("the last words of the driver\n");
    fflush(stdout);
}

static int misbehave(int32_t code, enum place place) {
    if (code < 9000 || code >= 9100 || code % 10 != (int32_t)place) return 0;
    switch ((enum fault)((code - 9000) / 10)) {
        case SEGV:
            fprintf(stderr, "about to crash\n");
            crash();
            break;
        case ABORT:
            abort();
        case HANG:
            for (;;) pause();
        case BALLOON:
            for (;;) {
                char* more = malloc(1 << 20);
                if (more != NULL) memset(more, 1, 1 << 20);
            }
        case EXIT:
            exit(3);
        case PRINT:
            print_much();
            break;
        case REFUSE:
            return ANEURALNETWORKS_OP_FAILED;
        case FORK:
            if (fork() == 0) {
                sleep(20);
                _exit(0);
            }
            abort();
    }
    return 0;
}

static void crash_at_exit(void) { abort(); }

__attribute__((constructor)) static void on_load(void) {
    const char* what = getenv("TOY_ON_LOAD");
    if (what == NULL) return;
    if (strcmp(what, "crash") == 0) crash();
    if (strcmp(what, "exit") == 0) exit(5);
    if (strcmp(what, "print") == 0) print_much();
    while (strcmp(what, "hang") == 0) pause();
}

/* ---- devices ---- */

#if TOY_LEVEL >= 3
static struct ANeuralNetworksDevice devices[4] = {{"toy-0"}, {"toy-1"}, {"toy-2"}, {"toy-3"}};

int ANeuralNetworks_getDeviceCount(uint32_t* count) {
    touch();
    const char* what = getenv("TOY_ON_LIST");
    if (what != NULL && strcmp(what, "abort") == 0) abort();
    while (what != NULL && strcmp(what, "hang") == 0) pause();
    const char* wanted = getenv("TOY_DEVICES");
    *count = wanted != NULL ? (uint32_t)atoi(wanted) : 1;
    return 0;
}
int ANeuralNetworks_getDevice(uint32_t index, ANeuralNetworksDevice** device) {
    touch();
    if (index >= 4) return ANEURALNETWORKS_BAD_DATA;
    *device = &devices[index];
    return 0;
}
int ANeuralNetworksDevice_getName(const ANeuralNetworksDevice* device, const char** name) {
    *name = device->name;
    return 0;
}
int ANeuralNetworksDevice_getType(const ANeuralNetworksDevice* device, int32_t* type) {
    (void)device;
    *type = ANEURALNETWORKS_DEVICE_CPU;
    return 0;
}
int ANeuralNetworksDevice_getVersion(const ANeuralNetworksDevice* device, const char** version) {
    (void)device;
    *version = "toy 1";
    return 0;
}
int ANeuralNetworksDevice_getFeatureLevel(const ANeuralNetworksDevice* device, int64_t* level) {
    (void)device;
    *level = ANEURALNETWORKS_FEATURE_LEVEL_3;
    return 0;
}

#endif

/* ---- models ---- */

int ANeuralNetworksModel_create(ANeuralNetworksModel** model) {
    touch();
    *model = calloc(1, sizeof **model);
    return 0;
}
void ANeuralNetworksModel_free(ANeuralNetworksModel* model) {
    misbehave(model->code, FREE);
    free(model);
}
int ANeuralNetworksModel_addOperand(ANeuralNetworksModel* model,
                                    const ANeuralNetworksOperandType* type) {
    if (model->operands == MAX || type->dimensionCount > 8) return ANEURALNETWORKS_BAD_DATA;
    uint32_t i = model->operands++;
    model->types[i] = *type;
    for (uint32_t k = 0; k < type->dimensionCount; k++) model->dims[i][k] = type->dimensions[k];
    model->types[i].dimensions = model->dims[i];
    return 0;
}
int ANeuralNetworksModel_setOperandValue(ANeuralNetworksModel* model, int32_t index,
                                         const void* buffer, size_t length) {
    if (index < 0 || (uint32_t)index >= model->operands) return ANEURALNETWORKS_BAD_DATA;
    if (length <= 128) {
        if (length > 0) memcpy(model->copies[index], buffer, length);
        buffer = model->copies[index];
    }
    model->values[index] = buffer;
    return 0;
}
int ANeuralNetworksModel_setOperandValueFromMemory(ANeuralNetworksModel* model, int32_t index,
                                                   const ANeuralNetworksMemory* memory,
                                                   size_t offset, size_t length) {
    (void)model, (void)index, (void)memory, (void)offset, (void)length;
    return ANEURALNETWORKS_BAD_DATA;
}
int ANeuralNetworksModel_addOperation(ANeuralNetworksModel* model,
                                      ANeuralNetworksOperationType type, uint32_t input_count,
                                      const uint32_t* inputs, uint32_t output_count,
                                      const uint32_t* outputs) {
    if (model->operations == MAX || input_count < 2 || output_count != 1)
        return ANEURALNETWORKS_BAD_DATA;
    uint32_t* a = model->arguments[model->operations++];
    a[0] = inputs[0];
    a[1] = inputs[1];
    a[2] = outputs[0];
    if (a[0] >= model->operands || a[1] >= model->operands || a[2] >= model->operands)
        return ANEURALNETWORKS_BAD_DATA;
    model->code = type;
    return 0;
}
int ANeuralNetworksModel_identifyInputsAndOutputs(ANeuralNetworksModel* model,
                                                  uint32_t input_count, const uint32_t* inputs,
                                                  uint32_t output_count, const uint32_t* outputs) {
    if (input_count > MAX || output_count > MAX) return ANEURALNETWORKS_BAD_DATA;
    memcpy(model->inputs, inputs, input_count * sizeof *inputs);
    memcpy(model->outputs, outputs, output_count * sizeof *outputs);
    model->input_count = input_count;
    model->output_count = output_count;
    return 0;
}
int ANeuralNetworksModel_finish(ANeuralNetworksModel* model) {
    return misbehave(model->code, FINISH);
}
#if TOY_LEVEL >= 3
int ANeuralNetworksModel_getSupportedOperationsForDevices(
        const ANeuralNetworksModel* model, const ANeuralNetworksDevice* const* wanted,
        uint32_t count, bool* supported) {
    if (count != 1 || wanted[0] == NULL) return ANEURALNETWORKS_BAD_DATA;
    for (uint32_t i = 0; i < model->operations; i++) supported[i] = model->code != 9106;
    return misbehave(model->code, SUPPORT);
}
#endif

/* ---- compilation ---- */

int ANeuralNetworksCompilation_create(ANeuralNetworksModel* model,
                                      ANeuralNetworksCompilation** compilation) {
    *compilation = calloc(1, sizeof **compilation);
    (*compilation)->model = model;
    return 0;
}
#if TOY_LEVEL >= 3
int ANeuralNetworksCompilation_createForDevices(ANeuralNetworksModel* model,
                                                const ANeuralNetworksDevice* const* wanted,
                                                uint32_t count,
                                                ANeuralNetworksCompilation** compilation) {
    if (count != 1 || wanted[0] == NULL) return ANEURALNETWORKS_BAD_DATA;
    return ANeuralNetworksCompilation_create(model, compilation);
}
#endif
void ANeuralNetworksCompilation_free(ANeuralNetworksCompilation* compilation) { free(compilation); }
int ANeuralNetworksCompilation_setPreference(ANeuralNetworksCompilation* c, int32_t preference) {
    (void)c, (void)preference;
    return 0;
}
int ANeuralNetworksCompilation_finish(ANeuralNetworksCompilation* compilation) {
    return misbehave(compilation->model->code, COMPILE);
}

/* ---- execution ---- */

int ANeuralNetworksExecution_create(ANeuralNetworksCompilation* compilation,
                                    ANeuralNetworksExecution** execution) {
    *execution = calloc(1, sizeof **execution);
    (*execution)->model = compilation->model;
    return 0;
}
void ANeuralNetworksExecution_free(ANeuralNetworksExecution* execution) {
    if (execution != NULL) free(execution->kept);
    free(execution);
}
#if TOY_LEVEL >= 5
int ANeuralNetworksExecution_setReusable(ANeuralNetworksExecution* execution, bool reusable) {
    (void)execution, (void)reusable;
    return 0;
}
#endif
int ANeuralNetworksExecution_setInput(ANeuralNetworksExecution* execution, int32_t index,
                                      const ANeuralNetworksOperandType* type, const void* buffer,
                                      size_t length) {
    (void)type;
    execution->in[index] = buffer;
    execution->in_size[index] = length;
    return misbehave(execution->model->code, SET_INPUT);
}
int ANeuralNetworksExecution_setOutput(ANeuralNetworksExecution* execution, int32_t index,
                                       const ANeuralNetworksOperandType* type, void* buffer,
                                       size_t length) {
    (void)type;
    execution->out[index] = buffer;
    execution->out_size[index] = length;
    return 0;
}
int ANeuralNetworksExecution_setInputFromMemory(ANeuralNetworksExecution* execution, int32_t index,
                                                const ANeuralNetworksOperandType* type,
                                                const ANeuralNetworksMemory* memory, size_t offset,
                                                size_t length) {
    (void)execution, (void)index, (void)type, (void)memory, (void)offset, (void)length;
    return ANEURALNETWORKS_UNMAPPABLE;
}
int ANeuralNetworksExecution_setOutputFromMemory(ANeuralNetworksExecution* execution, int32_t index,
                                                 const ANeuralNetworksOperandType* type,
                                                 const ANeuralNetworksMemory* memory, size_t offset,
                                                 size_t length) {
    (void)execution, (void)index, (void)type, (void)memory, (void)offset, (void)length;
    return ANEURALNETWORKS_UNMAPPABLE;
}

static const float* value_of(const ANeuralNetworksExecution* e, uint32_t operand) {
    for (uint32_t i = 0; i < e->model->input_count; i++)
        if (e->model->inputs[i] == operand) return e->in[i];
    return e->model->values[operand];
}

static void note_execution(float first) {
    const char* name = getenv("TOY_EXECUTIONS");
    const char* slow = getenv("TOY_SLOW");
    if (slow != NULL) usleep(1000 * (useconds_t)atoi(slow));
    if (name == NULL) return;
    int file = open(name, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file >= 0) dprintf(file, "%g\n", (double)first);
    if (file >= 0) close(file);
}

/* The sum, or what a driver with too good a memory takes for it. */
static void remember(ANeuralNetworksExecution* e, const float* a, const float* b, float* out,
                     size_t count) {
    static const float *last_a, *last_b;
    static float last[MAX];
    if (count > MAX) abort();
    const float* known = e->kept;
    if (e->model->code == 9113 && a == last_a && b == last_b) known = last;
    if (known != NULL) memcpy(out, known, count * sizeof *out);
    if (e->model->code == 9114 && e->kept == NULL) {
        e->kept = malloc(sizeof last);
        if (e->kept != NULL) memcpy(e->kept, out, count * sizeof *out);
    }
    memcpy(last, out, count * sizeof *out);
    last_a = a, last_b = b;
}

/* What a driver does wrong beside the sum. */
static int beside(const ANeuralNetworksModel* m, const float* a, float* out, size_t count) {
    if (m->code == 9102) out[count] = out[count + 1] = 0;
    if (m->code == 9109) out[-1] = out[-2] = 0;
    if (m->code == 9104) ((float*)(size_t)a)[0] = 7;
    if (m->code == 9105)
        for (int fd = 3; fd < 1024; fd++)
            if (write(fd, "garbage from a driver", 21) < 0) continue;
    if (m->code == 9112) {
        const char* kind = getenv("HOSTILE");
        int code = hostile(kind != NULL ? kind : "honest");
        if (code != 0) return code;
    }
    if (m->code == 9110) atexit(crash_at_exit);
    if (m->code == 9111 && cases_run > 0) crash();
    return 0;
}

static int add(ANeuralNetworksExecution* e) {
    static float restless;
    ANeuralNetworksModel* m = e->model;
    const uint32_t* arguments = m->arguments[0];
    const float* a = value_of(e, arguments[0]);
    const float* b = value_of(e, arguments[1]);
    float* out = e->out[0];
    size_t count = e->out_size[0] / sizeof *out;
    if (a == NULL || b == NULL || out == NULL) return ANEURALNETWORKS_OP_FAILED;
    if (m->code == 9100) return 0;
    if (m->code == 9101) count /= 2;
    if (m->code == 9108) return ANEURALNETWORKS_OUTPUT_INSUFFICIENT_SIZE;
    if (m->code == 9103) restless += 1;
    for (size_t i = 0; i < count; i++) out[i] = a[i] + b[i] + (m->code == 9103 ? restless : 0);
    if (m->code == 9113 || m->code == 9114) remember(e, a, b, out, count);
    int code = beside(m, a, out, count);
    if (code != 0) return code;
    cases_run++;
    note_execution(a[0]);
    return 0;
}

static int run(ANeuralNetworksExecution* execution) {
    int code = misbehave(execution->model->code, COMPUTE);
    return code != 0 ? code : add(execution);
}
#if TOY_LEVEL >= 3
int ANeuralNetworksExecution_compute(ANeuralNetworksExecution* execution) {
    return run(execution);
}
#endif
int ANeuralNetworksExecution_startCompute(ANeuralNetworksExecution* execution,
                                          ANeuralNetworksEvent** event) {
    *event = calloc(1, sizeof **event);
    (*event)->code = run(execution);
    return 0;
}
#ifndef TOY_WITHOUT_WAIT
int ANeuralNetworksEvent_wait(ANeuralNetworksEvent* event) { return event->code; }
#endif
void ANeuralNetworksEvent_free(ANeuralNetworksEvent* event) { free(event); }

#if TOY_LEVEL >= 3
int ANeuralNetworksExecution_getOutputOperandRank(ANeuralNetworksExecution* execution,
                                                  int32_t index, uint32_t* rank) {
    ANeuralNetworksModel* m = execution->model;
    *rank = m->code == 9107 ? 4000000000u : m->types[m->outputs[index]].dimensionCount;
    return misbehave(m->code, RANK);
}
int ANeuralNetworksExecution_getOutputOperandDimensions(ANeuralNetworksExecution* execution,
                                                        int32_t index, uint32_t* dimensions) {
    ANeuralNetworksModel* m = execution->model;
    const ANeuralNetworksOperandType* type = &m->types[m->outputs[index]];
    memcpy(dimensions, type->dimensions, type->dimensionCount * sizeof *dimensions);
    return m->code == 9108 ? ANEURALNETWORKS_OUTPUT_INSUFFICIENT_SIZE : 0;
}
int ANeuralNetworksExecution_setMeasureTiming(ANeuralNetworksExecution* execution, bool measure) {
    (void)execution, (void)measure;
    return 0;
}
int ANeuralNetworksExecution_getDuration(const ANeuralNetworksExecution* execution,
                                         int32_t duration, uint64_t* nanoseconds) {
    bool longer = execution->model->code == 9121 && duration == ANEURALNETWORKS_DURATION_ON_HARDWARE;
    *nanoseconds = longer ? 2000 : 1000;
    return execution->model->code == 9120 ? ANEURALNETWORKS_OP_FAILED : 0;
}
#endif

/* ---- memory: no file descriptors here ---- */

int ANeuralNetworksMemory_createFromFd(size_t size, int protect, int fd, size_t offset,
                                       ANeuralNetworksMemory** memory) {
    (void)size, (void)protect, (void)fd, (void)offset;
    *memory = NULL;
    return ANEURALNETWORKS_UNMAPPABLE;
}
void ANeuralNetworksMemory_free(ANeuralNetworksMemory* memory) { free(memory); }
