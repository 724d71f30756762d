"""Shorter minutes for drills: every duration and every count, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus.alerting.file import Links, files, main, rule_files
from prometheus.alerting.scale import Count, Duration, TimeScale, days, hours, minutes

ROOT = Path(__file__).parents[3]
MARK = re.compile(r"<(duration|seconds|spoken|count) ([0-9.]+)>")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class Marked:
    """A scale that writes a mark instead of each value."""

    def duration(self, duration: Duration) -> str:
        return f"<duration {duration.seconds!r}>"

    def seconds(self, duration: Duration) -> str:
        return f"<seconds {duration.seconds!r}>"

    def spoken(self, duration: Duration) -> str:
        return f"<spoken {duration.seconds!r}>"

    def count(self, count: Count) -> str:
        return f"<count {count.number!r}>"


def filled(text: str, scale: TimeScale) -> str:
    """A marked text with the values of a scale."""
    write = {
        "duration": lambda number: scale.duration(Duration(number)),
        "seconds": lambda number: scale.seconds(Duration(number)),
        "spoken": lambda number: scale.spoken(Duration(number)),
        "count": lambda number: scale.count(Count(number)),
    }
    return MARK.sub(lambda mark: write[mark[1]](float(mark[2])), text)


def test_the_files_are_what_the_code_makes() -> None:
    """At scale 1, byte for byte, and no rule file lies there that nobody makes."""
    made = files(TimeScale())

    assert {name: (ROOT / name).read_text(encoding="utf-8") for name in made} == made
    lying = {str(path.relative_to(ROOT)) for folder in ("rules", "alerts") for path in (ROOT / "prometheus" / folder).iterdir()}
    assert lying == {name for name in made if name.startswith("prometheus/")}


@pytest.mark.parametrize("factor", [0.02, 0.1, 0.5, 3.0])
def test_another_scale_differs_in_durations_and_counts_and_in_nothing_else(factor: float) -> None:
    """Both are the same text with marks, and only marks are filled in otherwise."""
    marked, scaled = files(Marked()), files(TimeScale(factor))

    assert {name: filled(text, TimeScale(factor)) for name, text in marked.items()} == scaled
    assert {name: filled(text, TimeScale()) for name, text in marked.items()} == files(TimeScale())


def test_no_duration_is_written_past_the_scale() -> None:
    """No window, offset, hold or group time stands in the files as a number of its own, but none at all and the webhook's time-out."""
    bare = {
        line.strip()
        for text in files(Marked()).values()
        for line in text.splitlines()
        if re.search(r"\[\d|offset \d|\b\w*(for|wait|interval|timeout): \d", line.partition("#")[0])
    }

    assert {re.sub(r"<[^>]+>", "…", line) for line in bare} == {
        "timeout: 10s",
        "- {matchers: ['alertname=\"Watchdog\"'], receiver: watchdog, group_wait: 0s, group_interval: …, repeat_interval: …}",
    }


def test_every_rule_file_is_made_of_marks_where_it_should() -> None:
    """The marks are there at all: an error rate over five minutes, held for ten, from twenty inferences on."""
    text = rule_files(Marked())["alerts/inference.yml"]

    assert "[<duration 300>]" in text
    assert "for: <duration 600>" in text
    assert ">= <count 20>" in text


@given(seconds=st.floats(1, 1e6), factor=st.floats(0.001, 10))
def test_a_duration_is_right_to_the_millisecond(seconds: float, factor: float) -> None:
    """In whatever unit it is written."""
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h|d)", TimeScale(factor).duration(Duration(seconds))).groups()

    assert int(number) * UNITS[unit] == pytest.approx(max(seconds * factor, 0.001), abs=0.000501)


def test_the_largest_whole_unit_is_taken() -> None:
    """As people write it."""
    one = TimeScale()

    assert [one.duration(each) for each in (minutes(5), hours(1), days(3), Duration(90), Duration(0), Duration(0.25))] == [
        "5m",
        "1h",
        "3d",
        "90s",
        "0s",
        "250ms",
    ]
    assert [one.spoken(each) for each in (minutes(1), hours(3), days(7))] == ["1 分钟", "3 小时", "7 天"]
    assert TimeScale(0.1).duration(minutes(5)) == "30s"
    assert TimeScale(0.1).count(Count(20)) == "2"
    assert TimeScale(0.1).count(Count(5)) == "0.5"
    assert TimeScale(0.0001).duration(Duration(1)) == "1ms"


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(factor: float) -> None:
    """Time neither stands nor runs backwards."""
    with pytest.raises(ValueError, match="a scale is a positive number"):
        TimeScale(factor)


def test_runbooks_may_have_an_address() -> None:
    """The path in the checkout by default; with a base, a link that works on a phone."""
    here = rule_files(TimeScale())["alerts/inference.yml"]
    public = rule_files(TimeScale(), Links(runbooks="https://box.example/runbooks/"))["alerts/inference.yml"]

    assert 'runbook_url: "docs/runbooks/HighLatency.md"' in here
    assert 'runbook_url: "https://box.example/runbooks/HighLatency.md"' in public


def test_a_check_names_what_is_out_of_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And writes nothing; without it, what differs is written."""
    (tmp_path / "prometheus").mkdir()
    assert main(["--check"], tmp_path) == 1
    assert "prometheus/rules/slo.yml is out of date" in capsys.readouterr().err

    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    (tmp_path / "prometheus/alerts/meta.yml").write_text("", encoding="utf-8")
    assert main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err == "prometheus/alerts/meta.yml is out of date; run `make docs` and commit it\n"
