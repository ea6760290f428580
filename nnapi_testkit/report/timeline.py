"""The pictures of a history: failures and margins along the runs of a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnapi_testkit.report.outcomes import Tally

__all__ = ["Point", "spark", "timeline"]

WIDTH = 900  # of the part with runs, where there are enough of them
LEFT = 48  # for the numbers of an axis
TALL = 96  # of a panel
TOP = 14
LABEL = 64  # what a release's name needs
SPARK = (84, 18)


@dataclass(frozen=True)
class Point:
    """A run in the timeline.

    Args:
        label: the release; `title`: what a pointer that rests is told.
        failed, errors: cases.
        margins: median, 95th percentile, maximum; none where nothing passed.
    """

    label: str
    title: str
    href: str
    failed: int
    errors: int
    margins: Sequence[float] = ()


def timeline(points: Sequence[Point]) -> dict[str, Any]:
    """Return the geometry of the two panels, in units of the drawing."""
    step = max(8.0, min(LABEL, WIDTH / len(points)))
    most = max([point.failed + point.errors for point in points] + [1])
    bands = []
    free = 0.0  # where the next label may begin
    for at, point in enumerate(points):
        x = LEFT + at * step
        failed, errors = (TALL * count / most for count in (point.failed, point.errors))
        label = ""
        if x >= free and (at == 0 or point.label != points[at - 1].label):
            label, free = point.label, x + LABEL
        bands.append(
            {
                "x": _short(x),
                "middle": _short(x + step / 2),
                "width": _short(step),
                "bar": _short(max(3.0, step - 4)),
                "left": _short(x + min(2.0, step / 4)),
                "failed": _short(failed),
                "failed_y": _short(TOP + TALL - failed),
                "errors": _short(errors),
                "errors_y": _short(TOP + TALL - failed - errors),
                "title": point.title,
                "href": point.href,
                "label": label[:12],
            }
        )
    height = 2 * (TOP + TALL) + 36
    curves = [
        {"name": name, "points": _curve(points, at, step)}
        for at, name in enumerate(("median", "95 of 100", "worst"))
    ]
    return {
        "width": _short(LEFT + step * len(points) + 8),
        "height": height,
        "most": most,
        "left": LEFT,
        "top": TOP,
        "tall": TALL,
        "base": TOP + TALL,
        "second": 2 * TOP + TALL + 14,
        "second_base": 2 * TOP + 2 * TALL + 14,
        "right": _short(LEFT + step * len(points)),
        "bands": bands,
        "curves": curves,
    }


def _curve(points: Sequence[Point], which: int, step: float) -> list[str]:
    """Return the pieces of a curve in the second panel, broken where there is no value."""
    values = [point.margins[which] if point.margins else None for point in points]
    top = 2 * TOP + TALL + 14
    return _pieces(
        [
            None if value is None else (LEFT + (at + 0.5) * step, top + TALL * (1 - _share(value)))
            for at, value in enumerate(values)
        ]
    )


def _pieces(points: Sequence[tuple[float, float] | None]) -> list[str]:
    pieces: list[list[str]] = [[]]
    for point in points:
        if point is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{_short(point[0])},{_short(point[1])}")
    # A single point is drawn as a short line: an SVG shows no line without length.
    return [" ".join(piece if len(piece) > 1 else piece * 2) for piece in pieces if piece]


def _share(margin: float) -> float:
    """Where a margin stands between no error and the bound; a fraction of the height."""
    return min(1.0, max(0.0, margin)) if margin == margin else 1.0


def spark(tallies: Sequence[Tally | None]) -> dict[str, Any]:
    """Return the margins of an operation along the runs as a small drawing.

    The line is the worst margin of what passed, its frame reaches from no error to the bound; a
    dot marks a run in which something failed.
    """
    width, height = SPARK
    step = (width - 6) / max(1, len(tallies) - 1)
    points: list[tuple[float, float] | None] = []
    dots = []
    for at, tally in enumerate(tallies):
        x = 3 + at * step
        if tally is None or tally.passing == -1:
            points.append(None)
        else:
            points.append((x, 2 + (height - 4) * (1 - _share(tally.passing))))
        if tally is not None and (tally.failed or tally.errors):
            dots.append((_short(x), "fail" if tally.failed else "error"))
    return {"width": width, "height": height, "pieces": _pieces(points), "dots": dots}


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
