"""Clusters against planted faults: is the planted kind in the words of the first cluster?

`python -m benchmarks.clusters [FAULT ...] [-v]`. Each fault of `FAULTS` is put into the reference
driver (`nnapi_testkit.power`), the cases of the operations it concerns are run and judged by the
goldens, and what fails is grouped as in a report. A fault is *named* if the first cluster says, in
its own words or as the known fault that it looks like, what was planted. Exits 1 below `LEAST`.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass

from nnapi_testkit.clusters.cluster import Cluster
from nnapi_testkit.clusters.facts import Facts, case_facts
from nnapi_testkit.clusters.group import clusters
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.power.bench import Bench
from nnapi_testkit.power.build import build
from nnapi_testkit.power.catalogue import catalogue

# Of every sort in the catalogue some: the words of which one has to be told (all of those joined
# by "+"), in the names of the reference's operands. Where no attribute is the kind, as of a bias
# that is dropped, there are none: then only the known fault that it looks like names it.
FAULTS: dict[str, tuple[str, ...]] = {
    "relu-ignored": ("activation RELU ", "activation RELU:"),
    "relu1-ignored": ("activation RELU1",),
    "relu6-ignored": ("activation RELU6",),
    "relu-always": ("activation NONE",),
    "same-as-valid": ("padding SAME",),
    "valid-as-same": ("padding VALID",),
    "padding-left-right": ("pad_left differs from pad_right",),
    "padding-top-bottom": ("pad_top differs from pad_bottom",),
    "strides-exchanged": ("stride_w differs from stride_h",),
    "windows-exchanged": ("filter_w differs from filter_h",),
    "dilations-exchanged": ("dilation_w differs from dilation_h",),
    "layout-ignored": ("layout NCHW",),
    "bias-dropped": (),
    "bias-subtracted": (),
    "first-scale-for-all-channels": ("per-channel scales",),
    "corners-ignored": ("align_corners",),
    "half-pixel-ignored": ("half_pixel_centers",),
    "scales-exchanged": ("scale_w differs from scale_h",),
    "softmax-without-beta": ("beta",),
    "negative-axis-wrong": ("axis of at most -", "negative value in axis"),
    "permutation-inverse": ("perm",),
    "keep-dims-ignored": ("keep_dims",),
    "begin-mask-ignored": ("begin_mask",),
    "shrink-mask-ignored": ("shrink_axis_mask",),
    "blocks-exchanged": ("block",),
    "concatenated-codes-copied": ("scales of the inputs differ",),
    "lrn-alpha": (),
    "adjoint-ignored": ("adj_x", "adj_y"),
    "peephole-dropped": ("w_ci given", "w_cf given", "w_co given"),
    "layer-norm-dropped": ("n_i given", "n_f given", "n_c given", "n_o given"),
    "time-major-ignored": ("time_major",),
    "merge-ignored": ("merge",),
    "auxiliary-dropped": ("aux given",),
    "elu-alpha": (),
    "int32-through-float": ("integers beyond 2^24",),
    "rank-five-crashes": ("rank 5", "rank above 4"),
    "height-and-width-exchanged": ("a square output",),
    "large-fully-connected-crashes": ("last dimension", "terms"),
    "many-channels-wrong": ("last dimension",),
    "activation-before-rescale": ("activation RELU6+quantized",),
}
LEAST = 36


def records(bench: Bench, name: str) -> tuple[list[Record], dict[str, Facts]]:
    """Records of the cases that a fault concerns, and the facts of each case."""
    fault = catalogue()[name]
    found: list[Record] = []
    facts: dict[str, Facts] = {}
    for operation in fault.concerns:
        failed = bench.failures(fault, operation)
        sound = bench.sound(operation)
        for one in bench.cases(operation):
            found.append(failed.get(one.ref.id, sound[one.ref.id][1]))
            facts[one.ref.id] = case_facts(one.ref, one.case)
    return found, facts


def named(cluster: Cluster, words: tuple[str, ...], fault: str) -> str:
    """`words`, `fault` or "": how the cluster names what was planted."""
    text = f"{cluster.title}; {cluster.how}"
    if any(all(part in text for part in word.split("+")) for word in words):
        return "words"
    return "fault" if cluster.looks_like == fault else ""


@dataclass
class Told:
    """What clustering made of one fault.

    Args:
        how: `words`, `fault` or "", as `named` says. clusters: worst first.
        failing, cases: counts. seconds: of running, of grouping.
    """

    how: str
    clusters: list[Cluster]
    failing: int
    cases: int
    seconds: tuple[float, float]


def tell(bench: Bench, name: str, words: tuple[str, ...]) -> Told:
    """Run the cases under a fault and group what fails."""
    began = time.perf_counter()
    run, facts = records(bench, name)
    ran = time.perf_counter()
    found = clusters(run, lambda record: facts[record.id])
    return Told(
        named(found[0], words, name) if found else "",
        found,
        sum(record.verdict.is_failure for record in run),
        len(run),
        (ran - began, time.perf_counter() - ran),
    )


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each fault, and the number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*")
    parser.add_argument("-v", "--verbose", action="store_true", help="every cluster")
    options = parser.parse_args(arguments)
    chosen = {name: FAULTS.get(name, ()) for name in options.faults} or FAULTS
    planted = any(catalogue()[name].layer == "planted" for name in chosen)
    bench = Bench("host", build(mutants=1).library if planted else None)
    score: Counter[str] = Counter()
    for name, words in chosen.items():
        told = tell(bench, name, words)
        score[told.how] += 1
        ran, grouped = told.seconds
        print(
            f"{told.how or 'MISSED':6} {name}: {told.failing} of {told.cases} cases fail,"
            f" {len(told.clusters)} clusters; run {ran:.1f} s, grouped {grouped:.1f} s"
        )
        for cluster in told.clusters if options.verbose else told.clusters[:1]:
            known = f"; looks like: {cluster.looks_like}" if cluster.looks_like else ""
            print(f"         {cluster.title}{known}", flush=True)
    good = score["words"] + score["fault"]
    print(
        f"{good} of {len(chosen)} faults named by the first cluster ({score['words']} by its words,"
        f" {score['fault']} by the known fault alone)"
    )
    return 0 if good >= min(LEAST, len(chosen)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
