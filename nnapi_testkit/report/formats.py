"""The formats of a report: what `nnapi-testkit report --format` knows, each with where it goes.

A new one is a function of a report's records and its summary, and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.report.accounts import HTML, JUNIT

__all__ = ["FORMATS", "TEXT", "Format"]

TEXT = "text"
Summary: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    """A format that a report is written in.

    Args:
        function: `module:name` below `nnapi_testkit.report`, loaded when it is asked for: records
            and summary to text.
        about: what `--help` says of it.
        file: the name of its file in the report's folder; "" for the terminal.
        compares: the form of `diff` that a comparison of two reports takes; "" for none.
    """

    function: str
    about: str
    file: str = ""
    compares: str = ""

    def render(self, records: Sequence[Record], summary: Summary) -> str:
        """The report as text."""
        module, _, name = self.function.partition(":")
        function: Callable[[Sequence[Record], Summary], str] = getattr(
            import_module(f"nnapi_testkit.report.{module}"), name
        )
        return function(records, summary)


FORMATS = {
    TEXT: Format("", "text to the terminal", compares="text"),
    "html": Format("html:html", "one page", HTML, compares="html"),
    "junit": Format("junit:junit_of", "JUnit's XML", JUNIT),
    "markdown": Format("markdown:markdown", "Markdown", "report.md", compares="markdown"),
    "github": Format("annotations:annotated", "annotations of a GitHub workflow"),
}
