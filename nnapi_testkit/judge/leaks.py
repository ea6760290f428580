"""Whether repeated executions and lives leave something behind in the process that called."""

from __future__ import annotations

from nnapi_testkit.model.case import Resources, Result

__all__ = ["leak"]

# Pools and caches may still grow after the rounds that fill them; a leak grows with the rounds.
# (field of `Held`, what it is, growth that is no leak, for how many rounds one more is allowed)
_KINDS = (
    ("descriptors", "file descriptors", 8, 50),
    ("threads", "threads", 8, 50),
    ("mappings", "mappings", 32, 20),
)
KIB_ALLOWED, KIB_EACH = 16 * 1024, 16  # resident memory, in all and for each round


def leak(result: Result) -> str:
    """What was left behind, in words; empty for nothing."""
    for one in result.resources:
        found = _grown(one)
        if found:
            name = "lives of a model" if one.lives else "executions"
            return f"after {one.rounds} {name}: {found}"
    return ""


def _grown(one: Resources) -> str:
    before, after = one.before, one.after
    for field, what, allowed, rounds in _KINDS:
        old, new = getattr(before, field), getattr(after, field)
        # What the system does not tell is 0 at both times.
        if old and new - old > allowed + one.rounds // rounds:
            return f"{new - old} {what} more than the {old} before"
    more = after.resident_kib - before.resident_kib
    if before.resident_kib and more > KIB_ALLOWED + KIB_EACH * one.rounds:
        return f"{more} KiB more than the {before.resident_kib} before"
    return ""
