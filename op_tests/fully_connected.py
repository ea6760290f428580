"""FULLY_CONNECTED: activation(inputs * weights' + bias), inputs flattened to two dimensions."""

from math import prod

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Tensor,
    activation,
    cells,
    dot,
    fused,
    later,
    products_span,
    rule,
    sizes,
)


def reference(torch, input, filter, bias, activation):
    rows = input.reshape(-1, filter.shape[1])
    return fused(torch, torch.nn.functional.linear(rows, filter, bias), activation)


def sample(name, input, weights, **more):
    return Sample(name, input=input, filter=weights, bias=weights[:1], **more)


OP = Op(
    name="FULLY_CONNECTED",
    signatures=(
        (
            Tensor("input", rank=(2, 4)),
            Tensor("filter", rank=(2, 2), weight=True),
            Tensor("bias", "bias", rank=(1, 1), weight=True, bias_of=("input", "filter")),
            activation(),
        ),
    ),
    outputs=(
        Output(
            shape=lambda f: (
                prod(f.shape("input")) // f.shape("filter")[1],
                f.shape("filter")[0],
            ),
            span=products_span(lambda f: f.shape("filter")[1]),
        ),
    ),
    batched=("input",),
    cells=(
        *cells("FLOAT32:1", bias="TENSOR_FLOAT32"),
        *cells("FLOAT16:3", bias="TENSOR_FLOAT16"),
        *cells("QUANT8_ASYMM:1 QUANT8_ASYMM_SIGNED:4", bias="TENSOR_INT32"),
    ),
    ties=("bias.0=filter.0",),
    rules=(
        *sizes(sample="rank2", filter="units .", bias="units"),
        rule(
            "input-size-positive",
            "input filter",
            "A row has elements.",
            level=3,
            open="No sentence of the documentation says so.",
            none={"input": (3, 0), "filter": (4, 0)},
        ),
        rule(
            "rows-of-input-size",
            "input filter",
            "The input divides into rows of the input size.",
            longer={"input": (3, 5), "filter": (4, 4)},
            half={"input": (1, 5), "filter": (4, 10)},
            flattened={"input": (2, 2, 3, 1), "filter": (4, 5)},
        ),
    ),
    reference=reference,
    later=(later(3, "Any scale of a quant8 output; before, more than the inputs' product."),),
    bound=dot(),
    valid=lambda f: prod(f.shape("input")) % f.shape("filter")[1] == 0,
    samples=[
        sample("rank2", (3, 5), (4, 5)),
        sample("rank4", (2, 2, 3, 1), (5, 6)),
        sample("rank3", (2, 3, 4), (3, 4)),
        sample("regrouped", (4, 3), (2, 6)),
        sample("one-unit", (5, 7), (1, 7)),
        sample("one-input", (4, 1), (6, 1)),
        sample("one-row", (1, 33), (9, 33)),
        sample("long", (2, 300), (3, 300), skip=("float16",)),
        sample("empty", (0, 5), (3, 5), level=3),
        sample("large", (16, 24), (64, 24), large=True),
        # More terms than products of the largest codes fit into 32 bits: drivers may count them,
        # and sum in another way. The sum of these data fits.
        sample(
            "deepest",
            (1, 33100),
            (2, 33100),
            large=True,
            variations=(),
            only=("quant8", "quant8_signed"),
        ),
    ],
)
