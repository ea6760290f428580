/* A library that PyTorch's runtime takes for NNAPI. What it does when the first model is made is
 * chosen by FAULT at compile time: 1 aborts, 2 hangs, 3 prints and returns an error, 4 exits. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int ANeuralNetworksModel_create(void** model) {
  *model = NULL;
#if FAULT == 1
  fputs("the driver gives up\n", stderr);
  abort();
#elif FAULT == 2
  for (;;) sleep(1);
#elif FAULT == 3
  puts("{\"ok\": true}");
  fflush(stdout);
  return 1;
#else
  exit(0);
#endif
}

/* PyTorch looks whether these exist before it calls anything. */
#define EXISTS(name) \
  int ANeuralNetworks##name(void) { return 0; }
EXISTS(Memory_createFromFd)
EXISTS(Memory_free)
EXISTS(Model_free)
EXISTS(Model_finish)
EXISTS(Model_addOperand)
EXISTS(Model_setOperandValue)
EXISTS(Model_setOperandValueFromMemory)
EXISTS(Model_addOperation)
EXISTS(Model_identifyInputsAndOutputs)
EXISTS(Model_relaxComputationFloat32toFloat16)
EXISTS(Compilation_create)
EXISTS(Compilation_free)
EXISTS(Compilation_setPreference)
EXISTS(Compilation_finish)
EXISTS(Execution_create)
EXISTS(Execution_free)
EXISTS(Execution_setInput)
EXISTS(Execution_setInputFromMemory)
EXISTS(Execution_setOutput)
EXISTS(Execution_setOutputFromMemory)
EXISTS(Execution_startCompute)
EXISTS(Execution_compute)
EXISTS(Execution_getOutputOperandRank)
EXISTS(Execution_getOutputOperandDimensions)
EXISTS(Event_wait)
EXISTS(Event_free)
