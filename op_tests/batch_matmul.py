"""BATCH_MATMUL: matrix products of the last two dimensions, either side transposed."""

from nnapi_testkit.op import Op, Output, Sample, Scalar, Tensor, cells, dot


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


FLAGS = tuple(Scalar(name, "BOOL", optional=True, default=False) for name in ("adj_x", "adj_y"))
OP = Op(
    name="BATCH_MATMUL",
    signatures=((Tensor("x", rank=(2, 4)), Tensor("y", rank=(2, 4)), *FLAGS),),
    outputs=(Output(shape=shape, span=span),),
    batched=lambda f: {"x": 0, "y": 0} if len(f.shape("x")) > 2 else {},
    cells=cells("FLOAT16:6 FLOAT32:6 QUANT8_ASYMM_SIGNED:6 INT32:6"),
    ties=("y.0=x.1",),
    reference=reference,
    bound=dot(),
    samples=[
        Sample("rank2", x=(3, 4), y=(4, 5)),
        Sample("rank3", x=(2, 3, 4), y=(2, 4, 2), adj_x=False, adj_y=False),
        Sample("rank4", x=(2, 3, 2, 4), y=(2, 3, 4, 3)),
        Sample("adjoint-left", x=(2, 4, 3), y=(2, 4, 5), adj_x=True),
        Sample("adjoint-right", x=(2, 3, 4), y=(2, 5, 4), adj_x=False, adj_y=True),
        Sample("adjoint-both", x=(2, 4, 3), y=(2, 5, 4), adj_x=True, adj_y=True),
        Sample("row-by-column", x=(1, 7), y=(7, 1)),
        Sample("column-by-row", x=(5, 1), y=(1, 6)),
        Sample("large", x=(4, 16, 9), y=(4, 9, 18), large=True),
    ],
)
