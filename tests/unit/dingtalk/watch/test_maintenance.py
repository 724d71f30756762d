"""What somebody may ask for as a maintenance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingtalk.errors import MaintenanceRefused
from dingtalk.watch.maintenance import Maintenance, asked_for, whose_end

NOW = 1_770_000_000.0
DAY = 86_400.0
ASKED = {"until": NOW + 3600, "by": "张三", "reason": "换显卡"}


def test_it_begins_now_unless_something_else_is_said():
    """A beginning that is past is now too."""
    now = Maintenance(starts_at=NOW, ends_at=NOW + 3600, by="张三", reason="换显卡")
    assert asked_for(ASKED, now=NOW) == now
    assert asked_for({**ASKED, "from": None}, now=NOW) == now
    assert asked_for({**ASKED, "from": NOW - 60}, now=NOW) == now
    planned = asked_for({**ASKED, "from": NOW + 600}, now=NOW)
    assert planned is not None
    assert planned.starts_at == NOW + 600
    assert not planned.going_on(NOW + 599)
    assert planned.going_on(NOW + 600)
    assert not planned.going_on(NOW + 3600)


def test_null_is_its_end():
    """Who ends it may be said."""
    assert asked_for({"until": None}, now=NOW) is None
    assert whose_end({"until": None, "by": " 张三 "}) == "张三"
    assert whose_end({"until": None, "by": 7}) == ""
    assert whose_end({"until": None}) == ""


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([], "the body is a JSON object with `until`"),
        ({"by": "a", "reason": "b"}, "the body is a JSON object with `until`"),
        ({**ASKED, "until": "tomorrow"}, "`until` is no number"),
        ({**ASKED, "until": True}, "`until` is no number"),
        ({**ASKED, "until": 10**400}, "`until` is no number"),
        ({**ASKED, "until": float("nan")}, "`until` is no number"),
        ({**ASKED, "from": []}, "`from` is no number"),
        ({**ASKED, "until": NOW}, "it would be over before it begins"),
        ({**ASKED, "from": NOW + 7200}, "it would be over before it begins"),
        ({**ASKED, "until": NOW + 31 * DAY + 1}, "it may last 31 days"),
        ({**ASKED, "from": NOW + 32 * DAY, "until": NOW + 33 * DAY}, "it may last 31 days, and be planned as long ahead"),
        ({"until": NOW + 1, "reason": "b"}, "`by` is needed"),
        ({**ASKED, "by": "  "}, "`by` is needed"),
        ({**ASKED, "by": "a\nb"}, "`by` is needed: one line of at most 100 characters"),
        ({**ASKED, "reason": "x" * 501}, "`reason` is needed: one line of at most 500 characters"),
        ({**ASKED, "reason": None}, "`reason` is needed"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(members, words):
    """Nobody is silenced by mistake, nor for ever."""
    with pytest.raises(MaintenanceRefused) as refused:
        asked_for(members, now=NOW)
    assert words in str(refused.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(until=_JSON, since=_JSON, by=_JSON, reason=_JSON)
def test_whatever_is_asked_for_is_bounded_or_refused(until, since, by, reason):
    """Nothing else is raised."""
    try:
        one = asked_for({"until": until, "from": since, "by": by, "reason": reason}, now=NOW)
    except MaintenanceRefused:
        return
    assert one is None or (NOW <= one.starts_at < one.ends_at <= NOW + 62 * DAY and one.by and one.reason)
