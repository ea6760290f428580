// The C API: models.

#include "handles.h"

using namespace nnapi;

NNAPI_EXPORT int ANeuralNetworksModel_create(ANeuralNetworksModel** model) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        *model = nullptr;
        *model = new ANeuralNetworksModel{std::make_shared<Model>()};
    });
}

NNAPI_EXPORT void ANeuralNetworksModel_free(ANeuralNetworksModel* model) { delete model; }

NNAPI_EXPORT int ANeuralNetworksModel_finish(ANeuralNetworksModel* model) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        model->object->finish();
    });
}

NNAPI_EXPORT int ANeuralNetworksModel_addOperand(ANeuralNetworksModel* model,
                                                 const ANeuralNetworksOperandType* type) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        requireNotNull(type, "type");
        model->object->addOperand(*type);
    });
}

NNAPI_EXPORT int ANeuralNetworksModel_setOperandValue(ANeuralNetworksModel* model, int32_t index,
                                                      const void* buffer, size_t length) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        model->object->setValue(index, buffer, length);
    });
}

NNAPI_EXPORT int ANeuralNetworksModel_setOperandSymmPerChannelQuantParams(
    ANeuralNetworksModel* model, int32_t index,
    const ANeuralNetworksSymmPerChannelQuantParams* channelQuant) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        requireNotNull(channelQuant, "channelQuant");
        model->object->setChannelQuant(index, *channelQuant);
    });
}

NNAPI_EXPORT int ANeuralNetworksModel_setOperandValueFromMemory(
    ANeuralNetworksModel* model, int32_t index, const ANeuralNetworksMemory* memory, size_t offset,
    size_t length) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        requireNotNull(memory, "memory");
        model->object->setValueFromMemory(index, memory->object, offset, length);
    });
}

NNAPI_EXPORT int ANeuralNetworksModel_setOperandValueFromModel(ANeuralNetworksModel* model,
                                                               int32_t index,
                                                               const ANeuralNetworksModel* value) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        requireNotNull(value, "value");
        model->object->setValueFromModel(index, value->object);
    });
}

NNAPI_EXPORT int ANeuralNetworksModel_addOperation(ANeuralNetworksModel* model,
                                                   ANeuralNetworksOperationType type,
                                                   uint32_t inputCount, const uint32_t* inputs,
                                                   uint32_t outputCount, const uint32_t* outputs) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        requireNotNull(inputs, "inputs");
        requireNotNull(outputs, "outputs");
        model->object->addOperation(type, {inputs, inputCount}, {outputs, outputCount});
    });
}

NNAPI_EXPORT int ANeuralNetworksModel_identifyInputsAndOutputs(
    ANeuralNetworksModel* model, uint32_t inputCount, const uint32_t* inputs, uint32_t outputCount,
    const uint32_t* outputs) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        requireNotNull(inputs, "inputs");
        requireNotNull(outputs, "outputs");
        model->object->identify({inputs, inputCount}, {outputs, outputCount});
    });
}

NNAPI_EXPORT int ANeuralNetworksModel_relaxComputationFloat32toFloat16(ANeuralNetworksModel* model,
                                                                       bool allow) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        model->object->relax(allow);
    });
}

NNAPI_EXPORT int ANeuralNetworksModel_getSupportedOperationsForDevices(
    const ANeuralNetworksModel* model, const ANeuralNetworksDevice* const* devices,
    uint32_t numDevices, bool* supportedOps) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        requireNotNull(supportedOps, "supportedOps");
        checkDevices(devices, numDevices);
        model->object->requireFinished();
        DeviceMask chosen = 0;
        for (uint32_t i = 0; i < numDevices; i++) {
            chosen |= DeviceMask{1} << deviceIndex(devices[i]);
        }
        for (const Operation& operation : model->object->operations()) {
            *supportedOps++ = (operation.devices & chosen) != 0;
        }
    });
}
