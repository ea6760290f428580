"""MobileNetV2 of a third of the width, for pictures of 64 pixels."""

from __future__ import annotations

from examples.common import Example, Made, image, main
from nnapi_testkit.mobile import samples


def mobilenet_v2() -> Made:
    """The net and a picture."""
    return samples.scaled(samples.MobileNetV2(width=0.35)), [image(64)]


EXAMPLE = Example("MobileNetV2", mobilenet_v2, quantized=True)


if __name__ == "__main__":
    raise SystemExit(main(EXAMPLE))
