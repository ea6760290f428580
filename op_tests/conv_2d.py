"""CONV_2D: the sum of products under a sliding window, plus bias, then a fused activation."""

from math import prod

from nnapi_testkit.op import (
    VALID,
    Given,
    Op,
    Output,
    Sample,
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


def reference(torch, input, filter, bias, activation, **window):
    kernel = filter.permute(0, 3, 1, 2)
    padded = torch.nn.functional.pad(input, paddings_for(window, input.shape[2:], kernel.shape[2:]))
    stride = window["stride_h"], window["stride_w"]
    dilation = window["dilation_h"], window["dilation_w"]
    total = torch.nn.functional.conv2d(padded, kernel, bias, stride, dilation=dilation)
    return fused(torch, total, activation)


def sample(name, input, filter, *window, **more):
    return window_sample(name, *window, input=input, filter=filter, bias=filter[:1], **more)


BEYOND = refused_by_field(
    "padding-beyond-filter",
    "Explicit padding that is not smaller than the dilated filter: no word of the header, and"
    " refused by deployed devices.",
)
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
    valid=padded_within,
    ties=("filter.3=input.3", "bias.0=filter.0"),
    rules=(
        rule(
            "filter-has-elements",
            "input filter",
            "A window has elements.",
            level=3,
            open="No sentence of the documentation says so.",
            none={"filter": (4, 0, 3, 3)},
        ),
        *sizes(sample="same", input=". . . depth", filter="units . . depth", bias="units"),
        rule(
            "window-fits",
            "input filter stride_w stride_h",
            "The window fits into the padded input.",
            tall={"input": (1, 2, 5, 4), "filter": (2, 3, 3, 4), "padding": VALID},
            wide={"input": (1, 5, 2, 4), "filter": (2, 3, 3, 4), "padding": VALID},
        ),
        *DILATION_RULES,
        channels_of_output(3),
    ),
    reference=reference,
    later=(later(3, "Any scale of a quant8 output; before, more than the inputs' product."),),
    bound=dot(),
    samples=[
        sample("same", (1, 5, 6, 3), (4, 3, 3, 3)),
        sample("same-stride2", (2, 6, 7, 2), (3, 3, 2, 2), (2, 2)),
        sample("valid", (1, 6, 5, 4), (2, 3, 3, 4), (1, 1), VALID),
        sample("pointwise", (2, 3, 4, 8), (5, 1, 1, 8), (1, 1), VALID),
        sample("explicit", (1, 4, 5, 2), (3, 2, 3, 2), (1, 2), (1, 2, 1, 1)),
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
        # A multiplier of 2: codes 5 and 6 give 5 * 6 * 0.5 * 0.5 / 0.125 = 60.
        Sample(
            "multiplier-of-two",
            level=3,  # before, an output's scale had to be above the product of the others
            only=("quant8",),
            variations=(),
            quants={"input": (0.5, 0), "filter": (0.5, 0), "out": (0.125, 0)},
            input=Given([[[[2.5]]]]),
            filter=Given([[[[3.0]]]]),
            bias=[0],
            padding=VALID,
            stride_w=1,
            stride_h=1,
        ),
        sample("window-of-image", (1, 3, 4, 2), (2, 3, 4, 2), (1, 1), VALID),
        sample("empty", (0, 4, 4, 2), (3, 3, 3, 2), level=3),
        sample("large", (1, 12, 12, 4), (8, 3, 3, 4), large=True),
        # More channels than a driver keeps in one block or one register file.
        sample("many-channels", (1, 1, 2, 3), (1031, 1, 1, 3), large=True, variations=()),
        # More terms than products of the largest codes fit into 32 bits, under two taps.
        sample(
            "deepest",
            (1, 2, 1, 16550),
            (2, 2, 1, 16550),
            (1, 1),
            VALID,
            large=True,
            variations=(),
            only=("quant8", "quant8_signed"),
        ),
        sample(
            "padding-beyond",
            (1, 4, 5, 2),
            (3, 2, 3, 2),
            (1, 2),
            (1, 2, 3, 1),
            contest=BEYOND,
            variations=(),
        ),
    ],
)
