"""Profiles: how much freedom a driver has beyond the certified bound."""

from __future__ import annotations

from dataclasses import dataclass

from nnapi_testkit.errors import KitError


@dataclass(frozen=True, slots=True)
class Profile:
    """Freedom added to the oracle's bound.

    Args:
        float_factor: multiplies the bound of computed floats: table and rational
            approximations of elementary functions need more than a correctly rounded libm.
        codes: codes of freedom of computed quantized outputs, for fixed-point rescaling;
            values that only move, compare or copy at the same scale have none.
        bias_sigmas: how far the mean error of at least `bias_outputs` computed codes may be
            from exact rounding, in standard deviations of a rounding error's mean.
        fixed: judge by AOSP's published atol and rtol instead of the bound.
    """

    name: str
    float_factor: float = 1.0
    codes: int = 0
    bias_sigmas: float = 0.0
    bias_outputs: int = 1000
    fixed: bool = False


PROFILES = {
    "strict": Profile("strict"),
    "standard": Profile("standard", float_factor=2.0, codes=1, bias_sigmas=4.0),
    "cts": Profile("cts", fixed=True),
}
# atol = rtol-like figures of AOSP's generated tests: (atol, rtol) for each kind of output.
CTS_FLOAT32 = (1e-5, 5 * 2.0**-23)
CTS_FLOAT16 = (5 * 2.0**-10, 5 * 2.0**-10)
CTS_CODES = 1


def profile(name: str) -> Profile:
    """The profile called `name`; KitError names the known ones."""
    if name not in PROFILES:
        raise KitError(f"no profile {name!r}: choose one of {', '.join(PROFILES)}")
    return PROFILES[name]
