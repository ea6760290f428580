"""RANDOM_MULTINOMIAL: independent draws of classes by unnormalized log-probabilities."""

from nnapi_testkit.op import (
    Op,
    Output,
    OutputKind,
    Reals,
    Sample,
    Scalar,
    Tensor,
    floats,
    ints,
    propagated,
    rule,
)


def reference(torch, logits, count, seeds):
    weights = torch.exp(logits)
    distribution = weights / weights.sum(1, keepdim=True)
    return distribution[:, None, :].expand(-1, count, -1)


def sample(name, logits, count, seeds=(37, 42), **more):
    return Sample(name, logits=logits, count=count, seeds=list(seeds), **more)


OP = Op(
    name="RANDOM_MULTINOMIAL",
    signatures=((Tensor("logits", rank=(2, 2)), Scalar("count", minimum=0), ints("seeds")),),
    outputs=(
        Output(
            "out",
            lambda f: (f.shape("logits")[0], f["count"]),
            "TENSOR_INT32",
            kind=OutputKind.DRAWS,
        ),
    ),
    cells=floats(3),
    rules=(
        rule(
            "class-to-draw",
            "logits",
            "There is a class to draw.",
            open="No sentence of the documentation says so.",
            none={"logits": (2, 0)},
        ),
        rule(
            "two-seeds",
            "seeds",
            "The seeds have shape [2].",
            one={"seeds": [37]},
            three={"seeds": [37, 42, 1]},
        ),
    ),
    reference=reference,
    bound=propagated(
        "counts of classes and of neighbouring pairs by Chernoff's bound, one false alarm in 1e9"
    ),
    samples=[
        sample("uniform", Reals((1, 4), 1.0, 1.0), 2048),
        sample("two-classes", (16, 2), 512),
        sample("rows", (5, 3), 600),
        sample("other-seeds", (45, 3), 256, (1, 0)),
        sample("random-seeds", (2, 3), 1024, (0, 0)),
        sample("negative-seeds", (2, 4), 1024, (-5, 2147483647)),
        sample("one-class", (3, 1), 64),
        sample("far-apart", Reals((3, 6), -8.0, 8.0), 700),
        sample("large-logits", Reals((2, 3), 40.0, 44.0), 1024),
        # Beyond what float32 holds of their exponentials.
        sample("larger-logits", Reals((2, 3), 396.0, 399.0), 1024, variations=()),
        sample("many-classes", Reals((1, 12), -0.5, 0.5), 4096),
        sample("one-draw", (6, 3), 1),
        sample("large", (8, 6), 4096, large=True),
    ],
    ambiguity=(
        "Two seeds of 0 ask for random ones; the stream that other seeds give is not documented."
        " Rows of NaN log-probabilities are left open."
    ),
)
