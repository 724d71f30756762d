"""Pure: the Chinese words of a message, for how urgent, since when and for how long."""

from __future__ import annotations

import math
from datetime import datetime, tzinfo

from dingtalk.alert import Severity

SEVERITY_WORDS = {Severity.CRITICAL: "严重", Severity.WARNING: "警告", Severity.INFO: "提示", Severity.NONE: "例行"}
SEVERITY_MARKS = {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠", Severity.INFO: "🔵", Severity.NONE: "⚪"}
OVER_MARK = "✅"
RESOLVED = "已恢复"
FIRED_AND_RESOLVED = "已触发并恢复"
LATE = "迟到"
UNKNOWN_TIME = "时间不详"
STEP_MARKS = "①②③"

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_KIBIBYTE = 1024


def severity(level: Severity) -> str:
    """Mark and word, so that it is seen and can be searched for."""
    return f"{SEVERITY_MARKS[level]} {SEVERITY_WORDS[level]}"


def duration(seconds: float) -> str:
    """A length of time in its two largest units: 45 秒, 3 分钟, 2 小时 5 分, 3 天 4 小时."""
    if not math.isfinite(seconds):
        return UNKNOWN_TIME
    whole = max(int(seconds), 0)
    if whole < _MINUTE:
        return f"{whole} 秒" if whole else "不到 1 秒"
    if whole < _HOUR:
        return f"{whole // _MINUTE} 分钟"
    if whole < _DAY:
        hours, minutes = whole // _HOUR, whole % _HOUR // _MINUTE
        return f"{hours} 小时 {minutes} 分" if minutes else f"{hours} 小时"
    days, hours = whole // _DAY, whole % _DAY // _HOUR
    return f"{days} 天 {hours} 小时" if hours else f"{days} 天"


def age(seconds: float) -> str:
    """How long ago something began: 刚刚 in its first minute, also when another clock is ahead of ours."""
    return "刚刚" if seconds < _MINUTE else duration(seconds)


def local_time(at: float, zone: tzinfo, now: float) -> str:
    """A moment on people's clocks: the date only when it is not today, the year only when it is not this one.

    What lies before 1970 is the zero of some program, and no moment.
    """
    if not at > 0:
        return UNKNOWN_TIME
    try:
        moment, today = datetime.fromtimestamp(at, zone), datetime.fromtimestamp(now, zone)
    except (ValueError, OverflowError, OSError):
        return UNKNOWN_TIME
    if moment.date() == today.date():
        return f"{moment:%H:%M:%S}"
    return f"{moment:%m-%d %H:%M:%S}" if moment.year == today.year else f"{moment:%Y-%m-%d %H:%M:%S}"


def reminder(repeat: int) -> str:
    """Which time it is said again; empty for the first time."""
    return f"第 {repeat} 次提醒" if repeat > 0 else ""


def size(number: float) -> str:
    """So many bytes."""
    for unit in ("B", "KiB", "MiB"):
        if number < _KIBIBYTE:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= _KIBIBYTE
    return f"{number:.1f} GiB"
