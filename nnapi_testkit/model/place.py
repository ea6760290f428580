"""What a target's text says: where a runner runs, and which NNAPI device it asks there."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A target's text, taken apart: `KIND:REST#DEVICE`. Nothing else knows its form.

    Args:
        base: all in front of the `#`.
        device: the NNAPI device, "" for the first that is listed, `*` for each in turn.
    """

    base: str
    device: str = ""

    @classmethod
    def of(cls, text: str) -> Place:
        """Read a text as a user writes it, or as a record keeps it."""
        base, _, device = text.partition("#")
        return cls(base, device)

    @property
    def kind(self) -> str:
        """What stands before the colon: `host`, `lib`, `adb`."""
        return self.base.partition(":")[0]

    @property
    def rest(self) -> str:
        """What stands behind the colon: a path, a serial."""
        return self.base.partition(":")[2]

    def on(self, device: str) -> str:
        """Return the text of a target at the same place that asks this device."""
        return str(Place(self.base, device))

    def __str__(self) -> str:
        """The text again."""
        return f"{self.base}#{self.device}" if self.device else self.base
