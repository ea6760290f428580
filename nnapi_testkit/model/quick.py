"""Frozen dataclasses that are made by the hundred thousand: a constructor of their own."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, TypeVar

__all__ = ["quick"]

T = TypeVar("T")


def quick(kind: type[T]) -> type[T]:
    """Give a frozen dataclass with slots a constructor that does not pay for its being frozen.

    The one of `dataclasses` calls `object.__setattr__` for each field, which takes five times as
    long as a plain assignment; a case with its result and record has some two hundred fields.
    This one assigns while the object still is of a class that has the same slots and is not
    frozen. Signature, defaults and everything else stay; nobody sees the object before it is
    whole. A pickled one is made by it again, too.

    Raises TypeError for a class without slots, with a `__post_init__`, or with fields that are
    made by a function, are no arguments, or are given by name alone.
    """
    items = fields(kind)  # type: ignore[arg-type]
    if kind.__dictoffset__ or hasattr(kind, "__post_init__"):
        raise TypeError(f"{kind.__name__} cannot have a quick constructor")
    scope: dict[str, Any] = {"_set": object.__setattr__, "_frozen": kind}
    scope["_open"] = type(kind.__name__, (), {"__slots__": tuple(item.name for item in items)})
    arguments = ["self"]
    for item in items:
        if item.default_factory is not MISSING or not item.init or item.kw_only:
            raise TypeError(f"{kind.__name__}.{item.name} is no plain argument")
        argument = item.name
        if item.default is not MISSING:
            scope[f"_default_{item.name}"] = item.default
            argument = f"{item.name}=_default_{item.name}"
        arguments.append(argument)
    lines = [
        f"def __init__({', '.join(arguments)}):",
        " _set(self, '__class__', _open)",
        *(f" self.{item.name} = {item.name}" for item in items),
        " self.__class__ = _frozen",
        "def __reduce__(self):",
        f" return self.__class__, ({' '.join(f'self.{item.name},' for item in items)})",
    ]
    exec("\n".join(lines), scope)
    made = scope["__init__"]
    made.__annotations__ = kind.__init__.__annotations__
    made.__qualname__ = f"{kind.__qualname__}.__init__"
    made.__module__ = kind.__module__
    kind.__init__ = made  # type: ignore[method-assign]
    kind.__reduce__ = scope["__reduce__"]  # type: ignore[method-assign]
    return kind
