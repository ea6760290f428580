// The C API: compilations and bursts.

#include "handles.h"

using namespace nnapi;

namespace {

void create(ANeuralNetworksModel* model, DeviceList chosen,
            ANeuralNetworksCompilation** compilation) {
    *compilation = new ANeuralNetworksCompilation{
        std::make_shared<Compilation>(model->object, std::move(chosen))};
}

/// What the four getPreferredMemory functions check and answer.
int answer(const char* function, const ANeuralNetworksCompilation* compilation, bool output,
           uint32_t index, uint32_t value, uint32_t* result) {
    return guarded(function, [&] {
        requireNotNull(compilation, "compilation");
        requireNotNull(result, "the result pointer");
        compilation->object->requireFinished();
        const Model& model = compilation->object->model();
        if (index >= (output ? model.outputs() : model.inputs()).size()) {
            fail(ANEURALNETWORKS_BAD_DATA, "no argument %u", index);
        }
        *result = value;
    });
}

// Vector loads like full cache lines; kernels never touch bytes past the end.
constexpr uint32_t kPreferredAlignment = 64;
constexpr uint32_t kPreferredPadding = 1;

}  // namespace

NNAPI_EXPORT int ANeuralNetworksCompilation_create(ANeuralNetworksModel* model,
                                                   ANeuralNetworksCompilation** compilation) {
    return guarded(__func__, [&] {
        requireNotNull(compilation, "compilation");
        *compilation = nullptr;
        requireNotNull(model, "model");
        create(model, {}, compilation);
    });
}

NNAPI_EXPORT int ANeuralNetworksCompilation_createForDevices(
    ANeuralNetworksModel* model, const ANeuralNetworksDevice* const* devices, uint32_t numDevices,
    ANeuralNetworksCompilation** compilation) {
    return guarded(__func__, [&] {
        requireNotNull(compilation, "compilation");
        *compilation = nullptr;
        requireNotNull(model, "model");
        checkDevices(devices, numDevices);
        create(model, DeviceList(devices, devices + numDevices), compilation);
    });
}

NNAPI_EXPORT void ANeuralNetworksCompilation_free(ANeuralNetworksCompilation* compilation) {
    delete compilation;
}

NNAPI_EXPORT int ANeuralNetworksCompilation_setPreference(ANeuralNetworksCompilation* compilation,
                                                          int32_t preference) {
    return guarded(__func__, [&] {
        requireNotNull(compilation, "compilation");
        compilation->object->setPreference(preference);
    });
}

NNAPI_EXPORT int ANeuralNetworksCompilation_setPriority(ANeuralNetworksCompilation* compilation,
                                                        int priority) {
    return guarded(__func__, [&] {
        requireNotNull(compilation, "compilation");
        compilation->object->setPriority(priority);
    });
}

NNAPI_EXPORT int ANeuralNetworksCompilation_setTimeout(ANeuralNetworksCompilation* compilation,
                                                       uint64_t duration) {
    return guarded(__func__, [&] {
        requireNotNull(compilation, "compilation");
        compilation->object->setTimeout(duration);
    });
}

NNAPI_EXPORT int ANeuralNetworksCompilation_setCaching(ANeuralNetworksCompilation* compilation,
                                                       const char* cacheDir,
                                                       const uint8_t* token) {
    return guarded(__func__, [&] {
        requireNotNull(compilation, "compilation");
        compilation->object->setCaching(cacheDir, token);
    });
}

NNAPI_EXPORT int ANeuralNetworksCompilation_finish(ANeuralNetworksCompilation* compilation) {
    return guarded(__func__, [&] {
        requireNotNull(compilation, "compilation");
        compilation->object->finish();
    });
}

NNAPI_EXPORT int ANeuralNetworksCompilation_getPreferredMemoryAlignmentForInput(
    const ANeuralNetworksCompilation* compilation, uint32_t index, uint32_t* alignment) {
    return answer(__func__, compilation, false, index, kPreferredAlignment, alignment);
}

NNAPI_EXPORT int ANeuralNetworksCompilation_getPreferredMemoryPaddingForInput(
    const ANeuralNetworksCompilation* compilation, uint32_t index, uint32_t* padding) {
    return answer(__func__, compilation, false, index, kPreferredPadding, padding);
}

NNAPI_EXPORT int ANeuralNetworksCompilation_getPreferredMemoryAlignmentForOutput(
    const ANeuralNetworksCompilation* compilation, uint32_t index, uint32_t* alignment) {
    return answer(__func__, compilation, true, index, kPreferredAlignment, alignment);
}

NNAPI_EXPORT int ANeuralNetworksCompilation_getPreferredMemoryPaddingForOutput(
    const ANeuralNetworksCompilation* compilation, uint32_t index, uint32_t* padding) {
    return answer(__func__, compilation, true, index, kPreferredPadding, padding);
}

NNAPI_EXPORT int ANeuralNetworksBurst_create(ANeuralNetworksCompilation* compilation,
                                             ANeuralNetworksBurst** burst) {
    return guarded(__func__, [&] {
        requireNotNull(burst, "burst");
        *burst = nullptr;
        requireNotNull(compilation, "compilation");
        compilation->object->requireFinished();
        auto created = std::make_unique<ANeuralNetworksBurst>();
        created->compilation = compilation->object;
        *burst = created.release();
    });
}

NNAPI_EXPORT void ANeuralNetworksBurst_free(ANeuralNetworksBurst* burst) { delete burst; }
