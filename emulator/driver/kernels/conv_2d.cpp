// CONV_2D and GROUPED_CONV_2D.

#include "math/convolution.h"

namespace nnapi {
namespace {

constexpr int32_t kMost = 0x7FFFFFFF;

/// CONV_2D: explicit padding has 10 inputs, then optionally layout, then both dilations; implicit
/// has 7. Ten inputs are ambiguous: the eighth is a stride (INT32) or the layout (BOOL).
SlidingInputs plainInputs(size_t count, Type eighth) {
    const bool explicitPadding = count > 10 || (count == 10 && eighth == INT32);
    if (explicitPadding) return {true, 3, 7, 9, 10, 11};
    return {false, 3, 4, 6, 7, 8};
}

/// GROUPED_CONV_2D: 12 inputs with explicit padding, 9 with implicit; groups after the strides.
SlidingInputs groupedInputs(size_t count) {
    if (count == 12) return {true, 3, 7, 9, 11, SIZE_MAX};
    return {false, 3, 4, 6, 8, SIZE_MAX};
}

void validateOutput(const OpView& v, const SlidingInputs& at) {
    validateSlidingOutput(v, at, v.dimOf(in(1), 1), v.dimOf(in(1), 2));
    if (const auto nchw = v.flagOf(in(at.layout))) v.sameDim(in(1), 0, out(0), *nchw ? 1 : 3);
}

/// Groups divide the output depth, and each takes its share of the input depth.
template <class Where>
void checkDepths(const Where& where, const SlidingInputs& at, bool grouped) {
    if (grouped) where.integer(in(at.next), 1, kMost);
    const auto groups = grouped ? where.intOf(in(at.next)) : 1;
    const auto columns = where.dimOf(in(1), 0), groupDepth = where.dimOf(in(1), 3);
    where.require(!groups || !columns || *columns % static_cast<uint32_t>(*groups) == 0,
                  "the output depth must be divisible by the number of groups");
    const auto nchw = where.flagOf(in(at.layout));
    if (!nchw) return;
    const auto depth = where.dimOf(in(0), *nchw ? 1 : 3);
    where.require(!groups || !groupDepth || !depth ||
                      *depth == uint64_t{*groupDepth} * static_cast<uint32_t>(*groups),
                  "the input depth must be the filter's depth times the number of groups");
}

void validatePlain(OpView& v) {
    v.inputs({7, 8, 10, 11, 13});
    v.outputs(1);
    validateConvolutionTypes(v, 0, 1, When::AT_ONCE);
    const auto at = plainInputs(v.inputCount(), v.inputCount() > 7 ? v[in(7)].type : BOOL);
    validateSliding(v, at, true);
    checkDepths(v, at, false);
    validateOutput(v, at);
}

void validateGrouped(OpView& v) {
    v.inputs({9, 12});
    v.outputs(1);
    validateConvolutionTypes(v, 0, 3);
    const auto at = groupedInputs(v.inputCount());
    validateSliding(v, at, false);
    checkDepths(v, at, true);
    validateOutput(v, at);
}

SlidingInputs inputsOf(const Context& c) {
    if (c.code() == ANEURALNETWORKS_GROUPED_CONV_2D) return groupedInputs(c.inputCount());
    return plainInputs(c.inputCount(), c.inputCount() > 7 ? c.type(7) : BOOL);
}

Convolution geometry(const Context& c) {
    const SlidingInputs at = inputsOf(c);
    const Sliding sliding = readSliding(c, at);
    const bool grouped = c.code() == ANEURALNETWORKS_GROUPED_CONV_2D;
    Convolution conv = slidingConvolution(c, sliding);
    const Shape& filter = c.shape(1);
    conv.groups = grouped ? static_cast<size_t>(c.scalar<int32_t>(at.next)) : 1;
    conv.outDepth = filter[0];
    return conv;
}

void prepare(Context& c) {
    const bool grouped = c.code() == ANEURALNETWORKS_GROUPED_CONV_2D;
    checkConvolution(c, 0);
    checkDepths(c, inputsOf(c), grouped);
    if (!grouped) requirePaddingWithinFilter(c, inputsOf(c));
    setOutputShape(c, geometry(c));
}

void execute(Context& c) {
    convolve(c, geometry(c), c.activation(inputsOf(c).activation()));
}

std::shared_ptr<const void> packPlain(const OpView& v) {
    const auto at = plainInputs(v.inputCount(), v.inputCount() > 7 ? v[in(7)].type : BOOL);
    const auto nchw = v.flagOf(in(at.layout));
    if (!nchw) return nullptr;
    return packFilter(v, 1, !*nchw);
}

std::shared_ptr<const void> packGrouped(const OpView& v) {
    const auto at = groupedInputs(v.inputCount());
    const auto nchw = v.flagOf(in(at.layout));
    const auto groups = v.value<int32_t>(in(at.next));
    if (!nchw || !groups || *groups < 1) return nullptr;
    return packFilter(v, static_cast<size_t>(*groups), !*nchw);
}

const Register registered({
    {ANEURALNETWORKS_CONV_2D, "CONV_2D", validatePlain, prepare, execute, packPlain},
    {ANEURALNETWORKS_GROUPED_CONV_2D, "GROUPED_CONV_2D", validateGrouped, prepare, execute,
     packGrouped},
});

}  // namespace
}  // namespace nnapi
