"""Which cases a run executes: selection, shards, blocks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

from nnapi_testkit.cases.draw import key_of
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.session.settings import Shard
from nnapi_testkit.session.tiers import in_tier
from nnapi_testkit.spec.levels import level_of

__all__ = [
    "FIRST_BLOCK",
    "FULL_BLOCK",
    "Selection",
    "available",
    "block_sizes",
    "blocks",
    "expression",
    "glob",
    "select",
    "within",
]

FIRST_BLOCK = 25  # small, so that the first verdict comes at once
FULL_BLOCK = 500  # what one runner worker serves before it is replaced

Predicate = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Selection:
    """What the user asked for; an empty selection is everything.

    Args:
        names: case ids, operations, or patterns with `*` and `?` (brackets are literal).
        keyword: an expression of substrings with `and`, `or`, `not` and parentheses.
        operations: operations.
        level: only cases that need at most this feature level.
        kinds: `positive`, `special`, `refusal`, `graph`.
        shard: one part of what is left.
        tier: `smoke`, `standard` or `full`; "" is `full`, and says nothing of it.
        shuffle: cases run in another order for each number; None for the index's.
        in_order: cases run in the order in which `names` has them.
    """

    names: tuple[str, ...] = ()
    keyword: str = ""
    operations: tuple[str, ...] = ()
    level: int | None = None
    kinds: tuple[str, ...] = ()
    shard: Shard | None = None
    tier: str = ""
    shuffle: int | None = None
    in_order: bool = False

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return replace(self, shuffle=None) == Selection()

    def words(self, *, shard: bool = False) -> str:
        """Return the selection as a command line has it, "" for everything."""
        words = list(self.names)
        words += [f"-k {self.keyword}"] if self.keyword else []
        words += [f"--operation {name}" for name in self.operations]
        words += [f"--level {self.level}"] if self.level is not None else []
        words += [f"--kind {name}" for name in self.kinds]
        words += [f"--tier {self.tier}"] if self.tier else []
        words += [f"--shard {self.shard.index}/{self.shard.count}"] if shard and self.shard else []
        words += [f"--shuffle {self.shuffle}"] if self.shuffle is not None else []
        words += ["--in-order"] if self.in_order else []
        return " ".join(words)

    def wanted_operations(self) -> tuple[str, ...] | None:
        """Return the operations that the names allow; `None` if any."""
        if self.operations:
            return tuple(dict.fromkeys(self.operations))
        if not self.names:
            return None
        operations = [name.partition("[")[0] for name in self.names]
        if any("*" in name or "?" in name for name in operations):
            return None
        return tuple(dict.fromkeys(operations))


def select(
    refs: Sequence[CaseRef], selection: Selection, *, controls: bool = False
) -> list[CaseRef]:
    """Return the selected references in their order.

    Args:
        controls: of each selected refusal, select the unbroken model too: that a driver
            refuses a model means something where it computes the same model without the fault.

    Raises KitError if a name matches nothing or nothing is left.
    """
    chosen = _named(refs, selection)
    if selection.level is not None:
        chosen = [ref for ref in chosen if ref.level <= selection.level]
    if selection.kinds:
        _known(selection.kinds, {ref.kind for ref in refs}, "kind")
        chosen = [ref for ref in chosen if ref.kind in selection.kinds]
    if selection.tier:
        chosen = in_tier(chosen, selection.tier)
    if not chosen:
        raise KitError("no case is selected: list what there is with nnapi-testkit ops --cases")
    if controls:
        wanted = {ref.broken.control for ref in chosen if ref.broken} | {r.id for r in chosen}
        chosen = [ref for ref in refs if ref.id in wanted]
    if selection.shard:
        # Neighbours are alike in cost, so dealing them out in turn balances the shards.
        chosen = chosen[selection.shard.index - 1 :: selection.shard.count]
        if not chosen:
            raise KitError(
                f"shard {selection.shard.index}/{selection.shard.count} is empty: use fewer shards"
            )
    return _ordered(chosen, selection)


def _named(refs: Sequence[CaseRef], selection: Selection) -> list[CaseRef]:
    """The references that operations, names and keyword choose."""
    chosen = list(refs)
    if selection.operations:
        _known(selection.operations, {ref.operation for ref in chosen}, "operation")
        wanted = set(selection.operations)
        chosen = [ref for ref in chosen if ref.operation in wanted]
    if selection.names:
        chosen = _by_name(chosen, selection.names)
    if selection.keyword:
        matches = expression(selection.keyword)
        kept = [ref for ref in chosen if matches(ref.id)]
        # Of chosen operations only: a word of the others is no mistake.
        if not kept or selection.wanted_operations() is None:
            _heard(selection.keyword, refs)
        chosen = kept
    return chosen


def _ordered(chosen: list[CaseRef], selection: Selection) -> list[CaseRef]:
    """The cases in the order in which they run.

    A shuffled case's place follows from its id alone: what is left of a selection keeps its order.
    Cases that have to give the same bits stay together, so that they are compared.
    """
    number = selection.shuffle
    if number is not None:

        def place(ref: CaseRef) -> tuple[int, int]:
            return key_of("order", number, ref.answer_id or ref.id), key_of("in", number, ref.id)

        return sorted(chosen, key=place)
    if selection.in_order:
        first: dict[str, int] = {}
        for at, name in enumerate(selection.names):
            for ref in _by_name(chosen, (name,)):
                first.setdefault(ref.id, at)
        # Control cases of refusals are not named.
        return sorted(chosen, key=lambda ref: first.get(ref.id, len(selection.names)))
    return chosen


def available(
    refs: Sequence[CaseRef], facts: Mapping[str, object], *, empty: bool = False
) -> list[CaseRef]:
    """Return the cases whose `CaseRef.needs` the target says that it has.

    Raises KitError if none is left, unless `empty` allows that.
    """
    kept = [ref for ref in refs if not ref.needs or facts.get(ref.needs) is True]
    if refs and not kept and not empty:
        what = refs[0].needs.replace("_", " ")
        why = facts.get(f"no_{refs[0].needs}")
        raise KitError(
            f"every selected case needs {what}, which the target does not have"
            + (f": {why}" if why else "")
        )
    return kept


def within(
    refs: Sequence[CaseRef],
    facts: Mapping[str, object],
    *,
    forced: bool = False,
    older: bool = False,
    empty: bool = False,
) -> list[CaseRef]:
    """Return the cases that a device with these facts has promised: those of its own level.

    Every case if the device does not tell its level. Models that are too new are for devices
    that tell a lower level than they need. Raises KitError if none is left, unless `empty`
    allows that.

    Args:
        forced: the level was chosen by hand; only models that are too new are looked at.
        older: the target plays older devices for these.
    """
    value = facts.get("feature_level")
    unknown = not isinstance(value, int) or value < 0
    # A library that cannot list its devices is older than feature level 3.
    level = 2 if unknown else level_of(cast(int, value))
    every = forced or (unknown and facts.get("attributed") is not False)
    kept = [
        ref
        for ref in refs
        if (
            older or (not unknown and ref.level > level)
            if ref.broken and ref.broken.newer
            else every or ref.level <= level
        )
    ]
    if not kept and not empty:
        raise KitError(
            f"every selected case needs more than the device's feature level {level}: select"
            " others, or force a level with --level N"
        )
    return kept


def _by_name(refs: Sequence[CaseRef], names: Sequence[str]) -> list[CaseRef]:
    ids = {ref.id for ref in refs}
    operations = {ref.operation for ref in refs}
    keep: set[str] = set()
    for name in names:
        if name in ids:
            keep.add(name)
            continue
        if name in operations:
            keep.update(ref.id for ref in refs if ref.operation == name)
            continue
        matches = glob(name)
        found = [ref.id for ref in refs if matches(ref.id) or matches(ref.operation)]
        if not found:
            _known([name], ids if "[" in name else operations, "case")
        keep.update(found)
    return [ref for ref in refs if ref.id in keep]


def _known(names: Collection[str], known: Collection[str], what: str) -> None:
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
            if what == "kind":
                hint = f"there are {', '.join(sorted(known))}"
            else:
                hint = f"did you mean {close[0]}?" if close else "see nnapi-testkit ops --cases"
            raise KitError(f"{what} {name!r} is unknown: {hint}")


def _heard(keyword: str, refs: Sequence[CaseRef]) -> None:
    """Raise KitError for a word that no case has: it would select nothing, or with `not` all."""
    words = {token.lower() for token in _TOKEN.findall(keyword)} - {"and", "or", "not", "(", ")"}
    if not words:
        return
    text = "\n".join(ref.id for ref in refs).lower()
    for word in sorted(words):
        if word in text:
            continue
        known = set(re.findall(r"[a-z0-9_.]+", text))
        close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
        hint = f"did you mean {close[0]}?" if close else "list what there is with ops --cases"
        raise KitError(f"-k: no case has {word!r} in its id: {hint}")


def glob(pattern: str) -> Predicate:
    """Return a matcher for `*` and `?`; everything else, brackets too, is literal."""
    return _glob(pattern)


@lru_cache(maxsize=256)
def _glob(pattern: str) -> Predicate:
    parts = {"*": ".*", "?": "."}
    compiled = re.compile("".join(parts.get(c, re.escape(c)) for c in pattern), re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")


def expression(text: str) -> Predicate:
    """Compile a keyword expression. Words match as substrings, without regard to case.

    Raises KitError if the expression is not well formed.
    """
    tokens = _TOKEN.findall(text)
    parser = _Parser(tokens, text)
    predicate = parser.disjunction()
    if parser.peek():
        raise KitError(f"-k {text!r}: unexpected {parser.peek()!r}")
    return predicate


class _Parser:
    """Recursive descent: or, and, not, parentheses, words."""

    def __init__(self, tokens: list[str], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def disjunction(self) -> Predicate:
        terms = [self._conjunction()]
        while self.peek() == "or":
            self._take()
            terms.append(self._conjunction())
        return terms[0] if len(terms) == 1 else lambda name: any(term(name) for term in terms)

    def _conjunction(self) -> Predicate:
        terms = [self._negation()]
        while self.peek() == "and":
            self._take()
            terms.append(self._negation())
        return terms[0] if len(terms) == 1 else lambda name: all(term(name) for term in terms)

    def _negation(self) -> Predicate:
        token = self._take()
        if token == "not":
            inner = self._negation()
            return lambda name: not inner(name)
        if token == "(":
            inner = self.disjunction()
            if self._take() != ")":
                raise KitError(f"-k {self._text!r}: a parenthesis is not closed")
            return inner
        if token in ("", ")", "and", "or"):
            raise KitError(f"-k {self._text!r}: a word is missing before {token or 'the end'!r}")
        word = token.lower()
        return lambda name: word in name.lower()


def blocks(total: int, lanes: int = 1) -> Iterator[tuple[int, int]]:
    """Yield the half-open ranges of consecutive blocks, in the sizes of `block_sizes`."""
    at = 0
    for size in block_sizes(total, lanes):
        yield at, at + size
        at += size


def block_sizes(total: int, lanes: int = 1) -> Iterator[int]:
    """Yield sizes of consecutive blocks that sum up to `total`.

    The first block of each lane is small; with several lanes the last ones shrink too, so that
    all lanes end together.
    """
    left = total
    first = lanes
    while left > 0:
        size = FIRST_BLOCK if first > 0 else FULL_BLOCK
        if lanes > 1:
            size = min(size, max(FIRST_BLOCK, left // (2 * lanes)))
        first -= 1
        size = min(size, left)
        left -= size
        yield size
