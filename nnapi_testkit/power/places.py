"""Where planted faults stand in an instrumented source: that is no driver's code to mutate."""

from __future__ import annotations

from functools import lru_cache

from nnapi_testkit.power.instrument import Site, flat, parser, walk

__all__ = ["is_planted"]


@lru_cache(maxsize=4)
def _switched(planted: bytes) -> tuple[tuple[int, int], ...]:
    """The places of what is done while a planted fault is on, first byte and last.

    It may repeat what the driver does without it.
    """
    found = []
    for node, _ in walk(parser().parse(planted).root_node):
        if node.type not in ("conditional_expression", "if_statement"):
            continue
        condition = node.child_by_field_name("condition").text.lstrip(b"(")
        if condition.startswith(b"::nnapi::faults::on(") and b"||" not in condition:
            done = node.child_by_field_name("consequence")
            found.append((done.start_byte, done.end_byte))
    return tuple(found)


def is_planted(site: Site, planted: bytes, plain: bytes) -> bool:
    """Whether what is mutated came with a planted fault and is no part of the driver.

    Args:
        planted: the source with planted faults, in which the site is.
        plain: the same source without.
    """
    if planted[: site.start].endswith(b"faults::on("):
        return True
    if any(first <= site.start and site.end <= last for first, last in _switched(planted)):
        return True
    rows = planted[site.start : site.end].count(b"\n") + 1
    before = plain.decode().splitlines()[site.line - 1 : site.line - 1 + rows]
    return site.text not in flat(" ".join(before))
