"""GROUPED_CONV_2D: each group of filters sees its own group of input channels."""

from math import prod

from nnapi_testkit.op import (
    VALID,
    Op,
    Output,
    Scalar,
    activation,
    convolution_cells,
    convolution_data,
    dot,
    fused,
    layout,
    paddings_for,
    products_span,
    rule,
    sizes,
    window_sample,
    windowed,
)
from nnapi_testkit.op.families.window import PADDING, PADS, STRIDES, channels_of_output

TAIL = (*STRIDES, Scalar("groups", minimum=1), activation(), layout(optional=False))


def reference(torch, input, filter, bias, groups, activation, **window):
    kernel = filter.permute(0, 3, 1, 2)
    padded = torch.nn.functional.pad(input, paddings_for(window, input.shape[2:], kernel.shape[2:]))
    stride = window["stride_h"], window["stride_w"]
    total = torch.nn.functional.conv2d(padded, kernel, bias, stride, groups=groups)
    return fused(torch, total, activation)


def sample(name, input, filter, *window, **more):
    more.setdefault("nchw", False)
    more["groups"] = input[3] // filter[3]
    return window_sample(name, *window, input=input, filter=filter, bias=filter[:1], **more)


OP = Op(
    name="GROUPED_CONV_2D",
    signatures=((*convolution_data(), *PADS, *TAIL), (*convolution_data(), PADDING, *TAIL)),
    outputs=(
        Output(
            shape=windowed(
                "input", lambda f: f.shape("filter")[1:3], lambda f: f.shape("filter")[0]
            ),
            span=products_span(lambda f: prod(f.shape("filter")[1:])),
            spatial=True,
        ),
    ),
    batched=("input",),
    cells=convolution_cells(float32=3, quant8=3),
    ties=("bias.0=filter.0",),
    rules=(
        rule(
            "filter-has-elements",
            "input filter",
            "A window has elements.",
            level=3,
            open="No sentence of the documentation says so.",
            none={"filter": (6, 0, 3, 2)},
        ),
        *sizes(sample="two-groups", filter="units . . .", bias="units"),
        rule(
            "groups-divide-output",
            "filter groups",
            "The output's depth is divisible by the number of groups.",
            three_into_two={
                "input": (1, 4, 5, 4),
                "filter": (3, 3, 3, 2),
                "bias": (3,),
                "groups": 2,
            },
            fewer={"input": (1, 4, 5, 4), "filter": (2, 3, 3, 1), "bias": (2,), "groups": 4},
        ),
        rule(
            "groups-times-depth",
            "input filter groups",
            "The input's depth is the filter's depth times the number of groups.",
            more={"input": (1, 4, 5, 5), "filter": (6, 3, 3, 2), "groups": 2},
            whole={"input": (1, 4, 5, 4), "filter": (6, 3, 3, 4), "groups": 2},
            fewer={"input": (1, 4, 5, 2), "filter": (6, 3, 3, 2), "groups": 2},
        ),
        rule(
            "window-fits",
            "input filter stride_w stride_h",
            "The window fits into the padded input.",
            tall={"input": (1, 2, 5, 4), "filter": (6, 3, 3, 2), "padding": VALID},
            wide={"input": (1, 5, 2, 4), "filter": (6, 3, 3, 2), "padding": VALID},
        ),
        channels_of_output(3),
    ),
    reference=reference,
    bound=dot(),
    valid=lambda f: (
        f.shape("filter")[0] % f["groups"] == 0
        and f.shape("input")[3] == f.shape("filter")[3] * f["groups"]
    ),
    samples=[
        sample("two-groups", (1, 4, 5, 4), (6, 3, 3, 2)),
        sample("one-group", (2, 4, 3, 3), (4, 2, 3, 3), (1, 1), VALID),
        sample("depthwise", (1, 5, 4, 3), (3, 3, 3, 1), (2, 2)),
        sample("nchw", (1, 4, 5, 6), (4, 2, 3, 3), (1, 2), nchw=True),
        sample("explicit", (1, 4, 5, 4), (2, 2, 3, 2), (1, 2), (1, 2, 0, 1)),
        sample("multiplier", (1, 3, 4, 2), (6, 2, 2, 1), (1, 1), VALID),
        sample("nchw-explicit", (2, 3, 4, 4), (4, 3, 1, 1), (2, 1), (0, 0, 1, 1), nchw=True),
        sample("pointwise", (1, 3, 3, 6), (9, 1, 1, 2), (1, 1), VALID),
        sample("large", (1, 10, 11, 6), (12, 3, 3, 2), large=True),
        # More channels than a driver keeps in one block or one register file.
        sample("many-channels", (1, 1, 2, 6), (1032, 1, 1, 2), large=True, variations=()),
    ],
)
