/* The NNAPI C interface. Generated from nnapi.json by tools/generate_codes.py; do not edit. */
#ifndef NNAPI_TESTKIT_NNAPI_H
#define NNAPI_TESTKIT_NNAPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ANEURALNETWORKS_FLOAT32 = 0,
    ANEURALNETWORKS_INT32 = 1,
    ANEURALNETWORKS_UINT32 = 2,
    ANEURALNETWORKS_TENSOR_FLOAT32 = 3,
    ANEURALNETWORKS_TENSOR_INT32 = 4,
    ANEURALNETWORKS_TENSOR_QUANT8_ASYMM = 5,
    ANEURALNETWORKS_BOOL = 6,
    ANEURALNETWORKS_TENSOR_QUANT16_SYMM = 7,
    ANEURALNETWORKS_TENSOR_FLOAT16 = 8,
    ANEURALNETWORKS_TENSOR_BOOL8 = 9,
    ANEURALNETWORKS_FLOAT16 = 10,
    ANEURALNETWORKS_TENSOR_QUANT8_SYMM_PER_CHANNEL = 11,
    ANEURALNETWORKS_TENSOR_QUANT16_ASYMM = 12,
    ANEURALNETWORKS_TENSOR_QUANT8_SYMM = 13,
    ANEURALNETWORKS_TENSOR_QUANT8_ASYMM_SIGNED = 14,
    ANEURALNETWORKS_MODEL = 15,
};

enum {
    ANEURALNETWORKS_ADD = 0,
    ANEURALNETWORKS_AVERAGE_POOL_2D = 1,
    ANEURALNETWORKS_CONCATENATION = 2,
    ANEURALNETWORKS_CONV_2D = 3,
    ANEURALNETWORKS_DEPTHWISE_CONV_2D = 4,
    ANEURALNETWORKS_DEPTH_TO_SPACE = 5,
    ANEURALNETWORKS_DEQUANTIZE = 6,
    ANEURALNETWORKS_EMBEDDING_LOOKUP = 7,
    ANEURALNETWORKS_FLOOR = 8,
    ANEURALNETWORKS_FULLY_CONNECTED = 9,
    ANEURALNETWORKS_HASHTABLE_LOOKUP = 10,
    ANEURALNETWORKS_L2_NORMALIZATION = 11,
    ANEURALNETWORKS_L2_POOL_2D = 12,
    ANEURALNETWORKS_LOCAL_RESPONSE_NORMALIZATION = 13,
    ANEURALNETWORKS_LOGISTIC = 14,
    ANEURALNETWORKS_LSH_PROJECTION = 15,
    ANEURALNETWORKS_LSTM = 16,
    ANEURALNETWORKS_MAX_POOL_2D = 17,
    ANEURALNETWORKS_MUL = 18,
    ANEURALNETWORKS_RELU = 19,
    ANEURALNETWORKS_RELU1 = 20,
    ANEURALNETWORKS_RELU6 = 21,
    ANEURALNETWORKS_RESHAPE = 22,
    ANEURALNETWORKS_RESIZE_BILINEAR = 23,
    ANEURALNETWORKS_RNN = 24,
    ANEURALNETWORKS_SOFTMAX = 25,
    ANEURALNETWORKS_SPACE_TO_DEPTH = 26,
    ANEURALNETWORKS_SVDF = 27,
    ANEURALNETWORKS_TANH = 28,
    ANEURALNETWORKS_BATCH_TO_SPACE_ND = 29,
    ANEURALNETWORKS_DIV = 30,
    ANEURALNETWORKS_MEAN = 31,
    ANEURALNETWORKS_PAD = 32,
    ANEURALNETWORKS_SPACE_TO_BATCH_ND = 33,
    ANEURALNETWORKS_SQUEEZE = 34,
    ANEURALNETWORKS_STRIDED_SLICE = 35,
    ANEURALNETWORKS_SUB = 36,
    ANEURALNETWORKS_TRANSPOSE = 37,
    ANEURALNETWORKS_ABS = 38,
    ANEURALNETWORKS_ARGMAX = 39,
    ANEURALNETWORKS_ARGMIN = 40,
    ANEURALNETWORKS_AXIS_ALIGNED_BBOX_TRANSFORM = 41,
    ANEURALNETWORKS_BIDIRECTIONAL_SEQUENCE_LSTM = 42,
    ANEURALNETWORKS_BIDIRECTIONAL_SEQUENCE_RNN = 43,
    ANEURALNETWORKS_BOX_WITH_NMS_LIMIT = 44,
    ANEURALNETWORKS_CAST = 45,
    ANEURALNETWORKS_CHANNEL_SHUFFLE = 46,
    ANEURALNETWORKS_DETECTION_POSTPROCESSING = 47,
    ANEURALNETWORKS_EQUAL = 48,
    ANEURALNETWORKS_EXP = 49,
    ANEURALNETWORKS_EXPAND_DIMS = 50,
    ANEURALNETWORKS_GATHER = 51,
    ANEURALNETWORKS_GENERATE_PROPOSALS = 52,
    ANEURALNETWORKS_GREATER = 53,
    ANEURALNETWORKS_GREATER_EQUAL = 54,
    ANEURALNETWORKS_GROUPED_CONV_2D = 55,
    ANEURALNETWORKS_HEATMAP_MAX_KEYPOINT = 56,
    ANEURALNETWORKS_INSTANCE_NORMALIZATION = 57,
    ANEURALNETWORKS_LESS = 58,
    ANEURALNETWORKS_LESS_EQUAL = 59,
    ANEURALNETWORKS_LOG = 60,
    ANEURALNETWORKS_LOGICAL_AND = 61,
    ANEURALNETWORKS_LOGICAL_NOT = 62,
    ANEURALNETWORKS_LOGICAL_OR = 63,
    ANEURALNETWORKS_LOG_SOFTMAX = 64,
    ANEURALNETWORKS_MAXIMUM = 65,
    ANEURALNETWORKS_MINIMUM = 66,
    ANEURALNETWORKS_NEG = 67,
    ANEURALNETWORKS_NOT_EQUAL = 68,
    ANEURALNETWORKS_PAD_V2 = 69,
    ANEURALNETWORKS_POW = 70,
    ANEURALNETWORKS_PRELU = 71,
    ANEURALNETWORKS_QUANTIZE = 72,
    ANEURALNETWORKS_QUANTIZED_16BIT_LSTM = 73,
    ANEURALNETWORKS_RANDOM_MULTINOMIAL = 74,
    ANEURALNETWORKS_REDUCE_ALL = 75,
    ANEURALNETWORKS_REDUCE_ANY = 76,
    ANEURALNETWORKS_REDUCE_MAX = 77,
    ANEURALNETWORKS_REDUCE_MIN = 78,
    ANEURALNETWORKS_REDUCE_PROD = 79,
    ANEURALNETWORKS_REDUCE_SUM = 80,
    ANEURALNETWORKS_ROI_ALIGN = 81,
    ANEURALNETWORKS_ROI_POOLING = 82,
    ANEURALNETWORKS_RSQRT = 83,
    ANEURALNETWORKS_SELECT = 84,
    ANEURALNETWORKS_SIN = 85,
    ANEURALNETWORKS_SLICE = 86,
    ANEURALNETWORKS_SPLIT = 87,
    ANEURALNETWORKS_SQRT = 88,
    ANEURALNETWORKS_TILE = 89,
    ANEURALNETWORKS_TOPK_V2 = 90,
    ANEURALNETWORKS_TRANSPOSE_CONV_2D = 91,
    ANEURALNETWORKS_UNIDIRECTIONAL_SEQUENCE_LSTM = 92,
    ANEURALNETWORKS_UNIDIRECTIONAL_SEQUENCE_RNN = 93,
    ANEURALNETWORKS_RESIZE_NEAREST_NEIGHBOR = 94,
    ANEURALNETWORKS_QUANTIZED_LSTM = 95,
    ANEURALNETWORKS_IF = 96,
    ANEURALNETWORKS_WHILE = 97,
    ANEURALNETWORKS_ELU = 98,
    ANEURALNETWORKS_HARD_SWISH = 99,
    ANEURALNETWORKS_FILL = 100,
    ANEURALNETWORKS_RANK = 101,
    ANEURALNETWORKS_BATCH_MATMUL = 102,
    ANEURALNETWORKS_PACK = 103,
    ANEURALNETWORKS_MIRROR_PAD = 104,
    ANEURALNETWORKS_REVERSE = 105,
};

enum {
    ANEURALNETWORKS_NO_ERROR = 0,
    ANEURALNETWORKS_OUT_OF_MEMORY = 1,
    ANEURALNETWORKS_INCOMPLETE = 2,
    ANEURALNETWORKS_UNEXPECTED_NULL = 3,
    ANEURALNETWORKS_BAD_DATA = 4,
    ANEURALNETWORKS_OP_FAILED = 5,
    ANEURALNETWORKS_BAD_STATE = 6,
    ANEURALNETWORKS_UNMAPPABLE = 7,
    ANEURALNETWORKS_OUTPUT_INSUFFICIENT_SIZE = 8,
    ANEURALNETWORKS_UNAVAILABLE_DEVICE = 9,
    ANEURALNETWORKS_MISSED_DEADLINE_TRANSIENT = 10,
    ANEURALNETWORKS_MISSED_DEADLINE_PERSISTENT = 11,
    ANEURALNETWORKS_RESOURCE_EXHAUSTED_TRANSIENT = 12,
    ANEURALNETWORKS_RESOURCE_EXHAUSTED_PERSISTENT = 13,
    ANEURALNETWORKS_DEAD_OBJECT = 14,
};

enum {
    ANEURALNETWORKS_FUSED_NONE = 0,
    ANEURALNETWORKS_FUSED_RELU = 1,
    ANEURALNETWORKS_FUSED_RELU1 = 2,
    ANEURALNETWORKS_FUSED_RELU6 = 3,
};

enum {
    ANEURALNETWORKS_PADDING_SAME = 1,
    ANEURALNETWORKS_PADDING_VALID = 2,
};

enum {
    ANEURALNETWORKS_PREFER_LOW_POWER = 0,
    ANEURALNETWORKS_PREFER_FAST_SINGLE_ANSWER = 1,
    ANEURALNETWORKS_PREFER_SUSTAINED_SPEED = 2,
};

enum {
    ANEURALNETWORKS_DEVICE_UNKNOWN = 0,
    ANEURALNETWORKS_DEVICE_OTHER = 1,
    ANEURALNETWORKS_DEVICE_CPU = 2,
    ANEURALNETWORKS_DEVICE_GPU = 3,
    ANEURALNETWORKS_DEVICE_ACCELERATOR = 4,
};

enum {
    ANEURALNETWORKS_DURATION_ON_HARDWARE = 0,
    ANEURALNETWORKS_DURATION_IN_DRIVER = 1,
    ANEURALNETWORKS_FENCED_DURATION_ON_HARDWARE = 2,
    ANEURALNETWORKS_FENCED_DURATION_IN_DRIVER = 3,
};

enum {
    ANEURALNETWORKS_PRIORITY_LOW = 90,
    ANEURALNETWORKS_PRIORITY_MEDIUM = 100,
    ANEURALNETWORKS_PRIORITY_HIGH = 110,
    ANEURALNETWORKS_PRIORITY_DEFAULT = 100,
};

enum {
    ANEURALNETWORKS_FEATURE_LEVEL_1 = 27,
    ANEURALNETWORKS_FEATURE_LEVEL_2 = 28,
    ANEURALNETWORKS_FEATURE_LEVEL_3 = 29,
    ANEURALNETWORKS_FEATURE_LEVEL_4 = 30,
    ANEURALNETWORKS_FEATURE_LEVEL_5 = 31,
    ANEURALNETWORKS_FEATURE_LEVEL_6 = 1000006,
    ANEURALNETWORKS_FEATURE_LEVEL_7 = 1000007,
    ANEURALNETWORKS_FEATURE_LEVEL_8 = 1000008,
};

enum {
    ANEURALNETWORKS_MAX_SIZE_OF_IMMEDIATELY_COPIED_VALUES = 128,
    ANEURALNETWORKS_BYTE_SIZE_OF_CACHE_TOKEN = 32,
};

typedef struct ANeuralNetworksBurst ANeuralNetworksBurst;
typedef struct ANeuralNetworksCompilation ANeuralNetworksCompilation;
typedef struct ANeuralNetworksDevice ANeuralNetworksDevice;
typedef struct ANeuralNetworksEvent ANeuralNetworksEvent;
typedef struct ANeuralNetworksExecution ANeuralNetworksExecution;
typedef struct ANeuralNetworksMemory ANeuralNetworksMemory;
typedef struct ANeuralNetworksMemoryDesc ANeuralNetworksMemoryDesc;
typedef struct ANeuralNetworksModel ANeuralNetworksModel;
typedef struct AHardwareBuffer AHardwareBuffer;
typedef int32_t ANeuralNetworksOperationType;

typedef struct ANeuralNetworksOperandType {
    int32_t type;
    uint32_t dimensionCount;
    const uint32_t* dimensions;
    float scale;
    int32_t zeroPoint;
} ANeuralNetworksOperandType;

typedef struct ANeuralNetworksSymmPerChannelQuantParams {
    uint32_t channelDim;
    uint32_t scaleCount;
    const float* scales;
} ANeuralNetworksSymmPerChannelQuantParams;

/* X(name, feature level, return type, parameters) for every function. */
#define NNAPI_FUNCTIONS(X) \
    X(ANeuralNetworksMemory_createFromFd, 1, int, (size_t size, int protect, int fd, size_t offset, ANeuralNetworksMemory** memory)) \
    X(ANeuralNetworksMemory_free, 1, void, (ANeuralNetworksMemory* memory)) \
    X(ANeuralNetworksModel_create, 1, int, (ANeuralNetworksModel** model)) \
    X(ANeuralNetworksModel_free, 1, void, (ANeuralNetworksModel* model)) \
    X(ANeuralNetworksModel_finish, 1, int, (ANeuralNetworksModel* model)) \
    X(ANeuralNetworksModel_addOperand, 1, int, (ANeuralNetworksModel* model, const ANeuralNetworksOperandType* type)) \
    X(ANeuralNetworksModel_setOperandValue, 1, int, (ANeuralNetworksModel* model, int32_t index, const void* buffer, size_t length)) \
    X(ANeuralNetworksModel_setOperandValueFromMemory, 1, int, (ANeuralNetworksModel* model, int32_t index, const ANeuralNetworksMemory* memory, size_t offset, size_t length)) \
    X(ANeuralNetworksModel_addOperation, 1, int, (ANeuralNetworksModel* model, ANeuralNetworksOperationType type, uint32_t inputCount, const uint32_t* inputs, uint32_t outputCount, const uint32_t* outputs)) \
    X(ANeuralNetworksModel_identifyInputsAndOutputs, 1, int, (ANeuralNetworksModel* model, uint32_t inputCount, const uint32_t* inputs, uint32_t outputCount, const uint32_t* outputs)) \
    X(ANeuralNetworksCompilation_create, 1, int, (ANeuralNetworksModel* model, ANeuralNetworksCompilation** compilation)) \
    X(ANeuralNetworksCompilation_free, 1, void, (ANeuralNetworksCompilation* compilation)) \
    X(ANeuralNetworksCompilation_setPreference, 1, int, (ANeuralNetworksCompilation* compilation, int32_t preference)) \
    X(ANeuralNetworksCompilation_finish, 1, int, (ANeuralNetworksCompilation* compilation)) \
    X(ANeuralNetworksExecution_create, 1, int, (ANeuralNetworksCompilation* compilation, ANeuralNetworksExecution** execution)) \
    X(ANeuralNetworksExecution_free, 1, void, (ANeuralNetworksExecution* execution)) \
    X(ANeuralNetworksExecution_setInput, 1, int, (ANeuralNetworksExecution* execution, int32_t index, const ANeuralNetworksOperandType* type, const void* buffer, size_t length)) \
    X(ANeuralNetworksExecution_setInputFromMemory, 1, int, (ANeuralNetworksExecution* execution, int32_t index, const ANeuralNetworksOperandType* type, const ANeuralNetworksMemory* memory, size_t offset, size_t length)) \
    X(ANeuralNetworksExecution_setOutput, 1, int, (ANeuralNetworksExecution* execution, int32_t index, const ANeuralNetworksOperandType* type, void* buffer, size_t length)) \
    X(ANeuralNetworksExecution_setOutputFromMemory, 1, int, (ANeuralNetworksExecution* execution, int32_t index, const ANeuralNetworksOperandType* type, const ANeuralNetworksMemory* memory, size_t offset, size_t length)) \
    X(ANeuralNetworksExecution_startCompute, 1, int, (ANeuralNetworksExecution* execution, ANeuralNetworksEvent** event)) \
    X(ANeuralNetworksEvent_wait, 1, int, (ANeuralNetworksEvent* event)) \
    X(ANeuralNetworksEvent_free, 1, void, (ANeuralNetworksEvent* event)) \
    X(ANeuralNetworksModel_relaxComputationFloat32toFloat16, 2, int, (ANeuralNetworksModel* model, bool allow)) \
    X(ANeuralNetworks_getDeviceCount, 3, int, (uint32_t* numDevices)) \
    X(ANeuralNetworks_getDevice, 3, int, (uint32_t devIndex, ANeuralNetworksDevice** device)) \
    X(ANeuralNetworksDevice_getName, 3, int, (const ANeuralNetworksDevice* device, const char** name)) \
    X(ANeuralNetworksDevice_getType, 3, int, (const ANeuralNetworksDevice* device, int32_t* type)) \
    X(ANeuralNetworksDevice_getVersion, 3, int, (const ANeuralNetworksDevice* device, const char** version)) \
    X(ANeuralNetworksDevice_getFeatureLevel, 3, int, (const ANeuralNetworksDevice* device, int64_t* featureLevel)) \
    X(ANeuralNetworksModel_getSupportedOperationsForDevices, 3, int, (const ANeuralNetworksModel* model, const ANeuralNetworksDevice* const* devices, uint32_t numDevices, bool* supportedOps)) \
    X(ANeuralNetworksCompilation_createForDevices, 3, int, (ANeuralNetworksModel* model, const ANeuralNetworksDevice* const* devices, uint32_t numDevices, ANeuralNetworksCompilation** compilation)) \
    X(ANeuralNetworksCompilation_setCaching, 3, int, (ANeuralNetworksCompilation* compilation, const char* cacheDir, const uint8_t* token)) \
    X(ANeuralNetworksExecution_compute, 3, int, (ANeuralNetworksExecution* execution)) \
    X(ANeuralNetworksExecution_getOutputOperandRank, 3, int, (ANeuralNetworksExecution* execution, int32_t index, uint32_t* rank)) \
    X(ANeuralNetworksExecution_getOutputOperandDimensions, 3, int, (ANeuralNetworksExecution* execution, int32_t index, uint32_t* dimensions)) \
    X(ANeuralNetworksBurst_create, 3, int, (ANeuralNetworksCompilation* compilation, ANeuralNetworksBurst** burst)) \
    X(ANeuralNetworksBurst_free, 3, void, (ANeuralNetworksBurst* burst)) \
    X(ANeuralNetworksExecution_burstCompute, 3, int, (ANeuralNetworksExecution* execution, ANeuralNetworksBurst* burst)) \
    X(ANeuralNetworksMemory_createFromAHardwareBuffer, 3, int, (const AHardwareBuffer* ahwb, ANeuralNetworksMemory** memory)) \
    X(ANeuralNetworksExecution_setMeasureTiming, 3, int, (ANeuralNetworksExecution* execution, bool measure)) \
    X(ANeuralNetworksExecution_getDuration, 3, int, (const ANeuralNetworksExecution* execution, int32_t durationCode, uint64_t* duration)) \
    X(ANeuralNetworksModel_setOperandSymmPerChannelQuantParams, 3, int, (ANeuralNetworksModel* model, int32_t index, const ANeuralNetworksSymmPerChannelQuantParams* channelQuant)) \
    X(ANeuralNetworksDevice_getExtensionSupport, 3, int, (const ANeuralNetworksDevice* device, const char* extensionName, bool* isExtensionSupported)) \
    X(ANeuralNetworksModel_getExtensionOperandType, 3, int, (ANeuralNetworksModel* model, const char* extensionName, uint16_t operandCodeWithinExtension, int32_t* type)) \
    X(ANeuralNetworksModel_getExtensionOperationType, 3, int, (ANeuralNetworksModel* model, const char* extensionName, uint16_t operationCodeWithinExtension, ANeuralNetworksOperationType* type)) \
    X(ANeuralNetworksModel_setOperandExtensionData, 3, int, (ANeuralNetworksModel* model, int32_t index, const void* data, size_t length)) \
    X(ANeuralNetworksMemoryDesc_create, 4, int, (ANeuralNetworksMemoryDesc** desc)) \
    X(ANeuralNetworksMemoryDesc_free, 4, void, (ANeuralNetworksMemoryDesc* desc)) \
    X(ANeuralNetworksMemoryDesc_addInputRole, 4, int, (ANeuralNetworksMemoryDesc* desc, const ANeuralNetworksCompilation* compilation, uint32_t index, float frequency)) \
    X(ANeuralNetworksMemoryDesc_addOutputRole, 4, int, (ANeuralNetworksMemoryDesc* desc, const ANeuralNetworksCompilation* compilation, uint32_t index, float frequency)) \
    X(ANeuralNetworksMemoryDesc_setDimensions, 4, int, (ANeuralNetworksMemoryDesc* desc, uint32_t rank, const uint32_t* dimensions)) \
    X(ANeuralNetworksMemoryDesc_finish, 4, int, (ANeuralNetworksMemoryDesc* desc)) \
    X(ANeuralNetworksMemory_createFromDesc, 4, int, (const ANeuralNetworksMemoryDesc* desc, ANeuralNetworksMemory** memory)) \
    X(ANeuralNetworksMemory_copy, 4, int, (const ANeuralNetworksMemory* src, const ANeuralNetworksMemory* dst)) \
    X(ANeuralNetworksDevice_wait, 4, int, (const ANeuralNetworksDevice* device)) \
    X(ANeuralNetworksModel_setOperandValueFromModel, 4, int, (ANeuralNetworksModel* model, int32_t index, const ANeuralNetworksModel* value)) \
    X(ANeuralNetworksCompilation_setPriority, 4, int, (ANeuralNetworksCompilation* compilation, int priority)) \
    X(ANeuralNetworksCompilation_setTimeout, 4, int, (ANeuralNetworksCompilation* compilation, uint64_t duration)) \
    X(ANeuralNetworksExecution_setTimeout, 4, int, (ANeuralNetworksExecution* execution, uint64_t duration)) \
    X(ANeuralNetworksExecution_setLoopTimeout, 4, int, (ANeuralNetworksExecution* execution, uint64_t duration)) \
    X(ANeuralNetworks_getDefaultLoopTimeout, 4, uint64_t, (void)) \
    X(ANeuralNetworks_getMaximumLoopTimeout, 4, uint64_t, (void)) \
    X(ANeuralNetworksEvent_createFromSyncFenceFd, 4, int, (int sync_fence_fd, ANeuralNetworksEvent** event)) \
    X(ANeuralNetworksEvent_getSyncFenceFd, 4, int, (const ANeuralNetworksEvent* event, int* sync_fence_fd)) \
    X(ANeuralNetworksExecution_startComputeWithDependencies, 4, int, (ANeuralNetworksExecution* execution, const ANeuralNetworksEvent* const* dependencies, uint32_t num_dependencies, uint64_t duration, ANeuralNetworksEvent** event)) \
    X(ANeuralNetworks_getRuntimeFeatureLevel, 5, int64_t, (void)) \
    X(ANeuralNetworksExecution_enableInputAndOutputPadding, 5, int, (ANeuralNetworksExecution* execution, bool enable)) \
    X(ANeuralNetworksCompilation_getPreferredMemoryAlignmentForInput, 5, int, (const ANeuralNetworksCompilation* compilation, uint32_t index, uint32_t* alignment)) \
    X(ANeuralNetworksCompilation_getPreferredMemoryPaddingForInput, 5, int, (const ANeuralNetworksCompilation* compilation, uint32_t index, uint32_t* padding)) \
    X(ANeuralNetworksCompilation_getPreferredMemoryAlignmentForOutput, 5, int, (const ANeuralNetworksCompilation* compilation, uint32_t index, uint32_t* alignment)) \
    X(ANeuralNetworksCompilation_getPreferredMemoryPaddingForOutput, 5, int, (const ANeuralNetworksCompilation* compilation, uint32_t index, uint32_t* padding)) \
    X(ANeuralNetworksExecution_setReusable, 5, int, (ANeuralNetworksExecution* execution, bool reusable))

/* X(name, code, feature level) for every operation. */
#define NNAPI_OPERATIONS(X) \
    X(ADD, 0, 1) \
    X(AVERAGE_POOL_2D, 1, 1) \
    X(CONCATENATION, 2, 1) \
    X(CONV_2D, 3, 1) \
    X(DEPTHWISE_CONV_2D, 4, 1) \
    X(DEPTH_TO_SPACE, 5, 1) \
    X(DEQUANTIZE, 6, 1) \
    X(EMBEDDING_LOOKUP, 7, 1) \
    X(FLOOR, 8, 1) \
    X(FULLY_CONNECTED, 9, 1) \
    X(HASHTABLE_LOOKUP, 10, 1) \
    X(L2_NORMALIZATION, 11, 1) \
    X(L2_POOL_2D, 12, 1) \
    X(LOCAL_RESPONSE_NORMALIZATION, 13, 1) \
    X(LOGISTIC, 14, 1) \
    X(LSH_PROJECTION, 15, 1) \
    X(LSTM, 16, 1) \
    X(MAX_POOL_2D, 17, 1) \
    X(MUL, 18, 1) \
    X(RELU, 19, 1) \
    X(RELU1, 20, 1) \
    X(RELU6, 21, 1) \
    X(RESHAPE, 22, 1) \
    X(RESIZE_BILINEAR, 23, 1) \
    X(RNN, 24, 1) \
    X(SOFTMAX, 25, 1) \
    X(SPACE_TO_DEPTH, 26, 1) \
    X(SVDF, 27, 1) \
    X(TANH, 28, 1) \
    X(BATCH_TO_SPACE_ND, 29, 2) \
    X(DIV, 30, 2) \
    X(MEAN, 31, 2) \
    X(PAD, 32, 2) \
    X(SPACE_TO_BATCH_ND, 33, 2) \
    X(SQUEEZE, 34, 2) \
    X(STRIDED_SLICE, 35, 2) \
    X(SUB, 36, 2) \
    X(TRANSPOSE, 37, 2) \
    X(ABS, 38, 3) \
    X(ARGMAX, 39, 3) \
    X(ARGMIN, 40, 3) \
    X(AXIS_ALIGNED_BBOX_TRANSFORM, 41, 3) \
    X(BIDIRECTIONAL_SEQUENCE_LSTM, 42, 3) \
    X(BIDIRECTIONAL_SEQUENCE_RNN, 43, 3) \
    X(BOX_WITH_NMS_LIMIT, 44, 3) \
    X(CAST, 45, 3) \
    X(CHANNEL_SHUFFLE, 46, 3) \
    X(DETECTION_POSTPROCESSING, 47, 3) \
    X(EQUAL, 48, 3) \
    X(EXP, 49, 3) \
    X(EXPAND_DIMS, 50, 3) \
    X(GATHER, 51, 3) \
    X(GENERATE_PROPOSALS, 52, 3) \
    X(GREATER, 53, 3) \
    X(GREATER_EQUAL, 54, 3) \
    X(GROUPED_CONV_2D, 55, 3) \
    X(HEATMAP_MAX_KEYPOINT, 56, 3) \
    X(INSTANCE_NORMALIZATION, 57, 3) \
    X(LESS, 58, 3) \
    X(LESS_EQUAL, 59, 3) \
    X(LOG, 60, 3) \
    X(LOGICAL_AND, 61, 3) \
    X(LOGICAL_NOT, 62, 3) \
    X(LOGICAL_OR, 63, 3) \
    X(LOG_SOFTMAX, 64, 3) \
    X(MAXIMUM, 65, 3) \
    X(MINIMUM, 66, 3) \
    X(NEG, 67, 3) \
    X(NOT_EQUAL, 68, 3) \
    X(PAD_V2, 69, 3) \
    X(POW, 70, 3) \
    X(PRELU, 71, 3) \
    X(QUANTIZE, 72, 3) \
    X(QUANTIZED_16BIT_LSTM, 73, 1) \
    X(RANDOM_MULTINOMIAL, 74, 3) \
    X(REDUCE_ALL, 75, 3) \
    X(REDUCE_ANY, 76, 3) \
    X(REDUCE_MAX, 77, 3) \
    X(REDUCE_MIN, 78, 3) \
    X(REDUCE_PROD, 79, 3) \
    X(REDUCE_SUM, 80, 3) \
    X(ROI_ALIGN, 81, 3) \
    X(ROI_POOLING, 82, 3) \
    X(RSQRT, 83, 3) \
    X(SELECT, 84, 3) \
    X(SIN, 85, 3) \
    X(SLICE, 86, 3) \
    X(SPLIT, 87, 3) \
    X(SQRT, 88, 3) \
    X(TILE, 89, 3) \
    X(TOPK_V2, 90, 3) \
    X(TRANSPOSE_CONV_2D, 91, 3) \
    X(UNIDIRECTIONAL_SEQUENCE_LSTM, 92, 3) \
    X(UNIDIRECTIONAL_SEQUENCE_RNN, 93, 3) \
    X(RESIZE_NEAREST_NEIGHBOR, 94, 3) \
    X(QUANTIZED_LSTM, 95, 4) \
    X(IF, 96, 4) \
    X(WHILE, 97, 4) \
    X(ELU, 98, 4) \
    X(HARD_SWISH, 99, 4) \
    X(FILL, 100, 4) \
    X(RANK, 101, 4) \
    X(BATCH_MATMUL, 102, 6) \
    X(PACK, 103, 6) \
    X(MIRROR_PAD, 104, 7) \
    X(REVERSE, 105, 7)

/* X(name, code, feature level) for every operand type. */
#define NNAPI_OPERAND_TYPES(X) \
    X(FLOAT32, 0, 1) \
    X(INT32, 1, 1) \
    X(UINT32, 2, 1) \
    X(TENSOR_FLOAT32, 3, 1) \
    X(TENSOR_INT32, 4, 1) \
    X(TENSOR_QUANT8_ASYMM, 5, 1) \
    X(BOOL, 6, 3) \
    X(TENSOR_QUANT16_SYMM, 7, 3) \
    X(TENSOR_FLOAT16, 8, 3) \
    X(TENSOR_BOOL8, 9, 3) \
    X(FLOAT16, 10, 3) \
    X(TENSOR_QUANT8_SYMM_PER_CHANNEL, 11, 3) \
    X(TENSOR_QUANT16_ASYMM, 12, 3) \
    X(TENSOR_QUANT8_SYMM, 13, 3) \
    X(TENSOR_QUANT8_ASYMM_SIGNED, 14, 4) \
    X(MODEL, 15, 4)

/* X(name, bytes of an element) for every operand type. */
#define NNAPI_ELEMENT_SIZES(X) \
    X(FLOAT32, 4) \
    X(INT32, 4) \
    X(UINT32, 4) \
    X(TENSOR_FLOAT32, 4) \
    X(TENSOR_INT32, 4) \
    X(TENSOR_QUANT8_ASYMM, 1) \
    X(BOOL, 1) \
    X(TENSOR_QUANT16_SYMM, 2) \
    X(TENSOR_FLOAT16, 2) \
    X(TENSOR_BOOL8, 1) \
    X(FLOAT16, 2) \
    X(TENSOR_QUANT8_SYMM_PER_CHANNEL, 1) \
    X(TENSOR_QUANT16_ASYMM, 2) \
    X(TENSOR_QUANT8_SYMM, 1) \
    X(TENSOR_QUANT8_ASYMM_SIGNED, 1) \
    X(MODEL, 0)

#ifndef NNAPI_NO_PROTOTYPES
int ANeuralNetworksMemory_createFromFd(size_t size, int protect, int fd, size_t offset, ANeuralNetworksMemory** memory);
void ANeuralNetworksMemory_free(ANeuralNetworksMemory* memory);
int ANeuralNetworksModel_create(ANeuralNetworksModel** model);
void ANeuralNetworksModel_free(ANeuralNetworksModel* model);
int ANeuralNetworksModel_finish(ANeuralNetworksModel* model);
int ANeuralNetworksModel_addOperand(ANeuralNetworksModel* model, const ANeuralNetworksOperandType* type);
int ANeuralNetworksModel_setOperandValue(ANeuralNetworksModel* model, int32_t index, const void* buffer, size_t length);
int ANeuralNetworksModel_setOperandValueFromMemory(ANeuralNetworksModel* model, int32_t index, const ANeuralNetworksMemory* memory, size_t offset, size_t length);
int ANeuralNetworksModel_addOperation(ANeuralNetworksModel* model, ANeuralNetworksOperationType type, uint32_t inputCount, const uint32_t* inputs, uint32_t outputCount, const uint32_t* outputs);
int ANeuralNetworksModel_identifyInputsAndOutputs(ANeuralNetworksModel* model, uint32_t inputCount, const uint32_t* inputs, uint32_t outputCount, const uint32_t* outputs);
int ANeuralNetworksCompilation_create(ANeuralNetworksModel* model, ANeuralNetworksCompilation** compilation);
void ANeuralNetworksCompilation_free(ANeuralNetworksCompilation* compilation);
int ANeuralNetworksCompilation_setPreference(ANeuralNetworksCompilation* compilation, int32_t preference);
int ANeuralNetworksCompilation_finish(ANeuralNetworksCompilation* compilation);
int ANeuralNetworksExecution_create(ANeuralNetworksCompilation* compilation, ANeuralNetworksExecution** execution);
void ANeuralNetworksExecution_free(ANeuralNetworksExecution* execution);
int ANeuralNetworksExecution_setInput(ANeuralNetworksExecution* execution, int32_t index, const ANeuralNetworksOperandType* type, const void* buffer, size_t length);
int ANeuralNetworksExecution_setInputFromMemory(ANeuralNetworksExecution* execution, int32_t index, const ANeuralNetworksOperandType* type, const ANeuralNetworksMemory* memory, size_t offset, size_t length);
int ANeuralNetworksExecution_setOutput(ANeuralNetworksExecution* execution, int32_t index, const ANeuralNetworksOperandType* type, void* buffer, size_t length);
int ANeuralNetworksExecution_setOutputFromMemory(ANeuralNetworksExecution* execution, int32_t index, const ANeuralNetworksOperandType* type, const ANeuralNetworksMemory* memory, size_t offset, size_t length);
int ANeuralNetworksExecution_startCompute(ANeuralNetworksExecution* execution, ANeuralNetworksEvent** event);
int ANeuralNetworksEvent_wait(ANeuralNetworksEvent* event);
void ANeuralNetworksEvent_free(ANeuralNetworksEvent* event);
int ANeuralNetworksModel_relaxComputationFloat32toFloat16(ANeuralNetworksModel* model, bool allow);
int ANeuralNetworks_getDeviceCount(uint32_t* numDevices);
int ANeuralNetworks_getDevice(uint32_t devIndex, ANeuralNetworksDevice** device);
int ANeuralNetworksDevice_getName(const ANeuralNetworksDevice* device, const char** name);
int ANeuralNetworksDevice_getType(const ANeuralNetworksDevice* device, int32_t* type);
int ANeuralNetworksDevice_getVersion(const ANeuralNetworksDevice* device, const char** version);
int ANeuralNetworksDevice_getFeatureLevel(const ANeuralNetworksDevice* device, int64_t* featureLevel);
int ANeuralNetworksModel_getSupportedOperationsForDevices(const ANeuralNetworksModel* model, const ANeuralNetworksDevice* const* devices, uint32_t numDevices, bool* supportedOps);
int ANeuralNetworksCompilation_createForDevices(ANeuralNetworksModel* model, const ANeuralNetworksDevice* const* devices, uint32_t numDevices, ANeuralNetworksCompilation** compilation);
int ANeuralNetworksCompilation_setCaching(ANeuralNetworksCompilation* compilation, const char* cacheDir, const uint8_t* token);
int ANeuralNetworksExecution_compute(ANeuralNetworksExecution* execution);
int ANeuralNetworksExecution_getOutputOperandRank(ANeuralNetworksExecution* execution, int32_t index, uint32_t* rank);
int ANeuralNetworksExecution_getOutputOperandDimensions(ANeuralNetworksExecution* execution, int32_t index, uint32_t* dimensions);
int ANeuralNetworksBurst_create(ANeuralNetworksCompilation* compilation, ANeuralNetworksBurst** burst);
void ANeuralNetworksBurst_free(ANeuralNetworksBurst* burst);
int ANeuralNetworksExecution_burstCompute(ANeuralNetworksExecution* execution, ANeuralNetworksBurst* burst);
int ANeuralNetworksMemory_createFromAHardwareBuffer(const AHardwareBuffer* ahwb, ANeuralNetworksMemory** memory);
int ANeuralNetworksExecution_setMeasureTiming(ANeuralNetworksExecution* execution, bool measure);
int ANeuralNetworksExecution_getDuration(const ANeuralNetworksExecution* execution, int32_t durationCode, uint64_t* duration);
int ANeuralNetworksModel_setOperandSymmPerChannelQuantParams(ANeuralNetworksModel* model, int32_t index, const ANeuralNetworksSymmPerChannelQuantParams* channelQuant);
int ANeuralNetworksDevice_getExtensionSupport(const ANeuralNetworksDevice* device, const char* extensionName, bool* isExtensionSupported);
int ANeuralNetworksModel_getExtensionOperandType(ANeuralNetworksModel* model, const char* extensionName, uint16_t operandCodeWithinExtension, int32_t* type);
int ANeuralNetworksModel_getExtensionOperationType(ANeuralNetworksModel* model, const char* extensionName, uint16_t operationCodeWithinExtension, ANeuralNetworksOperationType* type);
int ANeuralNetworksModel_setOperandExtensionData(ANeuralNetworksModel* model, int32_t index, const void* data, size_t length);
int ANeuralNetworksMemoryDesc_create(ANeuralNetworksMemoryDesc** desc);
void ANeuralNetworksMemoryDesc_free(ANeuralNetworksMemoryDesc* desc);
int ANeuralNetworksMemoryDesc_addInputRole(ANeuralNetworksMemoryDesc* desc, const ANeuralNetworksCompilation* compilation, uint32_t index, float frequency);
int ANeuralNetworksMemoryDesc_addOutputRole(ANeuralNetworksMemoryDesc* desc, const ANeuralNetworksCompilation* compilation, uint32_t index, float frequency);
int ANeuralNetworksMemoryDesc_setDimensions(ANeuralNetworksMemoryDesc* desc, uint32_t rank, const uint32_t* dimensions);
int ANeuralNetworksMemoryDesc_finish(ANeuralNetworksMemoryDesc* desc);
int ANeuralNetworksMemory_createFromDesc(const ANeuralNetworksMemoryDesc* desc, ANeuralNetworksMemory** memory);
int ANeuralNetworksMemory_copy(const ANeuralNetworksMemory* src, const ANeuralNetworksMemory* dst);
int ANeuralNetworksDevice_wait(const ANeuralNetworksDevice* device);
int ANeuralNetworksModel_setOperandValueFromModel(ANeuralNetworksModel* model, int32_t index, const ANeuralNetworksModel* value);
int ANeuralNetworksCompilation_setPriority(ANeuralNetworksCompilation* compilation, int priority);
int ANeuralNetworksCompilation_setTimeout(ANeuralNetworksCompilation* compilation, uint64_t duration);
int ANeuralNetworksExecution_setTimeout(ANeuralNetworksExecution* execution, uint64_t duration);
int ANeuralNetworksExecution_setLoopTimeout(ANeuralNetworksExecution* execution, uint64_t duration);
uint64_t ANeuralNetworks_getDefaultLoopTimeout(void);
uint64_t ANeuralNetworks_getMaximumLoopTimeout(void);
int ANeuralNetworksEvent_createFromSyncFenceFd(int sync_fence_fd, ANeuralNetworksEvent** event);
int ANeuralNetworksEvent_getSyncFenceFd(const ANeuralNetworksEvent* event, int* sync_fence_fd);
int ANeuralNetworksExecution_startComputeWithDependencies(ANeuralNetworksExecution* execution, const ANeuralNetworksEvent* const* dependencies, uint32_t num_dependencies, uint64_t duration, ANeuralNetworksEvent** event);
int64_t ANeuralNetworks_getRuntimeFeatureLevel(void);
int ANeuralNetworksExecution_enableInputAndOutputPadding(ANeuralNetworksExecution* execution, bool enable);
int ANeuralNetworksCompilation_getPreferredMemoryAlignmentForInput(const ANeuralNetworksCompilation* compilation, uint32_t index, uint32_t* alignment);
int ANeuralNetworksCompilation_getPreferredMemoryPaddingForInput(const ANeuralNetworksCompilation* compilation, uint32_t index, uint32_t* padding);
int ANeuralNetworksCompilation_getPreferredMemoryAlignmentForOutput(const ANeuralNetworksCompilation* compilation, uint32_t index, uint32_t* alignment);
int ANeuralNetworksCompilation_getPreferredMemoryPaddingForOutput(const ANeuralNetworksCompilation* compilation, uint32_t index, uint32_t* padding);
int ANeuralNetworksExecution_setReusable(ANeuralNetworksExecution* execution, bool reusable);
#endif

#ifdef __cplusplus
}
#endif

#endif
