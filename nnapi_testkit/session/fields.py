"""Frozen dataclasses to JSON values and back, by their fields: a new field needs no code here.

Own code and no library: what a file says is not trusted, so each value is held to the type of its
field, and JSON's lack of infinities is filled by strings. Serializers that could do the first
(msgspec, pydantic) write null for NaN or cannot be told to read it from a string.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum, IntEnum
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

__all__ = ["ALWAYS", "from_json", "to_json"]

# Written at their defaults too: who reads a line with other programs looks for these.
ALWAYS = frozenset({"schema", "kind", "device", "target", "compared", "oracle"})

_INT_LIMIT = 2**63
_WORDS = {"inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}
_Convert = Callable[[Any], Any]
T = TypeVar("T")


def to_json(value: Any) -> dict[str, Any]:
    """Return a dataclass as JSON values; fields at their defaults are left out.

    Numbers that JSON lacks become the strings "inf", "-inf" and "nan".
    """
    found = {}
    items, plan = _writers_of(type(value))
    for item, (name, always, default, write) in zip(items(value), plan, strict=True):
        if always or item != default:
            found[name] = item if write is None else write(item)
    return found


def from_json(kind: type[T], value: object) -> T:
    """Return the dataclass that the JSON values describe.

    Raises ValueError that names the field: an unknown or a missing one, one of another type,
    an integer of more than 64 bits.
    """
    if type(value) is not dict:
        raise ValueError(f"{kind.__name__} is no object")
    readers, needed = _readers_of(kind)
    found, given = {}, set()
    for name, item in value.items():
        attribute, read = readers.get(name, ("", None))
        if read is None:
            raise ValueError(f"{name[:40]!r} is unknown: was it written by a newer version?")
        try:
            found[attribute] = read(item)
            given.add(name)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    if not needed <= given:
        raise ValueError(f"{next(name for name in readers if name in needed - given)} is missing")
    return kind(**found)


_Plan = list[tuple[str, str, Any, "_Convert | None", _Convert]]
_Writers = list[tuple[str, bool, Any, "_Convert | None"]]


def _plan_of(kind: Any) -> _Plan:
    return _plan(kind)


def _readers_of(kind: Any) -> tuple[dict[str, tuple[str, _Convert]], frozenset[str]]:
    return _readers(kind)


def _writers_of(kind: Any) -> tuple[_Convert, _Writers]:
    return _writers(kind)


@cache
def _writers(kind: Any) -> tuple[_Convert, _Writers]:
    """What takes all values of a dataclass at once, and how each is written."""
    plan = _plan_of(kind)
    names = [attribute for attribute, *_ in plan]
    # Of one name `attrgetter` gives no tuple.
    items = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)
    writers = [
        (name, name in ALWAYS or default is MISSING, default, write)
        for _, name, default, write, _ in plan
    ]
    return items, writers


@cache
def _readers(kind: Any) -> tuple[dict[str, tuple[str, _Convert]], frozenset[str]]:
    """The attribute and the reader of each name, and the names that have to be there."""
    plan = _plan_of(kind)
    needed = (name for _, name, default, _, _ in plan if default is MISSING or name in ALWAYS)
    return {name: (attribute, read) for attribute, name, _, _, read in plan}, frozenset(needed)


@cache
def _plan(kind: Any) -> _Plan:
    """Attribute, name in JSON, default, writer (None: as it is) and reader of each field.

    The name is that of the attribute, unless `metadata["json"]` keeps an older one.
    """
    hints = typing.get_type_hints(kind)
    found = []
    for item in fields(kind):
        default = item.default
        if item.default_factory is not MISSING:
            default = item.default_factory()
        write, read = _converters(hints[item.name])
        found.append((item.name, item.metadata.get("json", item.name), default, write, read))
    return found


def _converters(hint: Any) -> tuple[_Convert | None, _Convert]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        write, read = _converters(inner)
        writes = None if write is None else lambda item: None if item is None else write(item)
        return writes, lambda item: None if item is None else read(item)
    if origin is tuple:
        return _of_tuple(arguments)
    if origin is not None and issubclass(origin, Mapping):
        return _of_mapping(arguments[1])
    if isinstance(hint, type) and is_dataclass(hint):
        return to_json, lambda item: from_json(hint, item)
    if isinstance(hint, type) and issubclass(hint, IntEnum):  # its numbers are the wire's
        named = dict(hint.__members__)
        return attrgetter("name"), lambda item: _member(named, item)
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = {member.value: member for member in hint}
        return lambda item: item.value, lambda item: _member(members, item)
    if hint is float:
        return _write_real, _read_real
    if hint is int:
        return None, _read_int
    if hint is str:
        return None, _read_text
    return None, lambda item: _is(hint, item)


def _of_mapping(hint: Any) -> tuple[_Convert, _Convert]:
    write, read = _converters(hint)

    def reads(item: Any) -> dict[str, Any]:
        return {str(key): read(value) for key, value in _is(dict, item).items()}

    if write is None:
        return dict, reads
    writes: _Convert = write
    return lambda item: {key: writes(value) for key, value in item.items()}, reads


def _of_tuple(arguments: tuple[Any, ...]) -> tuple[_Convert, _Convert]:
    write, read = _converters(arguments[0])
    length = None if arguments[-1] is Ellipsis else len(arguments)

    def reads(item: Any) -> tuple[Any, ...]:
        items = _is(list, item)
        if length is not None and len(items) != length:
            raise ValueError(f"{len(items)} items, not {length}")
        return tuple(map(read, items))

    return (list if write is None else lambda item: list(map(write, item))), reads


def _is(kind: type[Any], item: Any) -> Any:
    if type(item) is not kind:
        raise ValueError(f"{type(item).__name__} instead of {kind.__name__}")
    return item


def _member(members: Mapping[Any, Any], item: Any) -> Any:
    if not isinstance(item, (str, int)) or item not in members:
        raise ValueError(f"{str(item)[:40]!r} is none of its words")
    return members[item]


def _read_text(item: Any) -> str:
    if type(item) is not str:
        raise ValueError(f"{type(item).__name__} instead of str")
    return item


def _read_int(item: Any) -> int:
    number: int = _is(int, item)
    if not -_INT_LIMIT <= number < _INT_LIMIT:
        raise ValueError("a number beyond 64 bits")
    return number


def _write_real(item: float) -> float | str:
    # x - x is 0 for every finite number; numpy scalars become plain floats.
    value = float(item)
    return value if value - value == 0.0 else str(value)


def _read_real(item: Any) -> float:
    if type(item) is str and item in _WORDS:
        return _WORDS[item]
    if type(item) not in (int, float):
        raise ValueError(f"{type(item).__name__} instead of a number")
    try:
        value = float(item)
    except OverflowError:
        value = float("inf")
    if value - value != 0.0:
        raise ValueError("a number that no float holds")
    return value
