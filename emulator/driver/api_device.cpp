// The C API: devices, feature levels, extensions.

#include "handles.h"

using namespace nnapi;

NNAPI_EXPORT int64_t ANeuralNetworks_getRuntimeFeatureLevel(void) { return kRuntimeFeatureLevel; }

NNAPI_EXPORT uint64_t ANeuralNetworks_getDefaultLoopTimeout(void) {
    return Execution::kDefaultLoopTimeout;
}

NNAPI_EXPORT uint64_t ANeuralNetworks_getMaximumLoopTimeout(void) {
    return Execution::kMaximumLoopTimeout;
}

NNAPI_EXPORT int ANeuralNetworks_getDeviceCount(uint32_t* numDevices) {
    return guarded(__func__, [&] {
        requireNotNull(numDevices, "numDevices");
        requireDevices();
        *numDevices = static_cast<uint32_t>(devices().size());
    });
}

NNAPI_EXPORT int ANeuralNetworks_getDevice(uint32_t devIndex, ANeuralNetworksDevice** device) {
    return guarded(__func__, [&] {
        requireNotNull(device, "device");
        requireDevices();
        if (devIndex >= devices().size()) fail(ANEURALNETWORKS_BAD_DATA, "no device %u", devIndex);
        // The API hands out a non-const pointer; no function writes through it.
        *device = const_cast<ANeuralNetworksDevice*>(&devices()[devIndex]);
    });
}

NNAPI_EXPORT int ANeuralNetworksDevice_getName(const ANeuralNetworksDevice* device,
                                               const char** name) {
    return guarded(__func__, [&] {
        requireNotNull(name, "name");
        checkDevices(&device, 1);
        *name = device->name.c_str();
    });
}

NNAPI_EXPORT int ANeuralNetworksDevice_getVersion(const ANeuralNetworksDevice* device,
                                                  const char** version) {
    return guarded(__func__, [&] {
        requireNotNull(version, "version");
        checkDevices(&device, 1);
        // What the documentation says of devices older than this function.
        *version = device->level <= 2 ? "UNKNOWN" : device->version.c_str();
    });
}

NNAPI_EXPORT int ANeuralNetworksDevice_getType(const ANeuralNetworksDevice* device,
                                               int32_t* type) {
    return guarded(__func__, [&] {
        requireNotNull(type, "type");
        checkDevices(&device, 1);
        *type = device->type;
    });
}

NNAPI_EXPORT int ANeuralNetworksDevice_getFeatureLevel(const ANeuralNetworksDevice* device,
                                                       int64_t* featureLevel) {
    return guarded(__func__, [&] {
        requireNotNull(featureLevel, "featureLevel");
        checkDevices(&device, 1);
        *featureLevel = device->featureLevel();
    });
}

NNAPI_EXPORT int ANeuralNetworksDevice_wait(const ANeuralNetworksDevice* device) {
    return guarded(__func__, [&] { checkDevices(&device, 1); });
}

NNAPI_EXPORT int ANeuralNetworksDevice_getExtensionSupport(const ANeuralNetworksDevice* device,
                                                           const char* extensionName,
                                                           bool* isExtensionSupported) {
    return guarded(__func__, [&] {
        requireNotNull(extensionName, "extensionName");
        requireNotNull(isExtensionSupported, "isExtensionSupported");
        checkDevices(&device, 1);
        *isExtensionSupported = false;  // no extension is registered
    });
}

NNAPI_EXPORT int ANeuralNetworksModel_getExtensionOperandType(ANeuralNetworksModel* model,
                                                              const char* extensionName, uint16_t,
                                                              int32_t* type) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        requireNotNull(extensionName, "extensionName");
        requireNotNull(type, "type");
        fail(ANEURALNETWORKS_BAD_DATA, "no extension %s", extensionName);
    });
}

NNAPI_EXPORT int ANeuralNetworksModel_getExtensionOperationType(
    ANeuralNetworksModel* model, const char* extensionName, uint16_t,
    ANeuralNetworksOperationType* type) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        requireNotNull(extensionName, "extensionName");
        requireNotNull(type, "type");
        fail(ANEURALNETWORKS_BAD_DATA, "no extension %s", extensionName);
    });
}

NNAPI_EXPORT int ANeuralNetworksModel_setOperandExtensionData(ANeuralNetworksModel* model,
                                                              int32_t index, const void*, size_t) {
    return guarded(__func__, [&] {
        requireNotNull(model, "model");
        model->object->requireBuilding();
        fail(ANEURALNETWORKS_BAD_DATA, "operand %d is not of an extension type", index);
    });
}
