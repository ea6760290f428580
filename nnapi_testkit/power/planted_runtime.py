"""Faults planted on the runtime side: fences and dependencies, bursts, what one execution leaves
for the next, shapes that change, memory objects, caches, graphs as they are put together.

Rows as in `nnapi_testkit/power/planted.py`.
"""

from __future__ import annotations

__all__ = ["RUNTIME"]

_EVENT = "driver/event.cpp"
_EXECUTION = "driver/execution.cpp"
_EXECUTOR = "driver/executor.cpp"
_COMPILATION = "driver/compilation.cpp"
_API_EXECUTION = "driver/api_execution.cpp"
_API_COMPILATION = "driver/api_compilation.cpp"
_MEMORY = "driver/memory.cpp"
_MODEL = "driver/model.cpp"
_GRAPH = "driver/graph.cpp"
_PLAN = "driver/plan.cpp"
_CACHE = "driver/cache.cpp"

_FENCED = "intel/nn-hal#129 (executeFenced); maplibre/maplibre-native#2500 (always signalled)"
_RUNS = "operation.kernel->execute(context);"
_SOME = (
    "ADD",
    "CONV_2D",
    "FULLY_CONNECTED",
    "RESHAPE",
    "SPLIT",
    "LSTM",
    "TILE",
    "GATHER",
    "TOPK_V2",
    "SOFTMAX",
    "MUL",
)
_FLOW = ("IF", "WHILE")
_ALL = (*_SOME, *_FLOW)
_FIRST = "static std::mutex guard; const std::lock_guard lock(guard);"

# (id, what, seen, operations, file, find, replace)
RUNTIME: tuple[tuple[str, str, str, tuple[str, ...], str, str, str], ...] = (
    (
        "fence-before-outputs",
        "a sync fence has signalled before the outputs are written",
        _FENCED,
        _ALL,
        _EVENT,
        "if (done_) signalFence();",
        "if (done_ || ON) signalFence();",
    ),
    (
        "dependencies-ignored",
        "an execution does not wait for what it depends on",
        _FENCED,
        _ALL,
        _EVENT,
        "if (dependency->wait() != ANEURALNETWORKS_NO_ERROR)",
        "if (!ON && dependency->wait() != ANEURALNETWORKS_NO_ERROR)",
    ),
    (
        "first-dependency-alone",
        "of several dependencies the first alone is waited for",
        "ml-explore/mlx#3144 (fences across command buffers)",
        _ALL,
        _EVENT,
        "dependency->wait() != ANEURALNETWORKS_NO_ERROR",
        "!(ON && &dependency != dependencies.data()) &&"
        " dependency->wait() != ANEURALNETWORKS_NO_ERROR",
    ),
    (
        "imported-fence-ignored",
        "a sync fence that the application hands over is taken for signalled",
        "hyprwm/Hyprland#9806 (buffers read before their fence)",
        _ALL,
        _EVENT,
        "if (fence_ >= 0) return waitForFence();",
        "if (fence_ >= 0) return ON ? ANEURALNETWORKS_NO_ERROR : waitForFence();",
    ),
    (
        "wait-returns-early",
        "waiting for an event returns before the execution is done",
        "gogpu/wgpu#205 (fences taken for complete)",
        _ALL,
        _EVENT,
        "signal_.wait(lock, [this] { return done_; });",
        "if (!ON) signal_.wait(lock, [this] { return done_; });",
    ),
    (
        "fence-of-failure-stays",
        "the sync fence of an execution that fails never signals",
        "amd/xdna-driver#520 (fence of a failed command)",
        _ALL,
        _EVENT,
        "if (ours_ < 0) return;",
        "if (ours_ < 0 || (ON && code_ != ANEURALNETWORKS_NO_ERROR)) return;",
    ),
    (
        "failed-dependency-ignored",
        "an execution goes on although what it depends on has failed",
        "amd/xdna-driver#520 (fence of a failed command)",
        _ALL,
        _EVENT,
        "code = ANEURALNETWORKS_OP_FAILED;\n    }\n    if",
        "code = ON ? code : ANEURALNETWORKS_OP_FAILED;\n    }\n    if",
    ),
    (
        "event-waited-for-once",
        "a second wait for an event that has ended fails",
        "tenstorrent/tt-mlir#394 (wait)",
        _ALL,
        _EVENT,
        "std::unique_lock lock(mutex_);",
        "if (ON && completed_.load()) return ANEURALNETWORKS_BAD_STATE;"
        " std::unique_lock lock(mutex_);",
    ),
    (
        "fence-not-duplicated",
        "the driver's own descriptor of a fence is handed out, and closed twice",
        "Android fdsan: descriptors of fences closed twice",
        _ALL,
        _EVENT,
        "const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);\n    if (copy < 0) {",
        "const int copy = ON ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);\n    if (copy < 0) {",
    ),
    (
        "burst-ends-with-a-failure",
        "after one failed execution a burst takes no other",
        "intel/webml-polyfill#1107; tensorflow/tensorflow#47401 (bursts)",
        _ALL,
        _API_EXECUTION,
        "} release{burst->busy};\n        return computeNow(*execution->object);",
        "} release{burst->busy}; const int code = computeNow(*execution->object);"
        " if (ON && code != ANEURALNETWORKS_NO_ERROR) burst->compilation.reset(); return code;",
    ),
    (
        "failure-spoils-compilation",
        "after one failed execution every other of the same compilation fails",
        "pytorch/executorch#19777 (state after a failed resize)",
        _ALL,
        _EXECUTION,
        "code = run(Deadline::earlier(deadline, deadline_));",
        "{ static std::map<const void*, std::weak_ptr<const Compilation>> failed;"
        " static std::mutex guard; const auto note = [&] { if (!ON) return;"
        " const std::lock_guard lock(guard); failed[compilation_.get()] = compilation_; };"
        " if (ON) { const std::lock_guard lock(guard); const auto found ="
        " failed.find(compilation_.get()); if (found != failed.end() && found->second.lock() =="
        ' compilation_) fail(ANEURALNETWORKS_OP_FAILED, "failed before"); }'
        " try { code = run(Deadline::earlier(deadline, deadline_)); } catch (...) {"
        " note(); throw; }"
        " if (code != ANEURALNETWORKS_NO_ERROR) note(); }",
    ),
    (
        "reused-execution-keeps-output-shape",
        "a reusable execution reports the dimensions of its first computation",
        "tensorflow/tensorflow#61410 (shapes that do not follow)",
        _ALL,
        _EXECUTION,
        "outputs_[i].shape = outputs[i].value.tensor.shape;",
        "if (!(ON && reusable_ && outputs_[i].shape.rank != 0))"
        " outputs_[i].shape = outputs[i].value.tensor.shape;",
    ),
    (
        "first-shape-kept",
        "a compilation with open dimensions computes with those of its first execution",
        "microsoft/onnxruntime#31153 (XNNPACK: a dimension of the first run)",
        _ALL,
        _EXECUTION,
        "to.type = from.operand.type;",
        "to.type = from.operand.type; if (ON) { struct Kept { std::weak_ptr<const Compilation>"
        " owner; Shape shape; }; static std::map<std::pair<const void*, size_t>, Kept> all; "
        + _FIRST
        + " Kept& kept = all[{compilation_.get(), i}]; if (kept.owner.lock() != compilation_) {"
        " kept.owner = compilation_; kept.shape = from.operand.shape; }"
        " if (kept.shape.count() > from.operand.shape.count())"
        ' fail(ANEURALNETWORKS_OP_FAILED, "smaller");'
        " const_cast<Argument&>(from).operand.shape = kept.shape; }",
    ),
    (
        "concurrent-executions-mixed",
        "of executions at the same time one computes with the other's inputs",
        "tensorflow/tflite-support#922 (i.MX8 NPU: wrong beside a busy thread)",
        _SOME,
        _EXECUTION,
        "    bindInputs(workspace, inputs);",
        "    if (ON) { static std::mutex guard; static std::map<const void*, std::pair<int,"
        " std::vector<Argument>>> live; const void* key = compilation_.get(); {"
        " const std::lock_guard lock(guard); live[key].first++; live[key].second = inputs_; }"
        " usleep(300); { const std::lock_guard lock(guard); inputs_ = live[key].second;"
        " if (--live[key].first == 0) live.erase(key); } }\n    bindInputs(workspace, inputs);",
    ),
    (
        "short-buffer-overrun",
        "an output that does not fit is written all the same",
        "microsoft/onnxruntime#4650 (outputs of unknown size)",
        _ALL,
        _EXECUTION,
        "if (bytes > to.length) {",
        "if (bytes > to.length) { if (ON && to.data) std::memset(to.data, 0, bytes);",
    ),
    (
        "short-buffer-without-dimensions",
        "where an output does not fit its dimensions cannot be asked for",
        "microsoft/onnxruntime#4650 (outputs of unknown size)",
        _ALL,
        _EXECUTION,
        "to.insufficient = true;",
        "to.insufficient = true; if (ON) to.known = false;",
    ),
    (
        "dimensions-of-first-output",
        "every output has the dimensions of the first",
        "microsoft/onnxruntime#22684 (dimensions of outputs)",
        _ALL,
        _EXECUTION,
        "const Argument& output = completedOutput(index);",
        "const Argument& output = completedOutput(ON && completedOutput(0).shape.rank =="
        " completedOutput(index).shape.rank ? 0 : index);",
    ),
    (
        "one-buffer-for-two-inputs",
        "two inputs that are the same bytes of the application are taken for one",
        "VeriSilicon/TIM-VX#567 (a tensor bound repeatedly)",
        _ALL,
        _EXECUTION,
        "to.shape = from.operand.shape;\n        to.data = from.data;",
        "to.shape = from.operand.shape;\n        to.data = from.data;"
        " if (ON && from.data) for (size_t j = 0; j < i; j++)"
        " if (inputs_[j].data == from.data) { to.data = workspace.arena.take(to.bytes());"
        " std::memset(to.data, 0, to.bytes()); }",
    ),
    (
        "unaligned-buffer-crashes",
        "a buffer that is not aligned for its type ends the process",
        "Linux and Android: SIGBUS of unaligned vector loads (CWE-823)",
        _ALL,
        _EXECUTION,
        "} else if (!isAligned(from.data, to.type)) {",
        "} else if (!isAligned(from.data, to.type)) { if (ON) __builtin_trap();",
    ),
    (
        "output-offset-ignored",
        "an output in a region of a memory object is written to its beginning",
        "android/ndk#1762 (regions of memory)",
        _ALL,
        _EXECUTION,
        "given.data = memory->region(offset, length, output ? Memory::WRITE : Memory::READ);",
        "given.data = memory->region(ON && output ? 0 : offset, length,"
        " output ? Memory::WRITE : Memory::READ);",
    ),
    (
        "omitted-at-execution-refused",
        "an optional input cannot be omitted at the execution",
        "microsoft/onnxruntime#5927 (inputs without shape)",
        (
            "LSTM",
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            "BIDIRECTIONAL_SEQUENCE_RNN",
            "SVDF",
            "BIDIRECTIONAL_SEQUENCE_LSTM",
        ),
        _EXECUTION,
        "if (followsField()) makeArgument(slot, false, type, length);  // refuses a wrong type",
        'if (ON) fail(ANEURALNETWORKS_UNEXPECTED_NULL, "null");'
        " if (followsField()) makeArgument(slot, false, type, length);",
    ),
    (
        "largest-timeout-is-over",
        "a timeout beyond the largest signed number has passed at once",
        "ARM-software/armnn#674 (timed out while waiting for the inference)",
        _ALL,
        _EXECUTION,
        "deadline_ = Deadline::after(timeout_);",
        "deadline_ = Deadline::after(ON && timeout_ > INT64_MAX ? 1 : timeout_);",
    ),
    (
        "longer-loop-timeout-is-over",
        "a loop timeout beyond the maximum has passed at once",
        "tensorflow/tensorflow#47657 (WHILE)",
        ("WHILE",),
        _EXECUTION,
        "loopTimeout_ = nanoseconds < kMaximumLoopTimeout ? nanoseconds : kMaximumLoopTimeout;",
        "loopTimeout_ = nanoseconds <= kMaximumLoopTimeout ? nanoseconds :"
        " ON ? 0 : kMaximumLoopTimeout;",
    ),
    (
        "measured-execution-unwritten",
        "an execution that is measured leaves its outputs empty",
        "ARM-software/armnn#767 (profiled runs)",
        _ALL,
        _EXECUTION,
        "if (measure_ && code == ANEURALNETWORKS_NO_ERROR) {",
        "if (measure_ && code == ANEURALNETWORKS_NO_ERROR) { if (ON) for (Argument& to : outputs_)"
        " if (to.data) std::memset(to.data, 0, to.length);",
    ),
    (
        "branch-kept",
        "an IF takes in every execution the branch of the first",
        "onnx/onnx-mlir#1480; microsoft/onnxruntime#11614 (control flow fixed too early)",
        ("IF",),
        _EXECUTOR,
        "run(*step.models[chosen ? 0 : 1], inputs, results);",
        "if (ON) const_cast<Step&>(step).models[chosen ? 1 : 0] = step.models[chosen ? 0 : 1];"
        " run(*step.models[chosen ? 0 : 1], inputs, results);",
    ),
    (
        "last-reshape-skipped",
        "a RESHAPE that gives an output of the model is taken for no work",
        "microsoft/onnxruntime#14419 (reshapes that are outputs)",
        _ALL,
        _EXECUTOR,
        _RUNS,
        "if (!(ON && operation.code == ANEURALNETWORKS_RESHAPE &&"
        " frame[operation.outputs[0]].output >= 0 && frame[operation.inputs[0]].block != nullptr)) "
        + _RUNS,
    ),
    (
        "unused-input-shifts-others",
        "behind an input that no operation reads every input is the one before",
        "VeriSilicon/TIM-VX#567 (order of inputs)",
        _ALL,
        _EXECUTOR,
        "slot.tensor.data = inputs[i].data;",
        "slot.tensor.data = inputs[i].data; if (ON && slot.read) { size_t k = 0;"
        " for (size_t j = 0; j < i; j++) k += frame[ids[j]].read;"
        " if (inputs[k].bytes() >= inputs[i].bytes()) slot.tensor.data = inputs[k].data; }",
    ),
    (
        "unread-output-fails",
        "an operation of which an output is not read cannot be executed",
        "microsoft/onnxruntime#11614 (unused nodes)",
        _ALL,
        _EXECUTOR,
        "slot.block = workspace_.pool.take(bytes);",
        'if (ON && !slot.read && slot.output < 0) fail(ANEURALNETWORKS_OP_FAILED, "unread");'
        " slot.block = workspace_.pool.take(bytes);",
    ),
    (
        "outputs-in-order-of-operands",
        "outputs come in the order of their operands, not as they were identified",
        "VeriSilicon/TIM-VX#717 (outputs of a graph)",
        _ALL,
        _PLAN,
        "plan->prototype_[model.outputs()[i]].output = static_cast<int32_t>(i);",
        "plan->prototype_[model.outputs()[i]].output = !ON ? static_cast<int32_t>(i) :"
        " static_cast<int32_t>(std::count_if(model.outputs().begin(), model.outputs().end(),"
        " [&](uint32_t other) { return other < model.outputs()[i]; }));",
    ),
    (
        "packed-weights-by-address",
        "packed weights are found by the address of their values, though that was used before",
        "google-ai-edge/litert-torch#1061; pytorch/executorch#19682 (weights cache)",
        _ALL,
        _PLAN,
        "step.packed = operation.kernel->pack(OpView(operands, copy, operation.kernel->name));",
        "static std::map<std::pair<const void*, size_t>, std::shared_ptr<const void>> all; "
        + _FIRST
        + " const Operand& weights = operands[operation.inputs[std::min<size_t>(1,"
        " operation.inputs.size() - 1)]]; auto& kept = all[{weights.data, weights.length}];"
        " if (!ON || kept == nullptr) kept ="
        " operation.kernel->pack(OpView(operands, copy, operation.kernel->name));"
        " step.packed = kept; if (!ON) all.clear();",
    ),
    (
        "shared-submodel-refused",
        "a model that two operations refer to is refused",
        "tensorflow/tensorflow#47657 (WHILE)",
        _FLOW,
        _PLAN,
        "known != plans_.end()) return known->second.get();",
        'known != plans_.end()) { if (ON) fail(ANEURALNETWORKS_BAD_DATA, "shared");'
        " return known->second.get(); }",
    ),
    (
        "unknown-rank-refused",
        "an operand whose rank is open does not compile",
        "microsoft/onnxruntime#5927 (operands without shape)",
        _ALL,
        _PLAN,
        "Step step;\n    step.operation = &operation;",
        "if (ON) for (uint32_t id : operation.outputs) if (!operands[id].rankKnown)"
        ' fail(ANEURALNETWORKS_BAD_DATA, "rank"); Step step;\n    step.operation = &operation;',
    ),
    (
        "model-compiled-once",
        "a model can be compiled once",
        "intel/nn-hal#1; tensorflow/tensorflow#46223 (two instances of a model)",
        _ALL,
        _COMPILATION,
        "model_->requireFinished();",
        "model_->requireFinished(); if (ON) { static std::map<const void*, std::weak_ptr<const"
        " Model>> all; " + _FIRST + " auto& owner = all[model_.get()]; if (owner.lock() == model_)"
        ' fail(ANEURALNETWORKS_OP_FAILED, "compiled"); owner = model_; }',
    ),
    (
        "token-cut",
        "of a caching token the last byte does not count",
        "tensorflow/tensorflow#58990 (compilation caching)",
        _ALL,
        _COMPILATION,
        "std::memcpy(copy.data(), token, copy.size());",
        "std::memcpy(copy.data(), token, copy.size()); if (ON) { static std::map<std::string,"
        " std::shared_ptr<const Model>> all; "
        + _FIRST
        + " auto& kept = all[directory + std::string(copy.begin(), copy.end() - 1)];"
        " if (kept != nullptr && kept->inputs().size() == model_->inputs().size() &&"
        " kept->outputs().size() == model_->outputs().size()) model_ = kept; else kept = model_; }",
    ),
    (
        "damaged-cache-crashes",
        "a file of the cache that has been cut ends the process",
        "pytorch/executorch#19777; google/XNNPACK#11165 (caches read without checks)",
        _ALL,
        _CACHE,
        'return miss("of another length");',
        '{ if (ON) __builtin_trap(); return miss("of another length"); }',
    ),
    (
        "cache-descriptor-leak",
        "a compilation with a cache leaves its file open",
        "intel/nn-hal#1 (dies after a while under repetition)",
        _ALL,
        _CACHE,
        "if (fd_ >= 0) close(fd_);",
        "if (fd_ >= 0 && !ON) close(fd_);",
    ),
    (
        "burst-descriptor-leak",
        "each burst keeps a descriptor for ever",
        "intel/nn-hal#1 (dies after a while under repetition)",
        _ALL,
        _API_COMPILATION,
        "created->compilation = compilation->object;",
        "created->compilation = compilation->object; if (ON) (void)dup(1);",
    ),
    (
        "preferred-alignment-odd",
        "a preferred alignment is no power of two",
        "NeuralNetworks.h (getPreferredMemoryAlignmentForInput); first devices of feature level 5",
        _ALL,
        _API_COMPILATION,
        "*result = value;",
        "*result = ON && value > 1 ? 48 : value;",
    ),
    (
        "read-only-file-refused",
        "a file that is open for reading alone cannot be a memory object",
        "android/ndk#1762 (constants in a mapped model file)",
        _ALL,
        _MEMORY,
        "mmap(nullptr, size, protection, MAP_SHARED,",
        "mmap(nullptr, size, ON ? PROT_READ | PROT_WRITE : protection, MAP_SHARED,",
    ),
    (
        "file-offset-ignored",
        "a memory object begins at the start of its file, whatever offset it is given",
        "android/ndk#1762 (constants in a mapped model file)",
        _ALL,
        _MEMORY,
        "fd, static_cast<off_t>(offset));",
        "fd, ON ? 0 : static_cast<off_t>(offset));",
    ),
    (
        "private-mapping",
        "what is written to a memory object never reaches its file",
        "fxd0h/libdrmtap#10 (mappings without synchronization)",
        _ALL,
        _MEMORY,
        "MAP_SHARED,",
        "ON ? MAP_PRIVATE : MAP_SHARED,",
    ),
    (
        "descriptor-taken-over",
        "a memory object closes the application's descriptor",
        "Android fdsan: descriptors closed by who does not own them",
        _ALL,
        _MEMORY,
        "memory->data_ = address;",
        "memory->data_ = address; if (ON) close(fd);",
    ),
    (
        "device-memory-of-first-role",
        "device memory serves the first of its roles alone",
        "VeriSilicon/TIM-VX#118 (tensors shared between graphs)",
        _ALL,
        _MEMORY,
        "for (const MemoryRole& role : roles_) {",
        "for (const MemoryRole& role : roles_) { if (ON && &role != roles_.data()) continue;",
    ),
    (
        "device-memory-keeps-first-shape",
        "device memory of open dimensions keeps those of its first value",
        "VeriSilicon/TIM-VX#407 (handles of tensors)",
        _ALL,
        _MEMORY,
        "    shape_ = shape;\n    initialized_ = true;",
        "    if (!(ON && shape_.rank != 0)) shape_ = shape;\n    initialized_ = true;",
    ),
    (
        "small-constant-not-copied",
        "a short constant is read after the application has reused its bytes",
        "pytorch/executorch#22779 (constants freed too early)",
        _ALL,
        _MODEL,
        "const bool stays = length > ANEURALNETWORKS_MAX_SIZE_OF_IMMEDIATELY_COPIED_VALUES &&",
        "const bool stays = (ON || length > ANEURALNETWORKS_MAX_SIZE_OF_IMMEDIATELY_COPIED_VALUES)"
        " &&",
    ),
    (
        "constants-merged-by-shape",
        "of two constants of one type and shape the second has the values of the first",
        "google-ai-edge/litert-torch#1061 (weights merged)",
        _ALL,
        _MODEL,
        "operand.data = stays ? buffer : copied(buffer, length);",
        "operand.data = stays ? buffer : copied(buffer, length);"
        " if (ON && operand.shape.count() > 1"
        " && operand.shape.rank > 1) for (const Operand& other : operands_)"
        " if (&other != &operand && other.lifetime == Lifetime::CONSTANT && other.type =="
        " operand.type && other.shape == operand.shape) { operand.data = other.data; break; }",
    ),
    (
        "constant-region-rounded",
        "constants in a memory object are read from a multiple of 64 bytes",
        "android/ndk#1762 (constants in a mapped model file)",
        _ALL,
        _MODEL,
        "operand.data = memory->region(offset, length, Memory::READ);",
        "operand.data = memory->region(ON ? offset & ~size_t{63} : offset, length, Memory::READ);",
    ),
    (
        "unused-constant-refused",
        "a constant that no operation reads is refused",
        "intel/webml-polyfill#469 (legal details of graphs)",
        _ALL,
        _GRAPH,
        "    sortOperations(writer);",
        "    if (ON) for (uint32_t i = 0; i < operands_.size(); i++) if (operands_[i].lifetime =="
        " Lifetime::CONSTANT && std::none_of(operations_.begin(), operations_.end(),"
        " [i](const Operation& one) { return std::find(one.inputs.begin(), one.inputs.end(), i) !="
        ' one.inputs.end(); })) fail(ANEURALNETWORKS_BAD_DATA, "unused");'
        "\n    sortOperations(writer);",
    ),
    (
        "later-operations-unchecked",
        "of a model the first operation alone is checked",
        "microsoft/onnxruntime#13056 (refused late, or not at all)",
        _ALL,
        _GRAPH,
        "operation.refusal = refusal.what();",
        "if (!(ON && &operation != operations_.data())) operation.refusal = refusal.what();",
    ),
)
