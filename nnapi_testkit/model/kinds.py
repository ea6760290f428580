"""The kinds of cases, and of words on what is right."""

from enum import Enum

__all__ = ["Kind", "Source"]


class Kind(str, Enum):
    """What a case asks for. Its word is that of `--kind` and of records."""

    POSITIVE = "positive"  # that one operation computes what it promises
    SPECIAL = "special"  # the same with infinities, NaN, subnormal numbers, limits
    GRAPH = "graph"  # several operations, control flow, shapes of graphs
    PAIR = "pair"  # two models that must agree
    PATH = "path"  # other ways into the driver
    STATE = "state"  # what a driver may remember from one execution to the next
    QUALITY = "quality"  # the API's own values: preferences, priorities, timeouts, caches
    EDGE = "edge"  # open values, but no crash, no hang, no stray write
    ENDURE = "endure"  # that everything is given back
    READING = "reading"  # which reading of contested text the device follows
    REFUSAL = "refusal"  # that a broken model is refused

    def __str__(self) -> str:
        """The word, in every version of Python."""
        return self.value

    def __format__(self, how: str) -> str:
        return format(self.value, how)


class Source(str, Enum):
    """Who says what is right: of an answer, and in records of what was judged by it."""

    NONE = ""
    LIVE = "live"  # eager PyTorch, now
    GOLDEN = "golden"
    BOTH = "live+golden"
    SAVED = "saved"  # with the case, in a folder
    REFUSAL = "expected-refusal"  # no values are due
    CODE = "documented-code"  # nor values, and the result code was judged too
