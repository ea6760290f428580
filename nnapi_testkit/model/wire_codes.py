"""The wire format's numbers: frames, fields, layouts, limits, shared enums.

Generated from wire.json by tools/generate_codes.py; do not edit.
"""

from enum import IntEnum
from struct import Struct

VERSION = 1
MAGIC = b"NNTK"
MAX_FRAME = 1073741824  # bytes of a frame's payload
MAX_CASES = 1048576  # cases of a batch
MAX_REPETITIONS = 10000  # executions of a set
MAX_PADDINGS = 64  # paddings more than the preferred one
MAX_OUTPUT_BYTES = 536870912  # what the outputs of a case may take, repetitions included


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
    QUALITY = 14
    EXTRA = 15
    RESULT_HEAD = 30
    DEVICE = 31
    FUNCTION = 32
    EXECUTION = 33
    TEXT = 34
    SUPPORT = 35
    PEAK = 36
    RESOURCES = 37
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


class ExecutionPath(IntEnum):
    """How an execution is started."""

    COMPUTE = 0
    START_WAIT = 1
    BURST = 2
    FENCED = 3
    REUSABLE = 4


class MemoryKind(IntEnum):
    """Where inputs and outputs of an execution live."""

    POINTER = 0
    SHARED = 1
    DEVICE = 2
    AHARDWARE_BUFFER = 3
    DYNAMIC = 4  # DEVICE, outputs with the dimensions that the model leaves open


class Stage(IntEnum):
    """The step of a case: where it stopped, or where it is expected to stop."""

    LOAD = 0
    DEVICE = 1
    MODEL = 2
    SUPPORT = 3
    COMPILATION = 4
    EXECUTION = 5
    DONE = 6


class Ending(IntEnum):
    """How the runner saw a case end."""

    COMPLETED = 0  # reached Stage.DONE
    STOPPED = 1  # an NNAPI call returned an error at `Result.stage`
    UNSUPPORTED = 2  # the device does not claim an operation of the model
    CRASHED = 3  # the worker died by a signal (`Result.code`)
    TIMED_OUT = 4  # the worker was killed at the deadline
    OUT_OF_MEMORY = 5  # the worker grew past its memory limit
    EXITED = 6  # the worker left by itself with status `Result.code`
    BAD_CASE = 7  # the runner could not read the case


class Lifetime(IntEnum):
    """Where an operand's value comes from."""

    TEMPORARY = 0
    INPUT = 1
    OUTPUT = 2
    CONSTANT = 3
    OMITTED = 4
    SUBGRAPH = 5


class Trouble(IntEnum):
    """Why an ERROR frame ends the conversation."""

    # the input is damaged, cut off or not in the format; cases that came whole before have run
    INPUT = 1
    LIBRARY = 2  # the library dies or hangs while it is loaded
    DEVICE = 3  # no NNAPI device, or none of the wanted name
    SYSTEM = 4  # the machine refused a process or memory
    UNLOADABLE = 5  # the system finds no such library, or cannot load it
    FOREIGN = 6  # the library has been loaded and is no NNAPI library
    LISTING = 7  # the library dies, hangs or fails while it lists its devices, or has none


FRAME = Struct("<4sHHII")
FIELD = Struct("<HHI")
BATCH_HEAD = Struct("<IIII")
CASE_HEAD = Struct("<IBBBBIIQ")
QUALITY = Struct("<iiQQ")
EXTRA = Struct("<IIII")
GRAPH = Struct("<IIII")
OPERAND = Struct("<iBBHfiiI")
OPERATION = Struct("<iII")
SET = Struct("<III")
ARGUMENT = Struct("<BBHQ")
RESULT_HEAD = Struct("<IBBHiIQ")
EXECUTION = Struct("<iIQQQII")
OUTPUT = Struct("<iiqQQ")
PEAK = Struct("<q")
RESOURCES = Struct("<IIIIIQIIIQ")
HELLO_HEAD = Struct("<IIII")
LIBRARY_HEAD = Struct("<q")
DEVICE_INFO = Struct("<iqII")
END_HEAD = Struct("<IIII")
BYE_HEAD = Struct("<II")
ERROR_HEAD = Struct("<I")
KEPT_HEAD = Struct("<II")

BATCH_ISOLATE = 1  # a worker for each case
CASE_RELAXED = 1  # the model allows float16 arithmetic
CASE_PADDING = 2  # buffers are longer than needed
CASE_MEASURE = 4  # ask for durations and peak memory
EXTRA_ORPHAN = 1  # the models are freed once they are compiled
EXTRA_TOGETHER = 2  # the executions of all sets are alive at once
EXTRA_DEVICES = 4  # compiled for all devices, the chosen one first
EXTRA_FOLDER_MISSING = 8  # caches in a folder that is not there
EXTRA_FOLDER_SEALED = 16  # caches in a folder that nobody may write to
EXTRA_NO_TIMEOUT = 32  # timeouts of 0 are asked for, which are none
EXTRA_CHAINED = 64  # of executions at once each reads what the one before writes
EXTRA_SHORT = 128  # before each set an execution whose first output does not fit
EXTRA_ONE_BUFFER = 256  # inputs of equal bytes are one buffer
EXTRA_COMPILED_TWICE = 512  # the model is compiled twice, and the second compilation is used
EXTRA_READ_ONLY = 1024  # constants in memory are in a file that is open for reading alone
EXTRA_CUT_CACHE = 2048  # compiled again after the files of the cache have been cut
EXTRA_PACKED = 4096  # buffers and constants in memory are aligned to 4 bytes alone
EXTRA_MORE_ROLES = 8192  # device memory is made for every argument that it could serve
EXTRA_UNALIGNED = 16384  # arguments and constants begin one byte after an aligned address
OPERAND_CHANNEL_QUANT = 1  # per-channel scales follow
SET_OUTPUT_DIMS = 1  # tell the execution the output dimensions
ARGUMENT_OMITTED = 1  # the argument is omitted
EXECUTION_FIRST = 1  # the first good execution of its set
EXECUTION_UNTIMED = 2  # asking for a duration failed
