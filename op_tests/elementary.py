"""EXP, LOG, SIN, SQRT, FLOOR: elementary functions, element-wise."""

from nnapi_testkit.op import (
    NO_WORD_OF_EMPTY,
    Op,
    Output,
    Sample,
    Tensor,
    bounded_by,
    floats,
    relative,
    selected,
    unary,
)


def argument(s):
    """|x|, bounded where results are 0 or infinite anyway."""
    return s.args["input"].abs().clamp(max=256)


def sin_bound(s):
    """4 u max(|y|, 1/2) of its own; reducing the argument in working precision costs u |x|."""
    p, x = s.precision, s.args["input"].abs()
    reduction = (x * (2 if p.relaxed else 1)).clamp(max=2 / p.u)
    return (s.outputs[0].abs().clamp(min=0.5) * 4 + reduction) * p.u + p.tiny


def floor_bound(s):
    """Exact, but relaxed float32 may round the input to float16 first."""
    (bound,), x = selected().error(s), s.args["input"]
    if not s.precision.relaxed:
        return bound
    # An integer that the reading just reaches is reached, whatever the last place says.
    reach = x.abs() * (s.precision.u * (1 + 2.0**-20))
    gaps = [(s.torch.floor(x + e) - s.outputs[0]).abs() for e in (-reach, reach)]
    return bound + s.torch.maximum(*gaps)


POSITIVE = (2.0**-8, 9.0)
FORMS = {
    # exp(x) = 2^(x log2 e): the product's rounding is a relative error of |x| u.
    "EXP": ("exp", relative(lambda s: 3 + 3 * argument(s), "(3 + 3|x|) u |y|"), None, 3),
    # By way of log2 an absolute error near x = 1; a rounded input moves y by u.
    "LOG": ("log", relative(lambda s: 5, "5 u max(|y|, 1/2)", floor=0.5), POSITIVE, 3),
    "SIN": ("sin", bounded_by(sin_bound, "4 u max(|y|, 1/2) + u |x|"), (-7.0, 7.0), 3),
    # x * rsqrt(x) is legal: 3 roundings.
    "SQRT": ("sqrt", relative(lambda s: 3, "3 u |y|"), (0.0, 9.0), 3),
    "FLOOR": ("floor", bounded_by(floor_bound, "exact values"), None, 1),
}


def declare(name, function, bound, domain, since):
    """One function."""
    ranks = (1, 5) if since == 3 else (1, 4)
    return Op(
        name=name,
        signatures=((Tensor("input", rank=ranks, domain=domain),),),
        outputs=(Output(),),
        batched=("input",),
        cells=floats(since),
        reference=lambda torch, input: getattr(torch, function)(input),
        bound=bound,
        samples=[*unary(ranks=ranks, empty=NO_WORD_OF_EMPTY), Sample("tall", input=(9, 1, 4))],
    )


OPS = [declare(name, *row) for name, row in FORMS.items()]
