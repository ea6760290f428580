"""What holds for all tests: a folder on one worker, and a line for the tests in containers."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `-n` and `--dist loadgroup` a folder's tests share a worker, and so its fixtures."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        if HERE in item.path.parents:
            folder = item.path.relative_to(HERE).parts[0]
            item.add_marker(pytest.mark.xdist_group(folder))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests ran in containers, and why if none did."""
    reports = {
        outcome: [
            report
            for report in terminalreporter.stats.get(outcome, ())
            if "tests/docker/test_containers" in getattr(report, "nodeid", "")
        ]
        for outcome in ("passed", "failed", "error", "skipped")
    }
    told = ", ".join(f"{len(found)} {outcome}" for outcome, found in reports.items() if found)
    if told:
        terminalreporter.write_line(f"docker tests: {told}")
    for report in reports["skipped"][:1]:
        terminalreporter.write_line(str(report.longrepr))
