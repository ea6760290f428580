#include "models.h"

#include <cstdio>
#include <cstdlib>

namespace stress {

void check(int code, const char* call) {
    if (code == ANEURALNETWORKS_NO_ERROR) return;
    std::fprintf(stderr, "result %d: %s\n", code, call);
    std::exit(1);
}

Model::Model() { CHECK(ANeuralNetworksModel_create(&handle)); }

uint32_t Model::add(const ANeuralNetworksOperandType& type) {
    CHECK(ANeuralNetworksModel_addOperand(handle, &type));
    return count_++;
}

uint32_t Model::tensor(int32_t type, std::initializer_list<uint32_t> dims, float scale,
                       int32_t zeroPoint) {
    return add({type, static_cast<uint32_t>(dims.size()), dims.begin(), scale, zeroPoint});
}

uint32_t Model::int32(int32_t value) {
    const uint32_t operand = add({ANEURALNETWORKS_INT32, 0, nullptr, 0, 0});
    return constant<int32_t>(operand, 1, [value](size_t) { return value; });
}

uint32_t Model::value(uint32_t operand, std::vector<char> bytes) {
    constants_.push_back(std::move(bytes));
    CHECK(ANeuralNetworksModel_setOperandValue(handle, static_cast<int32_t>(operand),
                                               constants_.back().data(),
                                               constants_.back().size()));
    return operand;
}

uint32_t Model::submodel(std::shared_ptr<Model> model) {
    const uint32_t operand = add({ANEURALNETWORKS_MODEL, 0, nullptr, 0, 0});
    CHECK(ANeuralNetworksModel_setOperandValueFromModel(handle, static_cast<int32_t>(operand),
                                                        model->handle));
    submodels_.push_back(std::move(model));
    return operand;
}

void Model::operation(int32_t code, std::initializer_list<uint32_t> inputs,
                      std::initializer_list<uint32_t> outputs) {
    CHECK(ANeuralNetworksModel_addOperation(handle, code, static_cast<uint32_t>(inputs.size()),
                                            inputs.begin(), static_cast<uint32_t>(outputs.size()),
                                            outputs.begin()));
}

void Model::finish(std::initializer_list<uint32_t> inputs,
                   std::initializer_list<uint32_t> outputs) {
    CHECK(ANeuralNetworksModel_identifyInputsAndOutputs(
        handle, static_cast<uint32_t>(inputs.size()), inputs.begin(),
        static_cast<uint32_t>(outputs.size()), outputs.begin()));
    CHECK(ANeuralNetworksModel_finish(handle));
}

namespace {

constexpr int32_t kFloat = ANEURALNETWORKS_TENSOR_FLOAT32;
constexpr int32_t kQuant = ANEURALNETWORKS_TENSOR_QUANT8_ASYMM_SIGNED;
constexpr std::initializer_list<uint32_t> kImage = {1, 8, 8, 8};

/// counter < 5
std::shared_ptr<Model> condition() {
    auto m = std::make_shared<Model>();
    const uint32_t counter = m->tensor(ANEURALNETWORKS_TENSOR_INT32, {1});
    const uint32_t sum = m->tensor(kFloat, kImage), term = m->tensor(kFloat, kImage);
    const uint32_t limit = m->constant<int32_t>(m->tensor(ANEURALNETWORKS_TENSOR_INT32, {1}), 1,
                                                [](size_t) { return 5; });
    const uint32_t verdict = m->tensor(ANEURALNETWORKS_TENSOR_BOOL8, {1});
    m->operation(ANEURALNETWORKS_LESS, {counter, limit}, {verdict});
    m->finish({counter, sum, term}, {verdict});
    return m;
}

/// counter + 1, sum + term
std::shared_ptr<Model> body() {
    auto m = std::make_shared<Model>();
    const uint32_t counter = m->tensor(ANEURALNETWORKS_TENSOR_INT32, {1});
    const uint32_t sum = m->tensor(kFloat, kImage), term = m->tensor(kFloat, kImage);
    const uint32_t one = m->constant<int32_t>(m->tensor(ANEURALNETWORKS_TENSOR_INT32, {1}), 1,
                                              [](size_t) { return 1; });
    const uint32_t next = m->tensor(ANEURALNETWORKS_TENSOR_INT32, {1});
    const uint32_t total = m->tensor(kFloat, kImage);
    m->operation(ANEURALNETWORKS_ADD, {counter, one, m->int32(0)}, {next});
    m->operation(ANEURALNETWORKS_ADD, {sum, term, m->int32(0)}, {total});
    m->finish({counter, sum, term}, {next, total});
    return m;
}

std::shared_ptr<Model> unary(int32_t code) {
    auto m = std::make_shared<Model>();
    const uint32_t in = m->tensor(kFloat, kImage), out = m->tensor(kFloat, kImage);
    m->operation(code, {in}, {out});
    m->finish({in}, {out});
    return m;
}

}  // namespace

std::shared_ptr<Model> network() {
    auto m = std::make_shared<Model>();
    const auto weight = [](size_t i) {
        return static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 128;
    };
    const uint32_t image = m->tensor(kFloat, {1, 8, 8, 4});
    const uint32_t filter = m->constant<float>(m->tensor(kFloat, {8, 3, 3, 4}), 288, weight);
    const uint32_t bias = m->constant<float>(m->tensor(kFloat, {8}), 8, weight);
    const uint32_t plain = m->tensor(kFloat, kImage);
    const uint32_t same = m->int32(ANEURALNETWORKS_PADDING_SAME), one = m->int32(1);
    m->operation(ANEURALNETWORKS_CONV_2D, {image, filter, bias, same, one, one, one}, {plain});

    const uint32_t codes = m->tensor(kQuant, {1, 8, 8, 4}, 1.0f / 64, -3);
    m->operation(ANEURALNETWORKS_QUANTIZE, {image}, {codes});
    const uint32_t codeFilter = m->constant<int8_t>(
        m->tensor(kQuant, {8, 3, 3, 4}, 1.0f / 128, 5), 288,
        [](size_t i) { return static_cast<int8_t>(static_cast<int>(i * 37 % 101) - 50); });
    const uint32_t codeBias = m->constant<int32_t>(
        m->tensor(ANEURALNETWORKS_TENSOR_INT32, {8}, 1.0f / 64 * (1.0f / 128)), 8,
        [](size_t i) { return static_cast<int32_t>(i * 100); });
    const uint32_t result = m->tensor(kQuant, kImage, 1.0f / 16, 0);
    m->operation(ANEURALNETWORKS_CONV_2D, {codes, codeFilter, codeBias, same, one, one, one},
                 {result});
    const uint32_t rounded = m->tensor(kFloat, kImage);
    m->operation(ANEURALNETWORKS_DEQUANTIZE, {result}, {rounded});

    const uint32_t zero = m->constant<int32_t>(m->tensor(ANEURALNETWORKS_TENSOR_INT32, {1}), 1,
                                               [](size_t) { return 0; });
    const uint32_t count = m->tensor(ANEURALNETWORKS_TENSOR_INT32, {1});
    const uint32_t sum = m->tensor(kFloat, kImage);
    m->operation(ANEURALNETWORKS_WHILE,
                 {m->submodel(condition()), m->submodel(body()), zero, plain, rounded},
                 {count, sum});
    const uint32_t yes = m->constant<uint8_t>(m->tensor(ANEURALNETWORKS_TENSOR_BOOL8, {1}), 1,
                                              [](size_t) { return uint8_t{1}; });
    const uint32_t chosen = m->tensor(kFloat, kImage);
    m->operation(ANEURALNETWORKS_IF,
                 {yes, m->submodel(unary(ANEURALNETWORKS_TANH)),
                  m->submodel(unary(ANEURALNETWORKS_LOGISTIC)), sum},
                 {chosen});
    const uint32_t shape = m->constant<int32_t>(
        m->tensor(ANEURALNETWORKS_TENSOR_INT32, {2}), 2,
        [](size_t i) { return i == 0 ? 1 : static_cast<int32_t>(kOutputSize); });
    const uint32_t flat = m->tensor(kFloat, {1, kOutputSize});
    m->operation(ANEURALNETWORKS_RESHAPE, {chosen, shape}, {flat});
    const uint32_t beta =
        m->constant<float>(m->tensor(ANEURALNETWORKS_FLOAT32, {}), 1, [](size_t) { return 1.0f; });
    const uint32_t out = m->tensor(kFloat, {1, kOutputSize});
    m->operation(ANEURALNETWORKS_SOFTMAX, {flat, beta}, {out});
    m->finish({image}, {out});
    return m;
}

}  // namespace stress
