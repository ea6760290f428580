// The driver with defects that the sanitizers must report: each new model leaks, and two threads
// write one counter. It stands where a driver stands, so that whoever runs a suite on it learns
// whether a defect in a driver would have been noticed; all other functions are the driver's own.

#include <dlfcn.h>

#include <cstdlib>
#include <thread>

#include "nnapi.h"

namespace {

int counter;
void* volatile lost;

void leak() {
    lost = std::malloc(100);
    lost = nullptr;
}

void race() {
    std::thread other([] { counter = counter + 1; });
    counter = counter + 1;
    other.join();
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int ANeuralNetworksModel_create(
    ANeuralNetworksModel** model) {
    leak();
    race();
    const auto real = reinterpret_cast<decltype(&ANeuralNetworksModel_create)>(
        dlsym(RTLD_NEXT, "ANeuralNetworksModel_create"));
    return real(model);
}
