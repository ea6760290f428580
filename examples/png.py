"""Pictures as PNG files, with the standard library alone."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["png"]


def png(pixels: NDArray[Any]) -> bytes:
    """A PNG file: 8 bits for each of red, green and blue, every line unfiltered.

    Args:
        pixels: [height, width, 3], from 0 to 1; what lies beyond is cut off.

    Source: PNG specification (W3C), sections 5 (chunks) and 9 (filter type 0).
    """
    height, width, _ = pixels.shape
    codes = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8).reshape(height, -1)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), codes], 1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
