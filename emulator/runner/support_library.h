/* The table of functions that an NNAPI support library driver exports instead of symbols.
 *
 * `ANeuralNetworks_getSLDriverImpl` returns it: an int64_t feature level, then the functions in
 * the order of NeuralNetworksSupportLibraryImpl.h. The layout is the same for feature levels 5
 * and later (each later table begins with the whole earlier one); what follows these functions
 * (caching by descriptor, performance facts, diagnostics) the runner does not use. */
#ifndef NNAPI_RUNNER_SUPPORT_LIBRARY_H
#define NNAPI_RUNNER_SUPPORT_LIBRARY_H

#define SUPPORT_LIBRARY_ENTRY "ANeuralNetworks_getSLDriverImpl"

#define SUPPORT_LIBRARY_FUNCTIONS(X)                                  \
    X(ANeuralNetworksBurst_create)                                    \
    X(ANeuralNetworksBurst_free)                                      \
    X(ANeuralNetworksCompilation_createForDevices)                    \
    X(ANeuralNetworksCompilation_finish)                              \
    X(ANeuralNetworksCompilation_free)                                \
    X(ANeuralNetworksCompilation_getPreferredMemoryAlignmentForInput) \
    X(ANeuralNetworksCompilation_getPreferredMemoryAlignmentForOutput) \
    X(ANeuralNetworksCompilation_getPreferredMemoryPaddingForInput)   \
    X(ANeuralNetworksCompilation_getPreferredMemoryPaddingForOutput)  \
    X(ANeuralNetworksCompilation_setCaching)                          \
    X(ANeuralNetworksCompilation_setPreference)                       \
    X(ANeuralNetworksCompilation_setPriority)                         \
    X(ANeuralNetworksCompilation_setTimeout)                          \
    X(ANeuralNetworksDevice_getExtensionSupport)                      \
    X(ANeuralNetworksDevice_getFeatureLevel)                          \
    X(ANeuralNetworksDevice_getName)                                  \
    X(ANeuralNetworksDevice_getType)                                  \
    X(ANeuralNetworksDevice_getVersion)                               \
    X(ANeuralNetworksDevice_wait)                                     \
    X(ANeuralNetworksEvent_createFromSyncFenceFd)                     \
    X(ANeuralNetworksEvent_free)                                      \
    X(ANeuralNetworksEvent_getSyncFenceFd)                            \
    X(ANeuralNetworksEvent_wait)                                      \
    X(ANeuralNetworksExecution_burstCompute)                          \
    X(ANeuralNetworksExecution_compute)                               \
    X(ANeuralNetworksExecution_create)                                \
    X(ANeuralNetworksExecution_enableInputAndOutputPadding)           \
    X(ANeuralNetworksExecution_free)                                  \
    X(ANeuralNetworksExecution_getDuration)                           \
    X(ANeuralNetworksExecution_getOutputOperandDimensions)            \
    X(ANeuralNetworksExecution_getOutputOperandRank)                  \
    X(ANeuralNetworksExecution_setInput)                              \
    X(ANeuralNetworksExecution_setInputFromMemory)                    \
    X(ANeuralNetworksExecution_setLoopTimeout)                        \
    X(ANeuralNetworksExecution_setMeasureTiming)                      \
    X(ANeuralNetworksExecution_setOutput)                             \
    X(ANeuralNetworksExecution_setOutputFromMemory)                   \
    X(ANeuralNetworksExecution_setReusable)                           \
    X(ANeuralNetworksExecution_setTimeout)                            \
    X(ANeuralNetworksExecution_startComputeWithDependencies)          \
    X(ANeuralNetworksMemoryDesc_addInputRole)                         \
    X(ANeuralNetworksMemoryDesc_addOutputRole)                        \
    X(ANeuralNetworksMemoryDesc_create)                               \
    X(ANeuralNetworksMemoryDesc_finish)                               \
    X(ANeuralNetworksMemoryDesc_free)                                 \
    X(ANeuralNetworksMemoryDesc_setDimensions)                        \
    X(ANeuralNetworksMemory_copy)                                     \
    X(ANeuralNetworksMemory_createFromAHardwareBuffer)                \
    X(ANeuralNetworksMemory_createFromDesc)                           \
    X(ANeuralNetworksMemory_createFromFd)                             \
    X(ANeuralNetworksMemory_free)                                     \
    X(ANeuralNetworksModel_addOperand)                                \
    X(ANeuralNetworksModel_addOperation)                              \
    X(ANeuralNetworksModel_create)                                    \
    X(ANeuralNetworksModel_finish)                                    \
    X(ANeuralNetworksModel_free)                                      \
    X(ANeuralNetworksModel_getExtensionOperandType)                   \
    X(ANeuralNetworksModel_getExtensionOperationType)                 \
    X(ANeuralNetworksModel_getSupportedOperationsForDevices)          \
    X(ANeuralNetworksModel_identifyInputsAndOutputs)                  \
    X(ANeuralNetworksModel_relaxComputationFloat32toFloat16)          \
    X(ANeuralNetworksModel_setOperandExtensionData)                   \
    X(ANeuralNetworksModel_setOperandSymmPerChannelQuantParams)       \
    X(ANeuralNetworksModel_setOperandValue)                           \
    X(ANeuralNetworksModel_setOperandValueFromMemory)                 \
    X(ANeuralNetworksModel_setOperandValueFromModel)                  \
    X(ANeuralNetworks_getDefaultLoopTimeout)                          \
    X(ANeuralNetworks_getDevice)                                      \
    X(ANeuralNetworks_getDeviceCount)                                 \
    X(ANeuralNetworks_getMaximumLoopTimeout)                          \
    X(ANeuralNetworks_getRuntimeFeatureLevel)

#endif
