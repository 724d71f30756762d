"""Pure: the measured sections of `docs/benchmarks.md`, each between its two markers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.figure import Report, Table


class NoMarkersError(ValueError):
    """A page has no place for the figures of a benchmark."""


def section(report: Report, *, machine: str) -> str:
    """What stands between the markers: on which machine, the tables, the remarks."""
    parts = [machine, *(_table(table) for table in report.tables), *report.remarks]
    return "\n\n".join(parts)


def put(page: str, name: str, content: str) -> str:
    """The page with `content` between the markers of one benchmark; the rest is as it was.

    Raises:
        NoMarkersError: the page lacks one of the two markers.
    """
    begin, end = f"<!-- measured: {name} -->", f"<!-- end: {name} -->"
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise NoMarkersError(f"the page lacks {begin} or {end} after it; add both where the figures of {name} shall stand")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def _table(table: Table) -> str:
    lines = [f"**{table.title}**", "", _row(table.header), _row(("---",) * len(table.header))]
    return "\n".join([*lines, *(_row(row) for row in table.rows)])


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
