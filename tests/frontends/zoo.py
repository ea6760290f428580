"""The nets of `examples`, by name, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Callable

from examples import (
    condition,
    efficientnet_lite,
    fbnet,
    loop,
    mobilenet_v2,
    mobilenet_v3,
    perceptron,
    segmentation,
    ssd,
    tagger,
    vision_transformer,
)
from examples.common import Example, Made, seeded
from nnapi_testkit.mobile import samples

__all__ = ["EXAMPLES", "ZOO", "make"]

EXAMPLES: tuple[Example, ...] = (
    perceptron.EXAMPLE,
    mobilenet_v2.EXAMPLE,
    mobilenet_v3.EXAMPLE,
    fbnet.EXAMPLE,
    efficientnet_lite.EXAMPLE,
    segmentation.EXAMPLE,
    tagger.EXAMPLE,
    ssd.EXAMPLE,
    vision_transformer.EXAMPLE,
    condition.EXAMPLE,
    loop.EXAMPLE,
)
ZOO: dict[str, Callable[[], Made]] = {
    **{example.name: example.make for example in EXAMPLES if example.make is not None},
    "convnet": lambda: samples.sample("convnet"),
}


def make(name: str, seed: int = 0) -> Made:
    """A model in evaluation mode with an input; its weights follow from the seed."""
    return seeded(ZOO[name], seed)
