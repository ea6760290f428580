"""CONV_2D: the sum of products under a sliding window, plus bias, then a fused activation."""

from nnapi_testkit.op import (
    SAME,
    VALID,
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    activation,
    convolution_cells,
    dot,
    fused,
    layout,
    paddings_for,
    windowed,
)

DATA = (
    Tensor("input", rank=(4, 4), spatial=True),
    Tensor("filter", "filter", rank=(4, 4), weight=True),
    Tensor("bias", "bias", rank=(1, 1), weight=True, bias_of=("input", "filter")),
)
PADS = tuple(Scalar(name, minimum=0) for name in ("pad_left", "pad_right", "pad_top", "pad_bottom"))
STRIDES = (Scalar("stride_w", minimum=1), Scalar("stride_h", minimum=1))
DILATIONS = tuple(
    Scalar(name, minimum=1, optional=True, default=1, level=3) for name in ("dilation_w", "dilation_h")
)
TAIL = (*STRIDES, activation(), layout(), *DILATIONS)


def reference(torch, input, filter, bias, activation, stride_w, stride_h, dilation_w, dilation_h, **pads):
    pads |= {"stride_w": stride_w, "stride_h": stride_h, "dilation_w": dilation_w, "dilation_h": dilation_h}
    kernel = filter.permute(0, 3, 1, 2)
    padded = torch.nn.functional.pad(input, paddings_for(pads, input.shape[2:], kernel.shape[2:]))
    total = torch.nn.functional.conv2d(
        padded, kernel, bias, (stride_h, stride_w), dilation=(dilation_h, dilation_w)
    )
    return fused(torch, total, activation)


def span(f):
    depth_out, height, width, depth = f.shape("filter")
    # Products of two uniform variables have a deviation of a/sqrt(3) * b/sqrt(3).
    reach = 2.5 * f.amplitude("input") * f.amplitude("filter") / 3 * (height * width * depth) ** 0.5 + 0.5
    return -reach, reach


def sample(name, input, filter, stride=(1, 1), **more):
    shapes = {"input": input, "filter": filter, "bias": (filter[0],)}
    if not isinstance(more.get("padding", SAME), int):
        more.update(zip(("pad_left", "pad_right", "pad_top", "pad_bottom"), more.pop("padding"), strict=True))
    return Sample(name, **shapes, stride_w=stride[0], stride_h=stride[1], **more)


OP = Op(
    name="CONV_2D",
    signatures=((*DATA, *PADS, *TAIL), (*DATA, Scalar("padding", allowed=(SAME, VALID)), *TAIL)),
    outputs=(
        Output(
            shape=windowed("input", lambda f: f.shape("filter")[1:3], lambda f: f.shape("filter")[0]),
            span=span,
            spatial=True,
        ),
    ),
    cells=convolution_cells(),
    reference=reference,
    bound=dot(),
    samples=[
        sample("same", (1, 5, 6, 3), (4, 3, 3, 3), padding=SAME),
        sample("same-stride2", (2, 6, 7, 2), (3, 3, 2, 2), (2, 2), padding=SAME),
        sample("valid", (1, 6, 5, 4), (2, 3, 3, 4), padding=VALID),
        sample("pointwise", (2, 3, 4, 8), (5, 1, 1, 8), padding=VALID),
        sample("explicit", (1, 4, 5, 2), (3, 2, 3, 2), (1, 2), padding=(1, 2, 3, 1)),
        sample("wide-stride", (1, 4, 9, 2), (2, 1, 3, 2), (3, 1), padding=(0, 1, 0, 0)),
        sample("dilated", (1, 7, 8, 2), (3, 3, 2, 2), padding=VALID, nchw=False, dilation_w=2, dilation_h=3),
        sample("dilated-same", (1, 6, 5, 1), (2, 3, 3, 1), padding=SAME, nchw=True, dilation_w=1, dilation_h=2),
        sample("window-of-image", (1, 3, 4, 2), (2, 3, 4, 2), padding=VALID),
        sample("empty", (0, 4, 4, 2), (3, 3, 3, 2), padding=SAME, level=3),
        sample("large", (1, 12, 12, 4), (8, 3, 3, 4), padding=SAME, large=True),
    ],
)
