"""TRANSPOSE_CONV_2D: the gradient of CONV_2D: every input element adds a scaled filter."""

from nnapi_testkit.op import (
    SAME,
    VALID,
    Op,
    Output,
    activation,
    convolution_cells,
    convolution_data,
    dot,
    fused,
    ints,
    layout,
    products_span,
    rule,
    same_padding,
    sizes,
    window_sample,
)
from nnapi_testkit.op.families.window import PADDING, PADS, STRIDES, channels_of_output

TAIL = (*STRIDES, activation(), layout(optional=False))


def crops(values, out, filter):
    """(top, bottom, left, right) that the full result loses; a missing tail is bias alone."""
    if "padding" not in values or values["padding"] is None:
        return [values[name] for name in ("pad_top", "pad_bottom", "pad_left", "pad_right")]
    found = []
    for size, stride, window in zip(
        out, (values["stride_h"], values["stride_w"]), filter, strict=True
    ):
        found += same_padding(size, stride, window) if values["padding"] == SAME else (0, 0)
    return found


def reference(torch, input, filter, bias, activation, output_shape=None, **window):
    kernel = filter.permute(3, 0, 1, 2)
    stride = window["stride_h"], window["stride_w"]
    total = torch.nn.functional.conv_transpose2d(input, kernel, None, stride)
    out = output_shape.tolist()[1:3] if output_shape is not None else (0, 0)
    top, bottom, left, right = crops(window, out, kernel.shape[2:])
    rows, columns = total.shape[2] - top - bottom, total.shape[3] - left - right
    if output_shape is not None:
        rows, columns = out
    room = (left, right, top, bottom)
    extra = max(0, left + columns - total.shape[3]), max(0, top + rows - total.shape[2])
    total = torch.nn.functional.pad(total, (0, extra[0], 0, extra[1]))
    total = total[:, :, top : top + rows, room[0] : room[0] + columns]
    return fused(torch, total + bias.reshape(1, -1, 1, 1), activation)


def shape(f):
    if f.get("output_shape") is not None:
        return tuple(map(int, f["output_shape"]))
    batch, height, width, _ = f.shape("input")
    depth, rows, columns, _ = f.shape("filter")
    top, bottom, left, right = crops(f.values, (), ())
    tall = (height - 1) * f["stride_h"] + rows - top - bottom
    return batch, tall, (width - 1) * f["stride_w"] + columns - left - right, depth


def terms(f):
    _, height, width, depth = f.shape("filter")
    return max(1, height * width // (f["stride_h"] * f["stride_w"])) * depth


def valid(f):
    """An output shape has the input's batch, the filter's depth, and sizes that give the input."""
    if f.get("output_shape") is None:
        return True
    if f["nchw"]:
        return False  # see `ambiguity`
    (batch, *sizes, depth), rows = map(int, f["output_shape"]), f.shape("filter")
    strides = f["stride_h"], f["stride_w"]
    lost = (0, 0) if f["padding"] == SAME else (rows[1] - 1, rows[2] - 1)
    fits = [
        -(-(size - less) // stride) for size, less, stride in zip(sizes, lost, strides, strict=True)
    ]
    return (batch, *fits, depth) == (*f.shape("input")[:3], rows[0])


def sample(name, input, filter, *window, **more):
    return window_sample(
        name,
        *window,
        input=input,
        filter=filter,
        bias=filter[:1],
        nchw=more.pop("nchw", False),
        **more,
    )


OP = Op(
    name="TRANSPOSE_CONV_2D",
    signatures=(
        (*convolution_data(), *PADS, *TAIL),
        (*convolution_data(), ints("output_shape"), PADDING, *TAIL),
    ),
    outputs=(Output(shape=shape, span=products_span(terms), spatial=True),),
    batched=("input",),
    cells=convolution_cells(float32=3, quant8=3),
    ties=("filter.3=input.3", "bias.0=filter.0"),
    rules=(
        rule(
            "filter-has-elements",
            "input filter",
            "A window and the input have elements.",
            level=3,
            open="No sentence of the documentation says so.",
            none={"filter": (3, 0, 3, 2)},
            no_pixels={"input": (1, 0, 5, 2)},
        ),
        *sizes(sample="explicit", input=". . . depth", filter="units . . depth", bias="units"),
        rule(
            "shape-of-output",
            "input filter output_shape padding stride_w stride_h",
            "The output shape agrees with the input, the strides and the padding scheme.",
            batch={"output_shape": [2, 5, 8, 2]},
            depth={"output_shape": [1, 5, 8, 3]},
            height={"output_shape": [1, 9, 8, 2]},
            width={"output_shape": [1, 5, 5, 2]},
            valid={"output_shape": [1, 5, 8, 2], "padding": VALID},
        ),
        rule(
            "shape-positive",
            "output_shape",
            "The output has pixels.",
            zero={"output_shape": [1, 0, 8, 2]},
            negative={"output_shape": [1, 5, -8, 2]},
        ),
        rule(
            "four-sizes",
            "output_shape",
            "The output shape has four values.",
            three={"output_shape": [5, 8, 2]},
            five={"output_shape": [1, 1, 5, 8, 2]},
        ),
        rule(
            "padding-leaves-output",
            "input filter pad_left pad_right pad_top pad_bottom",
            "The padding takes less than the whole output.",
            sample="explicit",
            width={"pad_left": 5, "pad_right": 6},
            height={"pad_top": 9},
        ),
        channels_of_output(3),
    ),
    reference=reference,
    bound=dot(),
    valid=valid,
    samples=[
        sample("explicit", (1, 4, 5, 2), (3, 3, 3, 2), (2, 2), (1, 1, 1, 1)),
        sample("same", (1, 3, 4, 2), (2, 3, 3, 2), (2, 2), output_shape=[1, 5, 8, 2]),
        sample("valid", (2, 3, 2, 3), (2, 2, 3, 3), (1, 2), VALID, output_shape=[2, 6, 4, 2]),
        sample("nchw", (1, 4, 5, 2), (3, 3, 2, 2), (2, 1), (0, 1, 1, 0), nchw=True),
        sample("asymmetric", (1, 4, 3, 2), (1, 4, 3, 2), (1, 2), (2, 0, 1, 2)),
        sample("pointwise", (2, 3, 3, 4), (5, 1, 1, 4), (1, 1), (0, 0, 0, 0)),
        sample("nchw-stride3", (1, 3, 2, 2), (2, 3, 4, 2), (3, 3), (1, 0, 0, 1), nchw=True),
        sample("gaps", (1, 3, 3, 2), (2, 1, 2, 2), (3, 2), (0, 0, 0, 0)),
        sample("same-stride1", (1, 4, 5, 1), (3, 3, 2, 1), output_shape=[1, 4, 5, 3]),
        sample("large", (1, 9, 8, 4), (8, 3, 3, 4), (2, 2), (1, 1, 1, 1), large=True),
        # More places than a driver keeps in one block.
        sample(
            "many-places",
            (1, 65, 48, 1),
            (1, 2, 1, 1),
            (1, 1),
            (0, 0, 0, 0),
            large=True,
            variations=(),
        ),
        # More channels than a driver keeps in one block or one register file.
        sample(
            "many-channels",
            (1, 1, 2, 3),
            (1031, 1, 1, 3),
            (1, 1),
            (0, 0, 0, 0),
            large=True,
            variations=(),
        ),
    ],
    ambiguity=(
        "With NCHW the order of the implicit form's output shape is not said: no case gives it."
    ),
)
