"""MEAN: the mean along the given dimensions; quantized data keep their scale."""

from nnapi_testkit.op import (
    Op,
    Output,
    Reals,
    Sample,
    Scalar,
    Tensor,
    axis_of,
    bounded_by,
    ints,
    numeric,
    overflowing,
    reduced,
    refused_or_computed,
)


def reference(torch, input, axes, keep_dims):
    listed = {axis_of(axis, input.ndim) for axis in axes.tolist()}
    mean = input.mean(tuple(sorted(listed)), keepdim=keep_dims > 0)
    return mean.reshape(1) if mean.ndim == 0 else mean


def terms(s):
    return s.args["input"].numel() / max(1, s.outputs[0].numel())


def bound(s):
    """Any order of summation of n terms, then the quotient: (n + 1) u mean|x| (Higham, 4.2)."""
    (size,) = s.run(lambda x: x.abs())
    steps = terms(s) + (2 if s.precision.relaxed else 1)
    return size * (steps * s.precision.u) + 2 * s.precision.tiny


def sample(name, input, axes, keep_dims=0, **more):
    return Sample(name, input=input, axes=axes, keep_dims=keep_dims, **more)


TWICE = refused_or_computed(
    "axis-twice",
    "A dimension that is listed twice, of which nothing is said: reduced once by deployed devices,"
    " or refused.",
)
OP = Op(
    name="MEAN",
    signatures=((Tensor("input"), ints("axes"), Scalar("keep_dims")),),
    axes={"axes": ("input", 0)},
    outputs=(Output(shape=reduced("input"), like="input"),),
    cells=numeric(2, 2),
    reference=reference,
    bound=bounded_by(bound, "(n + 1) u mean|x|"),
    exempt=overflowing(terms),
    samples=[
        sample("spatial", (3, 3, 5, 4), [1, 2], 1),
        sample("last", (3, 5, 6), [2]),
        sample("first", (4, 9), [0]),
        sample("two", (5, 3, 6, 4), [0, 3]),
        sample("negative", (3, 2, 7, 5), [-2], 1),
        sample("mixed-signs", (3, 4, 5, 4), [1, -1]),
        sample("all", Reals((3, 4, 2), -0.5, 2.0), [0, 1, 2]),
        sample("all-kept", Reals((2, 3, 4), -2.0, 0.5), [2, 1, 0], 1),
        sample("rank1", (11,), [0]),
        sample("single", (1, 6, 1), [0]),
        sample("one-element", (1, 1), [0], 1, variations=()),
        sample("keep-two", (3, 4, 3), [1], 2),
        sample("keep-negative", (3, 4, 3), [1], -1),
        sample("large", (4, 7, 16, 17), [1], large=True),
        sample("axis-twice", (3, 5, 2), [1, -2], contest=TWICE, variations=()),
    ],
    ambiguity="keep_dims retains dimensions only if positive.",
)
