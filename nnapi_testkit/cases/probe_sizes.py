"""Odd sizes: around the widths of vector registers, beyond 256, 1024 and 4096, square and of one.

Sizes grow alone, so that slices, axes and indexes that a sample names stay inside.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache, lru_cache

from nnapi_testkit.cases.derive import Base, base_for, renamed, shapes
from nnapi_testkit.catalog import operation
from nnapi_testkit.op.declare import Sample
from nnapi_testkit.spec.operands import FLOATS, is_quantized

WIDTHS = (7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65)
LONG = (257, 1031, 4099)
MOST_READ, MOST_WRITTEN = 20_000, 700
# So many factors leave any type.
SHORT = {"REDUCE_PROD"}
# The size of a memory is another one than that of what it is filled with.
UNEQUAL = {"SVDF"}
LONG_READ, LONG_WRITTEN = 50_000, 1_100
# Of a few results each, sums of so many terms may read more.
TERMS, TERMS_READ = 4099, 130_000
# Channels of the output, and outputs of more than 4,096 elements.
CHANNELS, CHANNELS_WRITTEN = (257, 1031), 2_200
GROWN, MANY, MANY_WRITTEN = (67, 131, 257, 521, 1031, 2053, 4099), 4_096, 6_200

Rank = tuple[float, str]


def size_probes(base: Base) -> Iterator[Sample]:
    """A probe for each width and length, each from another sample and dimension."""
    places = _places(base)
    for width, at in _widths(base.op.name, _names(places)).items():
        sample, size = places[at]
        yield _grown(sample, size, width, base.op.fixed)
    for length in () if base.op.name in SHORT else LONG:
        probe = _least(base, places, length)
        if probe is not None:
            yield probe
        if length in CHANNELS and _chosen(base):
            yield from _channels(base, places, length, probe)
    if _chosen(base, both=False):
        yield from _many(base, places)
    yield from _square(base)


def _chosen(base: Base, both: bool = True) -> bool:
    """Whether the cell is the first of floats, or the first quantized one: the others cost much.

    Args:
        both: the quantized one also where there are floats.
    """
    cells = base.op.cells
    real = next((cell for cell in cells if cell.main in FLOATS), None)
    coded = next((cell for cell in cells if is_quantized(cell.main)), None)
    return base.cell in ((real, coded) if both or real is None else (real,))


def _channels(
    base: Base, places: list[tuple[Sample, int]], length: int, taken: Sample | None
) -> Iterator[Sample]:
    """As many channels of the output, where the probe that is taken only sums up more."""

    def channels(probe: Sample | None) -> bool:
        plan = base.plan(probe) if probe is not None else None
        return (
            plan is not None
            and plan.read <= LONG_READ
            and plan.written <= CHANNELS_WRITTEN
            and any(shape and shape[-1] == length for shape in plan.shapes)
        )

    if channels(taken):
        return
    for sample, size in places:
        probe = _renamed(base, sample, size, length, LONG_READ)
        if probe is not None and channels(probe):
            yield probe.derived(f"channels-{probe.name}", probe.operands, variations=())
            return


def _many(base: Base, places: list[tuple[Sample, int]]) -> Iterator[Sample]:
    """An output of more than 4,096 elements, from the smallest size that gives one."""
    for length in GROWN:
        for sample, size in places:
            probe = _renamed(base, sample, size, length, LONG_READ)
            plan = base.plan(probe) if probe is not None else None
            if probe is None or plan is None or plan.read > LONG_READ:
                continue
            if plan.written <= MANY_WRITTEN and max(map(math.prod, plan.shapes)) > MANY:
                yield probe.derived(f"many-{probe.name}", probe.operands, variations=())
                return


def _places(base: Base) -> list[tuple[Sample, int]]:
    """Each sample with each of its sizes."""
    keep = base.op.fixed
    return [
        (sample, size)
        for sample in base.samples
        for size in sorted({n for shape in shapes(sample, keep) for n in shape if n > 1})
    ]


def _names(places: list[tuple[Sample, int]]) -> tuple[tuple[str, int], ...]:
    return tuple([(sample.name, size) for sample, size in places])


@cache
def _widths(name: str, names: tuple[tuple[str, int], ...]) -> dict[int, int]:
    """Which of an operation's places makes the probe of each width, where one does.

    It follows from shapes, which cells share: the first cell with these places tells it.
    """
    op = operation(name)
    bases = (base_for(op, cell) for cell in op.cells)
    base, places = next(
        (base, places) for base in bases if _names(places := _places(base)) == names
    )
    found: dict[int, int] = {}
    for number, width in enumerate(WIDTHS):
        start = number % max(1, len(places))
        for at in (*range(start, len(places)), *range(start)):
            sample, size = places[at]
            probe = _renamed(base, sample, size, width, MOST_READ)
            if probe is not None and _fits(base, probe, MOST_READ, MOST_WRITTEN):
                found[width] = at
                break
    return found


def _least(base: Base, places: list[tuple[Sample, int]], length: int) -> Sample | None:
    """The probe of that length which writes the fewest elements, by name where several do."""
    ranks = _ranks(base.op.name, tuple(sample.name for sample in base.samples), length)
    for sample, size in sorted(places, key=lambda place: ranks[place[0].name, place[1]]):
        if ranks[sample.name, size][0] == math.inf:
            return None
        most = _read(length)
        probe = _renamed(base, sample, size, length, most)
        if probe is not None and _fits(base, probe, most, LONG_WRITTEN):
            return probe
    return None


def _read(length: int) -> int:
    """How many elements a probe of that length may read."""
    return TERMS_READ if length == TERMS else LONG_READ


@cache
def _ranks(name: str, samples: tuple[str, ...], length: int) -> dict[tuple[str, int], Rank]:
    """Elements written and name by sample and size; infinite where nothing fits.

    They follow from shapes, which cells share: the first cell with these samples tells them.
    """
    op = operation(name)
    bases = (base_for(op, cell) for cell in op.cells)
    base = next(base for base in bases if tuple(s.name for s in base.samples) == samples)
    ranks: dict[tuple[str, int], Rank] = {}
    for sample, size in _places(base):
        probe = _renamed(base, sample, size, length, _read(length))
        plan = None if probe is None else base.plan(probe)
        fits = plan is not None and plan.read <= _read(length) and plan.written <= LONG_WRITTEN
        ranks[sample.name, size] = (
            (plan.written, probe.name) if plan and probe and fits else (math.inf, "")
        )
    return ranks


def _renamed(base: Base, sample: Sample, size: int, other: int, most: int) -> Sample | None:
    """A sample with one size changed; None where its tensors alone have more than `most` elements.

    They are counted before anything is planned, which costs far more.
    """
    if size >= other:
        return None
    count = 0
    for shape in shapes(sample, base.op.fixed):
        # Each of its dimensions of that size grows as much.
        count += math.prod(shape) // size ** shape.count(size) * other ** shape.count(size)
    if count > most:
        return None
    return _grown(sample, size, other, base.op.fixed)


@lru_cache(maxsize=512)
def _grown(sample: Sample, size: int, other: int, keep: frozenset[str]) -> Sample:
    """The same one for each cell that the sample is for."""
    operands = renamed(sample, {size: other}, keep)
    return sample.derived(f"size{other}-{sample.name}", operands, variations=())


def _fits(base: Base, probe: Sample, read: int, written: int) -> bool:
    plan = base.plan(probe)
    return plan is not None and plan.read <= read and plan.written <= written


def _square(base: Base) -> Iterator[Sample]:
    """All dimensions of one size, where swapped axes look alike in shapes but not in data."""
    if base.op.name in UNEQUAL:
        return
    for sample in base.samples:
        sizes = {n for shape in shapes(sample, base.op.fixed) for n in shape}
        most = max(sizes, default=1)
        if most < 2 or len(sizes - {1}) < 2:
            continue
        operands = renamed(sample, dict.fromkeys(sizes - {1}, most), base.op.fixed)
        probe = sample.derived(f"square-{sample.name}", operands, variations=())
        if _fits(base, probe, MOST_READ, MOST_WRITTEN):
            yield probe
            return
