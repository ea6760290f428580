"""The driver library that these tests drive."""

from tests.driver.conftest import (
    documented_library,
    driver_library,
    field_library,
    lib,
    nothing_left,
)

__all__ = ["documented_library", "driver_library", "field_library", "lib", "nothing_left"]
