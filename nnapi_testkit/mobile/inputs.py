"""Random inputs from the shapes that a user writes on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from nnapi_testkit.errors import KitError

__all__ = ["random_inputs"]

_FORM = re.compile(r"(\d+(?:,\d+)*)(?::(float32|int32|quint8)(?:@([^,]+),(\d+))?)?")


def random_inputs(texts: Sequence[str]) -> tuple[torch.Tensor, ...]:
    """Return one tensor for each `SHAPE[:TYPE]`, the same at every call.

    Shapes are comma-separated; types are float32 (values from -1 to 1), int32 (0 to 9) and
    quint8, which may name its scale and zero point: `1,3,8,8:quint8@0.05,128`.

    Raises:
        KitError: a text of another form, or an empty shape.
    """
    generator = torch.Generator().manual_seed(0)
    return tuple(_tensor(text, generator) for text in texts)


def _tensor(text: str, generator: torch.Generator) -> torch.Tensor:
    found = _FORM.fullmatch(text)
    if not found:
        raise KitError(f"{text!r} is no input: write SHAPE[:TYPE], as in 1,3,224,224:float32")
    shape = [int(size) for size in found[1].split(",")]
    if 0 in shape:
        raise KitError(f"{text!r} is empty: give every dimension at least 1")
    if found[2] == "int32":
        return torch.randint(0, 10, shape, generator=generator, dtype=torch.int32)
    if found[2] == "quint8":
        try:
            scale, zero_point = float(found[3] or 1 / 128), int(found[4] or 128)
            if not 0 < scale < float("inf") or zero_point > 255:
                raise ValueError
        except ValueError:
            raise KitError(f"{text!r}: scale must be above 0, zero point from 0 to 255") from None
        codes = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        made: torch.Tensor = torch._make_per_tensor_quantized_tensor(codes, scale, zero_point)
        return made
    return torch.rand(shape, generator=generator) * 2 - 1
