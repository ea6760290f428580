// See faults.h.
#include "faults.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

namespace nnapi::faults {
namespace {

constexpr size_t kSites = NNAPI_TESTKIT_FAULT_SITES;
unsigned char nowhere[2 * kSites];

}  // namespace

int current = 0;
unsigned char* reached = nowhere;
unsigned char* fired = nowhere + kSites;
thread_local int last = 0;
thread_local int inner = 0;
thread_local std::vector<const unsigned char*> ends;

void refused() {
    ends.clear();  // what is thrown ends the execution, and with it its memory
    fired[last] = 1;
    fired[inner] = 1;
}

namespace {

[[gnu::constructor(101)]] void choose() {
    if (const char* number = std::getenv("NNAPI_TESTKIT_FAULT")) current = std::atoi(number);
    const char* path = std::getenv("NNAPI_TESTKIT_FAULT_TRACE");
    if (path == nullptr) return;
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return;
    if (ftruncate(file, 2 * kSites) == 0) {
        // Shared with the file, so that nothing is lost where a worker dies.
        void* map = mmap(nullptr, 2 * kSites, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (map != MAP_FAILED) {
            reached = static_cast<unsigned char*>(map);
            fired = reached + kSites;
        }
    }
    close(file);
}

}  // namespace
}  // namespace nnapi::faults
