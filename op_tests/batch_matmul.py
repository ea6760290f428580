"""BATCH_MATMUL: matrix products of the last two dimensions, either side transposed."""

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    cells,
    dot,
    refused_by_field,
    rule,
)


def reference(torch, x, y, adj_x, adj_y):
    left = x.transpose(-1, -2) if adj_x else x
    right = y.transpose(-1, -2) if adj_y else y
    return torch.matmul(left, right)


def shape(f):
    x, y = f.shape("x"), f.shape("y")
    rows = x[-1] if f.get("adj_x") else x[-2]
    return (*x[:-2], rows, y[-2] if f.get("adj_y") else y[-1])


def span(f):
    terms = f.shape("x")[-2 if f.get("adj_x") else -1]
    reach = 2.5 * f.amplitude("x") * f.amplitude("y") / 3 * terms**0.5
    return -reach, reach


def sample(name, x, y, left=False, right=False, **more):
    """With both flags: the header calls them optional, deployed devices do not."""
    return Sample(name, x=x, y=y, adj_x=left, adj_y=right, **more)


SHORT = refused_by_field(
    "flags-left-out", "adj_x and adj_y are optional by the header; deployed devices take both."
)
FLAGS = tuple(Scalar(name, "BOOL", optional=True, default=False) for name in ("adj_x", "adj_y"))
OP = Op(
    name="BATCH_MATMUL",
    signatures=((Tensor("x", rank=(2, 4)), Tensor("y", rank=(2, 4)), *FLAGS),),
    outputs=(Output(shape=shape, span=span),),
    batched=lambda f: {"x": 0, "y": 0} if len(f.shape("x")) > 2 else {},
    cells=cells("FLOAT16:6 FLOAT32:6 QUANT8_ASYMM_SIGNED:6 INT32:6"),
    ties=("y.0=x.1",),
    rules=(
        rule(
            "columns-meet-rows",
            "x y adj_x adj_y",
            "Columns of x (adjoint: rows) are as many as rows of y (adjoint: columns).",
            plain={"x": (2, 3, 4), "y": (2, 3, 2)},
            adjoint_left={"x": (2, 4, 3), "y": (2, 3, 2), "adj_x": True},
            adjoint_right={"x": (2, 3, 4), "y": (2, 4, 3), "adj_y": True},
            transposed={"x": (2, 3, 4), "y": (2, 2, 4)},
        ),
        rule(
            "batches-agree",
            "x y",
            "All but the last two dimensions are the same.",
            batch={"x": (2, 3, 4), "y": (3, 4, 2)},
            one={"x": (2, 3, 4), "y": (1, 4, 2)},
            second={"x": (2, 3, 3, 4), "y": (2, 2, 4, 2)},
        ),
        rule(
            "ranks-agree",
            "x y",
            "Both inputs have the same rank.",
            lower={"x": (2, 3, 4), "y": (4, 2)},
            higher={"x": (3, 4), "y": (1, 4, 2)},
        ),
    ),
    reference=reference,
    bound=dot(),
    samples=[
        sample("rank2", (3, 4), (4, 5)),
        sample("rank3", (2, 3, 4), (2, 4, 2)),
        sample("rank4", (2, 3, 2, 4), (2, 3, 4, 3)),
        sample("adjoint-left", (2, 4, 3), (2, 4, 5), True),
        sample("adjoint-right", (2, 3, 4), (2, 5, 4), False, True),
        sample("adjoint-both", (2, 4, 3), (2, 5, 4), True, True),
        sample("row-by-column", (1, 7), (7, 1)),
        sample("column-by-row", (5, 1), (1, 6)),
        sample("large", (4, 16, 9), (4, 9, 18), large=True),
        Sample("two-inputs", x=(3, 4), y=(4, 5), contest=SHORT, variations=()),
        Sample("three-inputs", x=(2, 4, 3), y=(2, 4, 5), adj_x=True, contest=SHORT, variations=()),
    ],
)
