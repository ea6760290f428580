"""DEPTHWISE_CONV_2D: each input channel has its own filters, `multiplier` of them."""

from nnapi_testkit.op import (
    VALID,
    Op,
    Output,
    Scalar,
    both_paddings,
    convolution_cells,
    convolution_data,
    dot,
    fused,
    later,
    padded_within,
    paddings_for,
    products_span,
    refused_by_field,
    rule,
    sizes,
    window_sample,
    windowed,
)
from nnapi_testkit.op.families.window import DILATION_RULES, channels_of_output


def reference(torch, input, filter, bias, multiplier, activation, **window):
    # Output channel k * multiplier + q comes from input channel k: torch's grouped order.
    kernel = filter.permute(3, 0, 1, 2)
    padded = torch.nn.functional.pad(input, paddings_for(window, input.shape[2:], kernel.shape[2:]))
    stride = window["stride_h"], window["stride_w"]
    dilation = window["dilation_h"], window["dilation_w"]
    total = torch.nn.functional.conv2d(
        padded, kernel, bias, stride, dilation=dilation, groups=input.shape[1]
    )
    return fused(torch, total, activation)


def sample(name, input, kernel, multiplier, *window, **more):
    depth = input[3] * multiplier
    return window_sample(
        name,
        *window,
        input=input,
        filter=(1, *kernel, depth),
        bias=(depth,),
        multiplier=multiplier,
        **more,
    )


BEYOND = refused_by_field(
    "padding-beyond-filter",
    "Explicit padding that is not smaller than the dilated filter: no word of the header, and"
    " refused by deployed devices.",
)
OP = Op(
    name="DEPTHWISE_CONV_2D",
    signatures=both_paddings(
        convolution_data(channel_dim=3), Scalar("multiplier", minimum=1), dilations=True
    ),
    outputs=(
        Output(
            shape=windowed(
                "input", lambda f: f.shape("filter")[1:3], lambda f: f.shape("filter")[3]
            ),
            span=products_span(lambda f: f.shape("filter")[1] * f.shape("filter")[2]),
            spatial=True,
        ),
    ),
    batched=("input",),
    cells=convolution_cells(),
    ties=("bias.0=filter.3",),
    rules=(
        rule(
            "filter-has-elements",
            "input filter",
            "A window has elements.",
            level=3,
            open="No sentence of the documentation says so.",
            none={"filter": (1, 0, 3, 3)},
        ),
        *sizes(sample="same", filter=". . . depth", bias="depth"),
        rule(
            "multiplier-times-depth",
            "input filter multiplier",
            "The filter's depth is the input's depth times the multiplier.",
            multiplier={
                "input": (1, 4, 5, 3),
                "filter": (1, 2, 3, 3),
                "bias": (3,),
                "multiplier": 2,
            },
            depth={"input": (1, 4, 5, 2), "filter": (1, 2, 3, 3), "bias": (3,), "multiplier": 1},
            not_whole={
                "input": (1, 4, 5, 2),
                "filter": (1, 2, 3, 5),
                "bias": (5,),
                "multiplier": 2,
            },
            fewer={"input": (1, 4, 5, 3), "filter": (1, 2, 3, 2), "bias": (2,), "multiplier": 1},
        ),
        rule(
            "one-filter",
            "filter",
            "The filter's first dimension is 1.",
            two={"filter": (2, 3, 3, 3)},
        ),
        rule(
            "window-fits",
            "input filter stride_w stride_h",
            "The window fits into the padded input.",
            tall={"input": (1, 2, 5, 3), "filter": (1, 3, 3, 3), "padding": VALID},
            wide={"input": (1, 5, 2, 3), "filter": (1, 3, 3, 3), "padding": VALID},
        ),
        *DILATION_RULES,
        channels_of_output(2),
    ),
    reference=reference,
    later=(later(3, "Any scale of a quant8 output; before, more than the inputs' product."),),
    bound=dot(),
    fixed=frozenset({"multiplier"}),
    valid=lambda f: (
        f.shape("filter")[3] == f.shape("input")[3] * f["multiplier"] and padded_within(f)
    ),
    samples=[
        sample("same", (1, 5, 6, 3), (3, 3), 1),
        sample("multiplier2", (2, 4, 5, 2), (2, 3), 2, (1, 1), VALID),
        sample("stride2", (1, 7, 6, 3), (3, 3), 1, (2, 2)),
        sample("kernel5", (1, 7, 8, 2), (5, 5), 1),
        sample("kernel7-stride2", (1, 9, 8, 2), (7, 7), 1, (2, 2), (3, 3, 3, 3)),
        sample("explicit", (1, 4, 5, 2), (2, 3), 1, (1, 2), (1, 2, 1, 1)),
        sample("from-one-channel", (1, 4, 4, 1), (3, 2), 5, (1, 1), VALID),
        sample(
            "dilated",
            (1, 7, 8, 2),
            (3, 2),
            1,
            (1, 1),
            VALID,
            nchw=False,
            dilation_w=2,
            dilation_h=3,
        ),
        sample("dilated-same", (1, 6, 5, 2), (3, 3), 2, nchw=True, dilation_w=1, dilation_h=2),
        sample("pointwise", (1, 3, 4, 6), (1, 1), 1),
        sample("large", (1, 12, 12, 8), (3, 3), 1, large=True),
        # More channels than a driver keeps in one block or one register file.
        sample("many-channels", (1, 1, 2, 1031), (1, 2), 1, large=True, variations=()),
        # More terms than products of the largest codes fit into 32 bits, as in FULLY_CONNECTED.
        sample(
            "deepest",
            (1, 183, 182, 1),
            (182, 182),
            2,
            (1, 1),
            VALID,
            large=True,
            variations=(),
            only=("quant8", "quant8_signed"),
        ),
        sample(
            "padding-beyond",
            (1, 4, 5, 2),
            (2, 3),
            1,
            (1, 2),
            (1, 2, 3, 1),
            contest=BEYOND,
            variations=(),
        ),
        # One tap fewer than the filters that drivers write a loop of their own for.
        sample("kernel2x4", (1, 4, 9, 3), (2, 4), 1, (1, 1), VALID),
    ],
)
