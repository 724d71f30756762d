"""How far a long command is."""

from __future__ import annotations

import io

from cli.progress import BarProgress, LineProgress, open_progress


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_come_now_and_then():
    """One line every ten seconds, however often the progress is told."""
    clock, lines = Clock(), []
    progress = LineProgress("match", 200, lines.append, monotonic=clock)
    for second in range(25):
        clock.now = float(second)
        progress.update(second * 4, lambda: "some rows")
    assert lines == ["match: 20% after 10.0 s, some rows\n", "match: 40% after 20.0 s, some rows\n"]


def test_nothing_of_nothing_is_no_division():
    """An empty file has no share that is done."""
    clock, lines = Clock(), []
    progress = LineProgress("match", 0, lines.append, monotonic=clock)
    clock.now = 11.0
    progress.update(0, lambda: "0 rows")
    assert lines == ["match: 0% after 11.0 s, 0 rows\n"]


def test_a_bar_moves_at_most_ten_times_a_second_and_asks_for_its_note_only_then():
    """Drawing costs more than the work it shows."""
    clock, shown, asked = Clock(), [], []

    def note():
        asked.append(clock.now)
        return f"at {clock.now}"

    progress = BarProgress(lambda done, text: shown.append((done, text)), monotonic=clock)
    for moment in (0.0, 0.05, 0.125, 0.2, 0.25):
        clock.now = moment
        progress.update(moment, note)
    assert shown == [(0.0, "at 0.0"), (0.125, "at 0.125"), (0.25, "at 0.25")]
    assert asked == [0.0, 0.125, 0.25]


def test_a_terminal_gets_a_bar_and_anything_else_lines():
    """By what the stream says it is."""
    with open_progress("load", 10, io.StringIO()) as progress:
        assert isinstance(progress, LineProgress)
    terminal = Terminal()
    with open_progress("load", 10, terminal) as progress:
        assert isinstance(progress, BarProgress)
        progress.update(5, lambda: "half of it")
    assert "load" in terminal.getvalue()
