// Models of every kind: right ones, nearly right ones, nonsense.
#pragma once

#include "pieces.h"

namespace fuzz {

/// Makes and keeps models.
class Models {
public:
    Models(Dice& dice, Pool<ANeuralNetworksMemory>& memories)
        : dice_(dice), memories_(memories) {}

    ANeuralNetworksModel* pick() { return models_.pick(dice_); }
    ANeuralNetworksModel* last() { return models_.last(); }
    void drop() { models_.drop(dice_); }
    void clear() { models_.clear(); }
    const Known& known(const ANeuralNetworksModel* m) { return known_[m]; }

    ANeuralNetworksOperandType type(const TypeOf& of, const std::vector<uint32_t>& dims);
    std::vector<uint32_t> someDims(uint32_t most = 4);

    /// Anything at all: operands, values, operations over them, in any order.
    void random();
    /// A chain of operations that is right unless a die falls on its edge.
    void good();
    /// Changes a model that is perhaps finished already.
    void misuse(ANeuralNetworksModel* m);

private:
    using Indexes = std::vector<uint32_t>;

    ANeuralNetworksModel* create(bool pooled = true);
    uint32_t tensor(ANeuralNetworksModel* m, const TypeOf& of, Indexes dims);
    uint32_t constant(ANeuralNetworksModel* m, const TypeOf& of, Indexes dims,
                      const void* value = arena[0]);
    uint32_t scalar(ANeuralNetworksModel* m, int32_t value);
    void operation(ANeuralNetworksModel* m, int32_t code, Indexes in, Indexes out);
    void finish(ANeuralNetworksModel* m, Indexes in, Indexes out);
    Indexes indexes(uint32_t most);
    void extension(ANeuralNetworksModel* m);
    void link(ANeuralNetworksModel* m, const TypeOf& of, const Indexes& dims, uint32_t x,
              uint32_t y, uint32_t out, Known& about);
    void refer(ANeuralNetworksModel* m, ANeuralNetworksModel* inner);
    void branch(ANeuralNetworksModel* m, const TypeOf& of, const Indexes& dims, uint32_t x,
                uint32_t y, uint32_t out);
    void loop(ANeuralNetworksModel* m, const TypeOf& of, const Indexes& dims, uint32_t x,
              uint32_t y, uint32_t out, bool endless);

    Dice& dice_;
    Pool<ANeuralNetworksMemory>& memories_;
    uint32_t count_ = 0;
    std::map<const ANeuralNetworksModel*, Known> known_;
    Pool<ANeuralNetworksModel> models_{
        [](ANeuralNetworksModel* p) { CALL_VOID(Model_free, p); }};
};

}  // namespace fuzz
