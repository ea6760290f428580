"""The wire format's numbers: frame kinds, field tags, layouts, limits (docs/wire-format.md)."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from nnapi_testkit.errors import KitError

VERSION = 1
MAGIC = b"NNTK"
MAX_FRAME = 1 << 30
MAX_REPETITIONS = 10_000


class WireError(KitError):
    """A case that the wire format cannot carry, or bytes that are not in it."""


class FrameKind(IntEnum):
    """What a frame holds."""

    BATCH = 1
    CASE = 2
    HELLO = 16
    LIBRARY = 17
    RESULT = 18
    END = 19
    BYE = 20
    ERROR = 21
    KEPT = 22


class Field(IntEnum):
    """Tags of fields."""

    BATCH_HEAD = 1
    BATCH_DEVICE = 2
    CASE_HEAD = 10
    TOKEN = 11
    GRAPH = 12
    SET = 13
    RESULT_HEAD = 30
    DEVICE = 31
    FUNCTION = 32
    EXECUTION = 33
    TEXT = 34
    HELLO_HEAD = 40
    LIBRARY_HEAD = 50
    LIBRARY_PATH = 51
    MISSING = 52
    DEVICE_INFO = 53
    HARDWARE_BUFFERS = 54
    END_HEAD = 60
    BYE_HEAD = 70
    ERROR_HEAD = 80
    KEPT_HEAD = 90


class Trouble(IntEnum):
    """Why an ERROR frame ends the conversation."""

    INPUT = 1
    LIBRARY = 2
    DEVICE = 3
    SYSTEM = 4


FRAME = Struct("<4sHHII")
FRAME_SUMMED = Struct("<HHI")
FIELD = Struct("<HHI")
BATCH_HEAD = Struct("<IIII")
CASE_HEAD = Struct("<IBBBBIIQ")
COUNTS4 = Struct("<IIII")
COUNTS3 = Struct("<III")
OPERAND = Struct("<iBBHfiiI")
OPERATION = Struct("<iII")
ARGUMENT = Struct("<BBHQ")
RESULT_HEAD = Struct("<IBBHiIQ")
EXECUTION = Struct("<iIQQQII")
OUTPUT = Struct("<iiqQQ")
PAIR = Struct("<II")
HELLO_HEAD = Struct("<IIII")
LIBRARY_HEAD = Struct("<q")
DEVICE_INFO = Struct("<iqII")
END_HEAD = Struct("<IIII")
ERROR_HEAD = Struct("<I")

WORDS = tuple(Struct(f"<{n}I") for n in range(33))
NONE64 = (1 << 64) - 1
RELAXED, PADDING, MEASURE = 1, 2, 4
ISOLATE = 1
