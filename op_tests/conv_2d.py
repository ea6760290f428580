"""CONV_2D: the sum of products under a sliding window, plus bias, then a fused activation."""

from math import prod

from nnapi_testkit.op import (
    VALID,
    Op,
    Output,
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


def reference(torch, input, filter, bias, activation, **window):
    kernel = filter.permute(0, 3, 1, 2)
    padded = torch.nn.functional.pad(input, paddings_for(window, input.shape[2:], kernel.shape[2:]))
    stride = window["stride_h"], window["stride_w"]
    dilation = window["dilation_h"], window["dilation_w"]
    total = torch.nn.functional.conv2d(padded, kernel, bias, stride, dilation=dilation)
    return fused(torch, total, activation)


def sample(name, input, filter, *window, **more):
    return window_sample(name, *window, input=input, filter=filter, bias=filter[:1], **more)


OP = Op(
    name="CONV_2D",
    signatures=both_paddings(convolution_data(), dilations=True),
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
    cells=convolution_cells(),
    ties=("filter.3=input.3", "bias.0=filter.0"),
    reference=reference,
    bound=dot(),
    samples=[
        sample("same", (1, 5, 6, 3), (4, 3, 3, 3)),
        sample("same-stride2", (2, 6, 7, 2), (3, 3, 2, 2), (2, 2)),
        sample("valid", (1, 6, 5, 4), (2, 3, 3, 4), (1, 1), VALID),
        sample("pointwise", (2, 3, 4, 8), (5, 1, 1, 8), (1, 1), VALID),
        sample("explicit", (1, 4, 5, 2), (3, 2, 3, 2), (1, 2), (1, 2, 3, 1)),
        sample("wide-stride", (1, 4, 9, 2), (2, 1, 3, 2), (3, 1), (0, 1, 0, 0)),
        sample(
            "dilated",
            (1, 7, 8, 2),
            (3, 3, 2, 2),
            (1, 1),
            VALID,
            nchw=False,
            dilation_w=2,
            dilation_h=3,
        ),
        sample("dilated-same", (1, 6, 5, 1), (2, 3, 3, 1), nchw=True, dilation_w=1, dilation_h=2),
        sample("window-of-image", (1, 3, 4, 2), (2, 3, 4, 2), (1, 1), VALID),
        sample("empty", (0, 4, 4, 2), (3, 3, 3, 2), level=3),
        sample("large", (1, 12, 12, 4), (8, 3, 3, 4), large=True),
    ],
)
