"""When a frozen answer no longer answers the case."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from hashlib import blake2b

import numpy as np

from nnapi_testkit.model.case import Answer, Case, Expected
from nnapi_testkit.model.types import Graph
from nnapi_testkit.op.bounds import ARITHMETIC

# A live answer that moved by more than this share of its bound makes a golden stale.
SHARE = 1e-3


def case_hash(case: Case) -> str:
    """A digest of everything the answer depends on: model, quantization, constants, inputs."""
    digest = blake2b(digest_size=8)
    digest.update(bytes([case.model.relaxed]))
    for graph in (case.model.main, *case.model.subgraphs):
        _hash_graph(digest, graph)
    for execution in case.sets:
        for array in execution.inputs:
            digest.update(b"-" if array is None else array.tobytes())
            digest.update(b"" if array is None else str(array.shape).encode())
    return digest.hexdigest()


def _hash_graph(digest: blake2b, graph: Graph) -> None:
    parts: list[bytes] = []
    for operand in graph.operands:
        dims = operand.dims
        parts.append(
            _packed(len(dims))(
                operand.type,
                operand.zero_point,
                operand.scale,
                operand.lifetime,
                operand.subgraph,
                *dims,
            )
        )
        if operand.value:
            parts.append(operand.value)
        quant = operand.channel_quant
        if quant is not None:
            parts.append(struct.pack(f"<i{len(quant.scales)}f", quant.dim, *quant.scales))
    for operation in graph.operations:
        parts.append(repr((operation.code, operation.inputs, operation.outputs)).encode())
    parts.append(repr((graph.inputs, graph.outputs)).encode())
    digest.update(b"".join(parts))


@cache
def _packed(rank: int) -> Callable[..., bytes]:
    """What packs the head of an operand of this rank."""
    return struct.Struct(f"<iifii{rank}I").pack


def _distribution(drawn: Expected) -> Expected:
    """The distribution of draws as values with bounds."""
    assert drawn.distribution is not None
    return Expected(drawn.distribution[0], drawn.distribution[1])


def moved(golden: Answer, live: Answer) -> str:
    """What differs between a golden and the live answer; empty if they agree."""
    if golden.readings or live.readings:
        return _moved_readings(golden, live)
    if len(golden.sets) != len(live.sets):
        return f"{len(golden.sets)} input sets frozen, {len(live.sets)} live"
    for number, (frozen, fresh) in enumerate(zip(golden.sets, live.sets, strict=True)):
        if len(frozen) != len(fresh):
            return f"set {number}: {len(frozen)} outputs frozen, {len(fresh)} live"
        for position, (old, new) in enumerate(zip(frozen, fresh, strict=True)):
            where = f"set {number}, output {position}"
            if old.value.shape != new.value.shape:
                return f"{where}: shape {old.value.shape} frozen, {new.value.shape} live"
            if old.kind != new.kind:
                return f"{where}: elements are judged in another way"
            if old.distribution is not None and new.distribution is not None:
                old, new = _distribution(old), _distribution(new)
            with np.errstate(invalid="ignore"):
                off = np.abs(old.value - new.value)
                same = (old.value == new.value) | (np.isnan(old.value) & np.isnan(new.value))
                # Another processor's last places of float64 move a value, and a bound, too.
                slack = np.abs(new.value) * ARITHMETIC
                bad = ~same & ~(off <= new.bound * SHARE + slack)
            if new.exempt is not None:
                bad &= ~new.exempt
            if bad.any():
                return f"{where}: the live value moved by {float(np.nanmax(off[bad])):.3g}"
            # Bounds are stored rounded up to an eighth of a power of two.
            other = new.bound > old.bound * (1 + SHARE) + slack
            other |= old.bound > new.bound * 1.1 + slack
            if new.exempt is not None:
                other &= ~new.exempt
            if other.any():
                return f"{where}: the live bound differs"
            if (old.exempt is None) != (new.exempt is None) or (
                old.exempt is not None and (old.exempt != new.exempt).any()
            ):
                return f"{where}: other elements are exempt"
    return ""


def _moved_readings(golden: Answer, live: Answer) -> str:
    """What differs in the readings of a contested case."""
    known, fresh = dict(golden.readings), dict(live.readings)
    if list(known) != list(fresh):
        return f"readings {list(known)} frozen, {list(fresh)} live"
    for name, sets in fresh.items():
        old = known[name]
        if (old is None) != (sets is None):
            return f"reading {name}: one refuses, the other computes"
        if old is not None and sets is not None:
            difference = moved(Answer(old), Answer(sets))
            if difference:
                return f"reading {name}: {difference}"
    return ""
