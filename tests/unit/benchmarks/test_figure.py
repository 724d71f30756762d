"""Figures: how they are written, read back and replaced."""

from __future__ import annotations

import pytest

from benchmarks.figure import Figure, from_json, merge, significant, to_json

COST = Figure(number=100, name="cost_microseconds", value=123.456, spread=(120.04, 130.0))
PAUSE = Figure(number=200, name="pause_milliseconds", value=0.9, goal="at most 7", met=True)


def test_results_are_a_list_with_one_figure_a_line():
    """Two runs can be compared by a line-wise diff; numbers have four significant digits."""
    assert to_json([COST, PAUSE]) == (
        "[\n"
        '{"number": 100, "name": "cost_microseconds", "value": 123.5, "spread": [120.0, 130.0], "goal": null, "met": null},\n'
        '{"number": 200, "name": "pause_milliseconds", "value": 0.9, "spread": null, "goal": "at most 7", "met": true}\n'
        "]\n"
    )


def test_no_figures_are_an_empty_list():
    """The file is JSON even then."""
    assert to_json([]) == "[]\n"


def test_what_was_written_is_read_back():
    """A figure of a benchmark that did not run this time is kept as it was."""
    assert from_json(to_json([PAUSE])) == [PAUSE]
    assert from_json(to_json([COST])) == [Figure(number=100, name="cost_microseconds", value=123.5, spread=(120.0, 130.0))]


def test_results_that_are_no_json_are_refused():
    """Rather than being overwritten in silence."""
    with pytest.raises(ValueError, match="Expecting value"):
        from_json("not results")


def test_a_run_replaces_all_figures_of_its_numbers_and_no_others():
    """A figure that is no longer measured goes; those of other benchmarks stay, in the order of their numbers."""
    gone = Figure(number=101, name="no_longer_measured", value=1.0)
    again = Figure(number=100, name="cost_microseconds", value=99.0)
    assert merge([PAUSE, COST, gone], [again], replaced=[range(100, 200)]) == [again, PAUSE]


@pytest.mark.parametrize(("value", "kept"), [(0.000123456, 0.0001235), (-12.34567, -12.35), (98765.4, 98770.0), (0.0, 0.0)])
def test_four_digits_are_kept(value, kept):
    """More would be noise."""
    assert significant(value) == kept
