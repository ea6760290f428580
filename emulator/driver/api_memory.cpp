// The C API: memory objects and memory descriptors.

#include "handles.h"
#include "readings.h"

using namespace nnapi;

namespace {

void addRole(ANeuralNetworksMemoryDesc* desc, const ANeuralNetworksCompilation* compilation,
             bool output, uint32_t index, float frequency) {
    requireNotNull(desc, "desc");
    requireNotNull(compilation, "compilation");
    // Reading: the documentation asks for a finished compilation and names no code.
    if (followsField() && !compilation->object->finished()) {
        fail(ANEURALNETWORKS_BAD_DATA, "the compilation is not finished");
    }
    compilation->object->requireFinished();
    desc->object.addRole({compilation->object, output, index}, frequency);
}

}  // namespace

NNAPI_EXPORT int ANeuralNetworksMemory_createFromFd(size_t size, int protect, int fd,
                                                    size_t offset,
                                                    ANeuralNetworksMemory** memory) {
    return guarded(__func__, [&] {
        requireNotNull(memory, "memory");
        *memory = nullptr;
        *memory = new ANeuralNetworksMemory{Memory::fromFd(size, protect, fd, offset)};
    });
}

NNAPI_EXPORT int ANeuralNetworksMemory_createFromAHardwareBuffer(const AHardwareBuffer* ahwb,
                                                                 ANeuralNetworksMemory** memory) {
    return guarded(__func__, [&] {
        requireNotNull(memory, "memory");
        *memory = nullptr;
        requireNotNull(ahwb, "ahwb");
        fail(ANEURALNETWORKS_UNMAPPABLE, "there are no hardware buffers on this system");
    });
}

NNAPI_EXPORT int ANeuralNetworksMemory_createFromDesc(const ANeuralNetworksMemoryDesc* desc,
                                                      ANeuralNetworksMemory** memory) {
    return guarded(__func__, [&] {
        requireNotNull(memory, "memory");
        *memory = nullptr;
        requireNotNull(desc, "desc");
        *memory = new ANeuralNetworksMemory{desc->object.make()};
    });
}

NNAPI_EXPORT int ANeuralNetworksMemory_copy(const ANeuralNetworksMemory* src,
                                            const ANeuralNetworksMemory* dst) {
    return guarded(__func__, [&] {
        requireNotNull(src, "src");
        requireNotNull(dst, "dst");
        Memory::copy(*src->object, *dst->object);
    });
}

NNAPI_EXPORT void ANeuralNetworksMemory_free(ANeuralNetworksMemory* memory) { delete memory; }

NNAPI_EXPORT int ANeuralNetworksMemoryDesc_create(ANeuralNetworksMemoryDesc** desc) {
    return guarded(__func__, [&] {
        requireNotNull(desc, "desc");
        *desc = nullptr;
        *desc = new ANeuralNetworksMemoryDesc;
    });
}

NNAPI_EXPORT void ANeuralNetworksMemoryDesc_free(ANeuralNetworksMemoryDesc* desc) { delete desc; }

NNAPI_EXPORT int ANeuralNetworksMemoryDesc_addInputRole(
    ANeuralNetworksMemoryDesc* desc, const ANeuralNetworksCompilation* compilation, uint32_t index,
    float frequency) {
    return guarded(__func__, [&] { addRole(desc, compilation, false, index, frequency); });
}

NNAPI_EXPORT int ANeuralNetworksMemoryDesc_addOutputRole(
    ANeuralNetworksMemoryDesc* desc, const ANeuralNetworksCompilation* compilation, uint32_t index,
    float frequency) {
    return guarded(__func__, [&] { addRole(desc, compilation, true, index, frequency); });
}

NNAPI_EXPORT int ANeuralNetworksMemoryDesc_setDimensions(ANeuralNetworksMemoryDesc* desc,
                                                         uint32_t rank,
                                                         const uint32_t* dimensions) {
    return guarded(__func__, [&] {
        requireNotNull(desc, "desc");
        if (rank != 0) requireNotNull(dimensions, "dimensions");
        desc->object.setDimensions({dimensions, rank});
    });
}

NNAPI_EXPORT int ANeuralNetworksMemoryDesc_finish(ANeuralNetworksMemoryDesc* desc) {
    return guarded(__func__, [&] {
        requireNotNull(desc, "desc");
        desc->object.finish();
    });
}
