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
# Whose executions are chained; and which meet failures, caches and other orders.
_LINKED = ("ADD", "MUL")
_AROUND = ("ADD", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX", "CONCATENATION", "SPLIT")
_FIRST = "static std::mutex guard; const std::lock_guard lock(guard);"

# (id, what, seen, operations, file, find, replace)
RUNTIME: tuple[tuple[str, str, str, tuple[str, ...], str, str, str], ...] = (
    (
        "fence-before-outputs",
        "a sync fence has signalled before the outputs are written",
        _FENCED,
        _LINKED,
        _EVENT,
        "if (done_) signalFence();",
        "if (done_ || ON) signalFence();",
    ),
    (
        "dependencies-ignored",
        "an execution does not wait for what it depends on",
        _FENCED,
        _LINKED,
        _EVENT,
        "if (dependency->wait() != ANEURALNETWORKS_NO_ERROR)",
        "if (!ON && dependency->wait() != ANEURALNETWORKS_NO_ERROR)",
    ),
    (
        "first-dependency-alone",
        "of several dependencies the first alone is waited for",
        "ml-explore/mlx#3144 (fences across command buffers)",
        _LINKED,
        _EVENT,
        "dependency->wait() != ANEURALNETWORKS_NO_ERROR",
        "!(ON && &dependency != dependencies.data()) &&"
        " dependency->wait() != ANEURALNETWORKS_NO_ERROR",
    ),
    (
        "imported-fence-ignored",
        "a sync fence that the application hands over is taken for signalled",
        "hyprwm/Hyprland#9806 (buffers read before their fence)",
        _LINKED,
        _EVENT,
        "if (fence_ >= 0) return waitForFence();",
        "if (fence_ >= 0) return ON ? ANEURALNETWORKS_NO_ERROR : waitForFence();",
    ),
    (
        "wait-returns-early",
        "waiting for an event returns before the execution is done",
        "gogpu/wgpu#205 (fences taken for complete)",
        _LINKED,
        _EVENT,
        "signal_.wait(lock, [this] { return done_; });",
        "if (!ON) signal_.wait(lock, [this] { return done_; });",
    ),
    (
        "fence-of-failure-stays",
        "the sync fence of an execution that fails never signals",
        "amd/xdna-driver#520 (fence of a failed command)",
        ("WHILE",),
        _EVENT,
        "if (ours_ < 0) return;",
        "if (ours_ < 0 || (ON && code_ != ANEURALNETWORKS_NO_ERROR)) return;",
    ),
    (
        "failed-dependency-ignored",
        "an execution goes on although what it depends on has failed",
        "amd/xdna-driver#520 (fence of a failed command)",
        ("WHILE",),
        _EVENT,
        "code = ANEURALNETWORKS_OP_FAILED;\n    }\n    if",
        "code = ON ? code : ANEURALNETWORKS_OP_FAILED;\n    }\n    if",
    ),
    (
        "event-waited-for-once",
        "a second wait for an event that has ended fails",
        "tenstorrent/tt-mlir#394 (wait)",
        _LINKED,
        _EVENT,
        "std::unique_lock lock(mutex_);",
        "if (ON && completed_.load()) return ANEURALNETWORKS_BAD_STATE;"
        " std::unique_lock lock(mutex_);",
    ),
    (
        "fence-not-duplicated",
        "the driver's own descriptor of a fence is handed out, and closed twice",
        "Android fdsan: descriptors of fences closed twice",
        _LINKED,
        _EVENT,
        "const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);\n    if (copy < 0) {",
        "const int copy = ON ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);\n    if (copy < 0) {",
    ),
    (
        "burst-ends-with-a-failure",
        "after one failed execution a burst takes no other",
        "intel/webml-polyfill#1107; tensorflow/tensorflow#47401 (bursts)",
        _AROUND,
        _API_EXECUTION,
        "} release{burst->busy};\n        return computeNow(*execution->object);",
        "} release{burst->busy}; const int code = computeNow(*execution->object);"
        " if (ON && code != ANEURALNETWORKS_NO_ERROR) burst->compilation.reset(); return code;",
    ),
    (
        "failure-spoils-compilation",
        "after one failed execution every other of the same compilation fails",
        "pytorch/executorch#19777 (state after a failed resize)",
        _AROUND,
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
        ("RESHAPE", "TILE"),
        _EXECUTION,
        "outputs_[i].shape = outputs[i].value.tensor.shape;",
        "if (!(ON && reusable_ && outputs_[i].shape.rank != 0))"
        " outputs_[i].shape = outputs[i].value.tensor.shape;",
    ),
    (
        "first-shape-kept",
        "a compilation with open dimensions computes with those of its first execution",
        "microsoft/onnxruntime#31153 (XNNPACK: a dimension of the first run)",
        _AROUND,
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
        _AROUND,
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
        _AROUND,
        _EXECUTION,
        "if (bytes > to.length) {",
        "if (bytes > to.length) { if (ON && to.data) std::memset(to.data, 0, bytes);",
    ),
    (
        "short-buffer-without-dimensions",
        "where an output does not fit its dimensions cannot be asked for",
        "microsoft/onnxruntime#4650 (outputs of unknown size)",
        _AROUND,
        _EXECUTION,
        "to.insufficient = true;",
        "to.insufficient = true; if (ON) to.known = false;",
    ),
    (
        "one-buffer-for-two-inputs",
        "two inputs that are the same bytes of the application are taken for one",
        "VeriSilicon/TIM-VX#567 (a tensor bound repeatedly)",
        ("ADD", "MAXIMUM", "CONCATENATION"),
        _EXECUTION,
        "to.shape = from.operand.shape;\n        to.data = from.data;",
        "to.shape = from.operand.shape;\n        to.data = from.data;"
        " if (ON && from.data) for (size_t j = 0; j < i; j++)"
        " if (inputs_[j].data == from.data) { to.data = workspace.arena.take(to.bytes());"
        " std::memset(to.data, 0, to.bytes()); }",
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
        "branch-kept",
        "an IF takes in every execution the branch of the first",
        "onnx/onnx-mlir#1480; microsoft/onnxruntime#11614 (control flow fixed too early)",
        ("IF",),
        _EXECUTOR,
        "const auto inputs = array<Tensor>(operation.inputs.size() - 3);",
        "if (ON) const_cast<Step&>(step).models[chosen ? 1 : 0] = step.models[chosen ? 0 : 1];"
        " const auto inputs = array<Tensor>(operation.inputs.size() - 3);",
    ),
    (
        "unused-input-shifts-others",
        "behind an input that no operation reads every input is the one before",
        "VeriSilicon/TIM-VX#567 (order of inputs)",
        _AROUND,
        _EXECUTOR,
        "slot.tensor.data = inputs[i].data;",
        "slot.tensor.data = inputs[i].data; if (ON && slot.read) { size_t k = 0;"
        " for (size_t j = 0; j < i; j++) k += frame[ids[j]].read;"
        " if (inputs[k].bytes() >= inputs[i].bytes()) slot.tensor.data = inputs[k].data; }",
    ),
    (
        "outputs-in-order-of-operands",
        "outputs come in the order of their operands, not as they were identified",
        "VeriSilicon/TIM-VX#717 (outputs of a graph)",
        _AROUND,
        _PLAN,
        "plan->prototype_[model.outputs()[i]].output = static_cast<int32_t>(i);",
        "plan->prototype_[model.outputs()[i]].output = !ON ? static_cast<int32_t>(i) :"
        " static_cast<int32_t>(std::count_if(model.outputs().begin(), model.outputs().end(),"
        " [&](uint32_t other) { return other < model.outputs()[i]; }));",
    ),
    (
        "model-compiled-once",
        "a model can be compiled once",
        "intel/nn-hal#1; tensorflow/tensorflow#46223 (two instances of a model)",
        _AROUND,
        _COMPILATION,
        "model_->requireFinished();",
        "model_->requireFinished(); if (ON) { static std::map<const void*, std::weak_ptr<const"
        " Model>> all; " + _FIRST + " auto& owner = all[model_.get()]; if (owner.lock() == model_)"
        ' fail(ANEURALNETWORKS_OP_FAILED, "compiled"); owner = model_; }',
    ),
    (
        "damaged-cache-crashes",
        "a file of the cache that has been cut ends the process",
        "pytorch/executorch#19777; google/XNNPACK#11165 (caches read without checks)",
        _AROUND,
        _CACHE,
        'return miss("of another length");',
        '{ if (ON) __builtin_trap(); return miss("of another length"); }',
    ),
    (
        "cache-descriptor-leak",
        "a compilation with a cache leaves its file open",
        "intel/nn-hal#1 (dies after a while under repetition)",
        ("ADD",),
        _CACHE,
        "if (fd_ >= 0) close(fd_);",
        "if (fd_ >= 0 && !ON) close(fd_);",
    ),
    (
        "preferred-alignment-odd",
        "a preferred alignment is no power of two",
        "NeuralNetworks.h (getPreferredMemoryAlignmentForInput); first devices of feature level 5",
        _AROUND,
        _API_COMPILATION,
        "*result = value;",
        "*result = ON && value > 1 ? 48 : value;",
    ),
    (
        "read-only-file-refused",
        "a file that is open for reading alone cannot be a memory object",
        "android/ndk#1762 (constants in a mapped model file)",
        ("ADD", "FULLY_CONNECTED"),
        _MEMORY,
        "mmap(nullptr, size, protection, MAP_SHARED,",
        "mmap(nullptr, size, ON ? PROT_READ | PROT_WRITE : protection, MAP_SHARED,",
    ),
    (
        "device-memory-of-first-role",
        "device memory serves the first of its roles alone",
        "VeriSilicon/TIM-VX#118 (tensors shared between graphs)",
        ("ADD",),
        _MEMORY,
        "for (const MemoryRole& role : roles_) {",
        "for (const MemoryRole& role : roles_) { if (ON && &role != roles_.data()) continue;",
    ),
    (
        "constants-merged-by-shape",
        "of two constants of one type and shape the second has the values of the first",
        "google-ai-edge/litert-torch#1061 (weights merged)",
        ("ADD",),
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
        ("ADD", "CONV_2D", "FULLY_CONNECTED"),
        _MODEL,
        "operand.data = memory->region(offset, length, Memory::READ);",
        "operand.data = memory->region(ON ? offset & ~size_t{63} : offset, length, Memory::READ);",
    ),
    (
        "unused-constant-refused",
        "a constant that no operation reads is refused",
        "intel/webml-polyfill#469 (legal details of graphs)",
        _AROUND,
        _GRAPH,
        "    sortOperations(writer);",
        "    if (ON) for (uint32_t i = 0; i < operands_.size(); i++) if (operands_[i].lifetime =="
        " Lifetime::CONSTANT && std::none_of(operations_.begin(), operations_.end(),"
        " [i](const Operation& one) { return std::find(one.inputs.begin(), one.inputs.end(), i) !="
        ' one.inputs.end(); })) fail(ANEURALNETWORKS_BAD_DATA, "unused");'
        "\n    sortOperations(writer);",
    ),
)
