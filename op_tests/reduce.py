"""REDUCE_ALL, _ANY, _MAX, _MIN, _PROD, _SUM: along the given dimensions."""

import functools

from nnapi_testkit.op import (
    ARITHMETIC,
    Choice,
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    axis_of,
    bounded_by,
    cells,
    dot,
    exact,
    floats,
    ints,
    nan_operands,
    numeric,
    reduced,
    refused_or_computed,
    selected,
)


def each_axis(function, torch, input, axes, keep_dims):
    """One dimension after another, kept until all are reduced."""
    axes = sorted({axis_of(axis, input.ndim) for axis in axes.tolist()}, reverse=True)
    for axis in axes:
        input = getattr(torch, function)(input, axis, keepdim=True)
    for axis in axes if not keep_dims else ():
        input = input.squeeze(axis)
    return input.reshape(1) if input.ndim == 0 else input


def prod_bound(s):
    """n - 1 roundings, n more if inputs are rounded; partial products may be flushed to zero."""
    p, (y,) = s.precision, s.outputs
    (least,) = s.run(lambda x: x.abs().clamp(max=1))
    count = s.args["input"].numel() / max(1, y.numel()) * (2 if p.relaxed else 1)
    bound = y.abs() * (count * p.u * 1.01) + p.tiny
    # A product that is just the smallest normal number is not flushed, nor is just the largest
    # one infinite (`prod_open`), whatever the last place says.
    flushed = least < p.tiny * (1 - ARITHMETIC)
    return s.torch.where(flushed & (y != 0), bound + y.abs(), bound)


def prod_open(s):
    """Where partial products may overflow, or be flushed to zero and meet infinity."""
    p = s.precision
    (most,) = s.run(lambda x: x.abs().nan_to_num(1.0, 1.0).clamp(min=1))
    (least,) = s.run(lambda x: x.abs().nan_to_num(1.0, 1.0).clamp(max=1))
    special = ~s.outputs[0].isfinite()
    flushed = (least < p.tiny * (1 - ARITHMETIC)) & (least > 0)
    return ((most > p.maximum * (1 + ARITHMETIC)) | (special & flushed),)


def prod_exempt(s):
    return (prod_open(s)[0] & ~s.outputs[0].isnan(),)


def sample(name, input, axes, keep_dims=False, **more):
    return Sample(name, input=input, axes=axes, keep_dims=keep_dims, **more)


TWICE = refused_or_computed(
    "axis-twice",
    "A dimension that is listed twice, of which nothing is said: reduced once by deployed devices,"
    " or refused.",
)


def samples(large, mostly=None):
    """Every rank, axis and sign; `large` is the largest shape.

    mostly: the highest byte of truth values, most of which are true then.
    """
    found = [
        sample("spatial", (2, 3, 4, 3), [1, 2], True),
        sample("last", (3, 5, 4), [2]),
        sample("first", (4, 9), [0]),
        sample("inner", (3, 4, 2, 5), [2], True),
        sample("outer", (3, 5, 4, 2), [0, 3]),
        sample("negative", (3, 2, 4, 5), [-3], True),
        sample("mixed-signs", (3, 2, 5, 3), [1, -1]),
        sample("all", (3, 2, 2), [0, 1, 2]),
        sample("all-kept", (2, 3, 2), [2, 1, 0], True),
        sample("rank1", (11,), [0]),
        sample("any-nonzero", (3, 4, 2), [1], 2),  # a BOOL is true if it is not zero
        sample("axis-twice", (3, 5, 2), [1, -2], contest=TWICE, variations=()),
        sample("one-element", (1, 1), [1], variations=()),
        sample("of-one", (4, 1, 6), [1]),
        sample("large", large, [1], large=True),
    ]
    for each in found[:-2] if mostly else ():
        each.operands["input"] = Choice(each.operands["input"], 0, mostly)
    return found


FORMS = {
    "REDUCE_ALL": ("all", cells("BOOL8:3"), exact(), None, (9, 3, 128)),
    "REDUCE_ANY": ("any", cells("BOOL8:3"), exact(), None, (9, 3, 128)),
    "REDUCE_MAX": ("amax", numeric(3, 3), selected(), nan_operands(), (9, 3, 128)),
    "REDUCE_MIN": ("amin", numeric(3, 3), selected(), nan_operands(), (9, 3, 128)),
    "REDUCE_PROD": ("prod", floats(3), bounded_by(prod_bound, "n u |y|"), prod_exempt, (9, 4, 128)),
    "REDUCE_SUM": ("sum", floats(3), dot(), None, (9, 7, 128)),
}


def declare(name, function, rows, bound, exempt, large):
    """One reduction; products of numbers of all magnitudes would only underflow."""
    domain = (-2.0, 2.0) if function == "prod" else None
    return Op(
        name=name,
        signatures=((Tensor("input", domain=domain), ints("axes"), Scalar("keep_dims", "BOOL")),),
        axes={"axes": ("input", 0)},
        outputs=(Output(shape=reduced("input"), like="input"),),
        cells=rows,
        reference=functools.partial(each_axis, function),
        bound=bound,
        exempt=exempt,
        samples=samples(large, 5 if function == "all" else None),
        ambiguity="An empty list of axes is not tried.",
    )


OPS = [declare(name, *row) for name, row in FORMS.items()]
