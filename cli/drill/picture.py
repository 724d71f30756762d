"""Pure: the timeline of the drills as an SVG picture, a bar for each alert."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cli.drill.running import Result
    from cli.drill.timing import Timing

WIDTH, LEFT, RIGHT, TOP, ROW, BAR = 1000, 290, 60, 64, 26, 14
_KINDS = (
    ("fault", "fault, not yet seen", "#9aa5b1"),
    ("true", "true, held", "#f0b429"),
    ("firing", "firing, not yet told", "#de3a11"),
    ("told", "told, fault lasts", "#8719e0"),
    ("cleared", "cleared, end not yet told", "#2f8132"),
)
_TICKS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
_MOST_TICKS = 10


def picture(results: Sequence[Result]) -> str:
    """The picture: seconds since each fault to the right; a dot where a message came."""
    rows = [(result, name, timing) for result in results for name, timing in result.timings.items()]
    longest = max((_length(timing) for _, _, timing in rows), default=0.0) or 1.0
    height = TOP + ROW * len(rows) + 16
    scale = (WIDTH - LEFT - RIGHT) / longest
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">'
    )
    parts = [
        head,
        "<title>Timeline of the drills</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_legend(),
        *_axis(longest, scale, height),
    ]
    for number, (result, name, timing) in enumerate(rows):
        parts += _row(result, name, timing, TOP + ROW * number, scale)
    return "\n".join([*parts, "</svg>", ""])


def _legend() -> Iterator[str]:
    place = 16.0
    for _, title, colour in _KINDS:
        yield f'<rect x="{place:.0f}" y="12" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{place + 17:.0f}" y="22" fill="#1f2933">{escape(title)}</text>'
        place += 32 + 6.4 * len(title)
    yield f'<circle cx="{place + 6:.0f}" cy="18" r="4" fill="#1f2933"/>'
    yield f'<text x="{place + 17:.0f}" y="22" fill="#1f2933">message in the group</text>'


def _axis(longest: float, scale: float, height: int) -> Iterator[str]:
    step = next((float(each) for each in _TICKS if longest / each <= _MOST_TICKS), float(_TICKS[-1]))
    moment = 0.0
    while moment <= longest:
        place = LEFT + moment * scale
        yield f'<line x1="{place:.1f}" y1="{TOP - 12}" x2="{place:.1f}" y2="{height - 12}" stroke="#e4e7eb"/>'
        yield f'<text x="{place:.1f}" y="{TOP - 16}" fill="#52606d" text-anchor="middle">{moment:g} s</text>'
        moment += step


def _row(result: Result, name: str, timing: Timing, top: int, scale: float) -> Iterator[str]:
    words = f"{result.drill.name}: {name}"
    colour = "#1f2933" if result.passed else "#c81e1e"
    yield f'<text x="{LEFT - 10}" y="{top + BAR - 2}" fill="{colour}" text-anchor="end">{escape(words)}</text>'
    for (_, title, fill), begin, end in _bars(timing):
        left, right = (LEFT + (moment - timing.fault_at) * scale for moment in (begin, end))
        yield (
            f'<rect x="{left:.1f}" y="{top}" width="{max(right - left, 0.5):.1f}" height="{BAR}" fill="{fill}">'
            f"<title>{escape(title)}: {end - begin:.1f} s</title></rect>"
        )
    for moment in (timing.told_at, timing.ended_at):
        if moment is not None:
            place = LEFT + (moment - timing.fault_at) * scale
            yield f'<circle cx="{place:.1f}" cy="{top + BAR / 2:g}" r="4" fill="#1f2933"/>'


def _bars(timing: Timing) -> Iterator[tuple[tuple[str, str, str], float, float]]:
    """What to draw, from one moment to the next; a moment that is not known is left out."""
    moments = [timing.fault_at, timing.true_at, timing.firing_at, timing.told_at, timing.cleared_at, timing.ended_at]
    known = sorted(moment for moment in moments if moment is not None)
    for begin, end in pairwise(known):
        if end > begin:
            yield _KINDS[_kind(timing, begin)], begin, end


def _kind(timing: Timing, at: float) -> int:
    """Which colour begins at a moment. What was taken out before anybody could be told is still to be told."""

    def passed(moment: float | None) -> bool:
        return moment is not None and at >= moment

    if passed(timing.told_at):
        return 4 if passed(timing.cleared_at) else 3
    if passed(timing.firing_at):
        return 2
    return 1 if passed(timing.true_at) else 0


def _length(timing: Timing) -> float:
    known = [moment for moment in timing.document().values() if moment is not None]
    return max(known) - timing.fault_at
