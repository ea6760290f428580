"""The driver's validation rules, taken out one at a time: does a case notice?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nnapi_testkit.errors import KitError
from nnapi_testkit.power.bench import Bench
from nnapi_testkit.power.build import Build
from nnapi_testkit.power.explained import explanation, holding_test
from nnapi_testkit.power.held import fails_without
from nnapi_testkit.power.instrument import Site
from nnapi_testkit.power.trace import Trace, trace

__all__ = ["Outcome", "Switches", "concerns_a_model", "try_rules", "ways_of"]

# Rules on what the calls are, not on models: the runner makes each call as it has to be made, and
# the driver's own tests hold them.
OF_CALLS = (
    "api_",
    "compilation.cpp",
    "device",
    "event.cpp",
    "handles.h",
    "memory.cpp",
    "execution.cpp",
    "deadline.h",
    "partition.cpp",
    "tensor.h",
    "arena",
    "cache",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one rule or mutant.

    Args:
        site: its place.
        status: `killed`; `shadowed` (another rule refuses the same models: the result cannot
            differ); `tested` (only wrong calls break it, and a test of the driver's own notices);
            `survived`; `unreached` (no case comes there); `explained`.
        by: the case or test that noticed, the rule in whose shadow it stands, or the explanation.
        cases: how many cases were tried.
    """

    site: Site
    status: str
    by: str = ""
    cases: int = 0


# The driver has more than one way to compute: by the readings of shipped devices or by the header's
# words, and with the kernels of older processors. What one way never reaches is tried in the next.
WAYS: tuple[Mapping[str, str], ...] = (
    {},
    {"NNAPI_REFERENCE_READINGS": "documented"},
    {"NNAPI_TESTKIT_CPU": "portable"},
    {"NNAPI_TESTKIT_CPU": "avx2"},  # what a processor with AVX-512 does not choose by itself
    {"NNAPI_TESTKIT_CPU": "avx512"},  # nor one that has its products of codes in one instruction
)


@dataclass
class Switches:
    """The switches of the test build with what reaches them, operation by operation."""

    bench: Bench
    build: Build
    traces: dict[str, Trace] = field(default_factory=dict)

    def look(self, operation: str) -> Trace:
        """The trace of an operation."""
        if operation not in self.traces:
            self.traces[operation] = trace(self.bench, operation, self.build.size)
        return self.traces[operation]


def concerns_a_model(site: Site) -> bool:
    """Whether a rule is one on models and their data, not on the order of calls."""
    name = site.file.removeprefix("driver/")
    return name.startswith("kernels/") or not name.startswith(OF_CALLS)


def ways_of(build: Build, profile: str, most: int) -> list[Switches]:
    """The switches of a build in each way of the driver to compute.

    Args:
        profile, most: as of `Bench`.
    """
    return [Switches(Bench("host", build.library, profile, most, way), build) for way in WAYS]


def try_rules(
    ways: Sequence[Switches],
    operations: Sequence[str],
    told: Callable[[str], None],
) -> list[Outcome]:
    """Take out each rule that a case of these operations reaches; one outcome for each rule."""
    rules = {n: s for n, s in ways[0].build.rules.items() if concerns_a_model(s)}
    left = dict(rules)
    done: dict[int, Outcome] = {}
    tried: dict[int, int] = {}
    shadows: dict[int, str] = {}
    unseen: dict[int, str] = {}
    for switches in ways:
        bench = switches.bench
        for operation in operations:
            found = switches.look(operation)
            cases = bench.cases(operation)
            for number in [n for n in found.fired if n in left]:
                places = found.fired[number]
                tried[number] = tried.get(number, 0) + len(places)
                kills = bench.switched(number, operation, [cases[p] for p in places], first=True)
                if kills:
                    by = next(iter(kills))
                    done[number] = Outcome(rules[number], "killed", by, tried[number])
                    del left[number]
                elif bench.refused_still(number, [cases[p] for p in places]):
                    shadows.setdefault(number, cases[places[0]].ref.id)
                else:
                    # Accepted, and no verdict says so: an open question, or a case of no weight.
                    unseen.setdefault(number, cases[places[0]].ref.id)
            told(f"{operation}: {len(done)} of {len(rules)} rules noticed")
            bench.forget(operation)
    for number, site in left.items():
        why, test = explanation(site), holding_test(site)
        if test:
            status, by = _held(ways[0].build, number, test)
            done[number] = Outcome(site, status, by, tried.get(number, 0))
        elif why:
            done[number] = Outcome(site, "explained", why, tried.get(number, 0))
        elif number in unseen:
            done[number] = Outcome(site, "survived", unseen[number], tried[number])
        elif number in shadows:
            done[number] = Outcome(site, "shadowed", shadows[number], tried[number])
        else:
            done[number] = Outcome(site, "unreached", "", 0)
    return [done[number] for number in rules]


def _held(build: Build, number: int, test: str) -> tuple[str, str]:
    """Status and reason of a rule that a test of the driver's own has to hold."""
    try:
        return ("tested" if fails_without(build.library, number, test) else "survived"), test
    except KitError as error:
        return "survived", str(error)  # the others' outcomes took an hour: they are not lost
