#include "null_driver.h"

#include <assert.h>

int null_driver_objects;

static uint32_t state;
static volatile uint32_t sink;

/* One call in 64 fails; the choice follows from the seed. */
static int outcome(void) {
    if (state == 0) return 0;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % 64 == 0 ? (int)(state >> 8) % 20 : 0;
}

/* Reads every byte: a memory checker then sees what the runner hands over wrongly. */
static void touch(const void* bytes, size_t count) {
    const uint8_t* at = bytes;
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += at[i];
    sink += sum;
}

static void touch_type(const ANeuralNetworksOperandType* type) {
    if (type == NULL) return;
    touch(type, sizeof *type);
    touch(type->dimensions, type->dimensionCount * sizeof(uint32_t));
}

struct object {
    uint32_t inputs, outputs, operands;
    const void* in[64];
    size_t in_size[64];
    void* out[64];
    size_t out_size[64];
    const void* kept[64]; /* constants by reference */
    size_t kept_size[64];
    uint32_t kept_count;
    struct object* parent;
    uint8_t* mapped;
    size_t size;
};

static int create(void** place, void* parent) {
    int code = outcome();
    *place = NULL;
    if (code != 0) return code;
    struct object* o = calloc(1, sizeof *o);
    assert(o != NULL);
    o->parent = parent;
    *place = o;
    null_driver_objects++;
    return 0;
}

static void destroy(void* object) {
    if (object == NULL) return;
    struct object* o = object;
    if (o->mapped != NULL) munmap(o->mapped, o->size);
    free(o);
    null_driver_objects--;
}

#define DESTROY(kind) \
    static void kind##_free(ANeuralNetworks##kind* object) { destroy(object); }
DESTROY(Memory)
DESTROY(Model)
DESTROY(Compilation)
DESTROY(Execution)
DESTROY(Event)
DESTROY(Burst)
DESTROY(MemoryDesc)

static int Model_create(ANeuralNetworksModel** model) { return create((void**)model, NULL); }

static int Model_addOperand(ANeuralNetworksModel* model, const ANeuralNetworksOperandType* type) {
    ((struct object*)model)->operands++;
    touch_type(type);
    return outcome();
}

static int Model_setOperandValue(ANeuralNetworksModel* model, int32_t index, const void* buffer,
                                 size_t length) {
    struct object* o = (struct object*)model;
    assert(index >= 0 && (uint32_t)index < o->operands);
    touch(buffer, length);
    if (length > ANEURALNETWORKS_MAX_SIZE_OF_IMMEDIATELY_COPIED_VALUES && o->kept_count < 64) {
        o->kept[o->kept_count] = buffer;
        o->kept_size[o->kept_count++] = length;
    }
    return outcome();
}

static int Model_setOperandValueFromMemory(ANeuralNetworksModel* model, int32_t index,
                                           const ANeuralNetworksMemory* memory, size_t offset,
                                           size_t length) {
    const struct object* m = (const struct object*)memory;
    assert((uint32_t)index < ((struct object*)model)->operands);
    assert(offset <= m->size && length <= m->size - offset);
    touch(m->mapped + offset, length);
    return outcome();
}

static int Model_setOperandValueFromModel(ANeuralNetworksModel* model, int32_t index,
                                          const ANeuralNetworksModel* value) {
    assert((uint32_t)index < ((struct object*)model)->operands);
    touch(value, sizeof(struct object));
    return outcome();
}

static int Model_setOperandSymmPerChannelQuantParams(
        ANeuralNetworksModel* model, int32_t index,
        const ANeuralNetworksSymmPerChannelQuantParams* quant) {
    assert((uint32_t)index < ((struct object*)model)->operands);
    touch(quant->scales, quant->scaleCount * sizeof(float));
    return outcome();
}

static int Model_addOperation(ANeuralNetworksModel* model, ANeuralNetworksOperationType type,
                              uint32_t input_count, const uint32_t* inputs, uint32_t output_count,
                              const uint32_t* outputs) {
    (void)model, (void)type;
    touch(inputs, input_count * sizeof *inputs);
    touch(outputs, output_count * sizeof *outputs);
    return outcome();
}

static int Model_identifyInputsAndOutputs(ANeuralNetworksModel* model, uint32_t input_count,
                                          const uint32_t* inputs, uint32_t output_count,
                                          const uint32_t* outputs) {
    struct object* o = (struct object*)model;
    o->inputs = input_count;
    o->outputs = output_count;
    touch(inputs, input_count * sizeof *inputs);
    touch(outputs, output_count * sizeof *outputs);
    return outcome();
}

static int Model_relax(ANeuralNetworksModel* model, bool allow) {
    (void)model, (void)allow;
    return outcome();
}

static int Model_finish(ANeuralNetworksModel* model) {
    (void)model;
    return outcome();
}

static int Model_getSupported(const ANeuralNetworksModel* model,
                              const ANeuralNetworksDevice* const* devices, uint32_t count,
                              bool* supported) {
    (void)model;
    assert(count == 1 && devices[0] != NULL);
    /* The number of operations is not kept: the first flag is all that is safe to touch. */
    supported[0] = true;
    return outcome();
}

static int Compilation_createForDevices(ANeuralNetworksModel* model,
                                        const ANeuralNetworksDevice* const* devices,
                                        uint32_t count, ANeuralNetworksCompilation** compilation) {
    assert(count == 1 && devices[0] != NULL);
    return create((void**)compilation, model);
}

static int Compilation_create(ANeuralNetworksModel* model,
                              ANeuralNetworksCompilation** compilation) {
    return create((void**)compilation, model);
}

static int Compilation_setCaching(ANeuralNetworksCompilation* compilation, const char* folder,
                                  const uint8_t* token) {
    (void)compilation;
    touch(folder, strlen(folder));
    touch(token, 32);
    return outcome();
}

static int Compilation_finish(ANeuralNetworksCompilation* compilation) {
    const struct object* model = ((struct object*)compilation)->parent;
    for (uint32_t i = 0; i < model->kept_count; i++) touch(model->kept[i], model->kept_size[i]);
    return outcome();
}

/* Now and then a number that no driver should answer with. */
static int preferred(const ANeuralNetworksCompilation* compilation, uint32_t index,
                     uint32_t* value) {
    const struct object* model = ((const struct object*)compilation)->parent;
    assert(index < (model->inputs > model->outputs ? model->inputs : model->outputs));
    *value = state % 32 == 1 ? state : 1u << (state % 8);
    return outcome();
}

static int Execution_create(ANeuralNetworksCompilation* compilation,
                            ANeuralNetworksExecution** execution) {
    return create((void**)execution, ((struct object*)compilation)->parent);
}

static int flag(ANeuralNetworksExecution* execution, bool value) {
    (void)execution, (void)value;
    return outcome();
}

static int Execution_setLoopTimeout(ANeuralNetworksExecution* execution, uint64_t duration) {
    (void)execution, (void)duration;
    return outcome();
}

static int keep_input(struct object* e, int32_t index, const void* at, size_t length) {
    assert(index >= 0 && (uint32_t)index < e->parent->inputs);
    if (index < 64) {
        e->in[index] = at;
        e->in_size[index] = length;
    }
    return outcome();
}

static int keep_output(struct object* e, int32_t index, void* at, size_t length) {
    assert(index >= 0 && (uint32_t)index < e->parent->outputs);
    if (index < 64) {
        e->out[index] = at;
        e->out_size[index] = length;
    }
    return outcome();
}

static int Execution_setInput(ANeuralNetworksExecution* execution, int32_t index,
                              const ANeuralNetworksOperandType* type, const void* buffer,
                              size_t length) {
    touch_type(type);
    return keep_input((struct object*)execution, index, buffer, length);
}

static int Execution_setOutput(ANeuralNetworksExecution* execution, int32_t index,
                               const ANeuralNetworksOperandType* type, void* buffer,
                               size_t length) {
    touch_type(type);
    return keep_output((struct object*)execution, index, buffer, length);
}

static uint8_t* region(const ANeuralNetworksMemory* memory, size_t offset, size_t* length) {
    const struct object* m = (const struct object*)memory;
    if (offset == 0 && *length == 0) *length = m->size;
    assert(offset <= m->size && *length <= m->size - offset);
    return m->mapped != NULL ? m->mapped + offset : NULL;
}

static int Execution_setInputFromMemory(ANeuralNetworksExecution* execution, int32_t index,
                                        const ANeuralNetworksOperandType* type,
                                        const ANeuralNetworksMemory* memory, size_t offset,
                                        size_t length) {
    touch_type(type);
    const uint8_t* at = region(memory, offset, &length);
    return keep_input((struct object*)execution, index, at, length);
}

static int Execution_setOutputFromMemory(ANeuralNetworksExecution* execution, int32_t index,
                                         const ANeuralNetworksOperandType* type,
                                         const ANeuralNetworksMemory* memory, size_t offset,
                                         size_t length) {
    touch_type(type);
    uint8_t* at = region(memory, offset, &length);
    return keep_output((struct object*)execution, index, at, length);
}

static int Execution_compute(ANeuralNetworksExecution* execution) {
    struct object* e = (struct object*)execution;
    int code = outcome();
    for (uint32_t i = 0; i < 64; i++) {
        if (e->in[i] != NULL) touch(e->in[i], e->in_size[i]);
        if (e->out[i] != NULL && code == 0 && state % 16 != 3)
            memset(e->out[i], (int)(state & 0xff), e->out_size[i]);
    }
    return code;
}

static int Execution_startCompute(ANeuralNetworksExecution* execution,
                                  ANeuralNetworksEvent** event) {
    int code = Execution_compute(execution);
    *event = NULL;
    return code != 0 ? code : create((void**)event, NULL);
}

static int Execution_startComputeWithDependencies(ANeuralNetworksExecution* execution,
                                                  const ANeuralNetworksEvent* const* dependencies,
                                                  uint32_t count, uint64_t duration,
                                                  ANeuralNetworksEvent** event) {
    (void)duration;
    assert(dependencies == NULL && count == 0);
    Execution_compute(execution);
    return create((void**)event, NULL);
}

static int Event_wait(ANeuralNetworksEvent* event) {
    touch(event, sizeof(struct object));
    return outcome();
}

static int Burst_create(ANeuralNetworksCompilation* compilation, ANeuralNetworksBurst** burst) {
    return create((void**)burst, compilation);
}

static int Execution_burstCompute(ANeuralNetworksExecution* execution,
                                  ANeuralNetworksBurst* burst) {
    touch(burst, sizeof(struct object));
    return Execution_compute(execution);
}

static int Execution_getRank(ANeuralNetworksExecution* execution, int32_t index, uint32_t* rank) {
    assert((uint32_t)index < ((struct object*)execution)->parent->outputs);
    *rank = state % 32 == 2 ? state : state % 5;
    return outcome();
}

static int Execution_getDimensions(ANeuralNetworksExecution* execution, int32_t index,
                                   uint32_t* dimensions) {
    (void)execution, (void)index;
    for (uint32_t i = 0; i < 4; i++) dimensions[i] = state % 8 == 5 ? state : i;
    return outcome();
}

static int Execution_getDuration(const ANeuralNetworksExecution* execution, int32_t code,
                                 uint64_t* duration) {
    (void)execution, (void)code;
    *duration = state;
    return outcome();
}

static int Memory_createFromFd(size_t size, int protect, int fd, size_t offset,
                               ANeuralNetworksMemory** memory) {
    int code = create((void**)memory, NULL);
    if (code != 0) return code;
    struct object* o = (struct object*)*memory;
    void* at = size > 0 ? mmap(NULL, size, protect, MAP_SHARED, fd, (off_t)offset) : NULL;
    if (at == MAP_FAILED || size == 0) {
        destroy(o);
        *memory = NULL;
        return ANEURALNETWORKS_UNMAPPABLE;
    }
    o->mapped = at;
    o->size = size;
    return 0;
}

static int MemoryDesc_create(ANeuralNetworksMemoryDesc** desc) {
    return create((void**)desc, NULL);
}

static int MemoryDesc_addRole(ANeuralNetworksMemoryDesc* desc,
                              const ANeuralNetworksCompilation* compilation, uint32_t index,
                              float frequency) {
    (void)index, (void)frequency;
    touch(desc, sizeof(struct object));
    touch(compilation, sizeof(struct object));
    return outcome();
}

static int MemoryDesc_setDimensions(ANeuralNetworksMemoryDesc* desc, uint32_t rank,
                                    const uint32_t* dimensions) {
    (void)desc;
    touch(dimensions, rank * sizeof *dimensions);
    return outcome();
}

static int MemoryDesc_finish(ANeuralNetworksMemoryDesc* desc) {
    (void)desc;
    return outcome();
}

static int Memory_createFromDesc(const ANeuralNetworksMemoryDesc* desc,
                                 ANeuralNetworksMemory** memory) {
    (void)desc;
    return create((void**)memory, NULL);
}

static int Memory_copy(const ANeuralNetworksMemory* from, const ANeuralNetworksMemory* to) {
    touch(from, sizeof(struct object));
    touch(to, sizeof(struct object));
    return outcome();
}

void null_driver(struct api* api, uint32_t seed) {
    memset(api, 0, sizeof *api);
    state = seed;
#define SET(name, function) \
    api->ANeuralNetworks##name = function, api->has[FN_ANeuralNetworks##name] = true
    SET(Memory_free, Memory_free);
    SET(Model_free, Model_free);
    SET(Compilation_free, Compilation_free);
    SET(Execution_free, Execution_free);
    SET(Event_free, Event_free);
    SET(Burst_free, Burst_free);
    SET(MemoryDesc_free, MemoryDesc_free);
    SET(Model_create, Model_create);
    SET(Model_addOperand, Model_addOperand);
    SET(Model_setOperandValue, Model_setOperandValue);
    SET(Model_setOperandValueFromMemory, Model_setOperandValueFromMemory);
    SET(Model_setOperandValueFromModel, Model_setOperandValueFromModel);
    SET(Model_setOperandSymmPerChannelQuantParams, Model_setOperandSymmPerChannelQuantParams);
    SET(Model_addOperation, Model_addOperation);
    SET(Model_identifyInputsAndOutputs, Model_identifyInputsAndOutputs);
    SET(Model_relaxComputationFloat32toFloat16, Model_relax);
    SET(Model_finish, Model_finish);
    SET(Model_getSupportedOperationsForDevices, Model_getSupported);
    SET(Compilation_create, Compilation_create);
    SET(Compilation_createForDevices, Compilation_createForDevices);
    SET(Compilation_setCaching, Compilation_setCaching);
    SET(Compilation_finish, Compilation_finish);
    SET(Compilation_getPreferredMemoryPaddingForInput, preferred);
    SET(Compilation_getPreferredMemoryAlignmentForInput, preferred);
    SET(Compilation_getPreferredMemoryPaddingForOutput, preferred);
    SET(Compilation_getPreferredMemoryAlignmentForOutput, preferred);
    SET(Execution_create, Execution_create);
    SET(Execution_setReusable, flag);
    SET(Execution_setMeasureTiming, flag);
    SET(Execution_enableInputAndOutputPadding, flag);
    SET(Execution_setLoopTimeout, Execution_setLoopTimeout);
    SET(Execution_setInput, Execution_setInput);
    SET(Execution_setOutput, Execution_setOutput);
    SET(Execution_setInputFromMemory, Execution_setInputFromMemory);
    SET(Execution_setOutputFromMemory, Execution_setOutputFromMemory);
    SET(Execution_compute, Execution_compute);
    SET(Execution_startCompute, Execution_startCompute);
    SET(Execution_startComputeWithDependencies, Execution_startComputeWithDependencies);
    SET(Event_wait, Event_wait);
    SET(Burst_create, Burst_create);
    SET(Execution_burstCompute, Execution_burstCompute);
    SET(Execution_getOutputOperandRank, Execution_getRank);
    SET(Execution_getOutputOperandDimensions, Execution_getDimensions);
    SET(Execution_getDuration, Execution_getDuration);
    SET(Memory_createFromFd, Memory_createFromFd);
    SET(MemoryDesc_create, MemoryDesc_create);
    SET(MemoryDesc_addInputRole, MemoryDesc_addRole);
    SET(MemoryDesc_addOutputRole, MemoryDesc_addRole);
    SET(MemoryDesc_setDimensions, MemoryDesc_setDimensions);
    SET(MemoryDesc_finish, MemoryDesc_finish);
    SET(Memory_createFromDesc, Memory_createFromDesc);
    SET(Memory_copy, Memory_copy);
    /* Now and then an older library, without one of the functions that came after level 1. */
    static const enum function_id later[] = {
            FN_ANeuralNetworksExecution_compute,
            FN_ANeuralNetworksBurst_create,
            FN_ANeuralNetworksModel_setOperandValueFromModel,
            FN_ANeuralNetworksExecution_setReusable,
            FN_ANeuralNetworksExecution_startComputeWithDependencies,
            FN_ANeuralNetworksMemoryDesc_create,
            FN_ANeuralNetworksModel_setOperandSymmPerChannelQuantParams,
            FN_ANeuralNetworksExecution_getOutputOperandRank,
    };
    if (seed % 8 == 5) api->has[later[(seed >> 8) % (sizeof later / sizeof *later)]] = false;
}
