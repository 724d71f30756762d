"""What is to be told of one group."""

from __future__ import annotations

import pytest

from dingtalk.told import by_group, merge
from tests.alerts import MINUTE, NOW, alert, received


def states(*notifications):
    return [(one.alert.fingerprint, one.over, one.began) for one in merge(notifications).told]


def test_the_newest_state_of_an_alert_counts():
    """One that fired again is not over, whatever its older end says."""
    firing, over = alert(fingerprint="a"), alert(fingerprint="a", ends_at=NOW - 1)
    assert states(received(firing)) == [("a", False, True)]
    assert states(received(over)) == [("a", True, False)]
    assert states(received(firing), received(over)) == [("a", True, True)]
    assert states(received(over), received(firing)) == [("a", False, True)]
    assert states(received(firing), received(over), received(firing)) == [("a", False, True)]


def test_an_alert_that_a_newer_notification_does_not_have_stays():
    """It was never said that it ended."""
    assert states(received(alert(fingerprint="a")), received(alert(fingerprint="b"))) == [("a", False, True), ("b", False, True)]


def test_what_fires_comes_first_and_what_is_urgent_before_it():
    """Of equals the older one."""
    alerts = [
        alert("A", "critical", ends_at=NOW),
        alert("B", "info"),
        alert("C", "warning", starts_at=NOW - 1),
        alert("D", "warning", starts_at=NOW - 2),
        alert("E", "critical"),
        alert("F", "none"),
    ]
    assert "".join(one.alert.name for one in merge([received(*alerts)]).told) == "EDCBFA"


def test_two_alerts_without_a_fingerprint_are_two():
    """Their labels tell them apart."""
    one, two = alert(instance="a"), alert(instance="b")
    bare = [type(one)(status=each.status, labels=each.labels, starts_at=0.0, fingerprint="") for each in (one, two)]
    assert len(merge([received(*bare)]).told) == 2


@pytest.mark.parametrize(
    ("ended_at", "moment"),
    [("1795804000", 1_795_804_000.0), ("2026-11-28T02:26:40+08:00", 1_795_804_000.0), ("2026-11-27T18:26:40Z", 1_795_804_000.0)],
)
def test_a_missed_end_is_the_one_that_its_annotation_names(ended_at, moment):
    """Though Alertmanager calls the alert firing, with an end that is still to come."""
    (late,) = merge([received(alert(labels={"late": "true"}, ended_at=ended_at))]).told
    assert (late.over, late.late, late.ended_at, late.began) == (True, True, moment, False)
    (over,) = merge([received(alert(labels={"late": "true"}, ended_at=ended_at, ends_at=NOW + 5 * MINUTE))]).told
    assert over.ended_at == moment


@pytest.mark.parametrize("ended_at", ["", "yesterday", "2026-11-28T02:26:40", "0001-01-01T00:00:00+23:00"])
def test_a_missed_end_that_cannot_be_read_is_unknown(ended_at):
    """Not the one still to come, and not a time without a zone."""
    (late,) = merge([received(alert(labels={"late": "true"}, ended_at=ended_at, ends_at=NOW + 5 * MINUTE))]).told
    assert late.over
    assert late.ended_at is None or late.ended_at < 0


def test_an_end_is_only_missed_when_the_alert_is_late():
    """Anybody may have an annotation of that name."""
    (one,) = merge([received(alert(ended_at="1"))]).told
    assert not one.over


def test_a_late_notification_makes_its_alerts_late():
    """They still fire."""
    (one,) = merge([received(alert(), late=True)]).told
    assert (one.late, one.over) == (True, False)


def test_a_silence_matches_what_the_group_has_in_common():
    """Its own labels, else those of all its alerts; none of both is no silence."""
    assert merge([received(alert(), group_labels={"alertname": "HighLatency"})]).matchers == {"alertname": "HighLatency"}
    assert merge([received(alert(instance="a"), alert(instance="b"), group_labels={})]).matchers == {
        "alertname": "HighLatency",
        "severity": "warning",
    }
    assert merge([received(group_labels={})]).matchers == {}


def test_repeats_and_groups_are_the_newest_ones():
    """Groups of the same key at another receiver are others."""
    assert merge([received(alert(), repeat=1), received(alert(), repeat=2)]).repeat == 2
    one, two, three = received(alert()), received(alert(), receiver="warning"), received(alert())
    assert by_group([one, two, three]) == [[one, three], [two]]


def test_a_late_alert_began_when_its_annotation_says():
    """Alertmanager has the beginning of whatever it joined it with."""
    (late,) = merge(
        [received(alert(labels={"late": "true"}, started_at=str(NOW - 3600), ended_at=str(NOW - 1800), starts_at=NOW - 7200))]
    ).told
    assert (late.alert.starts_at, late.ended_at) == (NOW - 3600, NOW - 1800)
    (other,) = merge([received(alert(started_at=str(NOW - 3600), starts_at=NOW - 7200))]).told
    assert other.alert.starts_at == NOW - 7200
