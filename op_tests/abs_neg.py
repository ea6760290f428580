"""ABS, NEG: element-wise, without rounding."""

from nnapi_testkit.op import (
    NO_WORD_OF_EMPTY,
    Choice,
    Op,
    Output,
    Sample,
    Tensor,
    cells,
    selected,
    unary,
)

FORMS = {"ABS": (lambda torch, input: input.abs(), 4), "NEG": (lambda torch, input: -input, 3)}


def declare(name, reference, int32):
    """One operation; it also exists for int32."""
    return Op(
        name=name,
        signatures=((Tensor("input", rank=(1, 5)),),),
        outputs=(Output(),),
        batched=("input",),
        cells=cells(f"FLOAT16:3 FLOAT32:3 INT32:{int32}"),
        reference=reference,
        # The sign of a zero is left open: |x| may be max(x, -x), and -x may be 0 - x.
        bound=selected(),
        samples=[
            *unary(ranks=(1, 5), empty=NO_WORD_OF_EMPTY),
            Sample("wide", only=("int32",), input=Choice((5, 9), -(2**31) + 1, 2**31 - 1)),
        ],
    )


OPS = [declare(name, *row) for name, row in FORMS.items()]
