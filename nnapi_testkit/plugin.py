"""The pytest plugin: `pytest --nnapi-suite` judges a driver; `nnapi` checks users' own models.

This module loads in every pytest that has nnapi-testkit installed. It imports nothing but pytest
and the standard library, and does nothing until `--nnapi-suite` or the fixture asks for it.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

from nnapi_testkit.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnapi_testkit.commands.fixture import Nnapi

PREFIX = "nnapi::"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; all begin with `--nnapi-`."""
    group = parser.getgroup("nnapi", "conformance of NNAPI drivers")
    add = group.addoption
    add("--nnapi-suite", action="store_true", help="collect the conformance suite")
    for option in OPTIONS:
        more = {key: value for key, value in option.more.items() if key != "path"}
        add(*option.flags(pytest=True), **more)
    add("--nnapi-services", default="", help=argparse.SUPPRESS)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the suite if it is asked for, by option or by the id of one of its cases."""
    chosen = [argument for argument in config.args if argument.startswith(PREFIX)]
    if not (chosen or config.getoption("nnapi_suite")):
        return
    config.args[:] = [argument for argument in config.args if argument not in chosen]
    from nnapi_testkit.commands.suite import SuitePlugin

    suite = SuitePlugin(config, [argument[len(PREFIX) :] for argument in chosen])
    config.pluginmanager.register(suite, "nnapi-suite")


@pytest.fixture(scope="session")
def nnapi(request: pytest.FixtureRequest) -> Iterator[Nnapi]:
    """Check models on the target that `--nnapi-target` names; see `Nnapi`."""
    from nnapi_testkit.commands.fixture import Nnapi

    with Nnapi.of(request.config) as fixture:
        yield fixture
