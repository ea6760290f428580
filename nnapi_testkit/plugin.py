"""The pytest plugin: `pytest --nnapi-suite` judges a driver; `nnapi` checks users' own models.

This module loads in every pytest that has nnapi-testkit installed. It imports nothing but pytest
and the standard library, and does nothing until `--nnapi-suite` or the fixture asks for it.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnapi_testkit.commands.fixture import Nnapi

PREFIX = "nnapi::"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; all begin with `--nnapi-`."""
    group = parser.getgroup("nnapi", "conformance of NNAPI drivers")
    add = group.addoption
    add("--nnapi-suite", action="store_true", help="collect the conformance suite")
    add(
        "--nnapi-target",
        default="host",
        metavar="TARGET",
        help="host, lib:PATH or another registered target (default host)",
    )
    add(
        "--nnapi-jobs",
        type=int,
        default=1,
        metavar="N",
        help="runner processes that one pytest process keeps busy (default 1)",
    )
    add(
        "--nnapi-oracle",
        choices=("auto", "live", "golden"),
        default="auto",
        help="who answers (default: live if torch is installed)",
    )
    add(
        "--nnapi-profile",
        choices=("strict", "standard", "cts"),
        default="standard",
        help="what counts as equal (default standard)",
    )
    add(
        "--nnapi-operation",
        action="append",
        default=[],
        metavar="OP",
        help="only this operation (may be repeated)",
    )
    add(
        "--nnapi-level",
        "--nnapi-feature-level",
        dest="nnapi_level",
        type=int,
        metavar="N",
        help="only cases that need at most feature level N (default: the device's own)",
    )
    add("--nnapi-shard", metavar="I/N", help="part I of N of the cases")
    add("--nnapi-seed", type=int, default=0, help="other data for the same cases")
    add("--nnapi-isolate", action="store_true", help="a worker of its own for every case")
    add("--nnapi-before-run", metavar="CMD", help="run this first: push a driver, restart it, ...")
    add(
        "--nnapi-driver-log",
        action="store_true",
        help="run failures once more with the driver's verbose log",
    )
    add("--nnapi-memory-limit", type=int, metavar="MB", help="what a worker may grow to")
    add(
        "--nnapi-report",
        metavar="DIR",
        help="write results.jsonl, summary.json, junit.xml and index.html",
    )
    add(
        "--nnapi-floor",
        metavar="FILE",
        help="fail if fewer cases run or are compared than FILE expects",
    )
    add("--nnapi-waivers", metavar="FILE", help="TOML file of expected failures")
    add("--nnapi-matrix", action="store_true", help="print the coverage matrix")
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
