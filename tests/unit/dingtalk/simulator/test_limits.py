"""The minute, the ban with its odd answers, the network address, the month, and the memory of msgUuid."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dingtalk.simulator.composition import HandClock, Robots, text

TOO_FAST = (130101, "send too fast, exceed 20 times per minute")


def too_fast(**more: object) -> Robots:
    """A robot that has just been banned."""
    robots = Robots(**more)
    assert [robots.send() for _ in range(21)] == [(0, "ok")] * 20 + [TOO_FAST]
    return robots


def test_the_twenty_first_call_in_a_minute_is_told_so_once_in_http_200():
    """What follows is not even looked at."""
    robots = too_fast()
    answer = robots.verdict().answer
    assert (answer.status, answer.location, answer.errcode, answer.body) == (302, "/punish", None, b"")
    assert len(robots.messages) == 20
    assert robots.outcomes[-2:] == ["throttled", "banned"]


def test_the_code_of_the_documentation_can_be_chosen():
    """410100, which the logs do not show."""
    robots = Robots(throttle_code=410100, limit=1)
    assert [robots.send() for _ in range(2)] == [(0, "ok"), (410100, "发送速度太快而限流")]


@pytest.mark.parametrize("how", ["punish", "html"])
def test_the_other_answers_during_a_ban_have_no_errcode_either(how):
    """The punish JSON and the page, both in HTTP 200."""
    answer = too_fast(ban_answer=how).verdict().answer
    assert (answer.status, answer.errcode) == (200, None)
    if how == "punish":
        assert json.loads(answer.body) == {"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": "u-1"}
    else:
        assert answer.media_type.startswith("text/html")
        assert answer.body.startswith(b"<!doctype html>")


def test_the_ban_ends_after_ten_minutes_and_takes_a_full_window_then():
    """Not a second sooner."""
    robots = too_fast()
    robots.clock.tick(600 - 0.001)
    assert robots.code() is None
    robots = too_fast()
    robots.clock.tick(600)
    assert [robots.send() for _ in range(21)] == [(0, "ok")] * 20 + [TOO_FAST]


@pytest.mark.parametrize(("prolonged", "code"), [(True, None), (False, 0)])
def test_whether_a_call_during_the_ban_prolongs_it_is_a_setting(prolonged, code):
    """By default it does, for nobody knows that it does not."""
    robots = too_fast(ban_prolonged=prolonged)
    robots.clock.tick(300)
    assert robots.code() is None
    robots.clock.tick(300)
    assert robots.code() == code


def test_each_robot_has_its_own_minute_and_its_own_ban():
    """Several robots in one group multiply the budget."""
    robots = Robots({}, {"name": "dev", "token": "d"}, limit=2)
    assert [robots.code() for _ in range(4)] == [0, 0, 130101, None]
    assert [robots.code(token="d") for _ in range(2)] == [0, 0]


def test_a_fixed_window_can_be_chosen():
    """Forty around the full minute."""
    clock = HandClock()
    clock.tick(20 - 0.5)  # the monotonic clock then shows 1019.5, and 1020 is a full minute
    robots = Robots(clock=clock, window_kind="fixed")
    assert [robots.code() for _ in range(20)] == [0] * 20
    clock.tick(1)
    assert [robots.code() for _ in range(21)] == [0] * 20 + [130101]


@given(st.lists(st.floats(0, 3) | st.floats(0, 700), min_size=40, max_size=120), st.sampled_from([3, 20]))
def test_no_minute_ever_shows_more_than_the_limit(pauses, limit):
    """Whatever the pauses and bans between."""
    robots = Robots(limit=limit)
    for pause in pauses:
        robots.clock.tick(pause)
        robots.send()
    shown = [message.received for message in robots.messages]
    assert all(sum(start <= other < start + 60 for other in shown) <= limit for start in shown)


@pytest.mark.parametrize(("counts", "codes"), [(True, [43004, 43004, 130101]), (False, [43004, 43004, 0])])
def test_whether_refused_calls_use_the_minute_is_a_setting(counts, codes):
    """By default they do."""
    robots = Robots(limit=2, counts_refused=counts)
    assert [robots.code(content_type="x"), robots.code(content_type="x"), robots.code()] == codes


def test_an_address_with_too_many_calls_is_blocked_for_all_robots():
    """Without an errcode, also before its token is looked at."""
    robots = Robots({}, {"name": "dev", "token": "d"}, ip_limit=3)
    assert [robots.code(), robots.code(token="d"), robots.code(token="nobody")] == [0, 0, 400101]
    answer = robots.verdict(token="d").answer
    assert json.loads(answer.body)["punish"] == "deny"
    assert robots.code(client="192.0.2.9") == 0
    assert robots.outcomes == ["delivered", "delivered", "refused", "blocked", "delivered"]
    robots.clock.tick(300)
    assert robots.code() == 0


def test_a_blocked_address_can_get_the_page():
    """As it happens too."""
    robots = Robots(ip_limit=1, ip_answer="html")
    robots.send()
    assert robots.verdict().answer.media_type.startswith("text/html")


def test_the_quota_is_the_organisations_and_starts_anew_with_the_month():
    """90030 until midnight of the first in Shanghai."""
    clock = HandClock(datetime(2026, 11, 30, 15, 0, tzinfo=UTC).timestamp())
    robots = Robots({}, {"name": "dev", "token": "d"}, {"name": "other", "token": "o", "organisation": "elsewhere"}, clock=clock, quota=3)
    assert [robots.code(), robots.code(token="d"), robots.code()] == [0, 0, 0]
    assert robots.send() == (90030, "webhook over limit")
    assert robots.send(token="d") == (90030, "webhook over limit")
    assert robots.code(token="o") == 0
    clock.tick(3599)
    assert robots.code() == 90030
    clock.tick(1)
    assert robots.code() == 0
    assert [message.robot for message in robots.messages] == ["ops", "dev", "ops", "other", "ops"]


def test_organisations_can_have_quotas_of_their_own():
    """None at all among them."""
    robots = Robots({"organisation": "poor"}, {"name": "dev", "token": "d"}, quota=5, quotas={"poor": 0})
    assert (robots.code(), robots.code(token="d")) == (90030, 0)


def test_throttled_and_banned_calls_do_not_use_the_quota():
    """As the documentation says."""
    robots = Robots(limit=2)
    for _ in range(10):
        robots.send()
    assert robots.server.facts()[0].quota_used == 2


def test_the_same_uuid_again_is_ok_and_shows_nothing():
    """The repetitions are counted at the message, whatever they say."""
    robots = Robots()
    assert [robots.code(text("一", msgUuid="u")), robots.code(text("二", msgUuid="u")), robots.code(text("一", msgUuid="u"))] == [0, 0, 0]
    assert [(message.text, message.duplicates) for message in robots.messages] == [("一", 2)]
    assert [(attempt.outcome, attempt.message) for attempt in robots.attempts] == [("delivered", 1), ("duplicate", 1), ("duplicate", 1)]


def test_the_memory_of_a_uuid_ends_ten_minutes_after_the_delivery():
    """Repetitions do not prolong it."""
    robots = Robots()
    robots.send(text("一", msgUuid="u"))
    robots.clock.tick(599)
    robots.send(text("一", msgUuid="u"))
    robots.clock.tick(1)
    robots.send(text("一", msgUuid="u"))
    assert [message.duplicates for message in robots.messages] == [1, 0]


def test_without_a_memory_every_call_is_shown():
    """For tests of a sender that must not rely on it."""
    robots = Robots(uuid_memory_seconds=0)
    for _ in range(2):
        assert robots.code(text("一", msgUuid="u")) == 0
    assert len(robots.messages) == 2


def test_messages_without_a_uuid_are_never_repetitions():
    """Nor are those with an empty one."""
    robots = Robots()
    for uuid in (None, None, "", ""):
        robots.send(text("一", msgUuid=uuid))
    assert len(robots.messages) == 4


def test_a_refused_message_leaves_no_uuid_behind():
    """Its next attempt is the first."""
    robots = Robots({"keywords": ["告警"]})
    assert robots.code(text("你好", msgUuid="u")) == 310000
    assert robots.code(text("告警", msgUuid="u")) == 0
    assert robots.outcomes == ["refused", "delivered"]


def test_the_scale_shortens_minute_ban_and_memory_but_not_the_month():
    """At a tenth, six seconds, a minute and a minute."""
    robots = Robots(scale=0.1, quota=22)
    assert [robots.code(text("一", msgUuid="u")) for _ in range(21)] == [0] * 20 + [130101]
    robots.clock.tick(59.9)
    assert robots.server.facts()[0].banned_seconds == pytest.approx(0.1)
    robots.clock.tick(0.2)
    assert robots.code(text("一", msgUuid="u")) == 0
    assert len(robots.messages) == 2
    assert [robots.code(), robots.code()] == [0, 90030]
    robots.clock.tick(6.1)
    assert robots.server.facts()[0].window_used == 0


def test_the_newest_are_kept_and_the_numbers_go_on():
    """A simulator that runs for weeks stays small."""
    robots = Robots(keep=3, limit=100)
    for number in range(5):
        robots.send(text(str(number)))
    robots.send(content_type="x")
    assert [(message.index, message.text) for message in robots.messages] == [(3, "2"), (4, "3"), (5, "4")]
    assert [attempt.index for attempt in robots.attempts] == [4, 5, 6]
    robots.send(text("5"))
    assert [message.index for message in robots.messages] == [4, 5, 6]
