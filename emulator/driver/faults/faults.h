// The switches of the driver's test build, which `python -m nnapi_testkit.power build` makes from
// instrumented copies of the sources. The shipped library knows nothing of them.
//
// One site is chosen for a whole process by NNAPI_TESTKIT_FAULT=NUMBER: a rule that is left out, a
// mutant, or a planted fault. NNAPI_TESTKIT_FAULT_TRACE=FILE names a file of two bytes for each
// site, which are set where the site was reached, and where its rule refused.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

namespace nnapi::faults {

extern int current;
extern unsigned char* reached;
extern unsigned char* fired;
extern thread_local int last;
extern thread_local int inner;

/// A mutant or a planted fault: whether it is the chosen one.
inline bool on(int site) {
    reached[site] = 1;
    return current == site;
}
/// A rule: whether it is left out. What refuses next is charged to it.
inline bool off(int site) {
    reached[site] = 1;
    last = site;
    inner = 0;
    return current == site;
}
/// The same for a rule inside of OpView and Context, which other rules call.
inline bool offInner(int site) {
    reached[site] = 1;
    inner = site;
    return current == site;
}
/// A rule refuses: notes which one.
void refused();

/// Ends of the scratch memories of the operation that is executed.
extern thread_local std::vector<const unsigned char*> ends;
constexpr size_t kBehind = 64;  // bytes, as many as a vector has
constexpr unsigned char kDirty = 0x7E;

/// Memory of an arena, full of what no sound kernel reads, with some behind it that is no one's.
template <class Arena>
void* dirty(Arena& arena, size_t bytes) {
    void* memory = arena.take(bytes + kBehind);
    std::memset(memory, kDirty, bytes + kBehind);
    ends.push_back(static_cast<const unsigned char*>(memory) + bytes);
    return memory;
}

/// Before memory is given back: ends the process where a kernel wrote behind its own.
inline void look() noexcept {
    for (const unsigned char* end : ends) {
        for (size_t i = 0; i < kBehind; i++) {
            if (end[i] != kDirty) std::abort();
        }
    }
    ends.clear();
}

/// What `OpView::type` returns where its rule is left out.
template <class View, class Operand>
auto anyType(const View& view, Operand operand) {
    return view[operand].type;
}

}  // namespace nnapi::faults
