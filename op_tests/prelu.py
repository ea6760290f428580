"""PRELU: x where x >= 0, alpha * x elsewhere; alpha broadcasts."""

from nnapi_testkit.op import (
    NO_WORD_OF_EMPTY,
    Op,
    Output,
    Sample,
    Tensor,
    broadcast,
    broadcast_pairs,
    compatible,
    numeric,
    rounded,
)

OP = Op(
    name="PRELU",
    signatures=((Tensor("input", rank=(1, 5)), Tensor("alpha", rank=(1, 5), weight=True)),),
    outputs=(
        Output(
            shape=broadcast("input", "alpha"),
            span=lambda f: (-1.1 * f.amplitude("input"), 1.2 * f.amplitude("input")),
        ),
    ),
    batched=lambda f: {"input": 0} if len(f.shape("alpha")) < len(f.shape("input")) else {},
    cells=numeric(3, 3),
    ties=("alpha.0=input.0",),
    rules=(compatible("input", "alpha"),),
    reference=lambda torch, input, alpha: torch.where(input < 0, alpha * input, input + 0 * alpha),
    bound=rounded(1),
    samples=[
        *broadcast_pairs("input", "alpha", empty=NO_WORD_OF_EMPTY),
        Sample("rank5", input=(2, 1, 3, 2, 3), alpha=(3, 1, 1)),
    ],
)
