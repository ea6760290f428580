"""From the records of a run to its clusters, worst first."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.catalog import catalog
from nnapi_testkit.clusters.cluster import Cluster, counted
from nnapi_testkit.clusters.facts import WAYS, Facts, case_facts, family
from nnapi_testkit.clusters.known import looks_like
from nnapi_testkit.clusters.predicates import Predicate, predicates
from nnapi_testkit.clusters.search import best
from nnapi_testkit.judge.verdict import Record, Sort, Verdict
from nnapi_testkit.model.kinds import Kind

__all__ = ["FactsOf", "clusters", "facts_by_index"]

FactsOf = Callable[[Record], Facts]

MOST_CLUSTERS = 12  # described ones of a sort; what is left is grouped by operation
MOST_APART = 4  # operations whose failures nothing describes, beyond which they are one cluster
WAY_KINDS = frozenset({Kind.PATH, Kind.STATE, Kind.QUALITY, Kind.ENDURE})
VICTIM_SHARE = 0.2  # of an operation's plain cases failing, above which a way is not to blame
ALL_OF_THEM = 0.75  # share failing of all cases from which on no words are looked for
SHARED_HOW = 0.8
# What ends a process or hangs stands before what is wrong, case for case.
_WEIGHT = {Sort.CRASH: 4.0, Sort.HANG: 4.0}


@dataclass(frozen=True)
class _Item:
    """A record; its facts are found when they are needed, for that makes the case."""

    record: Record
    facts_of: FactsOf
    apart: bool  # whether devices are told apart

    @cached_property
    def facts(self) -> Facts:
        facts = self.facts_of(self.record)
        return facts | {"device": self.record.device or "none"} if self.apart else facts

    @property
    def failed(self) -> bool:
        return self.record.verdict.is_failure


def facts_by_index(records: Iterable[Record], seed: int = 0) -> FactsOf:
    """Facts from the case index, for the operations of these records that have failures.

    A case that the index does not hold (a report of another version) has the facts of its record.

    Args:
        seed: of the run.
    """
    wanted = {record.operation for record in records if record.verdict.is_failure}
    refs: dict[str, CaseRef] = {}
    for name in sorted(wanted & set(catalog())):
        refs |= {ref.id: ref for ref in case_index([name], seed=seed)}

    def facts(record: Record) -> Facts:
        ref = refs.get(record.id)
        if ref is None:
            return record_facts(record)
        return case_facts(ref)

    return facts


def record_facts(record: Record) -> Facts:
    """What a record says of its case by itself."""
    return {
        "operation": record.operation, "type": record.cell, "types": family(record.cell),
        "kind": record.kind,
    }  # fmt: skip


def clusters(records: Sequence[Record], facts_of: FactsOf | None = None) -> list[Cluster]:
    """Group the failures of a run by what they share, worst first.

    Failures of one sort (wrong values, crashes, refusals, ...) are described together with the
    cases of the same operations that passed. What fails only by a path, memory, preference or
    after other executions, and passes otherwise, is described by that alone.

    Args:
        facts_of: the facts of a case; from the index of the frozen suite by default.
    """
    failing = [record for record in records if record.verdict.is_failure]
    if not failing:
        return []
    facts_of = facts_of or facts_by_index(records)
    wanted = {record.operation for record in failing}
    judged = [
        record
        for record in records
        if record.operation in wanted and (record.verdict.is_failure or _tells(record))
    ]
    devices = {record.device for record in judged}
    items = [_Item(record, facts_of, len(devices) > 1) for record in judged]
    found = [cluster for group in _sorts(items) for cluster in _described(*group, records=records)]
    return sorted(_joined(found), key=_rank)


def _tells(record: Record) -> bool:
    """Whether a case passed that could have failed: something was compared, or refused."""
    refused = record.kind == Kind.REFUSAL and record.verdict.is_pass
    return refused or (record.verdict.meaning.computed and record.evidence.compared > 0)


def _rank(cluster: Cluster) -> tuple[float, str]:
    return -cluster.cases * _WEIGHT.get(_sort(cluster), 1.0), cluster.title


def _sort(cluster: Cluster) -> Sort:
    return Verdict(next(iter(cluster.verdicts))).meaning.sort


def _sorts(items: Sequence[_Item]) -> Iterable[tuple[list[_Item], bool]]:
    """Failures of one sort, each with the passing cases to hold against them; whether by a way."""
    blamed = _ways_to_blame(items)
    groups: dict[tuple[bool, Sort | None], list[_Item]] = defaultdict(list)
    for item in items:
        if item.failed:
            way = item.record.id in blamed
            sort = None if way else item.record.verdict.meaning.sort
            groups[way, sort].append(item)
    for (way, _), members in groups.items():
        wanted = {item.record.operation for item in members}
        refusals = {item.record.kind == Kind.REFUSAL for item in members}
        passed = [
            item
            for item in items
            if not item.failed
            and item.record.operation in wanted
            and (item.record.kind == Kind.REFUSAL) in refusals
            and (not way or item.record.kind in WAY_KINDS)
        ]
        yield [*members, *passed], way


def _ways_to_blame(items: Sequence[_Item]) -> set[str]:
    """Ids of failures that are of the way a case is run: the same computes right otherwise."""
    verdicts = {item.record.id: item.failed for item in items}
    plain: dict[tuple[str, str], Counter[bool]] = defaultdict(Counter)
    for item in items:
        if item.record.kind in (Kind.POSITIVE, Kind.SPECIAL, Kind.GRAPH):
            plain[item.record.operation, item.record.cell][item.failed] += 1
    blamed = set()
    for item in items:
        if not item.failed or item.record.kind not in WAY_KINDS:
            continue
        like = item.facts.get("_like")
        counts = plain[item.record.operation, item.record.cell]
        mostly = counts[True] > VICTIM_SHARE * counts.total()
        same_fails = verdicts.get(str(like), False) and item.record.kind == Kind.PATH
        if not mostly and not same_fails:
            blamed.add(item.record.id)
    return blamed


def _described(
    items: Sequence[_Item], way: bool, *, records: Sequence[Record]
) -> Iterable[Cluster]:
    """Describe the failures one after the other; what nothing describes, by operation."""
    facts = [item.facts for item in items]
    failing = sum(1 << at for at, item in enumerate(items) if item.failed)
    passed = (1 << len(items)) - 1 & ~failing
    names = WAYS | {"device"} if way else None
    words = predicates(facts, failing, names)
    for _ in range(MOST_CLUSTERS):
        every = failing | passed
        if failing.bit_count() >= ALL_OF_THEM * every.bit_count():
            break
        found = best(words, failing, every)
        if found is None:
            break
        yield _cluster(items, found.predicates, found.mask, failing, passed, way, records)
        failing &= ~found.mask
        if not failing:
            return
    if not failing:
        return
    left = [item for at, item in enumerate(items) if failing >> at & 1]
    whole = failing.bit_count() >= ALL_OF_THEM * (failing | passed).bit_count()
    apart = _by(left, lambda item: item.record.operation)
    for group in [left] if whole or len(apart) > MOST_APART else apart:
        names_of = {item.record.operation for item in group}
        mask = sum(1 << at for at, item in enumerate(items) if item.record.operation in names_of)
        yield _cluster(items, (), mask, failing, passed, way, records)


def _by(items: Iterable[_Item], key: Callable[[_Item], str]) -> list[list[_Item]]:
    groups: dict[str, list[_Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def _cluster(
    items: Sequence[_Item],
    words: Sequence[Predicate],
    mask: int,
    failing: int,
    passed: int,
    way: bool,
    records: Sequence[Record],
) -> Cluster:
    members = [item for at, item in enumerate(items) if (mask & failing) >> at & 1]
    smallest = min(members, key=_size)
    verdicts = counted(item.record.verdict.value for item in members)
    known = looks_like([item.record for item in members], records)
    said = [word.words for word in words if word.name != "operation"]
    return Cluster(
        words=tuple(said),
        operations=counted(item.record.operation for item in members),
        cases=len(members),
        of=(mask & (failing | passed)).bit_count(),
        without=(failing & ~mask).bit_count(),
        verdicts=verdicts,
        how=_how(smallest.record, members),
        way=way,
        smallest=smallest.record.id,
        again=smallest.record.repro,
        looks_like=known[0] if known else "",
        why=known[1] if known else "",
        ids=tuple(item.record.id for item in members),
    )


def _size(item: _Item) -> tuple[float, float, int, str]:
    facts = item.facts
    return (
        float(facts.get("operations of the model", 0.0)),
        float(facts.get("elements of the output", 0.0)) or 1e9,
        len(item.record.id),
        item.record.id,
    )


def _shape(message: str) -> str:
    """A message without its numbers."""
    return re.sub(r"[-+]?\d[\d.e+-]*", "N", message.partition(";")[0])


def _how(smallest: Record, members: Sequence[_Item]) -> str:
    """The verdict and message that most members have; the smallest's own words if it is one."""
    shapes = Counter((item.record.verdict, _shape(item.record.message)) for item in members)
    (verdict, shape), count = shapes.most_common(1)[0]
    if count < SHARED_HOW * len(members):
        return ""
    told = smallest if (smallest.verdict, _shape(smallest.message)) == (verdict, shape) else None
    message = told.message if told else shape
    return f"{verdict.value}: {message}" if message else verdict.value


def _joined(found: Sequence[Cluster]) -> list[Cluster]:
    """Clusters of one description in several operations, or of several sorts, as one."""
    groups: dict[tuple[object, ...], list[Cluster]] = {}
    for cluster in found:
        key = (cluster.words, cluster.way, _sort(cluster), cluster.looks_like)
        groups.setdefault(key if cluster.words else (*key, id(cluster)), []).append(cluster)
    return [group[0] if len(group) == 1 else _join(group) for group in groups.values()]


def _join(group: Sequence[Cluster]) -> Cluster:
    operations: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    for cluster in group:
        operations.update(cluster.operations)
        verdicts.update(cluster.verdicts)
    return replace(
        group[0],
        operations=dict(operations.most_common()),
        verdicts=dict(verdicts.most_common()),
        cases=sum(cluster.cases for cluster in group),
        of=sum(cluster.of for cluster in group),
        without=group[-1].without,
        ids=tuple(one for cluster in group for one in cluster.ids),
    )
