#include "models.h"

#include <array>

namespace fuzz {

ANeuralNetworksModel* Models::create(bool pooled) {
    auto* made = reinterpret_cast<ANeuralNetworksModel*>(&arena);
    ANeuralNetworksModel** slot = dice_.orNull(&made);
    if (CALL(Model_create, slot) != 0 || slot == nullptr) return nullptr;
    if (made == nullptr) broken("success without a handle", "Model_create");
    known_[made] = {};
    if (pooled) models_.add(dice_, made);
    return made;
}

ANeuralNetworksOperandType Models::type(const TypeOf& of, const std::vector<uint32_t>& dims) {
    return {dice_.sane(of.code), static_cast<uint32_t>(dims.size()),
            dims.empty() ? nullptr : dims.data(),
            dice_.odd() ? static_cast<float>(dice_.byte()) - 8 : of.scale,
            dice_.sane(of.zeroPoint)};
}

uint32_t Models::tensor(ANeuralNetworksModel* m, const TypeOf& of, Indexes dims) {
    const auto t = type(of, dims);
    CALL(Model_addOperand, m, dice_.orNull(&t));
    return count_++;
}

uint32_t Models::constant(ANeuralNetworksModel* m, const TypeOf& of, Indexes dims,
                          const void* value) {
    const Shape shape{dims, of};
    const uint32_t index = tensor(m, of, std::move(dims));
    const size_t length = std::min<size_t>(dice_.sane(shape.bytes()), kArena);
    const auto at = dice_.sane(static_cast<int32_t>(index));
    if (!memories_.empty() && dice_.once(5)) {
        CALL(Model_setOperandValueFromMemory, m, at, memories_.pick(dice_), dice_.sane(0u),
             length);
    } else {
        CALL(Model_setOperandValue, m, at, dice_.orNull(value), length);
    }
    return index;
}

uint32_t Models::scalar(ANeuralNetworksModel* m, int32_t value) {
    const ANeuralNetworksOperandType t = {ANEURALNETWORKS_INT32, 0, nullptr, 0, 0};
    CALL(Model_addOperand, m, &t);
    value = dice_.sane(value);
    CALL(Model_setOperandValue, m, static_cast<int32_t>(count_), dice_.orNull(&value), 4);
    return count_++;
}

void Models::operation(ANeuralNetworksModel* m, int32_t code, Indexes in, Indexes out) {
    CALL(Model_addOperation, m, dice_.sane(code), static_cast<uint32_t>(in.size()),
         dice_.orNull(in.data()), static_cast<uint32_t>(out.size()),
         dice_.orNull(out.data()));
}

void Models::finish(ANeuralNetworksModel* m, Indexes in, Indexes out) {
    if (dice_.odd()) in.push_back(dice_.word());
    CALL(Model_identifyInputsAndOutputs, m, static_cast<uint32_t>(in.size()),
         dice_.orNull(in.data()), static_cast<uint32_t>(out.size()),
         dice_.orNull(out.data()));
    if (dice_.once(6)) CALL(Model_relaxComputationFloat32toFloat16, m, dice_.once(2));
    CALL(Model_finish, m);
}

std::vector<uint32_t> Models::someDims(uint32_t most) {
    std::vector<uint32_t> dims(dice_.below(most + 1));
    for (auto& d : dims) d = dice_.odd() ? dice_.sane(dice_.byte()) : dice_.below(5);
    return dims;
}

void Models::random() {
    ANeuralNetworksModel* m = dice_.once(3) ? models_.pick(dice_) : create();
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

Models::Indexes Models::indexes(uint32_t most) {
    std::vector<uint32_t> found(dice_.below(most));
    for (auto& i : found) i = dice_.sane(dice_.below(count_ + 1));
    return found;
}

void Models::extension(ANeuralNetworksModel* m) {
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

void Models::good() {
    ANeuralNetworksModel* m = create();
    count_ = 0;
    const TypeOf& of = kTensors[std::array{0, 0, 0, 1, 3, 4}[dice_.below(6)]];
    std::vector<uint32_t> dims = {1, 1 + dice_.below(3), 1 + dice_.below(3), 2};
    std::vector<uint32_t> declared = dims;
    if (dice_.once(4)) declared.assign(4, 0);
    if (dice_.once(8)) declared.clear();
    Known about;
    const uint32_t x = tensor(m, of, declared), y = tensor(m, of, declared);
    const bool unknown = declared != dims;
    about.inputs = {{dims, of, unknown}, {dims, of, unknown}};
    std::vector<uint32_t> inputs = {x, y};
    uint32_t value = x;
    for (uint32_t i = 1 + dice_.below(4); i > 0; i--) {
        const uint32_t out = tensor(m, of, declared);
        link(m, of, dims, value, y, out, about);
        value = out;
    }
    about.outputs = {{dims, of, unknown}};
    finish(m, inputs, {value});
    if (m != nullptr) known_[m] = about;
}

void Models::link(ANeuralNetworksModel* m, const TypeOf& of, const Indexes& dims, uint32_t x,
                  uint32_t y, uint32_t out, Known& about) {
    static constexpr int32_t unary[] = {ANEURALNETWORKS_RELU, ANEURALNETWORKS_RELU6,
                                        ANEURALNETWORKS_RELU1, ANEURALNETWORKS_FLOOR,
                                        ANEURALNETWORKS_TANH, ANEURALNETWORKS_LOGISTIC};
    switch (dice_.below(9)) {
        case 0: return operation(m, unary[dice_.below(6)], {x}, {out});
        case 1: return operation(m, ANEURALNETWORKS_SUB, {x, y, scalar(m, 0)}, {out});
        case 2: return operation(m, ANEURALNETWORKS_MUL, {x, y, scalar(m, 1)}, {out});
        case 3: {
            const uint32_t shape =
                constant(m, kTensors[2], {static_cast<uint32_t>(dims.size())},
                         dice_.once(4) ? arena[0] : static_cast<const void*>(dims.data()));
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
        case 7: {
            about.loops = true;
            return loop(m, of, dims, x, y, out, dice_.once(16));
        }
        default: return operation(m, ANEURALNETWORKS_ADD, {x, y, scalar(m, 0)}, {out});
    }
}

/// A MODEL operand that refers to `inner`.
void Models::refer(ANeuralNetworksModel* m, ANeuralNetworksModel* inner) {
    const ANeuralNetworksOperandType t = {ANEURALNETWORKS_MODEL, 0, nullptr, 0, 0};
    CALL(Model_addOperand, m, &t);
    CALL(Model_setOperandValueFromModel, m, static_cast<int32_t>(count_++), inner);
    // It should outlive the outer model; the driver keeps it all the same.
    CALL_VOID(Model_free, inner);
}

/// IF over two models of one operation each.
void Models::branch(ANeuralNetworksModel* m, const TypeOf& of, const Indexes& dims, uint32_t x,
                    uint32_t y, uint32_t out) {
    const uint32_t outer = count_;
    ANeuralNetworksModel* inner[2];
    for (auto& model : inner) {
        model = create(false);
        count_ = 0;
        const uint32_t a = tensor(model, of, dims), b = tensor(model, of, dims);
        const uint32_t sum = tensor(model, of, dims);
        operation(model, dice_.once(2) ? ANEURALNETWORKS_ADD : ANEURALNETWORKS_SUB,
                  {a, b, scalar(model, 0)}, {sum});
        finish(model, {a, b}, {sum});
    }
    count_ = outer;
    static constexpr uint8_t verdicts[] = {0, 1};
    std::vector<uint32_t> in = {constant(m, kTensors[5], {1}, &verdicts[dice_.below(2)])};
    for (auto* model : inner) refer(m, model);
    in.insert(in.end(), {count_ - 2, count_ - 1, x, y});
    operation(m, ANEURALNETWORKS_IF, in, {out});
}

/// WHILE over (counter, value, y): value = value * y or value + y, up to 4 times, or for ever.
void Models::loop(ANeuralNetworksModel* m, const TypeOf& of, const Indexes& dims, uint32_t x,
                  uint32_t y, uint32_t out, bool endless) {
    static constexpr int32_t numbers[] = {0, 1, 2, 3, 4};
    const TypeOf& integer = kTensors[2];
    const uint32_t outer = count_;

    ANeuralNetworksModel* condition = create(false);
    count_ = 0;
    const uint32_t counter = tensor(condition, integer, {1});
    const uint32_t value = tensor(condition, of, dims), term = tensor(condition, of, dims);
    const int32_t* rounds = &numbers[endless ? 1 : dice_.below(5)];
    const uint32_t limit = constant(condition, integer, {1}, rounds);
    const uint32_t verdict = tensor(condition, kTensors[5], {1});
    operation(condition, ANEURALNETWORKS_LESS, {counter, limit}, {verdict});
    finish(condition, {counter, value, term}, {verdict});

    ANeuralNetworksModel* body = create(false);
    count_ = 0;
    const uint32_t from = tensor(body, integer, {1});
    const uint32_t old = tensor(body, of, dims), more = tensor(body, of, dims);
    const uint32_t step = constant(body, integer, {1}, &numbers[endless ? 0 : 1]);
    const uint32_t next = tensor(body, integer, {1}), result = tensor(body, of, dims);
    operation(body, ANEURALNETWORKS_ADD, {from, step, scalar(body, 0)}, {next});
    operation(body, dice_.once(2) ? ANEURALNETWORKS_ADD : ANEURALNETWORKS_MUL,
              {old, more, scalar(body, 0)}, {result});
    finish(body, {from, old, more}, {next, result});

    count_ = outer;
    refer(m, condition);
    refer(m, body);
    Indexes in = {count_ - 2, count_ - 1};
    in.push_back(constant(m, integer, {1}, &numbers[0]));
    in.insert(in.end(), {x, y});
    operation(m, ANEURALNETWORKS_WHILE, in, {tensor(m, integer, {1}), out});
}

void Models::misuse(ANeuralNetworksModel* m) {
    count_ = dice_.below(6);
    scalar(m, 0);
    finish(m, {0}, {1});
}

}  // namespace fuzz
