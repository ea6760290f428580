"""Faults that are planted in the test build of the driver: what no wrapper around it can do.

Each replaces one piece of the driver's source, which must stand there exactly once; `ON` in the
replacement asks whether this fault is the chosen one.
"""

from __future__ import annotations

from dataclasses import dataclass

from nnapi_testkit.power.planted_cells import CELLS
from nnapi_testkit.power.planted_edges import EDGES
from nnapi_testkit.power.planted_indexing import INDEXING
from nnapi_testkit.power.planted_kernels import KERNELS
from nnapi_testkit.power.planted_runtime import RUNTIME
from nnapi_testkit.power.planted_values import VALUES

__all__ = ["PLANTED", "Planted"]

GENERIC = ("*",)


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault in the driver itself.

    Args:
        id: its name in the catalogue.
        what: what goes wrong, in a sentence.
        seen: where such a fault was seen.
        operations: whose cases may notice; `*` is a choice of operations and all that run in
            special ways.
        file: path below `emulator`. find, replace: the edit.
    """

    id: str
    what: str
    seen: str
    operations: tuple[str, ...]
    file: str
    find: str
    replace: str


_EXECUTOR = "driver/executor.cpp"
_EXECUTION = "driver/execution.cpp"
_COMPILATION = "driver/compilation.cpp"
_PLAN = "driver/plan.cpp"
_MEMORY = "driver/memory.cpp"
_CACHE = "driver/cache.cpp"
_QUANTIZE = "driver/kernels/quantize.h"
_KERNEL_RUNS = "operation.kernel->execute(context);"
_ZERO = "{ auto z = array<Tensor>(1); z[0] = *inputs[i]; z[0].data = std::memset(::operator new("
_ZERO += "z[0].bytes() + 1), 0, z[0].bytes() + 1); inputs[i] = &z[0]; }"
_KEPT = (
    "{{ struct Kept {{ std::weak_ptr<const Compilation> owner; std::vector<char> bytes; }};"
    " static std::map<std::pair<const void*, size_t>, Kept> all; static std::mutex guard;"
    " const std::lock_guard lock(guard); Kept& kept = all[{{{key}, i}}];"
    " if (kept.owner.lock() != compilation_ || kept.bytes.size() != to.bytes()) {{"
    " kept.owner = compilation_; kept.bytes.assign(static_cast<const char*>(from.data),"
    " static_cast<const char*>(from.data) + to.bytes()); }} to.data = kept.bytes.data(); }}"
)
_COUNTED = (
    "if (ON) { static std::map<const void*, std::weak_ptr<const Compilation>> all;"
    " static std::mutex guard; const std::lock_guard lock(guard);"
    " auto& owner = all[compilation_.get()];"
    ' if (owner.lock() == compilation_) fail(ANEURALNETWORKS_OP_FAILED, "once");'
    " owner = compilation_; } Lease lease(*compilation_);"
)

# (id, what, seen, operations, file, find, replace)
PLANTED: tuple[Planted, ...] = tuple(
    Planted(*row)
    for row in (
        (
            "value-freed-after-first-use",
            "the buffer of a value is given away after its first reader, though another follows",
            "google-ai-edge/mediapipe#1962 (OP_FAILED in residual networks)",
            GENERIC,
            _PLAN,
            "lastUse[operand] = static_cast<int32_t>(i);",
            "if (!(ON && lastUse[operand] >= 0 && plan->prototype_[operand].read &&"
            " list == &operation.inputs && plan->steps_[lastUse[operand]].operation->inputs.end()"
            " != std::find(plan->steps_[lastUse[operand]].operation->inputs.begin(),"
            " plan->steps_[lastUse[operand]].operation->inputs.end(), operand)))"
            " lastUse[operand] = static_cast<int32_t>(i);",
        ),
        (
            "output-that-is-read-lost",
            "a model output that another operation reads is never delivered",
            "microsoft/onnxruntime: models whose outputs feed later nodes",
            GENERIC,
            _PLAN,
            "std::vector<int32_t> lastUse(operands.size(), -1);",
            "std::vector<int32_t> lastUse(operands.size(), -1);"
            " if (ON) for (Slot& slot : plan->prototype_) if (slot.read) slot.output = -1;",
        ),
        (
            "operations-in-listed-order",
            "operations are executed as they are listed, not as their values need it",
            "intel/webml-polyfill#469 (legal details of graphs)",
            GENERIC,
            _PLAN,
            "for (uint32_t index : model.order())",
            "for (uint32_t place = 0, index; place < model.order().size() &&"
            " (index = ON ? place : model.order()[place], true); place++)",
        ),
        (
            "operand-used-twice",
            "an operation that takes one operand twice reads zeros the second time",
            "intel/webml-polyfill#469 (legal details of graphs)",
            GENERIC,
            _EXECUTOR,
            "inputs[i] = &frame[operation.inputs[i]].tensor;",
            "inputs[i] = &frame[operation.inputs[i]].tensor; if (ON && i > 0 &&"
            f" operation.inputs[i] == operation.inputs[0]) {_ZERO}",
        ),
        (
            "reused-execution-keeps-inputs",
            "a reusable execution computes with the inputs of its first computation",
            "google-ai-edge/mediapipe#1962; reusable executions of feature level 5",
            GENERIC,
            _EXECUTION,
            "to.shape = from.operand.shape;\n        to.data = from.data;",
            "to.shape = from.operand.shape;\n        to.data = from.data;"
            " if (ON && reusable_ && from.data != nullptr) " + _KEPT.format(key="this"),
        ),
        (
            "fed-weights-kept",
            "inputs but the first are packed once for a compilation, though they are no constants",
            "tensorflow/tensorflow#29639 (weights that are no constants)",
            GENERIC,
            _EXECUTION,
            "if (from.memory && from.memory->isDevice()) {\n            Operand actual;",
            "if (ON && i > 0 && from.data != nullptr && isAligned(from.data, to.type)) "
            + _KEPT.format(key="compilation_.get()")
            + " else if (from.memory && from.memory->isDevice()) {\n            Operand actual;",
        ),
        (
            "second-execution-fails",
            "a compilation can be executed once",
            "google-ai-edge/mediapipe#1962 (OP_FAILED at a later execution)",
            GENERIC,
            _EXECUTION,
            "Lease lease(*compilation_);",
            _COUNTED,
        ),
        (
            "cache-ignores-the-model",
            "a cached compilation is used for another model with the same token",
            "tensorflow/tensorflow#58990 (compilation caching)",
            GENERIC,
            _CACHE,
            "header.count != count || header.model != ModelHash().of(model)",
            "!ON && (header.count != count || header.model != ModelHash().of(model))",
        ),
        (
            "cache-hit-fails",
            "compiling from a warm cache fails",
            "tensorflow/tensorflow#58990 (compilation caching)",
            GENERIC,
            _COMPILATION,
            "if (auto stored = cache_->load(*model_, devices)) return std::move(*stored);",
            "if (auto stored = cache_->load(*model_, devices)) { if (ON)"
            ' fail(ANEURALNETWORKS_OP_FAILED, "cache"); return std::move(*stored); }',
        ),
        (
            "cache-cannot-be-written",
            "a cache folder that is asked for is an error",
            "tensorflow/tensorflow#58990 (compilation caching)",
            GENERIC,
            _COMPILATION,
            "cache_.emplace(directory, copy);",
            'if (ON) fail(ANEURALNETWORKS_OP_FAILED, "no cache"); cache_.emplace(directory, copy);',
        ),
        (
            "memory-offset-ignored",
            "a region of a memory object is read from its beginning",
            "android/ndk#1762 (constants in memory)",
            GENERIC,
            _MEMORY,
            "return static_cast<uint8_t*>(data_) + offset;",
            "return static_cast<uint8_t*>(data_) + (ON ? 0 : offset);",
        ),
        (
            "constant-memory-crashes",
            "constants in shared memory end the process",
            "android/ndk#1762 (SIGSEGV in ANeuralNetworksModel_finish)",
            GENERIC,
            _MEMORY,
            "memory->data_ = address;",
            "memory->data_ = address; if (ON) std::abort();",
        ),
        (
            "device-memory-copy-short",
            "copying to device memory leaves out the last byte",
            "ARM-software/armnn#769 (memory paths of a driver)",
            GENERIC,
            _MEMORY,
            "std::memcpy(to.overwrite(size), bytes, size);",
            "std::memcpy(to.overwrite(size), bytes, size - (ON && size > 0));",
        ),
        (
            "mapping-leak",
            "the mapping of a memory object is never given back",
            "intel/nn-hal#1 (dies after a while under repetition)",
            GENERIC,
            _MEMORY,
            "if (!device_ && data_ != nullptr) munmap(data_, size_);",
            "if (!device_ && data_ != nullptr && !ON) munmap(data_, size_);",
        ),
        (
            "descriptor-leak",
            "a memory object keeps a copy of its file descriptor for ever",
            "intel/nn-hal#1 (dies after a while under repetition)",
            GENERIC,
            _MEMORY,
            "memory->size_ = size;",
            "memory->size_ = size; if (ON && dup(fd) < 0) std::abort();",
        ),
        (
            "heap-leak",
            "each execution loses a megabyte",
            "intel/nn-hal#1 (dies after a while under repetition)",
            GENERIC,
            _EXECUTION,
            "duration_ = UINT64_MAX;",
            # Volatile: what is written to memory that nobody reads may be left out.
            "duration_ = UINT64_MAX; if (ON) { auto* lost = static_cast<volatile char*>(::operator"
            " new(1 << 20)); for (size_t k = 0; k < 1 << 20; k += 4096) lost[k] = 1; }",
        ),
        (
            "duration-fails",
            "a measured execution has no duration",
            "microsoft/onnxruntime#7859 (time that nobody can account for)",
            GENERIC,
            _EXECUTION,
            "return duration_;",
            'if (ON) fail(ANEURALNETWORKS_OP_FAILED, "no duration"); return duration_;',
        ),
        (
            "timeout-in-other-units",
            "a timeout in nanoseconds is read as one a million times shorter",
            "ARM-software/armnn#674 (timed out while waiting for the inference)",
            GENERIC,
            _EXECUTION,
            "timeout_ = nanoseconds;",
            "timeout_ = ON ? nanoseconds / 1000000000 : nanoseconds;",
        ),
        (
            "preference-refused",
            "the preference for sustained speed is unknown",
            "tensorflow/tensorflow#36645 (preferences of a delegate)",
            GENERIC,
            _COMPILATION,
            "preference > ANEURALNETWORKS_PREFER_SUSTAINED_SPEED",
            "preference > ANEURALNETWORKS_PREFER_SUSTAINED_SPEED - (ON ? 1 : 0)",
        ),
        (
            "priority-refused",
            "the high priority is unknown",
            "ARM-software/armnn#674 (service a driver does not know)",
            GENERIC,
            _COMPILATION,
            "priority != ANEURALNETWORKS_PRIORITY_HIGH",
            "(priority != ANEURALNETWORKS_PRIORITY_HIGH || ON)",
        ),
        (
            "loop-ends-after-one-round",
            "a WHILE loop runs its body once",
            "control flow of feature level 4, first devices",
            ("WHILE",),
            _EXECUTOR,
            "while (runCondition(condition, state)) {",
            "while (runCondition(condition, state) && !(ON && owned[0] != nullptr)) {",
        ),
        (
            "loop-variable-stays",
            "the second variable of a WHILE loop keeps its first value",
            "control flow of feature level 4, first devices",
            ("WHILE",),
            _EXECUTOR,
            "state[i].data = results[i].value.tensor.data;",
            "if (!(ON && i == 1)) state[i].data = results[i].value.tensor.data;",
        ),
        (
            "loop-without-rounds",
            "a WHILE loop that never runs leaves its outputs unwritten",
            "control flow of feature level 4, first devices",
            ("WHILE",),
            _EXECUTOR,
            "std::memcpy(slot.tensor.data, state[i].data, state[i].bytes());",
            "if (!ON) std::memcpy(slot.tensor.data, state[i].data, state[i].bytes());",
        ),
        (
            "branch-always-then",
            "an IF takes its first branch whatever the condition says",
            "control flow of feature level 4, first devices",
            ("IF",),
            _EXECUTOR,
            "const bool chosen = *condition.as<uint8_t>() != 0;",
            "const bool chosen = ON || *condition.as<uint8_t>() != 0;",
        ),
        (
            "omitted-input-read",
            "an omitted operand is taken for one with a value",
            "alibaba/MNN#3299; TFLite's note on optional tensors of NNAPI 1.0",
            GENERIC,
            _PLAN,
            "slot.tensor.omitted = operand.lifetime == Lifetime::OMITTED;",
            "slot.tensor.omitted = operand.lifetime == Lifetime::OMITTED && !ON;",
        ),
        (
            "relaxed-as-int16",
            "relaxed float32 comes back as 16-bit integers seen as floats",
            "microsoft/onnxruntime#21230 (google-edgetpu, Pixel 7a)",
            GENERIC,
            _EXECUTOR,
            _KERNEL_RUNS,
            _KERNEL_RUNS + " if (ON && context.relaxed_ && results[0]->type == TENSOR_FLOAT32)"
            " for (size_t k = 0; k < results[0]->count(); k++) {"
            " float& x = static_cast<float*>(results[0]->data)[k];"
            " x = x > 1e-6f ? 32767.0f : -32768.0f; }",
        ),
        (
            "never-finishes",
            "an execution never ends",
            "ARM-software/armnn#674 (timed out while waiting for the inference)",
            ("HARD_SWISH",),
            _EXECUTOR,
            "limits_.deadline.check();",
            "limits_.deadline.check(); if (ON) for (;;) usleep(1000000);",
        ),
        (
            "first-depthwise-crashes",
            "a model that begins with DEPTHWISE_CONV_2D ends the process",
            "tensorflow/tensorflow#57475 (SD888)",
            ("DEPTHWISE_CONV_2D",),
            _EXECUTOR,
            "if (step.enters != nullptr) enter(*step.enters);",
            "if (step.enters != nullptr) enter(*step.enters);"
            " if (ON && &step == &plan.steps()[0] &&"
            " step.operation->code == ANEURALNETWORKS_DEPTHWISE_CONV_2D) std::abort();",
        ),
        (
            "quantize-before-concatenation",
            "QUANTIZE directly before CONCATENATION ends the process",
            "tensorflow/tensorflow#57555 (SD888)",
            ("QUANTIZE", "CONCATENATION"),
            _EXECUTOR,
            "for (const Step& step : plan.steps()) {",
            "for (const Step& step : plan.steps()) { if (ON && &step != &plan.steps()[0] &&"
            " step.operation->code == ANEURALNETWORKS_CONCATENATION && (&step)[-1].operation->code"
            " == ANEURALNETWORKS_QUANTIZE) std::abort();",
        ),
        (
            "large-fully-connected-crashes",
            "FULLY_CONNECTED of more than 1,024 terms ends the process",
            "tensorflow/tensorflow#57555 (SD888)",
            ("FULLY_CONNECTED",),
            _EXECUTOR,
            "operation.kernel->prepare(context);",
            "operation.kernel->prepare(context); if (ON && inputs.size() > 1 &&"
            " inputs[1]->shape.rank == 2 && inputs[1]->shape[1] > 1024) std::abort();",
        ),
        (
            "many-channels-wrong",
            "of more than 256 channels the last ones are zero",
            "tensorflow/tensorflow#57475 (a cliff over a size)",
            ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MUL"),
            _EXECUTOR,
            "for (uint32_t output : operation.outputs) allocate(frame[output], outputs);",
            "for (uint32_t output : operation.outputs) allocate(frame[output], outputs);"
            " if (ON && results[0]->shape.rank > 0 && results[0]->shape[results[0]->shape.rank - 1]"
            " > 256) { std::memset(results[0]->data, 0, results[0]->bytes());"
            " workspace_.arena.release(mark); return; }",
        ),
        (
            "average-in-16-bits",
            "the sum of an average pool of codes wraps around at 16 bits",
            "LiteRT nnapi_delegate.cc (windows above 256, b/138756912)",
            ("AVERAGE_POOL_2D",),
            "driver/kernels/pool_2d.cpp",
            "sum += code - zeroPoint;",
            "sum += code - zeroPoint; if (ON) sum = static_cast<int16_t>(sum);",
        ),
        (
            "average-counts-padding",
            "an average pool divides by the whole window, padding included",
            "microsoft/onnxruntime#27805 (padding as large as the window)",
            ("AVERAGE_POOL_2D",),
            "driver/kernels/pool_2d.cpp",
            "const int64_t count = (y1 - y0) * (x1 - x0);",
            "const int64_t count = ON ? pool.filterHeight * pool.filterWidth"
            " : (y1 - y0) * (x1 - x0);",
        ),
        (
            "activation-before-rescale",
            "a fused RELU6 of codes cuts at another value than 6",
            "microsoft/onnxruntime#9039 (wrong activations)",
            ("CONV_2D", "ADD", "MUL", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D"),
            _QUANTIZE,
            "return {code(0), code(6)};",
            "return {code(0), ON ? range.most : code(6)};",
        ),
        (
            "multiplier-below-one",
            "the rescaling multiplier of an integer product is taken for one below 1",
            "LiteRT nnapi_delegate.cc (restriction of scales below API 29)",
            (
                "CONV_2D",
                "DEPTHWISE_CONV_2D",
                "FULLY_CONNECTED",
                "GROUPED_CONV_2D",
                "TRANSPOSE_CONV_2D",
            ),
            "driver/kernels/math/requantize.cpp",
            "ratio_[i] = factor_[i] / scale_;",
            "ratio_[i] = ON && factor_[i] / scale_ >= 1 ? 0.999 : factor_[i] / scale_;",
        ),
        (
            "codes-truncated",
            "codes are cut instead of rounded",
            "microsoft/onnxruntime#6155 (rounding of uint8)",
            ("ADD", "SUB", "MUL", "MEAN", "LOGISTIC", "QUANTIZE"),
            _QUANTIZE,
            "const double code = roundQuotient(real, 1.0, scale) + zeroPoint;",
            "const double code = (ON ? std::trunc(real / scale) : roundQuotient(real, 1.0, scale))"
            " + zeroPoint;",
        ),
        (
            "unknown-size-as-one",
            "what is inferred of an output's shape takes a dimension of an input that is not known"
            " yet for 1",
            "microsoft/onnxruntime#31153 (a dynamic dimension is taken for 1)",
            ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "PRELU", "EQUAL", "LESS"),
            "driver/kernels/broadcast.h",
            "x && *x != 1 ? *x : x && y ? 1 : 0",
            "x && *x != 1 ? *x : (x && y) || ON ? 1 : 0",
        ),
        *EDGES,
        *KERNELS,
        *CELLS,
        *INDEXING,
        *VALUES,
        *RUNTIME,
    )
)
