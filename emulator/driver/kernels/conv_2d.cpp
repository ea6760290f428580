// CONV_2D and GROUPED_CONV_2D.

#include "convolution.h"

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
    if (const auto nchw = knownLayout(v, at.layout)) v.sameDim(in(1), 0, out(0), *nchw ? 1 : 3);
}

void validatePlain(OpView& v) {
    v.inputs({7, 8, 10, 11, 13});
    v.outputs(1);
    validateConvolutionTypes(v, 0, 1);
    const auto at = plainInputs(v.inputCount(), v.inputCount() > 7 ? v[in(7)].type : BOOL);
    validateSliding(v, at, true);
    if (const auto nchw = knownLayout(v, at.layout)) v.sameDim(in(0), *nchw ? 1 : 3, in(1), 3);
    validateOutput(v, at);
}

void validateGrouped(OpView& v) {
    v.inputs({9, 12});
    v.outputs(1);
    validateConvolutionTypes(v, 0, 3);
    const auto at = groupedInputs(v.inputCount());
    validateSliding(v, at, false);
    v.integer(in(at.next), 1, kMost);
    const auto groups = v.value<int32_t>(in(at.next));
    const auto columns = v.dimOf(in(1), 0);
    const auto groupDepth = v.dimOf(in(1), 3);
    if (groups && columns) {
        v.require(*columns % static_cast<uint32_t>(*groups) == 0,
                  "the output depth must be divisible by the number of groups");
    }
    if (const auto nchw = knownLayout(v, at.layout); nchw && groups && groupDepth) {
        const auto depth = v.dimOf(in(0), *nchw ? 1 : 3);
        v.require(!depth || *depth == uint64_t{*groupDepth} * static_cast<uint32_t>(*groups),
                  "the input depth must be the filter's depth times the number of groups");
    }
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
    conv.groups = grouped ? static_cast<size_t>(c.integer(at.next, 1, kMost)) : 1;
    conv.outDepth = filter[0];
    c.require(conv.outDepth % conv.groups == 0,
              "the output depth must be divisible by the number of groups");
    c.require(conv.depth == filter[3] * conv.groups,
              "the input depth must be the filter's depth times the number of groups");
    return conv;
}

void prepare(Context& c) {
    const Convolution conv = geometry(c);
    c.activation(inputsOf(c).activation());
    checkConvolutionFilter(c, static_cast<uint32_t>(conv.outDepth));
    setOutputShape(c, conv);
}

void execute(Context& c) {
    convolve(c, geometry(c), c.activation(inputsOf(c).activation()));
}

std::shared_ptr<const void> packPlain(const OpView& v) {
    const auto at = plainInputs(v.inputCount(), v.inputCount() > 7 ? v[in(7)].type : BOOL);
    const auto nchw = knownLayout(v, at.layout);
    if (!nchw) return nullptr;
    return packFilter(v, 1, !*nchw);
}

std::shared_ptr<const void> packGrouped(const OpView& v) {
    const auto at = groupedInputs(v.inputCount());
    const auto nchw = knownLayout(v, at.layout);
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
