"""The Chinese words of a message."""

from __future__ import annotations

import math
from zoneinfo import ZoneInfo

import pytest

from dingtalk import wording
from dingtalk.alert import Severity
from tests.alerts import NOW

SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_every_severity_has_a_mark_and_a_word():
    """A colour alone is not seen by everybody."""
    assert [wording.severity(severity) for severity in Severity] == ["🔴 严重", "🟠 警告", "🔵 提示", "⚪ 例行"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "不到 1 秒"),
        (-5, "不到 1 秒"),
        (45, "45 秒"),
        (60, "1 分钟"),
        (3_599, "59 分钟"),
        (3_600, "1 小时"),
        (7_500, "2 小时 5 分"),
        (86_400, "1 天"),
        (273_600, "3 天 4 小时"),
        (math.inf, "时间不详"),
        (math.nan, "时间不详"),
    ],
)
def test_a_length_of_time(seconds, words):
    """In its two largest units."""
    assert wording.duration(seconds) == words


def test_what_began_within_a_minute_just_began():
    """Also when the other clock is ahead."""
    assert [wording.age(seconds) for seconds in (-30, 0, 59, 60)] == ["刚刚", "刚刚", "刚刚", "1 分钟"]


def test_times_are_those_of_peoples_clocks():
    """With the date when it was another day, with the year when it was another year."""
    assert wording.local_time(NOW - 60, SHANGHAI, NOW) == "03:02:10"
    assert wording.local_time(NOW - 4 * 3_600, SHANGHAI, NOW) == "11-27 23:03:10"
    assert wording.local_time(1, SHANGHAI, NOW) == "1970-01-01 08:00:01"
    assert wording.local_time(NOW, ZoneInfo("UTC"), NOW) == "19:03:10"


@pytest.mark.parametrize("at", [math.nan, math.inf, -1e20, 1e20, 0.0, -62_135_596_800.0])
def test_a_time_that_no_calendar_has_is_unknown(at):
    """A zero of Go, a year without a calendar, no number."""
    assert wording.local_time(at, SHANGHAI, NOW) == "时间不详"


def test_reminders_and_sizes():
    """The first time is none."""
    assert [wording.reminder(repeat) for repeat in (0, 1, 3)] == ["", "第 1 次提醒", "第 3 次提醒"]
    assert [wording.size(number) for number in (12, 20_480, 100 * 1024**2, 3 * 1024**3)] == ["12 B", "20.0 KiB", "100.0 MiB", "3.0 GiB"]
