// IF and WHILE: the signatures of the referenced models.

#include "model.h"
#include "readings.h"

namespace nnapi {
namespace {

const char* nameOf(const Operation& operation) {
    return operation.code == ANEURALNETWORKS_IF ? "IF" : "WHILE";
}

/// Same type and quantization; with `dimensions`, same rank and dimensions where both are
/// specified.
void requireAgreement(const Operand& a, const Operand& b, const char* operation, bool dimensions) {
    const auto refuse = [&](const char* what) {
        fail(ANEURALNETWORKS_BAD_DATA, "%s: an operand of a referenced model differs in %s",
             operation, what);
    };
    if (a.type != b.type) refuse("type");
    if (!dimensions) return;
    if (a.scale != b.scale) refuse("scale");
    if (a.zeroPoint != b.zeroPoint) refuse("zero point");
    if ((a.channels != nullptr) != (b.channels != nullptr)) refuse("per-channel parameters");
    if (a.channels && (a.channels->channelDim != b.channels->channelDim ||
                       a.channels->scales != b.channels->scales)) {
        refuse("per-channel parameters");
    }
    if (!a.rankKnown || !b.rankKnown) return;
    if (a.shape.rank != b.shape.rank) refuse("rank");
    for (uint32_t i = 0; i < a.shape.rank; i++)
        if (a.shape[i] != 0 && b.shape[i] != 0 && a.shape[i] != b.shape[i]) refuse("dimensions");
}

class ControlFlow {
public:
    ControlFlow(std::span<const Operand> operands, const Operation& operation, bool finished)
        : operands_(operands), operation_(operation), name_(nameOf(operation)),
          finished_(finished) {}

    void require(bool holds, const char* rule) const {
        if (!holds) fail(ANEURALNETWORKS_BAD_DATA, "%s: %s", name_, rule);
    }
    const Operand& input(size_t i) const { return operands_[operation_.inputs[i]]; }
    const Operand& output(size_t i) const { return operands_[operation_.outputs[i]]; }
    /// The model that an input refers to; null where it may still be given one.
    const Model* model(size_t i) const {
        require(input(i).type == MODEL, "input must be a MODEL");
        return input(i).subgraph.get();
    }
    void agree(const Operand& a, const Operand& b) const {
        requireAgreement(a, b, name_, finished_);
    }
    /// The model's inputs against the operation's inputs from `first` on.
    void inputsAgree(const Model& model, size_t first) const {
        require(model.inputs().size() == operation_.inputs.size() - first,
                "a referenced model has another number of inputs");
        for (size_t i = 0; i < model.inputs().size(); i++) {
            agree(model.operands()[model.inputs()[i]], input(first + i));
        }
    }
    static const Operand& modelOutput(const Model& model, size_t i) {
        return model.operands()[model.outputs()[i]];
    }

    void validateIf() const {
        require(operation_.inputs.size() >= 3, "needs a condition and two models");
        const Operand& condition = input(0);
        require(condition.type == TENSOR_BOOL8, "the condition must be TENSOR_BOOL8");
        // Reading: a condition without a value is refused at the execution.
        require(followsField() || condition.lifetime != Lifetime::OMITTED,
                "the condition must not be omitted");
        require(!finished_ || (condition.rankKnown && condition.shape == Shape{1}),
                "the condition must have shape [1]");
        for (size_t branch : {1, 2}) {
            const Model* given = model(branch);
            if (given == nullptr) continue;
            const Model& chosen = *given;
            inputsAgree(chosen, 3);
            require(chosen.outputs().size() == operation_.outputs.size(),
                    "a referenced model has another number of outputs");
            for (size_t i = 0; i < operation_.outputs.size(); i++) {
                agree(modelOutput(chosen, i), output(i));
            }
        }
    }

    void validateWhile() const {
        require(operation_.inputs.size() >= 3, "needs two models and at least one operand");
        const Model* first = model(0);
        const Model* second = model(1);
        if (first == nullptr || second == nullptr) return;
        const Model &condition = *first, &body = *second;
        inputsAgree(condition, 2);
        inputsAgree(body, 2);
        require(condition.outputs().size() == 1, "the condition model must have one output");
        const Operand& verdict = modelOutput(condition, 0);
        require(verdict.type == TENSOR_BOOL8, "the condition model must output TENSOR_BOOL8");
        require(!finished_ || (verdict.rankKnown && verdict.shape == Shape{1}),
                "the condition model's output must have shape [1]");
        const size_t kept = operation_.outputs.size();
        const size_t carried = body.outputs().size();
        require(carried >= kept, "the body model has too few outputs");
        require(body.inputs().size() >= carried, "the body model has too many outputs");
        for (size_t i = 0; i < carried; i++) {
            agree(modelOutput(body, i), input(2 + i));
            if (i < kept) agree(modelOutput(body, i), output(i));
        }
    }

private:
    std::span<const Operand> operands_;
    const Operation& operation_;
    const char* name_;
    bool finished_;
};

}  // namespace

void validateControlFlow(std::span<const Operand> operands, const Operation& operation,
                         bool finished) {
    const ControlFlow view(operands, operation, finished);
    if (operation.code == ANEURALNETWORKS_IF) {
        view.validateIf();
    } else {
        view.validateWhile();
    }
}

}  // namespace nnapi
