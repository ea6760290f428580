// IF and WHILE at ANeuralNetworksModel_finish: the signatures of the referenced models.

#include "model.h"

namespace nnapi {
namespace {

const char* nameOf(const Operation& operation) {
    return operation.code == ANEURALNETWORKS_IF ? "IF" : "WHILE";
}

/// Same type and quantization; same rank and dimensions where both are specified.
void requireAgreement(const Operand& a, const Operand& b, const char* operation) {
    const auto refuse = [&](const char* what) {
        fail(ANEURALNETWORKS_BAD_DATA, "%s: an operand of a referenced model differs in %s",
             operation, what);
    };
    if (a.type != b.type) refuse("type");
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
    ControlFlow(std::span<const Operand> operands, const Operation& operation)
        : operands_(operands), operation_(operation), name_(nameOf(operation)) {}

    void require(bool holds, const char* rule) const {
        if (!holds) fail(ANEURALNETWORKS_BAD_DATA, "%s: %s", name_, rule);
    }
    const Operand& input(size_t i) const { return operands_[operation_.inputs[i]]; }
    const Operand& output(size_t i) const { return operands_[operation_.outputs[i]]; }
    const Model& model(size_t i) const {
        require(input(i).type == MODEL, "input must be a MODEL");
        return *input(i).subgraph;
    }
    /// The model's inputs against the operation's inputs from `first` on.
    void inputsAgree(const Model& model, size_t first) const {
        require(model.inputs().size() == operation_.inputs.size() - first,
                "a referenced model has another number of inputs");
        for (size_t i = 0; i < model.inputs().size(); i++) {
            requireAgreement(model.operands()[model.inputs()[i]], input(first + i), name_);
        }
    }
    static const Operand& modelOutput(const Model& model, size_t i) {
        return model.operands()[model.outputs()[i]];
    }

    void validateIf() const {
        require(operation_.inputs.size() >= 3, "needs a condition and two models");
        const Operand& condition = input(0);
        require(condition.type == TENSOR_BOOL8, "the condition must be TENSOR_BOOL8");
        require(condition.lifetime != Lifetime::OMITTED, "the condition must not be omitted");
        require(condition.rankKnown && condition.shape == Shape{1},
                "the condition must have shape [1]");
        for (size_t branch : {1, 2}) {
            const Model& chosen = model(branch);
            inputsAgree(chosen, 3);
            require(chosen.outputs().size() == operation_.outputs.size(),
                    "a referenced model has another number of outputs");
            for (size_t i = 0; i < operation_.outputs.size(); i++) {
                requireAgreement(modelOutput(chosen, i), output(i), name_);
            }
        }
    }

    void validateWhile() const {
        require(operation_.inputs.size() >= 3, "needs two models and at least one operand");
        const Model& condition = model(0);
        const Model& body = model(1);
        inputsAgree(condition, 2);
        inputsAgree(body, 2);
        require(condition.outputs().size() == 1, "the condition model must have one output");
        const Operand& verdict = modelOutput(condition, 0);
        require(verdict.type == TENSOR_BOOL8, "the condition model must output TENSOR_BOOL8");
        require(verdict.rankKnown && verdict.shape == Shape{1},
                "the condition model's output must have shape [1]");
        const size_t kept = operation_.outputs.size();
        const size_t carried = body.outputs().size();
        require(carried >= kept, "the body model has too few outputs");
        require(body.inputs().size() >= carried, "the body model has too many outputs");
        for (size_t i = 0; i < carried; i++) {
            requireAgreement(modelOutput(body, i), input(2 + i), name_);
            if (i < kept) requireAgreement(modelOutput(body, i), output(i), name_);
        }
    }

private:
    std::span<const Operand> operands_;
    const Operation& operation_;
    const char* name_;
};

}  // namespace

void validateControlFlow(std::span<const Operand> operands, const Operation& operation) {
    const ControlFlow view(operands, operation);
    if (operation.code == ANEURALNETWORKS_IF) {
        view.validateIf();
    } else {
        view.validateWhile();
    }
}

}  // namespace nnapi
