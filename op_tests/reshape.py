"""RESHAPE: the same values under another shape; -1 stands for what remains."""

import math

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Tensor,
    exact,
    ints,
    numeric,
    rule,
)


def reshaped(f):
    shape = [int(n) for n in f["shape"]]
    known = math.prod(n for n in shape if n != -1)
    return tuple(math.prod(f.shape("input")) // known if n == -1 else n for n in shape)


def sample(name, input, shape, **more):
    return Sample(name, input=input, shape=shape, **more)


OP = Op(
    name="RESHAPE",
    signatures=((Tensor("input"), ints("shape")),),
    outputs=(Output(shape=reshaped, like="input"),),
    cells=numeric(int32=6),
    rules=(
        rule(
            "elements-kept",
            "input shape",
            "The number of elements stays the same.",
            fewer={"input": (2, 3), "shape": [2, 2]},
            more={"input": (2, 3), "shape": [4, 2]},
            no_size_fits={"input": (2, 3), "shape": [4, -1]},
            beyond_32_bits={"input": (2, 3), "shape": [65536, 65536]},
            beyond_64_bits={"input": (2, 3), "shape": [2**30, 2**30, 2**30, 6]},
        ),
        rule(
            "elements-of-nothing",
            "input shape",
            "What has elements does not take a shape that has none.",
            zero={"input": (2, 3), "shape": [0, 6]},
            beside_open={"input": (2, 3), "shape": [0, -1]},
        ),
        rule(
            "one-open-dimension",
            "shape",
            "At most one component is the special value -1.",
            two={"input": (2, 3), "shape": [-1, -1]},
        ),
        rule(
            "no-other-negative",
            "shape",
            "Other components are sizes.",
            minus_two={"input": (2, 3), "shape": [-2, -3]},
            least={"input": (2, 3), "shape": [-(2**31), 3]},
        ),
        rule(
            "rank-in-range",
            "shape",
            "The output has rank 1 to 4.",
            five={"input": (2, 3), "shape": [1, 1, 1, 2, 3]},
        ),
    ),
    reference=lambda torch, input, shape: input.reshape(shape.tolist()),
    bound=exact(),
    valid=lambda f: math.prod(reshaped(f)) == math.prod(f.shape("input")),
    samples=[
        sample("flatten", (2, 3, 4), [-1]),
        sample("rank4-to-2", (2, 3, 5, 2), [6, 10]),
        sample("infer-front", (3, 8), [-1, 2, 3]),
        sample("infer-middle", (4, 3, 5), [2, -1, 5]),
        sample("rank1-to-4", (30,), [1, 5, 2, 3]),
        sample("same", (3, 7), [3, 7]),
        sample("infer-one", (2, 9), [2, 9, -1]),
        sample("swap", (5, 6), [6, 5]),
        sample("single", (1, 1, 1, 1), [1]),
        sample("rank4", (2, 2, 3, 4), [4, 3, 1, -1]),
        sample("large", (4, 8, 9, 5), [9, 160], large=True),
    ],
)
