"""What a target declares of itself: facts that the engine and the judge go by."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Traits:
    """What a target declares of itself, by properties of these names.

    The defaults are for a target that lacks the property: who wrote one of a kind of their own has
    most likely written it for devices.

    Args:
        between: a runtime stands between the kit and the driver; what it answers before it asks
            the driver is not charged to the driver.
        one_lane: a device takes one runner at a time.
    """

    between: bool = True
    one_lane: bool = False


def traits(target: object) -> Traits:
    """The traits that a target declares."""
    return Traits(
        **{trait.name: bool(getattr(target, trait.name, trait.default)) for trait in fields(Traits)}
    )
