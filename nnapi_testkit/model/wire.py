"""The wire format: cases to the runner, results back (docs/wire-format.md).

Little-endian frames of fields, each with tag and length, each frame with a checksum. What is not
known, too long, cut off or damaged is a `WireError`, on either side.
"""

from nnapi_testkit.model.wire_codes import MAX_REPETITIONS, VERSION, Trouble
from nnapi_testkit.model.wire_decode import (
    Bye,
    Decoder,
    DeviceEntry,
    End,
    Failure,
    Hello,
    Kept,
    Library,
    Message,
    decode_results,
)
from nnapi_testkit.model.wire_encode import encode_batch, encode_case, encode_head
from nnapi_testkit.model.wire_format import WireError

__all__ = [
    "MAX_REPETITIONS",
    "VERSION",
    "Bye",
    "Decoder",
    "DeviceEntry",
    "End",
    "Failure",
    "Hello",
    "Kept",
    "Library",
    "Message",
    "Trouble",
    "WireError",
    "decode_results",
    "encode_batch",
    "encode_case",
    "encode_head",
]
