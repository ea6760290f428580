"""A multilayer perceptron."""

from __future__ import annotations

from examples.common import Example, main
from nnapi_testkit.mobile import samples

EXAMPLE = Example("multilayer perceptron", lambda: samples.sample("mlp"), quantized=True)


if __name__ == "__main__":
    raise SystemExit(main(EXAMPLE))
