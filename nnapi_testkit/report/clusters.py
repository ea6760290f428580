"""Clusters of failures as a report shows them: lines, Markdown, and what a summary keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nnapi_testkit.clusters.cluster import Cluster, clusters_json, from_json
from nnapi_testkit.clusters.group import clusters, facts_by_index
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.report.plain import plain, plain_lines

__all__ = ["cluster_facts", "cluster_lines", "clusters_of", "members"]

SHOWN = 12  # clusters that a terminal shows


def cluster_facts(records: Sequence[Record], seed: int = 0) -> list[dict[str, Any]]:
    """The clusters of a run as JSON values, worst first; see `Cluster`.

    Args:
        seed: of the run's data.
    """
    return clusters_json(clusters(records, facts_by_index(records, seed)))


def clusters_of(records: Sequence[Record], summary: Mapping[str, Any]) -> list[Cluster]:
    """The clusters that a summary keeps; computed where it has none, as of an unfinished run.

    Texts are plain: they hold nothing that a terminal, a line or markup would act on.
    """
    failing = sum(record.verdict.is_failure for record in records)
    found = from_json(summary.get("clusters"))
    if sum(cluster.cases for cluster in found) != failing:
        seed = summary.get("seed", 0)
        facts = facts_by_index(records, seed if isinstance(seed, int) else 0)
        found = clusters(records, facts)
    return [_plain(cluster) for cluster in found]


def _plain(cluster: Cluster) -> Cluster:
    """The cluster without what a terminal or a line would act on; ids stay as they are."""
    return replace(
        cluster,
        words=tuple(map(plain, cluster.words)),
        operations={plain(name): count for name, count in cluster.operations.items()},
        how=plain_lines(cluster.how)[0] if cluster.how else "",
        smallest=plain(cluster.smallest),
        again=plain(cluster.again),
        repro=plain(cluster.repro),
    )


def members(found: Sequence[Cluster]) -> dict[str, int]:
    """By id of a failing case the number of its cluster, the worst being 1."""
    return {one: at for at, cluster in enumerate(found, 1) for one in cluster.ids}


def cluster_lines(found: Sequence[Cluster], most: int = SHOWN) -> Iterator[str]:
    """Yield the clusters as text, worst first; nothing without failures."""
    if not found:
        return
    total = sum(cluster.cases for cluster in found)
    what = "cluster" if len(found) == 1 else "clusters"
    yield f"{total} failure{'' if total == 1 else 's'} in {len(found)} {what}, worst first:"
    for at, cluster in enumerate(found[:most], 1):
        yield f"  {at}. {cluster.title}"
        if cluster.looks_like:
            yield f"     looks like: {cluster.why} ({cluster.looks_like})"
        if cluster.how:
            yield f"     {cluster.how}"
        yield f"     smallest: {cluster.smallest}"
        if cluster.again:
            yield f"     again: {cluster.again}"
        if cluster.repro:
            yield f"     kept as a folder in the report: {cluster.repro}"
    if len(found) > most:
        left = sum(cluster.cases for cluster in found[most:])
        yield f"  ... and {len(found) - most} more clusters of {left} failures"
