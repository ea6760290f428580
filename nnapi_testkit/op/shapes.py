"""Output shapes from input shapes, as the NNAPI reference states them (NHWC where spatial)."""

from __future__ import annotations

from collections.abc import Callable

from nnapi_testkit.op.declare import Facts, Shape

ShapeRule = Callable[[Facts], Shape]
SAME, VALID = 1, 2


def same_as(name: str) -> ShapeRule:
    """The shape of the input called `name`."""
    return lambda facts: facts.shape(name)


def broadcast_shape(a: Shape, b: Shape) -> Shape:
    """The broadcast of two shapes, trailing dimensions first; 0 is compatible with 0 and 1."""
    rank = max(len(a), len(b))
    left = (1,) * (rank - len(a)) + tuple(a)
    right = (1,) * (rank - len(b)) + tuple(b)
    return tuple(y if x == 1 else x for x, y in zip(left, right, strict=True))


def broadcast(a: str, b: str) -> ShapeRule:
    """The broadcast of the inputs called `a` and `b`."""
    return lambda facts: broadcast_shape(facts.shape(a), facts.shape(b))


def axis_of(axis: int, rank: int) -> int:
    """`axis` counted from the front; the documentation lets negative ones count from the end."""
    return axis + rank if axis < 0 else axis


def reduced(input: str) -> ShapeRule:
    """The input with the dimensions listed by `axes` removed, or 1 if `keep_dims` is positive.

    [1] if no dimension is left.
    """

    def rule(facts: Facts) -> Shape:
        shape = facts.shape(input)
        axes = {axis_of(int(axis), len(shape)) for axis in facts["axes"]}
        if facts["keep_dims"] > 0:
            return tuple(1 if i in axes else n for i, n in enumerate(shape))
        return tuple(n for i, n in enumerate(shape) if i not in axes) or (1,)

    return rule


def padded(input: str) -> ShapeRule:
    """The input with `paddings[i]` elements (before, after) more in dimension i."""

    def rule(facts: Facts) -> Shape:
        pairs = zip(facts.shape(input), facts["paddings"], strict=True)
        return tuple(int(before + size + after) for size, (before, after) in pairs)

    return rule


def same_padding(size: int, stride: int, window: int, dilation: int = 1) -> tuple[int, int]:
    """Padding (head, tail) of the SAME scheme; an odd total puts the extra element at the tail."""
    reach = (window - 1) * dilation + 1
    total = max(0, (-(-size // stride) - 1) * stride + reach - size)
    return total // 2, total - total // 2


def window_paddings(
    facts: Facts, height: int, width: int, window_h: int, window_w: int
) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of a windowed operation, from its explicit or implicit form."""
    if "padding" not in facts.values:
        return facts["pad_top"], facts["pad_bottom"], facts["pad_left"], facts["pad_right"]
    if facts["padding"] == VALID:
        return 0, 0, 0, 0
    rows = same_padding(height, facts["stride_h"], window_h, facts.get("dilation_h", 1))
    columns = same_padding(width, facts["stride_w"], window_w, facts.get("dilation_w", 1))
    return (*rows, *columns)


def paddings_for(
    attributes: dict[str, int | None],
    size: tuple[int, int],
    window: tuple[int, int],
) -> tuple[int, int, int, int]:
    """The same for a reference: (left, right, top, bottom) as `torch.nn.functional.pad` wants.

    Args:
        attributes: the reference's operands by name (explicit pads or `padding`, strides,
            dilations).
        size, window: (height, width) of the input and of the window.
    """
    padding = attributes.get("padding")
    if padding is None:
        names = ("pad_left", "pad_right", "pad_top", "pad_bottom")
        left, right, top, bottom = (int(attributes[name] or 0) for name in names)
        return left, right, top, bottom
    if padding == VALID:
        return 0, 0, 0, 0
    top, bottom = same_padding(
        size[0], int(attributes["stride_h"] or 1), window[0], int(attributes.get("dilation_h") or 1)
    )
    left, right = same_padding(
        size[1], int(attributes["stride_w"] or 1), window[1], int(attributes.get("dilation_w") or 1)
    )
    return left, right, top, bottom


def windowed(
    input: str, window: Callable[[Facts], Shape], depth: Callable[[Facts], int]
) -> ShapeRule:
    """Shape [batch, out_height, out_width, depth] of a convolution or pooling.

    out = (in + pad_head + pad_tail - (window - 1) * dilation - 1) // stride + 1
    """

    def rule(facts: Facts) -> Shape:
        batch, height, width, _ = facts.shape(input)
        window_h, window_w = window(facts)
        top, bottom, left, right = window_paddings(facts, height, width, window_h, window_w)
        reach_h = (window_h - 1) * facts.get("dilation_h", 1) + 1
        reach_w = (window_w - 1) * facts.get("dilation_w", 1) + 1
        return (
            batch,
            (height + top + bottom - reach_h) // facts["stride_h"] + 1,
            (width + left + right - reach_w) // facts["stride_w"] + 1,
            depth(facts),
        )

    return rule


def besides(axis: str, name: str = "input") -> Callable[[Facts], dict[str, int]]:
    """For `Op.batched`: dimension 0 of `name`, where the operation works along another axis."""

    def axes(facts: Facts) -> dict[str, int]:
        rank = len(facts.shape(name))
        along = axis_of(int(facts.get(axis, -1)), rank)
        return {} if along == 0 else {name: 0}

    return axes


def aligned(a: str, b: str) -> Callable[[Facts], dict[str, int]]:
    """For `Op.batched`: dimension 0 of two tensors that broadcast, where it is that of both."""

    def axes(facts: Facts) -> dict[str, int]:
        same = len(facts.shape(a)) == len(facts.shape(b))
        return {a: 0, b: 0} if same else {}

    return axes


def timed_batch(*names: str, also: str = "") -> Callable[[Facts], dict[str, int]]:
    """For `Op.batched`: dimension 1 of these sequences if time comes first, else 0.

    Args:
        names: operands and outputs with a time dimension.
        also: those without one, whose batch is dimension 0.
    """

    def axes(facts: Facts) -> dict[str, int]:
        time_major = int(bool(facts.get("time_major", False)))
        return dict.fromkeys(also.split(), 0) | dict.fromkeys(names, time_major)

    return axes
