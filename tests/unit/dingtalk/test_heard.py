"""What the outbox knows of alerts, from Alertmanager and from reconciling."""

from __future__ import annotations

import pytest

from dingtalk.boot import Boot
from dingtalk.missed import Episode, Heard, labels_of
from dingtalk.outbox.store import HEARD_KEPT, Outbox
from dingtalk.payload import parse
from tests.notifier import START, Time, alert, payload

A = labels_of({"alertname": "HighLatency", "instance": "a", "severity": "warning"})
B = labels_of({"alertname": "HighLatency", "instance": "b", "severity": "warning"})


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def outbox(tmp_path, time):
    outbox = Outbox.open(tmp_path, clock=time.clock, boot=Boot(id="boot"), max_queue=100)
    yield outbox
    outbox.close()


def receive(outbox, *alerts, receiver="main", group="g"):
    body = payload(*alerts, group=group)
    return outbox.receive(parse(body, receiver=receiver, now=START), body, replica_window=0.0)


def firing(instance="a", *, starts_at=START, **labels):
    return alert(instance=instance, starts_at=starts_at, **labels)


def over(instance="a", *, starts_at=START, ends_at=START + 10, **labels):
    return alert(instance=instance, starts_at=starts_at, status="resolved", ends_at=ends_at, **labels)


def late(*, started_at=START - 900, ended_at=None, status="firing", instance="a", **labels):
    one = alert(
        instance=instance, starts_at=started_at, status=status, ends_at=START + 300 if status == "resolved" else None, late="true", **labels
    )
    one["annotations"]["started_at"] = f"{started_at:.0f}"
    if ended_at is not None:
        one["annotations"]["ended_at"] = f"{ended_at:.0f}"
    one["fingerprint"] += "/late"
    return one


def waiting(outbox, group="g"):
    return [sorted(receipt.echoes) for receipt in outbox.waiting_receipts("main", group)]


def test_what_alertmanager_told_is_heard_of(outbox, time):
    """While it fires, and for as long as its end is asked for."""
    receive(outbox, firing("a"), firing("b"))
    assert outbox.heard_since(START) == [Heard(labels=A, since=START, at=START), Heard(labels=B, since=START, at=START)]
    time.now += 20
    receive(outbox, over("a"))
    assert outbox.heard_since(START + 10) == [
        Heard(labels=B, since=START, at=START),
        Heard(labels=A, since=START, at=START + 20, until=START + 10),
    ]
    assert outbox.heard_since(START + 11) == [Heard(labels=B, since=START, at=START)]


def test_each_time_an_alert_fires_is_one_of_its_own(outbox, time):
    """The earlier one was heard of for as long as somebody told of it: it may have fired in between without anybody hearing of it."""
    receive(outbox, firing("a"))
    time.now += 20
    receive(outbox, firing("a"), firing("b"))
    outbox.note([Episode(labels=A, first=START + 30, last=START + 30, over=False)], at=START + 30, posted=True)
    time.now += 80
    receive(outbox, firing("a", starts_at=START + 60))
    assert [(one.since, one.until) for one in outbox.heard_since(START) if one.labels == A] == [
        (START + 60, None),
        (START, START + 20),
        (START + 30, START + 30),
    ]
    receive(outbox, over("a", starts_at=START + 60, ends_at=START + 90))
    assert [(one.since, one.until) for one in outbox.heard_since(START + 31) if one.labels == A] == [(START + 60, START + 90)]


def test_an_alert_of_two_receivers_fires_once(outbox):
    """Until the last of them heard of its end."""
    receive(outbox, firing("a"))
    receive(outbox, firing("a"), receiver="other")
    assert outbox.heard_since(START) == [Heard(labels=A, since=START, at=START)]


def test_what_is_kept_back_is_heard_of_for_that_time(outbox):
    """And no longer."""
    for until in (START + 60, START + 120):
        outbox.kept_back([Heard(labels=A, since=START, at=until, until=until)])
    assert outbox.heard_since(START) == [Heard(labels=A, since=START, at=START + 120, until=START + 120)]


def test_an_end_that_is_told_late_ends_what_was_told(outbox):
    """Also what reconciling itself had noted as firing."""
    receive(outbox, firing("a"))
    outbox.note([Episode(labels=A, first=START + 5, last=START + 5, over=False)], at=START + 5, posted=True)
    outbox.note([Episode(labels=A, first=START, last=START + 50, over=True)], at=START + 500, posted=True)
    assert all(one.until == START + 50 for one in outbox.heard_since(START))


def test_an_end_that_comes_ends_what_was_told_late(outbox):
    """And what was posted need not come any more."""
    outbox.note([Episode(labels=A, first=START, last=START + 5, over=False)], at=START + 5, posted=True)
    assert len(outbox.posted(before=START + 6, tries=3)) == 1
    receive(outbox, over("a", ends_at=START + 10))
    assert outbox.posted(before=START + 6, tries=3) == []
    assert {one.until for one in outbox.heard_since(START)} == {START + 10}


def test_what_was_posted_and_did_not_come_is_known(outbox):
    """Until it comes, or was posted often enough."""
    missed = Episode(labels=A, first=START - 900, last=START - 800, over=True)
    for number in range(3):
        outbox.note([missed], at=START + number, posted=True)
        assert outbox.posted(before=START + number, tries=3) == []
        assert outbox.posted(before=START + number + 1, tries=3) == ([missed] if number < 2 else [])
    outbox.note([Episode(labels=B, first=START - 900, last=START - 800, over=True)], at=START, posted=True)
    receive(outbox, late(instance="b", ended_at=START - 800))
    assert outbox.posted(before=START + 1, tries=3) == []


def test_what_was_over_before_need_not_come(outbox):
    """It was never posted."""
    outbox.note([Episode(labels=A, first=START - 900, last=START - 800, over=True)], at=START, posted=False)
    assert outbox.posted(before=START + 1, tries=3) == []


def test_how_far_all_is_compared_outlives_the_process(outbox, tmp_path, time):
    """Nothing at first."""
    assert outbox.reconciled_until() is None
    outbox.reconciled(START)
    outbox.reconciled(START + 60)
    outbox.close()
    again = Outbox.open(tmp_path, clock=time.clock, boot=Boot(id="boot"), max_queue=100)
    assert again.reconciled_until() == START + 60
    again.close()


def test_a_late_alert_is_not_heard_of_by_its_receipt(outbox):
    """Reconciling noted it when it posted it, with its own times."""
    receive(outbox, late(ended_at=START - 800))
    assert outbox.heard_since(0) == []
    assert outbox.told() == []


def test_the_end_of_a_late_alert_is_told_already(outbox):
    """Alertmanager calls it over some minutes later; so the receipt is kept and waits for nobody."""
    receive(outbox, late(ended_at=START - 800))
    stored = receive(outbox, late(ended_at=START - 800, status="resolved"))
    assert stored.id == 2
    assert waiting(outbox) == [[]]
    assert outbox.depth().normal == 1


def test_the_end_of_a_late_beginning_is_not_that_of_the_alert(outbox):
    """What is posted of an alert that fires ends by itself."""
    receive(outbox, late())
    receive(outbox, late(status="resolved"))
    assert waiting(outbox) == [[]]


def test_an_end_that_follows_a_late_beginning_is_told(outbox):
    """Reconciling posts the same alert once more, with its end."""
    receive(outbox, late())
    receive(outbox, late(ended_at=START - 100))
    receive(outbox, late(ended_at=START - 100, status="resolved"))
    assert waiting(outbox) == [[], []]


def test_an_end_that_comes_first_is_told(outbox):
    """Nothing of it was."""
    receive(outbox, late(ended_at=START - 800, status="resolved"))
    assert waiting(outbox) == [[]]


def test_another_time_of_a_late_alert_is_told(outbox):
    """By its true beginning."""
    receive(outbox, late(ended_at=START - 800))
    receive(outbox, late(started_at=START - 700, ended_at=START - 600, status="resolved"))
    assert waiting(outbox) == [[], []]


def test_news_that_come_with_what_was_told_late_are_told_without_it(outbox):
    """The other alerts of its group."""
    receive(outbox, firing("b"), late(ended_at=START - 800))
    receive(outbox, firing("b"), late(ended_at=START - 800, status="resolved"))
    assert waiting(outbox) == [[]]
    receive(outbox, over("b"), firing("c"), late(ended_at=START - 800, status="resolved"))
    assert waiting(outbox) == [[], ["HighLatency/a/late"]]
    (group,) = outbox.waiting_groups(recent=900)
    assert group.alerts == 4


def test_a_label_of_that_name_may_be_anybodys(outbox):
    """Only what says when it began is of reconciling."""
    for one in (firing("a", late="true"), over("a", late="true")):
        receive(outbox, one)
    assert waiting(outbox) == [[], []]
    assert len(outbox.told()) == 1


@pytest.mark.parametrize("text", ["nan", "inf", "soon", ""])
def test_a_beginning_that_is_no_time_costs_nothing(outbox, text):
    """It is stored all the same."""
    one = late(ended_at=START - 800)
    one["annotations"]["started_at"] = text
    receive(outbox, one)
    assert waiting(outbox) == [[]]


def test_what_was_heard_of_goes_a_day_after_nobody_asks(outbox, time):
    """What fires stays longer."""
    outbox.note([Episode(labels=A, first=START, last=START + 1, over=True)], at=START, posted=True)
    outbox.note([Episode(labels=B, first=START, last=START + 1, over=False)], at=START, posted=True)
    receive(outbox, late(ended_at=START - 800))
    time.now += HEARD_KEPT
    assert outbox.purge(keep=1e9) == 0
    time.now += 2
    assert outbox.purge(keep=1e9) == 2
    assert [one.labels for one in outbox.heard_since(0)] == [B]
