#include "model.h"

#include "memory.h"

static bool is_shared_constant(const struct operand* o) {
    return o->lifetime == LIFE_CONSTANT &&
           o->value_length > ANEURALNETWORKS_MAX_SIZE_OF_IMMEDIATELY_COPIED_VALUES;
}

/* The region of constants as a memory object; of a file that is open for reading alone, where the
 * case asks for it and the system can open it so. */
static bool map_constants(struct run* run) {
    int fd = run->constants->fd;
    if (run->c->extra.flags & EXTRA_READ_ONLY) {
        char name[32];
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        int reading = open(name, O_RDONLY | O_CLOEXEC);
        if (reading >= 0) fd = reading;
    }
    int code = ANEURALNETWORKS_BAD_STATE;
    bool known = run->api->has[FN_ANeuralNetworksMemory_createFromFd];
    if (known)
        code = CALL(run, ANeuralNetworksMemory_createFromFd, run->constants->size, PROT_READ, fd, 0,
                    &run->constants_memory);
    if (fd != run->constants->fd) close(fd);
    if (!known) return missing(run, FN_ANeuralNetworksMemory_createFromFd);
    return code == ANEURALNETWORKS_NO_ERROR ||
           stop(run, FN_ANeuralNetworksMemory_createFromFd, code);
}

/* Constants that NNAPI only refers to move into one region of shared memory. */
static bool share_constants(struct run* run) {
    if (run->c->memory == MEMORY_POINTER) return true;
    size_t total = 0, skew = skew_of(run);
    for (uint32_t g = 0; g < run->c->graph_count; g++)
        for (uint32_t i = 0; i < run->c->graphs[g].operand_count; i++) {
            const struct operand* o = &run->c->graphs[g].operands[i];
            if (is_shared_constant(o)) total += region_slot(o->value_length + skew);
        }
    if (total == 0) return true;
    char error[ERROR_TEXT];
    bool hardware = run->c->memory == MEMORY_AHARDWARE_BUFFER;
    struct region* region = arena_alloc(run->arena, 1, sizeof *region);
    if (region == NULL) return bad_case(run, "out of memory");
    if (!region_create(region, total, hardware, error, sizeof error))
        return bad_case(run, "%s", error);
    region->skew = skew;
    run->constants = region;
    if (hardware)
        TRY(run, ANeuralNetworksMemory_createFromAHardwareBuffer, region->hardware,
            &run->constants_memory);
    else
        return map_constants(run);
    return true;
}

static bool set_value(struct run* run, ANeuralNetworksModel* model, int32_t index,
                      const struct operand* o) {
    switch ((enum lifetime)o->lifetime) {
        case LIFE_OMITTED:
            TRY(run, ANeuralNetworksModel_setOperandValue, model, index, NULL, 0);
            return true;
        case LIFE_SUBGRAPH:
            TRY(run, ANeuralNetworksModel_setOperandValueFromModel, model, index,
                run->models[o->subgraph]);
            return true;
        case LIFE_CONSTANT:
            break;
        case LIFE_TEMPORARY:
        case LIFE_INPUT:
        case LIFE_OUTPUT:
            return true;
    }
    if (o->value_length <= ANEURALNETWORKS_MAX_SIZE_OF_IMMEDIATELY_COPIED_VALUES) {
        /* The value is copied during the call: give it a buffer that is gone afterwards. */
        max_align_t room[ANEURALNETWORKS_MAX_SIZE_OF_IMMEDIATELY_COPIED_VALUES /
                                 sizeof(max_align_t) + 1];
        uint8_t* value = (uint8_t*)room + skew_of(run);
        if (o->value_length > 0) memcpy(value, o->value, o->value_length);
        int code = run->api->has[FN_ANeuralNetworksModel_setOperandValue]
                           ? CALL(run, ANeuralNetworksModel_setOperandValue, model, index, value,
                                  o->value_length)
                           : ANEURALNETWORKS_BAD_STATE;
        memset(room, 0xa5, sizeof room);
        if (code != ANEURALNETWORKS_NO_ERROR)
            return stop(run, FN_ANeuralNetworksModel_setOperandValue, code);
        return true;
    }
    if (run->constants != NULL) {
        size_t offset;
        uint8_t* at = region_take(run->constants, o->value_length, &offset);
        if (at == NULL) return bad_case(run, "shared memory is too small for the constants");
        memcpy(at, o->value, o->value_length);
        TRY(run, ANeuralNetworksModel_setOperandValueFromMemory, model, index,
            run->constants_memory, offset, o->value_length);
        return true;
    }
    uint8_t* copy = arena_alloc(run->arena, o->value_length + skew_of(run), 1);
    if (copy == NULL) return bad_case(run, "out of memory for a constant");
    copy += skew_of(run);
    memcpy(copy, o->value, o->value_length);
    TRY(run, ANeuralNetworksModel_setOperandValue, model, index, copy, o->value_length);
    return true;
}

static bool build_graph(struct run* run, uint32_t which) {
    const struct graph* g = &run->c->graphs[which];
    TRY(run, ANeuralNetworksModel_create, &run->models[which]);
    ANeuralNetworksModel* model = run->models[which];
    for (uint32_t i = 0; i < g->operand_count; i++) {
        const struct operand* o = &g->operands[i];
        ANeuralNetworksOperandType type = {
                .type = o->type,
                .dimensionCount = o->rank,
                .dimensions = o->rank > 0 ? o->dims : NULL,
                .scale = o->scale,
                .zeroPoint = o->zero_point,
        };
        TRY(run, ANeuralNetworksModel_addOperand, model, &type);
        if (o->channel_quant) {
            ANeuralNetworksSymmPerChannelQuantParams quant = {
                    .channelDim = o->channel_dim,
                    .scaleCount = o->channel_count,
                    .scales = o->channel_scales,
            };
            TRY(run, ANeuralNetworksModel_setOperandSymmPerChannelQuantParams, model, (int32_t)i,
                &quant);
        }
        if (!set_value(run, model, (int32_t)i, o)) return false;
    }
    for (uint32_t i = 0; i < g->operation_count; i++) {
        const struct operation* o = &g->operations[i];
        TRY(run, ANeuralNetworksModel_addOperation, model, o->code, o->input_count, o->inputs,
            o->output_count, o->outputs);
    }
    TRY(run, ANeuralNetworksModel_identifyInputsAndOutputs, model, g->input_count, g->inputs,
        g->output_count, g->outputs);
    if (run->c->flags & CASE_RELAXED)
        TRY(run, ANeuralNetworksModel_relaxComputationFloat32toFloat16, model, true);
    TRY(run, ANeuralNetworksModel_finish, model);
    return true;
}

/* Values in a hardware buffer have to be there before the driver may look: when the first model
 * that refers to them is finished. They are laid out in the order in which models take them. */
static bool publish_constants(struct run* run) {
    char error[ERROR_TEXT];
    struct region* region = run->constants;
    if (region == NULL || region->hardware == NULL) return true;
    for (uint32_t g = 0; g < run->c->graph_count; g++)
        for (uint32_t i = 0; i < run->c->graphs[g].operand_count; i++) {
            const struct operand* o = &run->c->graphs[g].operands[i];
            size_t offset;
            if (!is_shared_constant(o)) continue;
            uint8_t* at = region_take(region, o->value_length, &offset);
            if (at == NULL) return bad_case(run, "shared memory is too small for the constants");
            memcpy(at, o->value, o->value_length);
        }
    region->used = 0;
    return region_publish(region, error, sizeof error) || bad_case(run, "%s", error);
}

bool build_models(struct run* run) {
    enter_stage(run, STAGE_MODEL);
    run->models = arena_alloc(run->arena, run->c->graph_count, sizeof *run->models);
    if (run->models == NULL) return bad_case(run, "out of memory");
    memset(run->models, 0, run->c->graph_count * sizeof *run->models);
    if (!share_constants(run) || !publish_constants(run)) return false;
    for (uint32_t i = 0; i < run->c->graph_count; i++)
        if (!build_graph(run, i)) return false;
    return true;
}

void orphan_models(struct run* run) {
    for (uint32_t i = run->c->graph_count; i-- > 0;) {
        CALL(run, ANeuralNetworksModel_free, run->models[i]);
        run->models[i] = NULL;
    }
}

void free_models(struct run* run) {
    for (uint32_t i = run->models != NULL ? run->c->graph_count : 0; i-- > 0;)
        if (run->models[i] != NULL) CALL(run, ANeuralNetworksModel_free, run->models[i]);
    run->models = NULL;
    if (run->constants_memory != NULL)
        CALL(run, ANeuralNetworksMemory_free, run->constants_memory);
    run->constants_memory = NULL;
    if (run->constants != NULL) region_free(run->constants);
    run->constants = NULL;
}
