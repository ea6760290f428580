"""STRIDED_SLICE: every stride-th element from begin to end, with masks."""

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    exact,
    ints,
    numeric,
    refused_by_field,
    refused_or_computed,
    rule,
)


def picks(shape, begin, end, strides, begin_mask, end_mask, shrink=0):
    """The indexes taken of each dimension; negative ones count from its end, others are cut."""
    for i, size in enumerate(shape):
        first, last, step = int(begin[i]), int(end[i]), int(strides[i])
        masked = (begin_mask | end_mask) >> i & 1
        if shrink >> i & 1 and not masked and step > 0 and last == first + 1:
            yield [first + size if first < 0 else first]
            continue
        part = slice(
            None if begin_mask >> i & 1 else first, None if end_mask >> i & 1 else last, step
        )
        yield list(range(*part.indices(size)))


def sliced(f):
    masks = f["begin_mask"], f["end_mask"], f["shrink_axis_mask"]
    lists = picks(f.shape("input"), f["begin"], f["end"], f["strides"], *masks)
    shrink = masks[2]
    return tuple(len(p) for i, p in enumerate(lists) if not shrink >> i & 1) or (1,)


def reference(torch, input, begin, end, strides, begin_mask, end_mask, shrink_axis_mask):
    lists = picks(input.shape, begin, end, strides, begin_mask, end_mask, shrink_axis_mask)
    for i, indexes in enumerate(lists):
        input = input.index_select(i, torch.tensor(indexes))
    kept = [n for i, n in enumerate(input.shape) if not shrink_axis_mask >> i & 1]
    return input.reshape(kept or [1])


def sample(name, input, begin, end, strides, masks=(0, 0, 0), **more):
    first, last, shrink = masks
    return Sample(
        name,
        input=input,
        begin=begin,
        end=end,
        strides=strides,
        begin_mask=first,
        end_mask=last,
        shrink_axis_mask=shrink,
        **more,
    )


BACKWARDS = refused_by_field(
    "shrunk-backwards",
    "A negative stride in a dimension that is shrunk, the slice having size 1 as it should:"
    " computed, or refused by deployed devices.",
)
OUTSIDE = refused_or_computed(
    "indexes-outside",
    "Negative indexes and those beyond a dimension, of which nothing is said: counted from the end"
    " and cut to the dimension by deployed devices, or refused.",
)
OP = Op(
    name="STRIDED_SLICE",
    signatures=(
        (
            Tensor("input"),
            *(ints(name) for name in ("begin", "end", "strides")),
            *(Scalar(name) for name in ("begin_mask", "end_mask", "shrink_axis_mask")),
        ),
    ),
    outputs=(Output(shape=sliced, like="input"),),
    cells=numeric(2, 2),
    ties=("begin.0=rank(input)", "end.0=rank(input)", "strides.0=rank(input)"),
    rules=(
        rule(
            "stride-not-zero",
            "strides",
            "A stride is not zero.",
            first={"strides": [0, 1]},
            last={"strides": [1, 0]},
        ),
        rule(
            "shrunk-slice-of-one",
            "begin end shrink_axis_mask",
            "A dimension that is shrunk is a slice of size 1.",
            two={"input": (5, 7), "begin": [1, 2], "end": [3, 6], "shrink_axis_mask": 1},
            none={"input": (5, 7), "begin": [1, 2], "end": [1, 6], "shrink_axis_mask": 1},
            outside={"input": (5, 7), "begin": [5, 2], "end": [6, 6], "shrink_axis_mask": 1},
        ),
        rule(
            "shrunk-slice-forward",
            "begin end shrink_axis_mask",
            "A slice of size 1 does not end before it begins.",
            before={"input": (5, 7), "begin": [3, 2], "end": [2, 6], "shrink_axis_mask": 1},
        ),
        rule(
            "entry-for-each-dimension",
            "input begin end strides",
            "begin, end and strides have as many entries as the input has dimensions.",
            fewer={"begin": [1], "end": [4], "strides": [1]},
            more={"begin": [1, 2, 0], "end": [4, 6, 1], "strides": [1, 1, 1]},
            begin={"begin": [1]},
            end={"end": [4]},
            strides={"strides": [1]},
        ),
    ),
    reference=reference,
    bound=exact(),
    samples=[
        sample("rank2", (5, 7), [1, 2], [4, 6], [1, 1]),
        sample("strides", (6, 9), [0, 1], [6, 8], [2, 3]),
        sample("backwards", (5, 6), [4, 5], [0, 1], [-1, -2]),
        sample("rank1", (12,), [2], [11], [4]),
        sample("begin-mask", (4, 6), [3, 2], [4, 6], [1, 2], (1, 0, 0)),
        sample("end-mask", (4, 6), [1, 2], [2, 3], [1, 1], (0, 2, 0)),
        sample("reverse-all", (3, 5), [1, 1], [1, 1], [-1, -1], (3, 3, 0)),
        sample("reverse-rest", (7,), [5], [0], [-2], (0, 1, 0)),
        sample("shrink", (3, 4, 5), [0, 2, 1], [3, 3, 4], [1, 1, 1], (0, 0, 2)),
        sample("shrink-two", (3, 4, 5), [2, 0, 3], [3, 4, 4], [1, 2, 1], (0, 0, 5)),
        sample("shrink-all", (3, 4), [1, 2], [2, 3], [1, 1], (0, 0, 3)),
        sample("rank3", (3, 5, 4), [0, 4, 1], [3, 1, 4], [2, -1, 1]),
        sample("rank4", (2, 5, 4, 6), [0, 1, 3, 0], [2, 5, 0, 5], [1, 2, -1, 3], (4, 8, 0)),
        sample("rank4-shrink", (2, 3, 4, 5), [1, 0, 0, 4], [2, 3, 4, 5], [1, 1, 2, 1], (4, 2, 9)),
        sample("one-element", (4, 4, 4), [3, 0, 2], [4, 1, 3], [1, 5, 1]),
        sample("large", (4, 12, 10, 6), [0, 1, 9, 0], [4, 11, 0, 6], [1, 1, -1, 1], large=True),
        sample(
            "shrink-backwards",
            (3, 4, 5),
            [2, 1, 3],
            [1, 3, 1],
            [-1, 1, -1],
            (0, 0, 1),
            contest=BACKWARDS,
            variations=(),
        ),
        sample(
            "negative",
            (4, 5, 6),
            [-1, -4, -2],
            [0, -1, -6],
            [1, 2, -1],
            (0, 0, 1),
            contest=OUTSIDE,
            variations=(),
        ),
        sample(
            "beyond",
            (5, 7, 3),
            [9, -20, 1],
            [-9, 20, 8],
            [-2, 3, 1],
            contest=OUTSIDE,
            variations=(),
        ),
    ],
    ambiguity=(
        "Negative indexes count from the end, and those outside of a dimension are cut to it, or"
        " they are refused: nothing is said of them."
    ),
)
