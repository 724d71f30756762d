"""The last lines of a log."""

from __future__ import annotations

from cli.stack.log_tail import LINES, WIDTH, log_size, log_tail


def test_the_last_lines_without_empty_ones(tmp_path):
    """Long ones are cut."""
    log = tmp_path / "log"
    log.write_text("\n".join(["first", *(f"line {number}" for number in range(LINES - 1)), "", "x" * 1000, ""]))
    lines = log_tail(log)
    assert lines[0] == "line 0"
    assert lines[-1] == "x" * WIDTH
    assert len(lines) == LINES


def test_what_an_earlier_start_printed_is_left_out(tmp_path):
    """Unless the log was rotated since."""
    log = tmp_path / "log"
    log.write_text("before\n")
    before = log_size(log)
    with log.open("a") as file:
        file.write("after\n")
    assert log_tail(log, skip=before) == ["after"]
    assert log_tail(log, skip=1000) == ["before", "after"]


def test_no_log_has_no_lines(tmp_path):
    """And no size."""
    assert log_tail(tmp_path / "none") == []
    assert log_size(tmp_path / "none") == 0
