"""ARGMAX, ARGMIN: the index of the largest or smallest element along an axis."""

from nnapi_testkit.op import (
    Distinct,
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    axis_of,
    exact,
    numeric,
    reread,
    rule,
)


def removed(f):
    shape = list(f.shape("input"))
    del shape[axis_of(f["axis"], len(shape))]
    return tuple(shape) or (1,)


def tied(s):
    """Rows with more than one candidate: equal, about to be rounded to equal, or NaN."""
    axis = s.args["axis"]
    x = reread(s, s.args["input"].double())
    best = x.gather(axis, s.outputs[0].reshape(s.args["input"].narrow(axis, 0, 1).shape))
    slack = (x.abs() + best.abs()) * (s.reading.u if s.reading.relaxed else 0.0)
    rivals = ((x - best).abs() <= slack) | (x == best)
    return (((rivals.sum(axis) > 1) | x.isnan().any(axis)).reshape(s.outputs[0].shape),)


def declare(name):
    """One of both."""
    function = name.lower()

    def reference(torch, input, axis):
        found = getattr(torch, function)(input, axis)
        return found.reshape(1) if found.ndim == 0 else found

    def sample(name, input, axis, **more):
        return Sample(name, input=input, axis=axis, **more)

    def distinct(name, shape, axis, **more):
        return sample(name, Distinct(shape, axis), axis, **more)

    return Op(
        name=name,
        signatures=((Tensor("input", rank=(1, 5)), Scalar("axis")),),
        axes={"axis": ("input", 0)},
        outputs=(Output(shape=removed, type="TENSOR_INT32"),),
        cells=numeric(3, 3, int32=3),
        rules=(
            rule(
                "axis-not-empty",
                "input axis",
                "There is an element to choose.",
                level=3,
                open="No sentence of the documentation says so.",
                none={"input": (4, 0), "axis": 1},
            ),
        ),
        reference=reference,
        bound=exact(),
        exempt=tied,
        samples=[
            distinct("last", (4, 7), 1),
            sample("generated", (40, 3), 1),
            distinct("first", (9, 6), 0),
            sample("generated-rank3", (12, 2, 10), 1),
            distinct("rank1", (23,), 0),
            distinct("negative", (3, 5, 6), -1),
            distinct("negative-middle", (2, 9, 4), -2),
            distinct("rank4", (2, 3, 8, 3), 2),
            distinct("rank4-front", (5, 2, 3, 4), -4),
            distinct("of-one", (6, 1, 4), 1),
            distinct("rank5", (2, 1, 6, 2, 3), 2),
            distinct("large", (13, 11, 92), 1, large=True),
        ],
        ambiguity="Which of equal elements is meant is left open, and so is the place of NaN.",
    )


OPS = [declare("ARGMAX"), declare("ARGMIN")]
