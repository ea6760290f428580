"""What both directions of the wire format share beside its numbers (`wire_codes`)."""

from __future__ import annotations

from struct import Struct

from nnapi_testkit.errors import KitError


class WireError(KitError):
    """A case that the wire format cannot carry, or bytes that are not in it."""


# What a frame's checksum is of, beside the payload; a pair of words.
SUMMED = Struct("<HHI")
PAIR = Struct("<II")
WORDS = tuple(Struct(f"<{n}I") for n in range(33))
NONE64 = (1 << 64) - 1
