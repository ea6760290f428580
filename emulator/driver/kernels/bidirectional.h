// What BIDIRECTIONAL_SEQUENCE_LSTM and BIDIRECTIONAL_SEQUENCE_RNN share: sequences in time-major
// or batch-major layout, and which outputs there are.
#pragma once

#include <algorithm>
#include <optional>

#include "dims.h"
#include "float_io.h"

namespace nnapi {

/// Matches a 3-D input [time, batch, depth] or [batch, time, depth].
template <class View>
void matchSequence(const View& view, size_t input, std::optional<bool> timeMajor, int batch,
                   int time, int depth, Dims& dims) {
    if (!timeMajor) {
        dims.input(view, input, {Dims::kAny, Dims::kAny, depth});
    } else if (*timeMajor) {
        dims.input(view, input, {time, batch, depth});
    } else {
        dims.input(view, input, {batch, time, depth});
    }
}

/// Where to write rows of both directions.
struct OutputRows {
    float* forward;
    size_t forwardStride;
    float* backward;
    size_t backwardStride;
};

/// Outputs are: forward, backward, states.
/// Reading: with merged outputs the backward output is "unused" or "not produced", so it may be
/// missing from the list, states following the forward output at once; where it is listed it
/// has its documented shape and is filled with zeros.
struct BidirectionalOutputs {
    size_t firstState;  // 0: none
    bool hasBackward;   // the backward output is listed
    std::optional<bool> merged;

    BidirectionalOutputs(size_t outputs, size_t states, std::optional<bool> mergeOutputs)
        : firstState(outputs > states ? outputs - states : 0),
          hasBackward(outputs == 2 || outputs == states + 2),
          merged(mergeOutputs) {}

    template <class Where>
    void check(const Where& where) const {
        where.require(merged.value_or(true) || hasBackward,
                      "the backward output is missing and outputs are not merged");
    }

    void validate(OpView& v, std::optional<bool> timeMajor, int batch, int time, int forward,
                  int backward, Dims& dims) const {
        check(v);
        for (size_t i = 0; i < v.outputCount(); i++) {
            v.sameType({in(0), out(i)});
            if (firstState != 0 && i >= firstState) v.optional(out(i));
        }
        const int first = !timeMajor ? Dims::kAny : *timeMajor ? time : batch;
        const int second = !timeMajor ? Dims::kAny : *timeMajor ? batch : time;
        dims.match(v, out(0), {first, second, merged == false ? forward : Dims::kAny});
        if (merged == true && dims.known(forward) && dims.known(backward)) {
            const uint64_t sum = uint64_t{dims[forward]} + dims[backward];
            const auto given = v.dimOf(out(0), 2);
            v.require(!given || *given == sum, "the merged output has a wrong dimension");
        }
        if (!hasBackward) return;
        if (merged == true) v.optional(out(1));
        dims.match(v, out(1), {first, second, backward});
    }

    void prepare(Context& c, uint32_t forwardSize, uint32_t backwardSize) const {
        check(c);
        const Shape& input = c.shape(0);
        const Shape first{input[0], input[1],
                          *merged ? sumDim(c, forwardSize, backwardSize) : forwardSize};
        requireCountable(c, first);
        c.setShape(0, first);
        if (!hasBackward) return;
        const Shape second{input[0], input[1], backwardSize};
        requireCountable(c, second);
        c.setShape(1, second);
    }

    OutputRows rows(Context& c, FloatIo& io, size_t forwardSize, size_t backwardSize) const {
        float* first = io.out(0);
        float* second = hasBackward ? io.out(1) : nullptr;
        if (!*merged) return {first, forwardSize, second, backwardSize};
        if (second != nullptr) std::fill_n(second, c.output(1).count(), 0.0f);
        const size_t stride = forwardSize + backwardSize;
        return {first, stride, first + forwardSize, stride};
    }
};

}  // namespace nnapi
