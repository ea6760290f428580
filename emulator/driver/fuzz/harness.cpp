#include "harness.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "models.h"
#include "pieces.h"

// What no caller may do is left out: handles that were freed, buffers shorter than told, pointers
// into nothing. Everything else happens: null for every pointer, any order, any index, any state.

namespace {

using namespace fuzz;

/// Nanoseconds: enough for the few rounds of a loop that ends.
constexpr uint64_t kLoopTimeout = 200000;

std::string cacheFolder;

const char kDevices[] =
    "[fuzz-float]\ntype = gpu\ntypes = float\nperformance = 0.5\n"
    "[fuzz-quantized]\ntypes = quantized\nlevel = 4\n"
    "[fuzz-adder]\noperations = ADD MUL RELU\nperformance = 0.25\n"
    "[fuzz-broken]\noperations = TANH LOGISTIC\nperformance = 0.1\nfails = execution\n"
    "[fuzz-uncompiled]\noperations = FLOOR\nperformance = 0.1\nfails = compilation\n"
    "[fuzz-slow]\nversion = slow\noperations = MAXIMUM\nperformance = 0.1\n"
    "execution_ms = 0.2\ncompilation_ms = 0.2\n";

void prepare() {
    static bool done = false;
    if (done) return;
    done = true;
    cacheFolder = std::filesystem::temp_directory_path() / "api-fuzz-XXXXXX";
    if (mkdtemp(cacheFolder.data()) == nullptr) std::abort();
    const std::string path = cacheFolder + "/devices";
    if (FILE* file = std::fopen(path.c_str(), "w")) {
        std::fputs(kDevices, file);
        std::fclose(file);
    }
    setenv("NNAPI_REFERENCE_DEVICES", path.c_str(), 1);
    std::atexit([] {
        std::error_code ignored;
        std::filesystem::remove_all(cacheFolder, ignored);
    });
    for (size_t i = 0; i < kArena; i++) arena[0][i] = static_cast<uint8_t>(i * 2654435761u >> 13);
}

class Sequence {
public:
    explicit Sequence(Dice dice) : dice_(dice) {}

    void run() {
        while (!dice_.empty()) step();
        // Objects go in an order that the reference forbids too: handles share what they need.
        events_.clear(), memories_.clear(), models_.clear(), executions_.clear(), bursts_.clear();
    }

private:
    void step() {
        switch (dice_.below(20)) {
            case 0: return models_.random();
            case 1: return models_.good();
            case 2: case 3: case 4: models_.good(); [[fallthrough]];
            case 5: case 6: compile(); [[fallthrough]];
            case 7: case 8: case 9:
                for (uint32_t times = 1 + dice_.below(2); times > 0; times--) execute();
                return;
            case 10: return memory();
            case 11: return device();
            case 12: return fence();
            case 13: return misuse();
            case 14: return described();
            case 15: return throughDeviceMemory();
            case 16: case 17: return chain();
            case 18: return models_.good(), compileFromCache();
            default: return freeSomething();
        }
    }

    // Compilations.

    std::vector<const ANeuralNetworksDevice*> devices() {
        uint32_t count = 0;
        CALL(_getDeviceCount, &count);
        std::vector<const ANeuralNetworksDevice*> found;
        // The one that knows everything is among them, or else it would be a list for refusals.
        const uint32_t most = 1 + dice_.below(3);
        const uint32_t first = dice_.once(3) ? dice_.below(count) : count - most;
        for (uint32_t n = most; n > 0; n--) {
            ANeuralNetworksDevice* device = nullptr;
            // Mostly another one each time: a list must not name a device twice.
            const uint32_t index = dice_.once(6) ? dice_.below(count) : (first + n) % count;
            CALL(_getDevice, dice_.sane(index), &device);
            found.push_back(device);
        }
        return found;
    }

    void compile() {
        ANeuralNetworksModel* m = dice_.once(4) ? models_.pick() : models_.last();
        ANeuralNetworksCompilation* made = nullptr;
        ANeuralNetworksCompilation** slot = dice_.orNull(&made);
        if (dice_.once(3)) {
            CALL(Compilation_create, m, slot);
        } else {
            const auto list = devices();
            static bool claimed[4096];
            if (dice_.once(3))
                CALL(Model_getSupportedOperationsForDevices, m, dice_.orNull(list.data()),
                     static_cast<uint32_t>(list.size()), dice_.orNull(claimed));
            CALL(Compilation_createForDevices, m, dice_.orNull(list.data()),
                 dice_.once(20) ? 0 : static_cast<uint32_t>(list.size()), slot);
        }
        if (made == nullptr) return;
        compilations_.add(dice_, made);
        compiled_[made] = models_.known(m);
        if (dice_.once(3)) configure(made);
        if (!dice_.once(12)) CALL(Compilation_finish, made);
        if (dice_.once(6)) configure(made);
    }

    /// The same twice with one token: the second finds the file of the first, perhaps damaged.
    void compileFromCache() {
        ANeuralNetworksModel* m = models_.last();
        const auto list = devices();
        uint8_t token[ANEURALNETWORKS_BYTE_SIZE_OF_CACHE_TOKEN] = {};
        token[0] = static_cast<uint8_t>(4 + dice_.below(4));
        for (int times = 0; times < 2; times++) {
            ANeuralNetworksCompilation* made = nullptr;
            CALL(Compilation_createForDevices, m, list.data(), static_cast<uint32_t>(list.size()),
                 &made);
            if (made == nullptr) return;
            compilations_.add(dice_, made);
            compiled_[made] = models_.known(m);
            CALL(Compilation_setCaching, made, cacheFolder.c_str(), token);
            CALL(Compilation_finish, made);
            if (dice_.once(3)) damageCache();
        }
    }

    void damageCache() {
        for (const auto& entry : std::filesystem::directory_iterator(cacheFolder)) {
            if (entry.path().filename() == "devices") continue;
            const int fd = open(entry.path().c_str(), O_RDWR | O_CLOEXEC);
            if (fd < 0) continue;
            const auto length = static_cast<off_t>(entry.file_size());
            const uint8_t byte = static_cast<uint8_t>(dice_.byte());
            const off_t at = static_cast<off_t>(dice_.word()) % std::max<off_t>(length, 1);
            const bool done =
                dice_.once(4) ? ftruncate(fd, at) == 0 : pwrite(fd, &byte, 1, at) == 1;
            close(fd);
            if (!done) std::abort();
        }
    }

    ANeuralNetworksCompilation* someCompilation() {
        if (compilations_.empty()) models_.good(), compile();
        return dice_.once(3) ? compilations_.pick(dice_) : compilations_.last();
    }

    void configure(ANeuralNetworksCompilation* c) {
        if (dice_.once(2))
            CALL(Compilation_setPreference, c, dice_.sane(static_cast<int32_t>(dice_.below(4))));
        if (dice_.once(2)) {
            static constexpr int priorities[] = {ANEURALNETWORKS_PRIORITY_LOW,
                                                 ANEURALNETWORKS_PRIORITY_MEDIUM,
                                                 ANEURALNETWORKS_PRIORITY_HIGH, 1};
            CALL(Compilation_setPriority, c, dice_.sane(priorities[dice_.below(4)]));
        }
        if (dice_.once(3)) CALL(Compilation_setTimeout, c, duration());
        if (dice_.once(2)) {
            uint8_t token[ANEURALNETWORKS_BYTE_SIZE_OF_CACHE_TOKEN] = {};
            token[0] = static_cast<uint8_t>(dice_.below(4));
            const std::string folder = cacheFolder + (dice_.once(8) ? "/missing" : "");
            CALL(Compilation_setCaching, c, dice_.orNull(folder.c_str()), dice_.orNull(token));
        }
        uint32_t answer = 0;
        const uint32_t at = dice_.sane(dice_.below(2));
        CALL(Compilation_getPreferredMemoryAlignmentForInput, c, at, dice_.orNull(&answer));
        CALL(Compilation_getPreferredMemoryPaddingForInput, c, at, dice_.orNull(&answer));
        CALL(Compilation_getPreferredMemoryAlignmentForOutput, c, at, dice_.orNull(&answer));
        CALL(Compilation_getPreferredMemoryPaddingForOutput, c, at, dice_.orNull(&answer));
    }

    uint64_t duration() {
        static constexpr uint64_t some[] = {0, 1, 1000, 1000000, 1000000000, ~uint64_t{0}};
        return some[dice_.below(6)];
    }

    /// Of a fenced execution, which needs one device for it: mostly none.
    uint64_t deadline() { return dice_.once(3) ? duration() : 0; }

    // Executions.

    void execute() {
        ANeuralNetworksCompilation* c = someCompilation();
        ANeuralNetworksExecution* e = nullptr;
        if (CALL(Execution_create, c, dice_.orNull(&e)) != 0 || e == nullptr) return;
        executions_.add(dice_, e);
        const Known& about = compiled_[c];
        if (dice_.once(4)) tune(e);
        if (about.loops) CALL(Execution_setLoopTimeout, e, kLoopTimeout);
        for (size_t i = 0; i < about.inputs.size(); i++) argument(e, i, about.inputs[i], true);
        for (size_t i = 0; i < about.outputs.size(); i++) argument(e, i, about.outputs[i], false);
        for (uint32_t times = dice_.once(4) ? 2 : 1; times > 0; times--) {
            const int code = compute(c, e);
            ask(e, about, code);
        }
    }

    void argument(ANeuralNetworksExecution* e, size_t index, const Shape& shape, bool input) {
        const auto full = models_.type(shape.type, shape.dims);
        const auto* t = dice_.once(shape.unknown ? 8 : 2) == shape.unknown ? nullptr : &full;
        const auto i = dice_.sane(static_cast<int32_t>(index));
        const size_t length = std::min<size_t>(dice_.sane(shape.bytes()), kArena / 2);
        void* buffer = dice_.orNull(arena[input ? 0 : 1] + (dice_.once(8) ? 1 : 0));
        if (!memories_.empty() && dice_.once(4)) {
            ANeuralNetworksMemory* memory = memories_.pick(dice_);
            const size_t offset = dice_.once(3) ? dice_.sane(64u) : 0;
            const size_t told = dice_.once(4) ? 0 : length;
            if (input) {
                CALL(Execution_setInputFromMemory, e, i, t, memory, offset, told);
            } else {
                CALL(Execution_setOutputFromMemory, e, i, t, memory, offset, told);
            }
        } else if (input) {
            CALL(Execution_setInput, e, i, t, buffer, buffer == nullptr ? 0 : length);
        } else {
            CALL(Execution_setOutput, e, i, t, buffer, length);
        }
    }

    void tune(ANeuralNetworksExecution* e) {
        if (dice_.once(2)) CALL(Execution_setReusable, e, dice_.once(2));
        if (dice_.once(2)) CALL(Execution_setMeasureTiming, e, dice_.once(2));
        if (dice_.once(3)) CALL(Execution_setTimeout, e, duration());
        if (dice_.once(3)) CALL(Execution_setLoopTimeout, e, dice_.once(2) ? 0 : kLoopTimeout);
        if (dice_.once(3)) CALL(Execution_enableInputAndOutputPadding, e, dice_.once(2));
    }

    int compute(ANeuralNetworksCompilation* c, ANeuralNetworksExecution* e) {
        ANeuralNetworksEvent* event = nullptr;
        switch (dice_.below(4)) {
            case 0: return CALL(Execution_compute, e);
            case 1: {
                ANeuralNetworksBurst* burst = dice_.once(2) ? bursts_.pick(dice_) : nullptr;
                if (burst == nullptr) {
                    CALL(Burst_create, c, dice_.orNull(&burst));
                    bursts_.add(dice_, burst);
                }
                return CALL(Execution_burstCompute, e, burst);
            }
            case 2: {
                CALL(Execution_startCompute, e, dice_.orNull(&event));
                break;
            }
            default: {
                const ANeuralNetworksEvent* list[2] = {events_.pick(dice_), events_.pick(dice_)};
                CALL(Execution_startComputeWithDependencies, e, dice_.orNull(list),
                     dice_.below(3), deadline(), dice_.orNull(&event));
            }
        }
        if (event == nullptr) return ANEURALNETWORKS_OP_FAILED;
        events_.add(dice_, event);
        if (dice_.once(3)) {
            int fd = -1;
            if (CALL(Event_getSyncFenceFd, event, dice_.orNull(&fd)) == 0 && fd >= 0) close(fd);
        }
        return dice_.once(10) ? int{ANEURALNETWORKS_OP_FAILED} : CALL(Event_wait, event);
    }

    void ask(ANeuralNetworksExecution* e, const Known& about, int code) {
        uint32_t rank = 0;
        const int asked = CALL(Execution_getOutputOperandRank, e,
                               dice_.sane(static_cast<int32_t>(0)), dice_.orNull(&rank));
        if (rank > 16) broken("a rank above the driver's limit", "Execution_getOutputOperandRank");
        uint32_t dims[16] = {};
        CALL(Execution_getOutputOperandDimensions, e, 0, dice_.orNull(dims));
        if (code == 0 && asked == 0 && !about.outputs.empty() && rank != 0 && rank != 4)
            broken("another rank than the operations give", "Execution_getOutputOperandRank");
        uint64_t duration = 0;
        if (dice_.once(3))
            CALL(Execution_getDuration, e, dice_.sane(static_cast<int32_t>(dice_.below(5))),
                 dice_.orNull(&duration));
    }

    /// Executions that wait for each other, the first perhaps for a fence that is signalled, or
    /// broken, only when all have been started. Meanwhile they are used in ways that they forbid.
    void chain() {
        ANeuralNetworksCompilation* c = someCompilation();
        const Known about = compiled_[c];
        int ends[2] = {-1, -1};
        ANeuralNetworksEvent* before = nullptr;
        const bool failing = dice_.once(4);
        if (dice_.once(2) && pipe(ends) == 0) {
            // Of a pipe without a reader poll says POLLERR.
            CALL(Event_createFromSyncFenceFd, ends[failing ? 1 : 0], &before);
        }
        const bool fence = before != nullptr;
        // A full pipe, so that writing to it is not possible before the reader goes.
        if (fence && failing) fill(ends[1]);
        std::vector<ANeuralNetworksEvent*> events;
        std::vector<ANeuralNetworksExecution*> started;
        if (fence) events.push_back(before);
        for (uint32_t n = 1 + dice_.below(3); n > 0; n--) {
            ANeuralNetworksExecution* e = nullptr;
            if (CALL(Execution_create, c, &e) != 0) break;
            if (dice_.once(4)) tune(e);
            if (about.loops) CALL(Execution_setLoopTimeout, e, kLoopTimeout);
            for (size_t i = 0; i < about.inputs.size(); i++)
                argument(e, i, about.inputs[i], true);
            for (size_t i = 0; i < about.outputs.size(); i++)
                argument(e, i, about.outputs[i], false);
            ANeuralNetworksEvent* after = nullptr;
            const ANeuralNetworksEvent* list[1] = {before};
            const int code = CALL(Execution_startComputeWithDependencies, e, list,
                                  before == nullptr ? 0 : 1, deadline(), &after);
            if ((code == ANEURALNETWORKS_NO_ERROR) != (after != nullptr))
                broken("an event or success, not both", "Execution_startComputeWithDependencies");
            executions_.add(dice_, e);
            if (after == nullptr) break;
            events.push_back(before = after);
            started.push_back(e);
        }
        // Held back by the fence: what has been scheduled can be neither changed nor started.
        if (fence && !started.empty() && !about.inputs.empty() && executions_.has(started[0])) {
            ANeuralNetworksExecution* e = started[0];
            if (CALL(Execution_setInput, e, 0, nullptr, arena[0], about.inputs[0].bytes()) !=
                ANEURALNETWORKS_BAD_STATE)
                broken("an input was set while it computes", "Execution_setInput");
            if (CALL(Execution_compute, e) != ANEURALNETWORKS_BAD_STATE)
                broken("started while it computes", "Execution_compute");
            uint64_t time = 0;
            if (CALL(Execution_getDuration, e, 0, &time) != ANEURALNETWORKS_BAD_STATE)
                broken("known while it computes", "Execution_getDuration");
        }
        if (fence) {
            if (failing) {
                close(ends[0]), ends[0] = -1;
            } else if (write(ends[1], "!", 1) != 1) {
                std::abort();
            }
        }
        int last = ANEURALNETWORKS_NO_ERROR;
        const bool ordered = dice_.once(2);
        for (size_t i = 0; i < events.size(); i++) {
            ANeuralNetworksEvent* event = events[ordered ? i : events.size() - 1 - i];
            int fd = -1;
            if (dice_.once(3) &&
                CALL(Event_getSyncFenceFd, event, &fd) == ANEURALNETWORKS_NO_ERROR && fd >= 0)
                close(fd);
            if (dice_.once(5)) continue;
            const int code = CALL(Event_wait, event);
            if (ordered && last != 0 && code == ANEURALNETWORKS_NO_ERROR)
                broken("success after the failure of what it depends on", "Event_wait");
            last = std::max(last, code);
        }
        for (ANeuralNetworksEvent* event : events) events_.add(dice_, event);
        for (int end : ends)
            if (end >= 0) close(end);
    }

    static void fill(int end) {
        if (fcntl(end, F_SETPIPE_SZ, 4096) < 0 || fcntl(end, F_SETFL, O_NONBLOCK) < 0) std::abort();
        static const char zeros[4096] = {};
        while (write(end, zeros, sizeof zeros) > 0) {
        }
    }

    // Memory, devices, fences.

    void memory() {
        ANeuralNetworksMemory* made = nullptr;
        if (dice_.once(8)) {
            CALL(Memory_createFromAHardwareBuffer,
                 dice_.orNull(reinterpret_cast<const AHardwareBuffer*>(arena)),
                 dice_.orNull(&made));
            memories_.add(dice_, made);
            return;
        }
        if (dice_.once(5)) {
            CALL(Memory_copy, memories_.pick(dice_), memories_.pick(dice_));
            return;
        }
        const int fd = dice_.once(20) ? -1 : memfd_create("fuzz", MFD_CLOEXEC);
        const size_t size = 4096 * (1 + dice_.below(4));
        if (fd >= 0 && ftruncate(fd, static_cast<off_t>(size)) != 0) std::abort();
        static constexpr int modes[] = {PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ,
                                        PROT_NONE, PROT_WRITE, 64};
        // Longer than the file is a promise of the caller's, but the driver can look.
        CALL(Memory_createFromFd, dice_.sane(size), modes[dice_.below(6)], fd,
             dice_.once(8) ? dice_.sane(4096u) : 0, dice_.orNull(&made));
        if (fd >= 0) close(fd);
        memories_.add(dice_, made);
    }

    void described() {
        ANeuralNetworksMemoryDesc* desc = nullptr;
        if (CALL(MemoryDesc_create, dice_.orNull(&desc)) != 0 || desc == nullptr) return;
        for (uint32_t n = 1 + dice_.below(3); n > 0; n--) {
            ANeuralNetworksCompilation* c =
                dice_.once(3) ? compilations_.pick(dice_) : compilations_.last();
            const uint32_t index = dice_.sane(dice_.below(2));
            const float frequency = dice_.once(8) ? -1.0f : 0.5f;
            if (dice_.once(2)) {
                CALL(MemoryDesc_addInputRole, desc, c, index, frequency);
            } else {
                CALL(MemoryDesc_addOutputRole, desc, c, index, frequency);
            }
        }
        const auto dims = models_.someDims(5);
        if (dice_.once(3))
            CALL(MemoryDesc_setDimensions, desc, static_cast<uint32_t>(dims.size()),
                 dice_.orNull(dims.data()));
        if (!dice_.once(8)) CALL(MemoryDesc_finish, desc);
        if (dice_.once(8)) CALL(MemoryDesc_setDimensions, desc, 0, nullptr);
        ANeuralNetworksMemory* made = nullptr;
        CALL(Memory_createFromDesc, dice_.orNull(desc), dice_.orNull(&made));
        memories_.add(dice_, made);
        CALL_VOID(MemoryDesc_free, desc);
    }

    ANeuralNetworksMemory* deviceMemory(const ANeuralNetworksCompilation* c, uint32_t roles) {
        ANeuralNetworksMemoryDesc* desc = nullptr;
        if (CALL(MemoryDesc_create, &desc) != 0) return nullptr;
        if (roles & 1) CALL(MemoryDesc_addInputRole, desc, c, dice_.sane(0u), 0.5f);
        if (roles & 2) CALL(MemoryDesc_addOutputRole, desc, c, dice_.sane(0u), 1.0f);
        const auto& outputs = compiled_[c].outputs;
        if (!outputs.empty() && dice_.once(2))
            CALL(MemoryDesc_setDimensions, desc, static_cast<uint32_t>(outputs[0].dims.size()),
                 outputs[0].dims.data());
        CALL(MemoryDesc_finish, desc);
        ANeuralNetworksMemory* made = nullptr;
        CALL(Memory_createFromDesc, desc, dice_.orNull(&made));
        CALL_VOID(MemoryDesc_free, desc);
        return made;
    }

    ANeuralNetworksMemory* fileMemory(size_t size) {
        const int fd = memfd_create("fuzz", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, static_cast<off_t>(size)) != 0) std::abort();
        ANeuralNetworksMemory* made = nullptr;
        CALL(Memory_createFromFd, size, PROT_READ | PROT_WRITE, fd, 0, &made);
        close(fd);
        return made;
    }

    /// A file's bytes to device memory, there and back by executions and copies.
    void throughDeviceMemory() {
        ANeuralNetworksCompilation* c = someCompilation();
        const Known about = compiled_[c];
        if (about.inputs.empty() || about.outputs.empty() || about.outputs[0].bytes() == 0) return;
        const size_t size = about.outputs[0].bytes();
        ANeuralNetworksMemory* file = fileMemory(std::clamp<size_t>(dice_.sane(size), 1, kArena));
        ANeuralNetworksMemory* first = deviceMemory(c, 1 + dice_.below(3));
        ANeuralNetworksMemory* second = deviceMemory(c, 1 + dice_.below(3));
        const ANeuralNetworksMemory* all[] = {file, first, second};
        for (uint32_t n = 2 + dice_.below(6); n > 0; n--) {
            const uint32_t from = dice_.below(3), to = dice_.below(3);
            if (dice_.once(2)) {
                CALL(Memory_copy, all[from], all[to]);
                continue;
            }
            ANeuralNetworksExecution* e = nullptr;
            if (CALL(Execution_create, c, &e) != 0) break;
            if (about.loops) CALL(Execution_setLoopTimeout, e, kLoopTimeout);
            const size_t in = from == 0 ? size : 0, out = to == 0 ? size : 0;
            CALL(Execution_setInputFromMemory, e, 0, nullptr, all[from], 0, in);
            for (size_t i = 1; i < about.inputs.size(); i++)
                argument(e, i, about.inputs[i], true);
            CALL(Execution_setOutputFromMemory, e, 0, nullptr, all[to], 0, out);
            ask(e, about, compute(c, e));
            executions_.add(dice_, e);
        }
        for (auto* memory : {file, first, second}) memories_.add(dice_, memory);
    }

    void device() {
        const char* text = nullptr;
        int32_t kind = 0;
        int64_t level = 0;
        bool known = false;
        uint32_t count = 0;
        CALL(_getDeviceCount, dice_.orNull(&count));
        for (const auto* d : devices()) {
            if (CALL(Device_getName, d, dice_.orNull(&text)) == 0 && text == nullptr)
                broken("success without a name", "Device_getName");
            CALL(Device_getType, d, dice_.orNull(&kind));
            CALL(Device_getVersion, d, dice_.orNull(&text));
            CALL(Device_getFeatureLevel, d, dice_.orNull(&level));
            CALL(Device_getExtensionSupport, d, dice_.orNull("com.example.fuzz"),
                 dice_.orNull(&known));
            if (d != nullptr || dice_.once(2)) CALL(Device_wait, d);
        }
        CALL_VOID(_getDefaultLoopTimeout);
        CALL_VOID(_getMaximumLoopTimeout);
        CALL_VOID(_getRuntimeFeatureLevel);
    }

    void fence() {
        int ends[2] = {-1, -1};
        if (pipe(ends) != 0) return;
        // A fence that nobody signals would rightly be waited for: this one has been.
        if (write(ends[1], "!", 1) != 1) std::abort();
        ANeuralNetworksEvent* made = nullptr;
        CALL(Event_createFromSyncFenceFd, dice_.once(6) ? -1 : ends[0], dice_.orNull(&made));
        events_.add(dice_, made);
        int fd = -1;
        if (CALL(Event_getSyncFenceFd, events_.pick(dice_), dice_.orNull(&fd)) == 0 && fd >= 0)
            close(fd);
        if (dice_.once(2)) CALL(Event_wait, events_.pick(dice_));
        close(ends[0]);
        close(ends[1]);
    }

    /// Calls in states in which they make no sense.
    void misuse() {
        ANeuralNetworksModel* m = models_.pick();
        ANeuralNetworksExecution* e = executions_.pick(dice_);
        ANeuralNetworksCompilation* c = compilations_.pick(dice_);
        switch (dice_.below(8)) {
            case 0: CALL(Model_finish, m); break;
            case 1: CALL(Compilation_finish, c); break;
            case 2: compute(c, e); break;
            case 3: if (e != nullptr) tune(e); break;
            case 4: configure(c); break;
            case 5: ask(e, {}, ANEURALNETWORKS_BAD_STATE); break;
            case 6: argument(e, dice_.below(3), {models_.someDims(2), kTensors[0]},
                             dice_.once(2)); break;
            default: models_.misuse(m);
        }
    }

    void freeSomething() {
        switch (dice_.below(8)) {
            case 0: return models_.drop();
            case 1: return compilations_.drop(dice_);
            case 2: return executions_.drop(dice_);
            case 3: return memories_.drop(dice_);
            case 4: return events_.drop(dice_);
            case 5: return bursts_.drop(dice_);
            default:
                CALL_VOID(Model_free, nullptr), CALL_VOID(Compilation_free, nullptr);
                CALL_VOID(Execution_free, nullptr), CALL_VOID(Memory_free, nullptr);
                CALL_VOID(Event_free, nullptr), CALL_VOID(Burst_free, nullptr);
                CALL_VOID(MemoryDesc_free, nullptr);
        }
    }

    Dice dice_;
    std::map<const ANeuralNetworksCompilation*, Known> compiled_;
    Pool<ANeuralNetworksCompilation> compilations_{
        [](ANeuralNetworksCompilation* p) { CALL_VOID(Compilation_free, p); }};
    Pool<ANeuralNetworksExecution> executions_{
        [](ANeuralNetworksExecution* p) { CALL_VOID(Execution_free, p); }};
    Pool<ANeuralNetworksMemory> memories_{
        [](ANeuralNetworksMemory* p) { CALL_VOID(Memory_free, p); }};
    Models models_{dice_, memories_};
    Pool<ANeuralNetworksEvent> events_{
        [](ANeuralNetworksEvent* p) { CALL_VOID(Event_free, p); }};
    Pool<ANeuralNetworksBurst> bursts_{
        [](ANeuralNetworksBurst* p) { CALL_VOID(Burst_free, p); }};
};

}  // namespace

void runSequence(const uint8_t* data, size_t size) {
    prepare();
    Sequence(Dice(data, size)).run();
}

uint64_t callsMade() { return fuzz::calls; }

void printCalls() {
    std::vector<std::pair<fuzz::Count, std::string>> rows;
    for (const auto& [name, count] : fuzz::counts()) rows.emplace_back(count, name);
    std::sort(rows.begin(), rows.end(),
              [](const auto& a, const auto& b) { return a.first.calls < b.first.calls; });
    std::printf("%10s %10s\n", "calls", "succeeded");
    for (const auto& [count, name] : rows)
        std::printf("%10llu %10llu %s\n", static_cast<unsigned long long>(count.calls),
                    static_cast<unsigned long long>(count.successes), name.c_str());
    std::printf("%zu functions\n", rows.size());
}
