#include "harness.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "nnapi.h"

// What no caller may do is left out: handles that were freed, buffers shorter than told, pointers
// into nothing. Everything else happens: null for every pointer, any order, any index, any state.

namespace {

uint64_t calls;
std::map<std::string, uint64_t>& perFunction() {
    static std::map<std::string, uint64_t> counts;
    return counts;
}

[[noreturn]] void broken(const char* promise, const char* function) {
    std::fprintf(stderr, "%s: %s\n", function, promise);
    std::abort();
}

void counted(const char* function) {
    calls++;
    perFunction()[function]++;
}

int checked(int code, const char* function) {
    counted(function);
    if (code < ANEURALNETWORKS_NO_ERROR || code > ANEURALNETWORKS_DEAD_OBJECT)
        broken("a result code that does not exist", function);
    return code;
}

#define CALL(name, ...) checked(ANeuralNetworks##name(__VA_ARGS__), #name)
#define CALL_VOID(name, ...) (counted(#name), ANeuralNetworks##name(__VA_ARGS__))

/// Bytes that outlive everything: models refer to long values, executions write to outputs.
constexpr size_t kArena = 1 << 16;
alignas(64) uint8_t arena[2][kArena];
std::string cacheFolder;

const char kDevices[] =
    "[fuzz-float]\ntype = gpu\ntypes = float\nperformance = 0.5\n"
    "[fuzz-quantized]\ntypes = quantized\nlevel = 4\n"
    "[fuzz-adder]\noperations = ADD MUL RELU\nperformance = 0.25\n"
    "[fuzz-broken]\noperations = TANH LOGISTIC\nperformance = 0.1\nfails = execution\n";

void prepare() {
    static bool done = false;
    if (done) return;
    done = true;
    char folder[] = "/tmp/api-fuzz-XXXXXX";
    if (mkdtemp(folder) == nullptr) std::abort();
    cacheFolder = folder;
    const std::string path = cacheFolder + "/devices";
    if (FILE* file = std::fopen(path.c_str(), "w")) {
        std::fputs(kDevices, file);
        std::fclose(file);
    }
    setenv("NNAPI_REFERENCE_DEVICES", path.c_str(), 1);
    std::atexit([] {
        const std::string remove = "rm -rf " + cacheFolder;
        if (std::system(remove.c_str()) != 0) std::perror("rm");
    });
    for (size_t i = 0; i < kArena; i++) arena[0][i] = static_cast<uint8_t>(i * 2654435761u >> 13);
}

/// Decisions from bytes; when they are used up, everything is 0 and the sequence ends.
class Dice {
public:
    Dice(const uint8_t* data, size_t size) : at_(data), end_(data + size) {
        // Some sequences are calm, so that calls get far; in others every tenth argument is odd.
        static constexpr uint32_t rates[] = {65536, 2000, 500, 100, 10};
        rate_ = rates[below(5)];
    }
    bool empty() const { return at_ == end_; }
    uint32_t byte() { return empty() ? 0 : *at_++; }
    uint32_t below(uint32_t n) { return n <= 1 ? 0 : byte() % n; }
    bool once(uint32_t in) { return below(in) == in - 1; }
    uint32_t word() { return byte() | byte() << 8; }

    /// Whether this argument is to make no sense.
    bool odd() { return !empty() && word() % rate_ == rate_ - 1; }

    /// Mostly what makes sense, sometimes a limit.
    template <class T>
    T sane(T value) {
        if (!odd()) return value;
        static constexpr uint64_t limits[] = {0,          1,          0x7FFFFFFF, 0x80000000,
                                              0xFFFFFFFF, 0xFFFFFFFE, 65536,      ~uint64_t{0}};
        return static_cast<T>(limits[below(8)]);
    }
    template <class T>
    T* orNull(T* pointer) {
        return odd() ? nullptr : pointer;
    }

private:
    const uint8_t* at_;
    const uint8_t* end_;
    uint32_t rate_ = 1;
};

template <class T>
class Pool {
public:
    explicit Pool(void (*free)(T*)) : free_(free) {}
    ~Pool() { clear(); }
    void clear() {
        for (T* item : items_) free_(item);
        items_.clear();
    }
    void add(Dice& dice, T* item) {
        if (item == nullptr) return;
        if (items_.size() >= 5) drop(dice);
        items_.push_back(item);
    }
    T* pick(Dice& dice) {
        return items_.empty() || dice.odd() ? nullptr : items_[dice.below(items_.size())];
    }
    /// The newest: what a sequence of calls on one object wants.
    T* last() { return items_.empty() ? nullptr : items_.back(); }
    void drop(Dice& dice) {
        if (items_.empty()) return;
        const size_t i = dice.below(static_cast<uint32_t>(items_.size()));
        free_(items_[i]);
        items_.erase(items_.begin() + static_cast<long>(i));
    }

private:
    void (*free_)(T*);
    std::vector<T*> items_;
};

struct TypeOf {
    int32_t code;
    float scale;
    int32_t zeroPoint;
    uint32_t size;
};
constexpr TypeOf kTensors[] = {
    {ANEURALNETWORKS_TENSOR_FLOAT32, 0, 0, 4},
    {ANEURALNETWORKS_TENSOR_FLOAT16, 0, 0, 2},
    {ANEURALNETWORKS_TENSOR_INT32, 0, 0, 4},
    {ANEURALNETWORKS_TENSOR_QUANT8_ASYMM, 0.5f, 128, 1},
    {ANEURALNETWORKS_TENSOR_QUANT8_ASYMM_SIGNED, 0.25f, -3, 1},
    {ANEURALNETWORKS_TENSOR_BOOL8, 0, 0, 1},
    {ANEURALNETWORKS_TENSOR_QUANT16_SYMM, 0.125f, 0, 2},
    {ANEURALNETWORKS_TENSOR_QUANT8_SYMM_PER_CHANNEL, 0, 0, 1},
};

/// What the harness remembers of a model, for calls that make sense.
struct Shape {
    std::vector<uint32_t> dims;
    TypeOf type;
    uint32_t bytes() const {
        uint32_t n = type.size;
        for (uint32_t d : dims) n *= d;
        return n;
    }
};
struct Known {
    std::vector<Shape> inputs, outputs;
};

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
        switch (dice_.below(16)) {
            case 0: return randomModel();
            case 1: return goodModel();
            case 2: case 3: case 4: goodModel(); [[fallthrough]];
            case 5: case 6: compile(); [[fallthrough]];
            case 7: case 8: case 9:
                for (uint32_t times = 1 + dice_.below(2); times > 0; times--) execute();
                return;
            case 10: return memory();
            case 11: return device();
            case 12: return fence();
            case 13: return misuse();
            case 14: return described();
            default: return freeSomething();
        }
    }

    // Models.

    ANeuralNetworksModel* createModel(bool pooled = true) {
        auto* made = reinterpret_cast<ANeuralNetworksModel*>(&arena);
        ANeuralNetworksModel** slot = dice_.orNull(&made);
        if (CALL(Model_create, slot) != 0 || slot == nullptr) return nullptr;
        if (made == nullptr) broken("success without a handle", "Model_create");
        known_[made] = {};
        if (pooled) models_.add(dice_, made);
        return made;
    }

    ANeuralNetworksOperandType type(const TypeOf& of, const std::vector<uint32_t>& dims) {
        return {dice_.sane(of.code), static_cast<uint32_t>(dims.size()),
                dims.empty() ? nullptr : dims.data(),
                dice_.odd() ? static_cast<float>(dice_.byte()) - 8 : of.scale,
                dice_.sane(of.zeroPoint)};
    }

    uint32_t tensor(ANeuralNetworksModel* m, const TypeOf& of, std::vector<uint32_t> dims) {
        const auto t = type(of, dims);
        CALL(Model_addOperand, m, dice_.orNull(&t));
        return count_++;
    }

    uint32_t constant(ANeuralNetworksModel* m, const TypeOf& of, std::vector<uint32_t> dims) {
        const Shape shape{dims, of};
        const uint32_t index = tensor(m, of, std::move(dims));
        const size_t length = std::min<size_t>(dice_.sane(shape.bytes()), kArena);
        const auto at = dice_.sane(static_cast<int32_t>(index));
        if (dice_.once(5)) {
            CALL(Model_setOperandValueFromMemory, m, at, memories_.pick(dice_), dice_.sane(0u),
                 length);
        } else {
            CALL(Model_setOperandValue, m, at, dice_.orNull(arena[0]), length);
        }
        return index;
    }

    uint32_t scalar(ANeuralNetworksModel* m, int32_t value) {
        const ANeuralNetworksOperandType t = {ANEURALNETWORKS_INT32, 0, nullptr, 0, 0};
        CALL(Model_addOperand, m, &t);
        value = dice_.sane(value);
        CALL(Model_setOperandValue, m, static_cast<int32_t>(count_), dice_.orNull(&value), 4);
        return count_++;
    }

    void operation(ANeuralNetworksModel* m, int32_t code, std::vector<uint32_t> in,
                   std::vector<uint32_t> out) {
        CALL(Model_addOperation, m, dice_.sane(code), static_cast<uint32_t>(in.size()),
             dice_.orNull(in.data()), static_cast<uint32_t>(out.size()),
             dice_.orNull(out.data()));
    }

    void finish(ANeuralNetworksModel* m, std::vector<uint32_t> in, std::vector<uint32_t> out) {
        if (dice_.odd()) in.push_back(dice_.word());
        CALL(Model_identifyInputsAndOutputs, m, static_cast<uint32_t>(in.size()),
             dice_.orNull(in.data()), static_cast<uint32_t>(out.size()),
             dice_.orNull(out.data()));
        if (dice_.once(6)) CALL(Model_relaxComputationFloat32toFloat16, m, dice_.once(2));
        CALL(Model_finish, m);
    }

    std::vector<uint32_t> someDims(uint32_t most = 4) {
        std::vector<uint32_t> dims(dice_.below(most + 1));
        for (auto& d : dims) d = dice_.odd() ? dice_.sane(dice_.byte()) : dice_.below(5);
        return dims;
    }

    /// Anything at all: operands, values, operations over them, in any order.
    void randomModel() {
        ANeuralNetworksModel* m = dice_.once(3) ? models_.pick(dice_) : createModel();
        count_ = 0;
        for (uint32_t i = 2 + dice_.below(8); i > 0; i--) {
            const TypeOf& of = kTensors[dice_.below(8)];
            switch (dice_.below(7)) {
                case 0: constant(m, of, someDims()); break;
                case 1: scalar(m, static_cast<int32_t>(dice_.below(6)) - 1); break;
                case 2: {
                    const auto dims = someDims(20);
                    tensor(m, of, dims);
                    break;
                }
                case 3: {
                    float scales[8];
                    for (float& s : scales) s = static_cast<float>(dice_.byte()) - 8;
                    const ANeuralNetworksSymmPerChannelQuantParams quant = {
                        dice_.sane(dice_.below(4)), std::min(dice_.below(6), 8u),
                        dice_.orNull(scales)};
                    CALL(Model_setOperandSymmPerChannelQuantParams, m,
                         dice_.sane(static_cast<int32_t>(dice_.below(8))), dice_.orNull(&quant));
                    break;
                }
                case 4: {
                    const ANeuralNetworksOperandType t = {ANEURALNETWORKS_MODEL, 0, nullptr, 0, 0};
                    CALL(Model_addOperand, m, &t);
                    CALL(Model_setOperandValueFromModel, m,
                         dice_.sane(static_cast<int32_t>(count_)), models_.pick(dice_));
                    count_++;
                    break;
                }
                case 5: extension(m); break;
                default: tensor(m, of, someDims());
            }
        }
        for (uint32_t i = 1 + dice_.below(3); i > 0; i--)
            operation(m, static_cast<int32_t>(dice_.below(110)), indexes(8), indexes(3));
        finish(m, indexes(4), indexes(3));
    }

    std::vector<uint32_t> indexes(uint32_t most) {
        std::vector<uint32_t> found(dice_.below(most));
        for (auto& i : found) i = dice_.sane(dice_.below(count_ + 1));
        return found;
    }

    void extension(ANeuralNetworksModel* m) {
        int32_t code = 0;
        ANeuralNetworksOperationType operation = 0;
        const char* name = dice_.orNull("com.example.fuzz");
        CALL(Model_getExtensionOperandType, m, name, static_cast<uint16_t>(dice_.word()),
             dice_.orNull(&code));
        CALL(Model_getExtensionOperationType, m, name, static_cast<uint16_t>(dice_.word()),
             dice_.orNull(&operation));
        CALL(Model_setOperandExtensionData, m, dice_.sane(static_cast<int32_t>(dice_.below(6))),
             dice_.orNull(arena[0]), dice_.below(64));
    }

    /// A chain of operations that is right unless a die falls on its edge.
    void goodModel() {
        ANeuralNetworksModel* m = createModel();
        count_ = 0;
        const TypeOf& of = kTensors[std::array{0, 0, 0, 1, 3, 4}[dice_.below(6)]];
        std::vector<uint32_t> dims = {1, 1 + dice_.below(3), 1 + dice_.below(3), 2};
        std::vector<uint32_t> declared = dims;
        if (dice_.once(4)) declared.assign(4, 0);
        if (dice_.once(8)) declared.clear();
        Known about;
        const uint32_t x = tensor(m, of, declared), y = tensor(m, of, declared);
        about.inputs = {{dims, of}, {dims, of}};
        std::vector<uint32_t> inputs = {x, y};
        uint32_t value = x;
        for (uint32_t i = 1 + dice_.below(4); i > 0; i--) {
            const uint32_t out = tensor(m, of, declared);
            link(m, of, dims, value, y, out);
            value = out;
        }
        about.outputs = {{dims, of}};
        finish(m, inputs, {value});
        if (m != nullptr) known_[m] = about;
    }

    void link(ANeuralNetworksModel* m, const TypeOf& of, const std::vector<uint32_t>& dims,
              uint32_t x, uint32_t y, uint32_t out) {
        static constexpr int32_t unary[] = {ANEURALNETWORKS_RELU, ANEURALNETWORKS_RELU6,
                                            ANEURALNETWORKS_RELU1, ANEURALNETWORKS_FLOOR,
                                            ANEURALNETWORKS_TANH, ANEURALNETWORKS_LOGISTIC};
        switch (dice_.below(8)) {
            case 0: return operation(m, unary[dice_.below(6)], {x}, {out});
            case 1: return operation(m, ANEURALNETWORKS_SUB, {x, y, scalar(m, 0)}, {out});
            case 2: return operation(m, ANEURALNETWORKS_MUL, {x, y, scalar(m, 1)}, {out});
            case 3: {
                const uint32_t shape =
                    constant(m, kTensors[2], {static_cast<uint32_t>(dims.size())});
                return operation(m, ANEURALNETWORKS_RESHAPE, {x, shape}, {out});
            }
            case 4: return operation(m, ANEURALNETWORKS_MAXIMUM, {x, y}, {out});
            case 5: {
                const TypeOf& weights = of.scale > 0 && dice_.once(3) ? kTensors[7] : of;
                const uint32_t filter = constant(m, weights, {2, 1, 1, 2});
                if (&weights == &kTensors[7]) {
                    const float scales[2] = {0.5f, 0.25f};
                    const ANeuralNetworksSymmPerChannelQuantParams quant = {0, 2, scales};
                    CALL(Model_setOperandSymmPerChannelQuantParams, m,
                         static_cast<int32_t>(filter), &quant);
                }
                TypeOf bias = of;
                if (of.scale > 0)
                    bias = {ANEURALNETWORKS_TENSOR_INT32,
                            &weights == &kTensors[7] ? 0 : of.scale * weights.scale, 0, 4};
                const uint32_t offsets = constant(m, bias, {2});
                const uint32_t same = scalar(m, 1), one = scalar(m, 1), none = scalar(m, 0);
                return operation(m, ANEURALNETWORKS_CONV_2D,
                                 {x, filter, offsets, same, one, one, none}, {out});
            }
            case 6: return branch(m, of, dims, x, y, out);
            default: return operation(m, ANEURALNETWORKS_ADD, {x, y, scalar(m, 0)}, {out});
        }
    }

    /// IF over two models of one operation each.
    void branch(ANeuralNetworksModel* m, const TypeOf& of, const std::vector<uint32_t>& dims,
                uint32_t x, uint32_t y, uint32_t out) {
        const uint32_t outer = count_;
        ANeuralNetworksModel* inner[2];
        for (auto& model : inner) {
            model = createModel(false);
            count_ = 0;
            const uint32_t a = tensor(model, of, dims), b = tensor(model, of, dims);
            const uint32_t sum = tensor(model, of, dims);
            operation(model, dice_.once(2) ? ANEURALNETWORKS_ADD : ANEURALNETWORKS_SUB,
                      {a, b, scalar(model, 0)}, {sum});
            finish(model, {a, b}, {sum});
        }
        count_ = outer;
        std::vector<uint32_t> in = {constant(m, kTensors[5], {1})};
        for (auto* model : inner) {
            const ANeuralNetworksOperandType t = {ANEURALNETWORKS_MODEL, 0, nullptr, 0, 0};
            CALL(Model_addOperand, m, &t);
            CALL(Model_setOperandValueFromModel, m, static_cast<int32_t>(count_++), model);
            // It should outlive the outer model; the driver keeps it all the same.
            CALL_VOID(Model_free, model);
        }
        in.insert(in.end(), {count_ - 2, count_ - 1, x, y});
        operation(m, ANEURALNETWORKS_IF, in, {out});
    }

    // Compilations.

    std::vector<const ANeuralNetworksDevice*> devices() {
        uint32_t count = 0;
        CALL(_getDeviceCount, &count);
        std::vector<const ANeuralNetworksDevice*> found;
        for (uint32_t n = 1 + dice_.below(3); n > 0; n--) {
            ANeuralNetworksDevice* device = nullptr;
            CALL(_getDevice, dice_.once(3) ? dice_.sane(dice_.below(count)) : 0, &device);
            found.push_back(device);
        }
        return found;
    }

    void compile() {
        ANeuralNetworksModel* m = dice_.once(4) ? models_.pick(dice_) : models_.last();
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
        compiled_[made] = known_[m];
        if (dice_.once(3)) configure(made);
        if (!dice_.once(12)) CALL(Compilation_finish, made);
        if (dice_.once(6)) configure(made);
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

    // Executions.

    void execute() {
        ANeuralNetworksCompilation* c =
            dice_.once(3) ? compilations_.pick(dice_) : compilations_.last();
        ANeuralNetworksExecution* e = nullptr;
        if (CALL(Execution_create, c, dice_.orNull(&e)) != 0 || e == nullptr) return;
        executions_.add(dice_, e);
        const Known& about = compiled_[c];
        if (dice_.once(4)) tune(e);
        for (size_t i = 0; i < about.inputs.size(); i++) argument(e, i, about.inputs[i], true);
        for (size_t i = 0; i < about.outputs.size(); i++) argument(e, i, about.outputs[i], false);
        for (uint32_t times = dice_.once(4) ? 2 : 1; times > 0; times--) {
            const int code = compute(c, e);
            ask(e, about, code);
        }
    }

    void argument(ANeuralNetworksExecution* e, size_t index, const Shape& shape, bool input) {
        const auto full = type(shape.type, shape.dims);
        const auto* t = dice_.once(2) ? &full : nullptr;
        const auto i = dice_.sane(static_cast<int32_t>(index));
        const size_t length = std::min<size_t>(dice_.sane(shape.bytes()), kArena / 2);
        void* buffer = dice_.orNull(arena[input ? 0 : 1] + (dice_.once(8) ? 1 : 0));
        if (dice_.once(4)) {
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
        if (dice_.once(3)) CALL(Execution_setLoopTimeout, e, duration());
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
                     dice_.below(3), duration(), dice_.orNull(&event));
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
        const auto dims = someDims(5);
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
        ANeuralNetworksModel* m = models_.pick(dice_);
        ANeuralNetworksExecution* e = executions_.pick(dice_);
        ANeuralNetworksCompilation* c = compilations_.pick(dice_);
        switch (dice_.below(8)) {
            case 0: CALL(Model_finish, m); break;
            case 1: CALL(Compilation_finish, c); break;
            case 2: compute(c, e); break;
            case 3: if (e != nullptr) tune(e); break;
            case 4: configure(c); break;
            case 5: ask(e, {}, ANEURALNETWORKS_BAD_STATE); break;
            case 6: argument(e, dice_.below(3), {someDims(2), kTensors[0]}, dice_.once(2)); break;
            default: count_ = dice_.below(6), scalar(m, 0), finish(m, {0}, {1});
        }
    }

    void freeSomething() {
        switch (dice_.below(8)) {
            case 0: return models_.drop(dice_);
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
    uint32_t count_ = 0;
    std::map<const ANeuralNetworksModel*, Known> known_;
    std::map<const ANeuralNetworksCompilation*, Known> compiled_;
    Pool<ANeuralNetworksModel> models_{
        [](ANeuralNetworksModel* p) { CALL_VOID(Model_free, p); }};
    Pool<ANeuralNetworksCompilation> compilations_{
        [](ANeuralNetworksCompilation* p) { CALL_VOID(Compilation_free, p); }};
    Pool<ANeuralNetworksExecution> executions_{
        [](ANeuralNetworksExecution* p) { CALL_VOID(Execution_free, p); }};
    Pool<ANeuralNetworksMemory> memories_{
        [](ANeuralNetworksMemory* p) { CALL_VOID(Memory_free, p); }};
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

uint64_t callsMade() { return calls; }

void printCalls() {
    std::vector<std::pair<uint64_t, std::string>> rows;
    for (const auto& [name, count] : perFunction()) rows.emplace_back(count, name);
    std::sort(rows.begin(), rows.end());
    for (const auto& [count, name] : rows)
        std::printf("%10llu %s\n", static_cast<unsigned long long>(count), name.c_str());
    std::printf("%zu functions\n", rows.size());
}
