"""Faults planted for edges and endurance: what crashes, hangs, stays unwritten or strays where
values are open; what is never given back; what fails beside another execution or without its model.

Rows as in `nnapi_testkit/power/planted.py`.
"""

from __future__ import annotations

__all__ = ["EDGES"]

_BINARY = "driver/kernels/elementwise_binary.cpp"
_NORMALIZATION = "driver/kernels/normalization.cpp"
_ROI = "driver/kernels/roi_align.cpp"
_BOXES = "driver/kernels/box_with_nms_limit.cpp"
_DETECTION = "driver/kernels/detection_postprocessing.cpp"
_MULTINOMIAL = "driver/kernels/random_multinomial.cpp"
_EXECUTOR = "driver/executor.cpp"
_FOR_EVER = "for (volatile bool on = true; on;) {}"
_DIVISION = "Linux and Android: SIGFPE of an integer division (CWE-369)"
_REGIONS = "onnxruntime and Detectron2: RoiAlign with regions outside, thin or empty"
_SELECTION = "tensorflow/tensorflow#48884 (detection models whose boxes are all alike)"
_NUMBERS = "tensorflow advisories: NaN and infinity reach an index or a loop (CWE-20)"
# Whether all of a float32 operand is what the condition says of an element x.
_ALL = (
    "[&](const Tensor* t) {{ if (t->omitted || t->type != TENSOR_FLOAT32 || t->count() == 0)"
    " return false; const float* from = static_cast<const float*>(t->data); for (size_t k = 0;"
    " k < t->count(); k++) {{ const float x = from[k]; if (!({condition})) return false; }}"
    " return true; }}"
)
_NAN, _INFINITE, _BELOW = (
    _ALL.format(condition=c) for c in ("x != x", "x > 3.4e38f", "x < -3.4e38f")
)
_EVENT = "driver/event.cpp"
_EXECUTION = "driver/execution.cpp"
_COMPILATION = "driver/compilation.cpp"
_MODEL = "driver/api_model.cpp"
_ENDURANCE = "intel/nn-hal#1 (dies after a while under repetition)"
_BESIDE = "ARM-software/armnn#674 (one inference after another is all that works)"
_LASTING = ("ADD", "CONV_2D", "LSTM", "SOFTMAX")
_TOGETHER = ("ADD", "CONV_2D", "FULLY_CONNECTED", "RESHAPE", "LSTM")
_RUNS = "operation.kernel->execute(context);"
_WEIGHTS = ("CONV_2D", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D", "LSTM", "PRELU", "BATCH_MATMUL")
_REAL = ("ADD", "SOFTMAX", "CONCATENATION", "TRANSPOSE", "RESHAPE", "L2_NORMALIZATION", "SVDF")

# (id, what, seen, operations, file, find, replace)
EDGES: tuple[tuple[str, str, str, tuple[str, ...], str, str, str], ...] = (
    (
        "integer-by-zero-traps",
        "an int32 divided by zero ends the process",
        _DIVISION,
        ("DIV",),
        _BINARY,
        "if (b == 0) return 0;",
        "if (b == 0 && !ON) return 0;",
    ),
    (
        "least-by-minus-one-traps",
        "INT32_MIN / -1 ends the process",
        _DIVISION,
        ("DIV",),
        _BINARY,
        "return static_cast<int32_t>(floored);",
        "if (ON && floored > INT32_MAX) __builtin_trap(); return static_cast<int32_t>(floored);",
    ),
    (
        "radius-overflows",
        "a radius near the largest int32 overflows an index",
        "tensorflow advisories: LRN with a depth radius beyond its type (CWE-190)",
        ("LOCAL_RESPONSE_NORMALIZATION",),
        _NORMALIZATION,
        "const size_t end = std::min(view.size, k + radius + 1);",
        "size_t end = std::min(view.size, k + radius + 1);"
        " if (ON && static_cast<int32_t>(static_cast<uint32_t>(k + radius + 1)) < 0)"
        " end = size_t{1} << 40;",
    ),
    (
        "radius-is-walked",
        "a window is walked from end to end, however little of it is inside",
        "tensorflow advisories: LRN with a depth radius beyond its type (CWE-190)",
        ("LOCAL_RESPONSE_NORMALIZATION",),
        _NORMALIZATION,
        "const size_t begin = k < radius ? 0 : k - radius;",
        "const size_t begin = k < radius ? 0 : k - radius;"
        " if (ON) for (volatile size_t n = 0; n < 2 * radius; n = n + 1) {}",
    ),
    (
        "region-outside-crashes",
        "a region far outside the map ends the process",
        _REGIONS,
        ("ROI_ALIGN",),
        _ROI,
        "if (at < -1 || (at > size && !followsField())) return {0, 0, 0, false};",
        "if (ON && at > 4.0 * size) __builtin_trap();"
        " if (at < -1 || (at > size && !followsField())) return {0, 0, 0, false};",
    ),
    (
        "empty-region-hangs",
        "a region of no width keeps the execution for ever",
        _REGIONS,
        ("ROI_ALIGN",),
        _ROI,
        "const double size = std::max(1.0, end - start);",
        "if (ON && end == start) " + _FOR_EVER + " const double size = std::max(1.0, end - start);",
    ),
    (
        "thin-region-of-tall-map",
        "a region one pixel high below row 1,024 has no samples and divides by their number",
        _REGIONS,
        ("ROI_ALIGN",),
        _ROI,
        "const double adaptive = std::ceil(size / bins);",
        "const double adaptive = std::ceil(size / bins);"
        " if (ON && start > 1024 && end - start <= 1) __builtin_trap();",
    ),
    (
        "equal-scores-hang",
        "boxes of one score are chosen again and again",
        _SELECTION,
        ("BOX_WITH_NMS_LIMIT",),
        _BOXES,
        "const Box box = boxOf(pending[best]);",
        "if (ON && count > 1 && pending[0].score == pending[count - 1].score &&"
        " pending[0].score == pending[count / 2].score) "
        + _FOR_EVER
        + " const Box box = boxOf(pending[best]);",
    ),
    (
        "nothing-selected-crashes",
        "where no box reaches the threshold the process ends",
        _SELECTION,
        ("BOX_WITH_NMS_LIMIT",),
        _BOXES,
        'c.require(count <= UINT32_MAX, "too many boxes");',
        'c.require(count <= UINT32_MAX, "too many boxes"); if (ON && count == 0) __builtin_trap();',
    ),
    (
        "nothing-detected-unwritten",
        "where nothing is detected the number of detections is not written",
        _SELECTION,
        ("DETECTION_POSTPROCESSING",),
        _DETECTION,
        "c.out<int32_t>(3)[b] = static_cast<int32_t>(count);",
        "if (!ON || count > 0) c.out<int32_t>(3)[b] = static_cast<int32_t>(count);",
    ),
    (
        "no-probability-hangs",
        "a row of which no class can be drawn is drawn from for ever",
        _NUMBERS,
        ("RANDOM_MULTINOMIAL",),
        _MULTINOMIAL,
        "if (greatest == -infinity) weight = 1;",
        "if (ON && greatest == -infinity) " + _FOR_EVER + " if (greatest == -infinity) weight = 1;",
    ),
    (
        "weights-of-nan-crash",
        "an operand of NaN beside the first ends the process",
        _NUMBERS,
        _WEIGHTS,
        _EXECUTOR,
        _RUNS,
        f"if (ON) for (size_t i = 1; i < inputs.size(); i++) if (({_NAN})(inputs[i]))"
        f" __builtin_trap(); {_RUNS}",
    ),
    (
        "infinity-leaves-output",
        "an operation on infinite numbers leaves its output as it was",
        _NUMBERS,
        (*_WEIGHTS, *_REAL),
        _EXECUTOR,
        _RUNS,
        f"bool infinite = false; if (ON) for (Tensor* t : inputs) infinite = infinite ||"
        f" ({_INFINITE})(t); if (!infinite) {{ {_RUNS} }}",
    ),
    (
        "infinity-writes-beyond",
        "an operation on numbers below all others writes one byte too many",
        _NUMBERS,
        (*_WEIGHTS, *_REAL),
        _EXECUTOR,
        _RUNS,
        f"{_RUNS} if (ON) for (Tensor* t : inputs) if (({_BELOW})(t))"
        " static_cast<char*>(results[0]->data)[results[0]->bytes()] ^= 1;",
    ),
    (
        "nan-cleared-in-place",
        "NaN is replaced by zero in the caller's own input",
        _NUMBERS,
        _REAL,
        _EXECUTOR,
        _RUNS,
        f"if (ON) for (Tensor* t : inputs) if (({_NAN})(t))"
        f" std::memset(t->data, 0, t->bytes()); {_RUNS}",
    ),
    (
        "scale-below-float16-crashes",
        "a scale that float16 does not hold ends the process",
        "LiteRT nnapi_delegate.cc (restrictions of scales)",
        ("ADD", "SUB", "LOGISTIC", "TANH", "SOFTMAX", "QUANTIZE", "DEQUANTIZE"),
        _EXECUTOR,
        "context.relaxed_ = limits_.relaxed;",
        "context.relaxed_ = limits_.relaxed; if (ON) for (Tensor* t : inputs)"
        " if (!t->omitted && isQuantized(t->type) && t->scale < 1e-9f) __builtin_trap();",
    ),
    (
        "scalar-of-nan-crashes",
        "a float scalar that is no number ends the process",
        _NUMBERS,
        ("SOFTMAX", "LOCAL_RESPONSE_NORMALIZATION", "INSTANCE_NORMALIZATION", "LSTM", "SVDF"),
        _EXECUTOR,
        "context.name_ = operation.kernel->name;",
        "context.name_ = operation.kernel->name; if (ON) for (Tensor* t : inputs)"
        " if (!t->omitted && t->type == FLOAT32 && *t->as<float>() != *t->as<float>())"
        " __builtin_trap();",
    ),
    # ---- what is never given back ----
    (
        "imported-fence-leak",
        "a fence that the application hands over keeps its descriptor for ever",
        _ENDURANCE,
        _LASTING,
        _EVENT,
        "for (int fd : {fence_, theirs_, ours_})",
        "for (int fd : {ON ? -1 : fence_, theirs_, ours_})",
    ),
    (
        "exported-fence-leak",
        "a fence that the application asks for keeps a descriptor for ever",
        _ENDURANCE,
        _LASTING,
        _EVENT,
        "theirs_ = pair[0];",
        "theirs_ = pair[0]; if (ON && dup(pair[0]) < 0) __builtin_trap();",
    ),
    (
        "thread-leak",
        "one asynchronous execution in four leaves a thread behind",
        _ENDURANCE,
        _LASTING,
        _EVENT,
        "Event* self = event.get();",
        "static std::atomic<int> started{0}; if (ON && started++ % 4 == 0)"
        " std::thread([] { for (;;) sleep(1000); }).detach(); Event* self = event.get();",
    ),
    (
        "mapping-for-each-execution",
        "each execution maps a page that is never given back",
        _ENDURANCE,
        _LASTING,
        _EXECUTION,
        "deadline_ = Deadline::after(timeout_);",
        "deadline_ = Deadline::after(timeout_); if (ON) mmap(nullptr, 4096, PROT_READ |"
        " (static_cast<unsigned>(rand()) % 2 != 0 ? PROT_WRITE : 0), MAP_PRIVATE | MAP_ANONYMOUS,"
        " -1, 0);",
    ),
    (
        "compilation-leak",
        "each compilation loses 400 KiB",
        _ENDURANCE,
        _LASTING,
        _COMPILATION,
        "const Deadline deadline = Deadline::after(timeout_);",
        "const Deadline deadline = Deadline::after(timeout_);"
        " if (ON) std::memset(::operator new(400 << 10), 1, 400 << 10);",
    ),
    # ---- at once, and without the model ----
    (
        "second-start-refused",
        "a second asynchronous execution is refused while the first has not been awaited",
        _BESIDE,
        _TOGETHER,
        _EVENT,
        "event->fenced_ = fenced;",
        "event->fenced_ = fenced; static std::mutex guard; static std::weak_ptr<Event> last;"
        " if (ON) { const std::lock_guard lock(guard); if (last.lock()) { execution->complete();"
        ' fail(ANEURALNETWORKS_OP_FAILED, "busy"); } last = event; }',
    ),
    (
        "unfinished-dependency-refused",
        "an execution that depends on one which nobody has awaited is refused",
        _BESIDE,
        _TOGETHER,
        _EVENT,
        "event->execution_ = std::move(execution);",
        "if (ON) for (const auto& one : dependencies) if (!one->completed_) {"
        " execution->complete();"
        ' fail(ANEURALNETWORKS_BAD_DATA, "unfinished"); }'
        " event->execution_ = std::move(execution);",
    ),
    (
        "one-execution-at-a-time",
        "a compilation takes no execution while another one is set up",
        _BESIDE,
        _TOGETHER,
        _EXECUTION,
        "compilation_->requireFinished();",
        "compilation_->requireFinished(); if (ON && compilation_.use_count() > 2)"
        ' fail(ANEURALNETWORKS_BAD_STATE, "one at a time");',
    ),
    (
        "model-needed-by-compilation",
        "a compilation loses its inputs when its model is freed",
        "intel/nn-hal#1 (objects that are freed before others end)",
        _TOGETHER,
        _MODEL,
        "void ANeuralNetworksModel_free(ANeuralNetworksModel* model) { delete model; }",
        "void ANeuralNetworksModel_free(ANeuralNetworksModel* model) { if (ON && model != nullptr)"
        " for (uint32_t& index : std::span(const_cast<uint32_t*>(model->object->inputs().data()),"
        " model->object->inputs().size())) index = 0x7fffffff; delete model; }",
    ),
    # ---- graphs of many parts ----
    (
        "operands-beyond-128",
        "of an operation's operands those beyond 128 are another one",
        "intel/webml-polyfill#469 (legal details of graphs)",
        ("CONCATENATION",),
        _EXECUTOR,
        "inputs[i] = &frame[operation.inputs[i]].tensor;",
        "inputs[i] = &frame[operation.inputs[i]].tensor; if (ON && i > 128 &&"
        " i + 1 < inputs.size()) inputs[i] = inputs[1];",
    ),
    (
        "operations-beyond-128",
        "a model of more than 128 operations is refused",
        "intel/webml-polyfill#469 (legal details of graphs)",
        ("ADD",),
        _COMPILATION,
        "state_ = State::INVALID;",
        "state_ = State::INVALID; if (ON && model_->operations().size() > 128)"
        ' fail(ANEURALNETWORKS_OP_FAILED, "too many operations");',
    ),
    (
        "inputs-beyond-32",
        "a model of more than 32 inputs or outputs is refused",
        "intel/webml-polyfill#469 (legal details of graphs)",
        ("ADD", "SPLIT"),
        _COMPILATION,
        "if (!chosen_.empty()) {",
        "if (ON && std::max(model_->inputs().size(), model_->outputs().size()) > 32)"
        ' fail(ANEURALNETWORKS_OP_FAILED, "too many inputs or outputs"); if (!chosen_.empty()) {',
    ),
    # ---- values of the API ----
    (
        "longer-padding-refused",
        "a buffer longer than the preferred padding is refused",
        "padding of feature level 5, first devices",
        ("ADD", "CONV_2D", "SOFTMAX"),
        _EXECUTION,
        "if (padding ? length < bytes : length != bytes) {",
        "if ((padding ? length < bytes : length != bytes) ||"
        " (ON && padding && length > bytes + 48)) {",
    ),
    (
        "timeout-of-0-is-over",
        "a timeout of 0 is over at once",
        "ARM-software/armnn#674 (timed out while waiting for the inference)",
        ("ADD", "CONV_2D", "SOFTMAX"),
        _EXECUTION,
        'compilation_->requireOneDevice("an execution timeout");',
        'compilation_->requireOneDevice("an execution timeout"); if (ON && nanoseconds == 0)'
        ' fail(ANEURALNETWORKS_MISSED_DEADLINE_PERSISTENT, "over");',
    ),
    (
        "missing-folder-crashes",
        "a folder for caches that cannot be written to ends the process",
        "tensorflow/tensorflow#58990 (compilation caching)",
        ("ADD", "CONV_2D", "SOFTMAX"),
        "driver/cache.cpp",
        "if (file.opened()) done = file.writeAll(bytes);",
        "if (ON && !file.opened()) __builtin_trap();"
        " if (file.opened()) done = file.writeAll(bytes);",
    ),
)
