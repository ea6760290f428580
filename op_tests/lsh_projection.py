"""LSH_PROJECTION: bits by the signs of weighted sums of hashes."""

from dataclasses import replace

from nnapi_testkit.op import (
    DOCUMENTED,
    Contest,
    Op,
    Output,
    Reading,
    Sample,
    Scalar,
    Tensor,
    cells,
    exact,
    later,
    refused_by_field,
    rule,
    sizes,
)
from nnapi_testkit.op.families.farmhash import fingerprint64

DEPRECATED, DENSE, SPARSE = 1, 2, 3
STORED = {"float32": "<f4", "int32": "<i4", "quant8": "u1", "float16": "<f2"}


def sums(torch, hash, input, weight, cell):
    """For each hash function and bit, the sum over items and that of absolute values."""
    items = input.numpy().astype(STORED[cell.name]).reshape(input.shape[0], -1)
    seeds = hash.numpy().astype("<f4")
    rows = [
        [[fingerprint64(seed.tobytes() + item.tobytes()) for item in items] for seed in row]
        for row in seeds
    ]
    signed = [[[n - 2**64 * (n >> 63) for n in bit] for bit in row] for row in rows]
    terms = torch.tensor(signed, dtype=torch.float64)
    terms = terms if weight is None else terms * weight
    return terms.sum(2), terms.abs().sum(2)


def signatures(torch, bits, type):
    if type == DENSE:
        return bits.reshape(-1).to(torch.int64)
    count, width = bits.shape
    places = 2 ** torch.arange(width - 1, -1, -1)
    offset = torch.arange(count) * 2**width if type == SPARSE else 0
    return (bits * places).sum(1) + offset


def reference(torch, hash, input, weight, type, cell):
    return signatures(torch, sums(torch, hash, input, weight, cell)[0] > 0, type)


def exempt(s):
    """Bits whose sum is too near 0 for its sign to survive rounding in float arithmetic."""
    operands = {name: s.args[name] for name in ("hash", "input", "weight")}
    total, size = sums(s.torch, **operands, cell=s.facts["cell"])
    u = max(s.reading.u, 2.0**-24) * (s.args["input"].shape[0] + 2)
    open_ = total.abs() <= size * u
    return (open_.reshape(-1) if s.args["type"] == DENSE else open_.any(1),)


WEIGHT = refused_by_field(
    "weight",
    "The weight is optional by the header; deployed devices want it with dense projections and"
    " refuse it with sparse ones.",
)
WIDE = Contest(
    "dense-beyond-32-bits",
    "The header limits the bits of a function for sparse projections; Android's own reference"
    " refuses more than 32 for dense ones too.",
    (Reading("android", refuses=True), Reading(DOCUMENTED)),
)


def sample(name, hash, input, type, weighted=None, **more):
    """Weighted as deployed devices have it, unless told."""
    weighted = type == DENSE if weighted is None else weighted
    return Sample(
        name,
        hash=hash,
        input=input,
        weight=input[:1] if weighted else None,
        type=type,
        level=3 if type == SPARSE else 1,
        **more,
    )


HALF = dict.fromkeys(("hash", "weight"), cells("FLOAT16:3")[0].main)
OP = Op(
    name="LSH_PROJECTION",
    signatures=(
        (
            Tensor("hash", "TENSOR_FLOAT32", rank=(2, 2), weight=True, any_type=True),
            Tensor("input", rank=(1, 4), codes=True, any_type=True),
            Tensor(
                "weight", "TENSOR_FLOAT32", rank=(1, 1), weight=True, optional=True, any_type=True
            ),
            Scalar("type", allowed=(DEPRECATED, DENSE, SPARSE)),
        ),
    ),
    outputs=(
        Output(
            "out",
            lambda f: (f.shape("hash")[0] * (f.shape("hash")[1] if f["type"] == DENSE else 1),),
            "TENSOR_INT32",
        ),
    ),
    cells=(
        *cells("FLOAT32:1 INT32:1 QUANT8_ASYMM:1"),
        *(replace(cell, types=HALF) for cell in cells("FLOAT16:3")),
    ),
    rules=(
        *sizes(sample="dense", input="items .", weight="items"),
        rule(
            "signature-for-each-function",
            "hash out",
            "Sparse: there is one signature for each function.",
            sample="sparse",
            forms=("",),
            more={"out": (6,)},
            bits={"out": (20,)},
        ),
        rule(
            "bits-of-a-word",
            "hash type",
            "Sparse: bits of a function and of the number of functions are at most 32.",
            bits={"hash": (1, 33), "input": (3, 2), "weight": (3,), "type": SPARSE},
            two_functions={"hash": (2, 32), "input": (3, 2), "weight": (3,), "type": SPARSE},
            three_functions={"hash": (3, 31), "input": (3, 2), "weight": (3,), "type": SPARSE},
        ),
    ),
    reference=reference,
    # Another type of projection may be of another feature level.
    fixed=frozenset({"type"}),
    later=(later(3, "Sparse projections add an offset for each hash function."),),
    bound=exact(),
    exempt=exempt,
    by_cell=True,
    valid=lambda f: f["type"] == DENSE or f.shape("hash")[0] << f.shape("hash")[1] < 2**31,
    samples=[
        sample("dense", (4, 5), (3, 2), DENSE),
        sample("sparse", (5, 4), (9, 16), SPARSE),
        sample("deprecated", (6, 3), (5,), DEPRECATED),
        sample("dense-unweighted", (3, 7), (4, 3), DENSE, False, contest=WEIGHT),
        sample("sparse-unweighted", (7, 6), (2, 3, 2), SPARSE),
        sample("one-item", (3, 8), (1, 9), DENSE),
        sample("one-function", (1, 10), (6,), SPARSE),
        sample("one-bit", (9, 1), (3,), SPARSE),
        sample("long-items", (3, 4), (2, 5, 4, 3), DEPRECATED),
        sample("middle-items", (4, 4), (3, 7), DENSE),
        sample("large", (40, 26), (2, 13), DENSE, large=True),
        sample("sparse-weighted", (5, 4), (9, 16), SPARSE, True, contest=WEIGHT, variations=()),
        sample(
            "deprecated-weighted", (6, 3), (5,), DEPRECATED, True, contest=WEIGHT, variations=()
        ),
        sample("wide-dense", (3, 50), (2, 13), DENSE, contest=WIDE, variations=()),
    ],
    ambiguity=(
        "Fingerprint64 of the seed's four bytes (as float32) and the item's bytes; the first bit"
        " of a signature is its most significant. Neither is in the documentation."
    ),
)
