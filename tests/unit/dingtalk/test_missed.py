"""Which alerts nobody was told of."""

from __future__ import annotations

import pytest

from dingtalk.missed import Episode, Heard, LateAlert, episodes, labels_of, late_alert, missed

NOW = 10_000.0
LATENCY = labels_of({"alertname": "HighLatency", "instance": "one"})
METRIC = {"__name__": "ALERTS", "alertstate": "firing", "alertname": "HighLatency", "instance": "one"}


def episode(first, last=None, *, labels=LATENCY):
    return Episode(labels=labels, first=first, last=NOW if last is None else last, over=last is not None)


def heard(since, until=None, *, at=None, labels=LATENCY):
    return Heard(labels=labels, since=since, at=(NOW if until is None else until) if at is None else at, until=until)


def missing(fired, known):
    return missed(fired, known, now=NOW, patience=360.0)


def test_an_alert_is_its_labels_without_those_of_prometheus():
    """And without the mark of one that is told late: it is the same alert."""
    assert labels_of({**METRIC, "late": "true"}) == LATENCY == frozenset({("alertname", "HighLatency"), ("instance", "one")})


def test_moments_are_cut_where_it_did_not_fire():
    """One evaluation may be missing; after two it was over."""
    found = episodes(METRIC, [100.0, 110.0, 130.0, 170.0, 180.0], step=10.0, now=200.0)
    assert found == [
        Episode(labels=LATENCY, first=100.0, last=130.0, over=True),
        Episode(labels=LATENCY, first=170.0, last=180.0, over=False),
    ]
    assert episodes(METRIC, [100.0], step=10.0, now=121.0) == [Episode(labels=LATENCY, first=100.0, last=100.0, over=True)]
    assert episodes(METRIC, [], step=10.0, now=121.0) == []


@pytest.mark.parametrize(
    ("fired", "known"),
    [
        ([episode(9000.0)], [heard(8990.0)]),
        ([episode(9000.0, 9100.0)], [heard(8990.0, 9150.0)]),
        ([episode(9000.0, 9100.0)], [heard(9020.0, 9020.0)]),
        ([episode(NOW - 300.0)], []),
        ([episode(9600.0)], [heard(2000.0, at=2000.0)]),
        ([], [heard(9000.0, at=9700.0)]),
        ([], [heard(9000.0, 9100.0)]),
        ([episode(9000.0, 9900.0)], [heard(9000.0, at=9000.0)]),
    ],
    ids=[
        "it was heard of and still fires",
        "it was heard of and its end too",
        "it was kept back by a silence while it fired",
        "it is so young that it may be on its way",
        "it fires since long before the part that is compared, and was told then",
        "its end may be on its way",
        "both were told",
        "it ended a moment ago",
    ],
)
def test_what_was_told_or_may_yet_be_is_not_missed(fired, known):
    """Silence, patience and memory."""
    assert missing(fired, known) == []


@pytest.mark.parametrize(
    ("fired", "known", "expected"),
    [
        ([episode(9000.0)], [], [episode(9000.0)]),
        ([episode(9000.0, 9010.0)], [], [episode(9000.0, 9010.0)]),
        ([episode(9000.0, 9010.0)], [heard(8000.0, 8500.0)], [episode(9000.0, 9010.0)]),
        ([episode(9000.0, 9010.0)], [heard(9000.0, labels=labels_of({"alertname": "Other"}))], [episode(9000.0, 9010.0)]),
        ([], [heard(9000.0, at=9001.0)], [episode(9000.0, 9001.0)]),
        ([episode(9000.0, 9300.0)], [heard(8990.0, at=9001.0)], [episode(8990.0, 9300.0)]),
    ],
    ids=[
        "it fires and nobody knows",
        "it fired for a moment",
        "an earlier time was told, this one was not",
        "another alert was told",
        "it was told as firing, and is over since before the part that is compared",
        "it was told as firing, and its end was not",
    ],
)
def test_what_nobody_was_told_of_is_missed(fired, known, expected):
    """An end that was not told is an episode that is over."""
    assert [one for one in missing(fired, known) if one.labels == LATENCY] == expected


def test_a_late_alert_ends_ahead_and_says_when_it_was():
    """Alertmanager tells nobody of what it knows as resolved only."""
    assert late_alert(episode(9000.0, 9100.0), {"summary": "s"}, now=NOW, ahead=300.0) == LateAlert(
        labels={"alertname": "HighLatency", "instance": "one", "late": "true"},
        annotations={"summary": "s", "started_at": "9000", "ended_at": "9100"},
        starts_at=9000.0,
        ends_at=10_300.0,
    )
    assert "ended_at" not in late_alert(episode(9000.0), {}, now=NOW, ahead=300.0).annotations
