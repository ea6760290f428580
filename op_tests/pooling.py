"""AVERAGE_POOL_2D, MAX_POOL_2D, L2_POOL_2D: one number for each window and channel."""

from nnapi_testkit.op import (
    VALID,
    Given,
    Op,
    Output,
    Scalar,
    Tensor,
    both_paddings,
    bounded_by,
    dot,
    floats,
    fused,
    nan_operands,
    numeric,
    overflowing,
    paddings_for,
    rule,
    selected,
    window_sample,
    windowed,
)

WINDOW = (Scalar("filter_w", minimum=1), Scalar("filter_h", minimum=1))


def patches(torch, input, filter_w, filter_h, fill, window):
    """[batch, depth, out_height, out_width, window elements], padded with `fill`."""
    pads = paddings_for(window, input.shape[2:], (filter_h, filter_w))
    padded = torch.nn.functional.pad(input, pads, value=fill)
    rows = padded.unfold(2, filter_h, window["stride_h"])
    return rows.unfold(3, filter_w, window["stride_w"]).flatten(-2)


def average(torch, input, filter_w, filter_h, activation, square=False, **window):
    # Padding is no part of the average: the divisor counts elements of the image only.
    source = input * input if square else input
    total = patches(torch, source, filter_w, filter_h, 0.0, window).sum(-1)
    count = patches(torch, torch.ones_like(source), filter_w, filter_h, 0.0, window).sum(-1)
    mean = total / count
    return fused(torch, torch.sqrt(mean) if square else mean, activation)


def l2(torch, **operands):
    return average(torch, square=True, **operands)


def maximum(torch, input, filter_w, filter_h, activation, **window):
    values = patches(torch, input, filter_w, filter_h, float("-inf"), window)
    return fused(torch, values.amax(-1), activation)


def elements(s):
    return s.args["filter_w"] * s.args["filter_h"]


def l2_bound(s):
    """Half of the relative error of the mean of n squares, and a rounded square root.

    Squares below `tiny` may be flushed to zero: sqrt(m) - sqrt(m - tiny) <= min(y, tiny / y).
    """
    (y,), p = s.outputs, s.precision
    flushed = s.torch.minimum(y.abs(), (p.tiny / y.abs()).nan_to_num(0.0, 0.0))
    return y.abs() * ((elements(s) / 2 + 3) * p.u) + flushed + p.tiny


def l2_overflowing(s):
    """Sums of squares beyond the largest number, of which the root is not."""
    (y,) = s.run(lambda x: x)
    return ((y * y * elements(s) > s.precision.maximum) & y.isfinite(),)


FORMS = {
    "AVERAGE_POOL_2D": (average, numeric(), dot(elements), overflowing(elements)),
    "MAX_POOL_2D": (maximum, numeric(), selected(), nan_operands()),
    "L2_POOL_2D": (l2, floats(), bounded_by(l2_bound, "(n/2 + 3) u |y|"), l2_overflowing),
}


def touching(f):
    """Every window meets the image."""
    if "padding" in f.values:
        return True
    return (
        max(f["pad_top"], f["pad_bottom"]) < f["filter_h"]
        and max(f["pad_left"], f["pad_right"]) < f["filter_w"]
    )


def sample(name, input, size, *window, **more):
    return window_sample(name, *window, input=input, filter_w=size[1], filter_h=size[0], **more)


RULES = (
    rule(
        "window-meets-input",
        "input filter_w filter_h pad_left pad_right pad_top pad_bottom",
        "No window lies in the padding alone.",
        open="No sentence of the documentation says so.",
        left={"pad_left": 9},
        bottom={"pad_bottom": 9},
    ),
    rule(
        "window-fits",
        "input filter_w filter_h padding",
        "The window fits into the padded input.",
        tall={"input": (2, 4, 5, 2), "filter_h": 5, "filter_w": 3, "padding": VALID},
        wide={"input": (2, 4, 5, 2), "filter_h": 3, "filter_w": 6, "padding": VALID},
    ),
    rule(
        "padded-window-fits",
        "input filter_w filter_h pad_left pad_right pad_top pad_bottom",
        "The window fits into the input with its explicit padding.",
        tall={"filter_h": 7},
        wide={"filter_w": 10},
    ),
)
SAMPLES = (
    sample("same", (1, 5, 6, 3), (3, 3)),
    sample("valid", (2, 4, 5, 2), (2, 3), (1, 1), VALID),
    sample("same-stride2", (1, 7, 6, 3), (2, 2), (2, 2)),
    sample("explicit", (1, 5, 6, 2), (3, 4), (1, 2), (1, 2, 0, 1)),
    sample("global", (1, 5, 4, 3), (5, 4), (1, 1), VALID),
    sample("wide-stride", (1, 4, 9, 2), (1, 3), (3, 1), (0, 1, 0, 0)),
    sample("unit", (2, 3, 3, 4), (1, 1)),
    sample("tall", (1, 9, 2, 2), (5, 1), (1, 3), VALID),
    sample("empty", (0, 4, 4, 2), (2, 2), level=3),
    sample("window-over-256", (1, 17, 18, 1), (17, 16), (1, 1), VALID),
    # 272 codes of 250, whose sum leaves 16 bits.
    sample(
        "codes-of-250",
        Given([[[[250.0]] * 18] * 17]),
        (17, 16),
        (1, 1),
        VALID,
        only=("quant8",),
        variations=(),
        quants={"input": (1.0, 0)},
    ),
    sample("large", (1, 18, 18, 4), (3, 2), (1, 1), VALID, large=True),
)


def declare(name, reference, cells, bound, exempt):
    return Op(
        name=name,
        signatures=both_paddings((Tensor("input", rank=(4, 4), spatial=True),), *WINDOW),
        outputs=(
            Output(
                shape=windowed(
                    "input", lambda f: (f["filter_h"], f["filter_w"]), lambda f: f.shape("input")[3]
                ),
                like="input",
                spatial=True,
            ),
        ),
        batched=("input",),
        cells=cells,
        rules=RULES,
        reference=reference,
        bound=bound,
        exempt=exempt,
        valid=touching,
        samples=SAMPLES,
        ambiguity="sum(1) in the average counts the elements inside the image, not the padding.",
    )


OPS = [declare(name, *row) for name, row in FORMS.items()]
