"""Exactly what a drill must cause, no more, no less, in the right place: each way to fail in its own words."""

from __future__ import annotations

from cli.drill.heard import Heard
from cli.drill.judging import Expected, endings, judge, tellings

LATENCY = Expected(name="HighLatency", robot="warning", mobiles=("138",))
KNOWN = ("HighLatency", "HighErrorRate", "ErrorLogs", "ServiceRestarted")


def said(name="HighLatency", *flags, where="box", robot="warning", mobiles=("138",), at=10.0):
    """One alert in one message; by default a beginning that calls whom it must, an end calls nobody."""
    over = "over" in flags
    return Heard(
        name=name,
        where=where,
        fired=not over or "fired" in flags,
        over=over,
        late="late" in flags,
        reminder="reminder" in flags,
        robot=robot,
        mobiles=() if over and mobiles == ("138",) else mobiles,
        at=at,
        message=int(at),
    )


END = said("HighLatency", "over", at=50.0)


def judged(*heard, expected=(LATENCY,), permitted=()):
    return judge(heard, expected, permitted=permitted, known=KNOWN)


def test_one_beginning_and_one_end_is_as_it_must_be():
    """With when each was told."""
    verdict = judged(said(at=10.0), END)
    assert (verdict.passed, verdict.faults) == (True, ())
    assert (verdict.delivered, verdict.unexpected) == (("HighLatency",), ())
    assert (verdict.told_at, verdict.ended_at) == ({"HighLatency": 10.0}, {"HighLatency": 50.0})


def test_silence_is_a_fault():
    """One, not two: that it has no end follows from it."""
    verdict = judged()
    assert (verdict.passed, verdict.faults) == (False, ("HighLatency was not told",))
    assert (verdict.told_at, verdict.ended_at) == ({}, {})


def test_an_end_that_was_never_told_is_a_fault():
    """Somebody would still be looking."""
    assert judged(said()).faults == ("the end of HighLatency was not told",)


def test_an_end_without_a_beginning_is_no_telling():
    """Nobody knew of it."""
    assert judged(END).faults == ("HighLatency was not told",)


def test_an_end_before_the_beginning_is_of_what_was_there_before():
    """The fault of the drill before had only just been taken out; its end is neither this one's, nor one too many."""
    before = said("HighLatency", "over", at=5.0)
    verdict = judged(before, said(), END)
    assert (verdict.passed, verdict.ended_at) == (True, {"HighLatency": 50.0})
    assert judged(before, said()).faults == ("the end of HighLatency was not told",)


def test_what_is_told_twice_is_a_fault_and_so_is_its_end():
    """Of one instance; each counted."""
    assert judged(said(), said(at=11.0), END).faults == ("HighLatency was told 2 times",)
    assert judged(said(), said(at=11.0), said(at=12.0), END).faults == ("HighLatency was told 3 times",)
    assert judged(said(), END, said("HighLatency", "over", at=51.0)).faults == ("the end of HighLatency was told 2 times",)


def test_two_instances_may_be_told_once_each():
    """They are two alerts."""
    ends = [said("HighLatency", "over", where=where, at=50.0) for where in ("box", "other")]
    assert judged(said(), said(where="other"), *ends).passed


def test_a_reminder_is_no_second_telling_and_no_first_one():
    """It says again what was said; alone, it says that the first one was lost."""
    assert judged(said(), said("HighLatency", "reminder"), END).passed
    assert judged(said("HighLatency", "reminder"), END).faults == ("HighLatency was not told",)


def test_another_group_is_a_fault_for_the_beginning_and_for_the_end():
    """Both are for who was called."""
    assert judged(said(robot="info"), END).faults == ("HighLatency was told by info, not by warning alone",)
    assert judged(said(), said("HighLatency", "over", robot="critical")).faults == (
        "HighLatency was told by critical, not by warning alone",
    )
    assert judged(said(), said(where="other", robot="info"), END).faults == ("HighLatency was told by info, not by warning alone",)


def test_who_is_called_is_exactly_who_must_be():
    """Not nobody, not somebody else, not one more; each told alike."""
    assert judged(said(mobiles=()), END).faults == ("HighLatency called nobody, not 138",)
    assert judged(said(mobiles=("139",)), END).faults == ("HighLatency called 139, not 138",)
    assert judged(said(mobiles=("138", "139")), END).faults == ("HighLatency called 138 and 139, not 138",)
    assert judged(said(), said(where="other", mobiles=()), END).faults == ("HighLatency called 138 or nobody, not 138",)
    info = Expected(name="ServiceRestarted", robot="info")
    called = said("ServiceRestarted", robot="info", mobiles=("138",))
    assert judged(called, said("ServiceRestarted", "over", robot="info"), expected=(info,)).faults == (
        "ServiceRestarted called 138, not nobody",
    )


def test_an_end_calls_nobody():
    """There is nothing to do."""
    assert judged(said(), said("HighLatency", "over", mobiles=("139",))).faults == ("the end of HighLatency called somebody",)


def test_an_alert_that_nobody_expects_is_a_fault():
    """By its beginning, or when it is told late; once, however often it is told."""
    extra = said("HighErrorRate", robot="critical")
    verdict = judged(said(), extra, extra, END)
    assert (verdict.delivered, verdict.unexpected) == (("HighLatency", "HighErrorRate"), ("HighErrorRate",))
    assert verdict.faults == ("HighErrorRate was told, and must not be",)
    assert judged(said(), said("ErrorLogs", "over", "late"), END).faults == ("ErrorLogs was told, and must not be",)


def test_what_is_permitted_may_come_and_is_shown_as_delivered():
    """It is not judged by group or people."""
    verdict = judged(said(), said("ServiceRestarted", robot="info"), END, permitted=("ServiceRestarted",))
    assert (verdict.passed, verdict.delivered, verdict.unexpected) == (True, ("HighLatency", "ServiceRestarted"), ())
    assert judged(said(), END, permitted=("ServiceRestarted",)).passed


def test_what_the_drill_before_left_may_end():
    """The end of another alert is told in the midst of this drill; so is a reminder of it."""
    verdict = judged(said("HighErrorRate", "over"), said("ErrorLogs", "reminder"), said(), END)
    assert (verdict.passed, verdict.delivered) == (True, ("HighLatency",))


def test_what_the_notifier_says_of_itself_is_no_alert_unless_it_is_expected():
    """Such as that somebody took over; that a box is silent is expected of one drill."""
    assert judged(said(), said("AlertAcknowledged", robot="info"), END).passed
    silent = Expected(name="BoxSilent", robot="critical", mobiles=("138",))
    there = [said("BoxSilent", where="", robot="critical"), said("BoxSilent", "over", where="", robot="critical")]
    verdict = judged(*there, expected=(silent,))
    assert (verdict.passed, verdict.delivered) == (True, ("BoxSilent",))
    assert judged(expected=(silent,)).faults == ("BoxSilent was not told",)


def test_a_notice_that_has_the_name_of_an_alert_is_none():
    """The notifier says that a robot is banned, of no instance, and Prometheus says it too, of one."""
    notice = said("ErrorLogs", where="", robot="critical", mobiles=())
    assert judged(notice, said(), END).passed
    errors = Expected(name="ErrorLogs", robot="warning", mobiles=("138",))
    assert judged(notice, expected=(errors,)).faults == ("ErrorLogs was not told",)
    assert judged(notice, said("ErrorLogs"), said("ErrorLogs", "over", at=50.0), expected=(errors,)).passed


def test_a_late_end_is_a_telling_of_what_began_unheard_and_no_second_one_of_what_was_heard():
    """As of an alert that ended while the notifier was away."""
    late = said("HighLatency", "over", "late", at=60.0)
    verdict = judged(late)
    assert (verdict.passed, verdict.told_at, verdict.ended_at) == (True, {"HighLatency": 60.0}, {"HighLatency": 60.0})
    assert tellings([said(), late], "HighLatency") == [said()]
    assert endings([said(), late], "HighLatency") == [late]


def test_what_began_and_ended_in_one_message_is_both():
    """It waited too long to be told twice."""
    both = said("HighLatency", "over", "fired", mobiles=(), at=20.0)
    verdict = judged(both)
    assert (verdict.passed, verdict.told_at, verdict.ended_at) == (True, {"HighLatency": 20.0}, {"HighLatency": 20.0})


def test_every_fault_of_every_alert_is_told_at_once():
    """Extra ones first, then in the order in which they are expected."""
    second = Expected(name="ErrorLogs", robot="warning", mobiles=("138",))
    assert judged(said("HighErrorRate"), said(robot="info", mobiles=()), expected=(LATENCY, second)).faults == (
        "HighErrorRate was told, and must not be",
        "HighLatency was told by info, not by warning alone",
        "HighLatency called nobody, not 138",
        "the end of HighLatency was not told",
        "ErrorLogs was not told",
    )
