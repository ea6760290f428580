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
    paddings_for,
    products_span,
    window_sample,
    windowed,
)


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
    reference=reference,
    bound=dot(),
    fixed=frozenset({"multiplier"}),
    valid=lambda f: f.shape("filter")[3] == f.shape("input")[3] * f["multiplier"],
    samples=[
        sample("same", (1, 5, 6, 3), (3, 3), 1),
        sample("multiplier2", (2, 4, 5, 2), (2, 3), 2, (1, 1), VALID),
        sample("stride2", (1, 7, 6, 3), (3, 3), 1, (2, 2)),
        sample("kernel5", (1, 7, 8, 2), (5, 5), 1),
        sample("kernel7-stride2", (1, 9, 8, 2), (7, 7), 1, (2, 2), (3, 3, 3, 3)),
        sample("explicit", (1, 4, 5, 2), (2, 3), 1, (1, 2), (1, 2, 3, 1)),
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
    ],
)
