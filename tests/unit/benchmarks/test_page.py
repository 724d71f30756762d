"""The measured sections of the page."""

from __future__ import annotations

import pytest

from benchmarks.figure import Report, Table
from benchmarks.page import NoMarkersError, put, section

PAGE = """# Benchmarks

<!-- measured: cost -->
old
<!-- end: cost -->

Words by hand.

<!-- measured: pause -->
<!-- end: pause -->
"""


def test_a_section_has_machine_tables_and_remarks():
    """Each apart from the next by an empty line, tables as GitHub reads them."""
    report = Report(
        figures=(),
        tables=(Table(title="1 connection", header=("telemetry", "µs"), rows=(("none", "195"), ("ours", "+ 465"))),),
        remarks=("Medians.",),
    )
    assert section(report, machine="Measured on 2 cores.") == (
        "Measured on 2 cores.\n\n**1 connection**\n\n| telemetry | µs |\n| --- | --- |\n| none | 195 |\n| ours | + 465 |\n\nMedians."
    )


def test_only_the_named_section_changes():
    """Words by hand and the figures of other benchmarks stay."""
    page = put(PAGE, "cost", "new")
    assert page == PAGE.replace("\nold\n", "\n\nnew\n\n")


def test_to_put_twice_is_to_put_once():
    """The page does not grow from run to run."""
    assert put(put(PAGE, "pause", "figures"), "pause", "figures") == put(PAGE, "pause", "figures")


@pytest.mark.parametrize(
    "page",
    ["", "<!-- measured: cost -->", "<!-- end: cost -->", "<!-- end: cost --> <!-- measured: cost -->", PAGE.replace("cost", "speed")],
)
def test_a_page_without_both_markers_is_refused(page):
    """The figures have to stand somewhere, and the message says what is missing."""
    with pytest.raises(NoMarkersError, match="<!-- measured: cost -->"):
        put(page, "cost", "new")
