"""What holds for all tests: a line that tells how many ran in containers."""

from __future__ import annotations

import pytest


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
