"""ADD, SUB, MUL: element-wise with broadcasting, then a fused activation."""

from nnapi_testkit.op import (
    Choice,
    Op,
    Output,
    Quantized,
    Sample,
    Tensor,
    activation,
    aligned,
    broadcast,
    broadcast_pairs,
    compatible,
    fused,
    numeric,
    rounded,
    rule,
)

FORMS = {
    "ADD": (lambda torch, a, b: a + b, lambda f: 0.8 * (f.amplitude("a") + f.amplitude("b")), 1, 1),
    "SUB": (lambda torch, a, b: a - b, lambda f: 0.8 * (f.amplitude("a") + f.amplitude("b")), 2, 3),
    # More than input1_scale * input2_scale for one code, as the documentation demands.
    "MUL": (lambda torch, a, b: a * b, lambda f: 0.7 * f.amplitude("a") * f.amplitude("b"), 1, 1),
}


def summands(s):
    """What a difference may cancel."""
    return s.args["a"].abs() + s.args["b"].abs()


WHOLE = Choice((2, 3, 4), -30000, 30000)


RULES = (
    compatible(),
    rule(
        "integers-have-no-activation",
        "a activation",
        "For TENSOR_INT32 the FuseCode is NONE.",
        only=("int32",),
        level=4,
        relu={"activation": 1},
        relu6={"activation": 3},
    ),
)
PRODUCT = rule(
    "scale-above-product",
    "a b out",
    "The output's scale is greater than the product of the inputs' scales.",
    only=("quant8", "quant8_signed"),
    equal={"a": Quantized(0.5), "b": Quantized(0.5), "out": Quantized(0.25)},
    below={"a": Quantized(0.5), "b": Quantized(0.25), "out": Quantized(0.0625)},
)


def rules_of(name):
    return (*RULES, PRODUCT) if name == "MUL" else RULES


def declare(name, form, reach, float32, quant8):
    """One operation of the family; int32 knows no activation (FuseCode must be NONE)."""

    def reference(torch, a, b, activation):
        return fused(torch, form(torch, a, b), activation)

    return Op(
        name=name,
        signatures=((Tensor("a", rank=(1, 4)), Tensor("b", rank=(1, 4)), activation()),),
        outputs=(Output(shape=broadcast("a", "b"), span=lambda f: (-reach(f), reach(f))),),
        batched=aligned("a", "b"),
        cells=numeric(float32, quant8, int32=4),
        ties=("b.0=a.0",),
        rules=rules_of(name),
        reference=reference,
        bound=rounded(1, magnitude=summands if name == "SUB" else None),
        samples=[
            *broadcast_pairs(activation=0),
            Sample("fused-relu1", skip=("int32",), a=(3, 11), b=(11,), activation=2),
            Sample("wide", only=("int32",), a=WHOLE, b=WHOLE, activation=0),
        ],
    )


OPS = [declare(name, *row) for name, row in FORMS.items()]
