"""ADD, SUB, MUL: element-wise with broadcasting, then a fused activation."""

from nnapi_testkit.op import Op, Output, Tensor, activation, broadcast, broadcast_pairs, fused, numeric, rounded

FORMS = {
    "ADD": (lambda torch, a, b: a + b, lambda f: f.amplitude("a") + f.amplitude("b"), 1),
    "SUB": (lambda torch, a, b: a - b, lambda f: f.amplitude("a") + f.amplitude("b"), 2),
    "MUL": (lambda torch, a, b: a * b, lambda f: f.amplitude("a") * f.amplitude("b"), 1),
}


def declare(name, form, reach, since):
    """One operation of the family; int32 knows no activation (FuseCode must be NONE)."""
    def reference(torch, a, b, activation):
        return fused(torch, form(torch, a, b), activation)

    return Op(
        name=name,
        signatures=((Tensor("a", rank=(1, 4)), Tensor("b", rank=(1, 4)), activation()),),
        outputs=(Output(shape=broadcast("a", "b"), span=lambda f: (-reach(f), reach(f))),),
        cells=numeric(since, since, int32=4),
        reference=reference,
        bound=rounded(1),
        samples=broadcast_pairs(activation=0),
    )


OPS = [declare(name, *row) for name, row in FORMS.items()]
