"""The driver library that these tests drive."""

from tests.driver.conftest import driver_library, lib

__all__ = ["driver_library", "lib"]
