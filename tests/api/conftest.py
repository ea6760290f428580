"""The driver library that these tests drive."""

from tests.driver.conftest import driver_library, lib, nothing_left

__all__ = ["driver_library", "lib", "nothing_left"]
