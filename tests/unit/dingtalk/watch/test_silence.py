"""Which boxes are silent, and how often that is said."""

from __future__ import annotations

import pytest

from dingtalk.watch.silence import Box, Saying, Vigil, Word

START = 1_770_000_000.0


class Night:
    """A vigil with clocks that a test moves."""

    def __init__(self, *boxes):
        self.mono = 50.0
        self.unix = START
        self.vigil = Vigil(boxes or (Box(name="gpu-1"),), monotonic=self.mono)

    def after(self, seconds):
        self.mono += seconds
        self.unix += seconds
        return self

    def beat(self, name="gpu-1", **more):
        return self.vigil.heard(name, unix=self.unix, monotonic=self.mono, **more)

    def look(self):
        return [(saying.box, saying.word, saying.since) for saying in self.vigil.look(unix=self.unix, monotonic=self.mono)]


@pytest.fixture
def night():
    return Night()


def test_a_box_that_beats_is_nothing_to_speak_of(night):
    """For as long as it does."""
    for _ in range(100):
        assert night.after(120).beat() == []
        assert night.look() == []


def test_a_silence_is_said_once_and_its_end_too(night):
    """With the moment of the last heartbeat."""
    night.after(60).beat()
    assert night.after(299).look() == []
    assert night.after(1).look() == [("gpu-1", Word.SILENT, START + 60)]
    assert night.after(60).look() == []
    assert night.after(60).beat() == [Saying(box="gpu-1", word=Word.BACK, since=START + 60, at=START + 480)]
    assert night.look() == []


def test_a_lasting_silence_is_said_again_after_hours(night):
    """So that it is not forgotten, and not each minute."""
    night.after(60).beat()
    night.after(300).look()
    assert night.after(14_399).look() == []
    assert night.after(1).look() == [("gpu-1", Word.STILL_SILENT, START + 60)]
    assert night.after(14_399).look() == []


def test_a_box_that_was_never_heard_is_silent_too(night):
    """Somebody forgot to set it up."""
    assert night.after(300).look() == [("gpu-1", Word.SILENT, None)]


def test_one_box_says_nothing_for_another():
    """Each has its own time."""
    night = Night(Box(name="gpu-1"), Box(name="gpu-2"))
    night.after(200).beat("gpu-2")
    assert night.after(100).look() == [("gpu-1", Word.SILENT, None)]


def test_during_a_maintenance_nothing_is_said(night):
    """Afterwards the box has its usual time to come back."""
    night.after(60).beat(quiet_until=START + 3600)
    assert night.after(3539).look() == []
    assert night.after(1).look() == []
    assert night.after(299).look() == []
    assert night.after(1).look() == [("gpu-1", Word.SILENT, START + 60)]


def test_a_maintenance_is_over_with_the_first_heartbeat_that_does_not_speak_of_it(night):
    """Or when somebody says so."""
    night.beat(quiet_until=START + 3600)
    night.after(60).beat()
    assert night.after(300).look() == [("gpu-1", Word.SILENT, START + 60)]
    night.beat()
    night.beat(quiet_until=START + 9000)
    assert night.after(400).look() == []
    night.beat(quiet_until=None)
    assert night.after(300).look() == [("gpu-1", Word.SILENT, START + 760)]


def test_a_maintenance_that_is_planned_is_quiet_in_its_time_alone(night):
    """A box that dies before it is dead; one that is off when it begins is not spoken of, and has its time after its end."""
    night.beat(quiet_from=START + 1000, quiet_until=START + 2000)
    assert night.after(300).look() == [("gpu-1", Word.SILENT, START)]
    night.beat(quiet_from=START + 1000, quiet_until=START + 2000)
    night.after(650).beat(quiet_from=START + 1000, quiet_until=START + 2000)
    assert night.after(300).look() == []
    assert night.after(800).look() == []
    assert night.after(299).look() == []
    assert night.after(1).look() == [("gpu-1", Word.SILENT, START + 950)]


def test_a_watcher_that_starts_again_knows_what_it_said():
    """It gives every box its time, says no silence twice, and greets one that is back."""
    night = Night(Box(name="gpu-1", last_unix=START - 9000, silent=True), Box(name="gpu-2", last_unix=START - 9000))
    assert night.look() == []
    assert night.after(300).look() == [("gpu-2", Word.SILENT, START - 9000)]
    assert [saying.word for saying in night.beat("gpu-1")] == [Word.BACK]


def test_a_wall_clock_that_is_set_raises_no_alarm(night):
    """Neither forward nor back."""
    night.beat()
    night.unix += 86_400
    assert night.after(60).look() == []
    night.unix -= 2 * 86_400
    assert night.after(60).look() == []
    assert night.after(180).look() == [("gpu-1", Word.SILENT, START)]
