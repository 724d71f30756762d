"""Who is @ed, and who only looks so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingtalk.mention import masked
from dingtalk.simulator.bodies import AtRequest, Body
from dingtalk.simulator.mentions import Mentions, marked, mentions
from dingtalk.simulator.settings import Member

MEMBERS = (
    Member(name="张三", mobile="13800138000", user_id="zhang3"),
    Member(name="李四", mobile="+852-61234567", user_id="li4"),
)


def found(text: str, *, msgtype: str = "text", limit: int = 50, members=MEMBERS, **at: object) -> Mentions:
    return mentions(Body(msgtype=msgtype, text=text, at=AtRequest(**at)), members, limit)


def reasons(who: Mentions) -> list[tuple[str, str]]:
    return [(each.written, str(each.ignored)) for each in who.ignored]


@pytest.mark.parametrize("msgtype", ["text", "markdown"])
def test_who_stands_in_the_list_and_in_the_text_is_at_ed(msgtype):
    """By mobile, also of another country, and by user id."""
    who = found(
        "@13800138000 @+852-61234567 @li4 请看", msgtype=msgtype, mobiles=("13800138000", "+852-61234567"), user_ids=("li4", "zhang3")
    )
    assert (who.mobiles, who.user_ids) == (("13800138000", "+852-61234567"), ("li4",))
    assert reasons(who) == [("zhang3", "not_in_text")]


@pytest.mark.parametrize("text", ["13800138000", "@138001380001", "@1380013800", "@ 13800138000", ""])
def test_the_text_must_have_the_at_and_exactly_the_number(text):
    """A longer number is another one."""
    assert reasons(found(text, mobiles=("13800138000",))) == [("13800138000", "not_in_text")]


def test_the_list_is_needed_too():
    """An @ in the text alone is text."""
    assert found("@13800138000 @zhang3") == Mentions()


def test_strangers_are_not_at_ed_where_the_members_are_known():
    """Where none is told, everyone counts as a member."""
    assert reasons(found("@13900139000", mobiles=("13900139000",))) == [("13900139000", "not_a_member")]
    assert found("@13900139000", mobiles=("13900139000",), members=()).mobiles == ("13900139000",)


def test_those_after_the_fiftieth_are_not_at_ed():
    """Only those who are count."""
    mobiles = tuple(f"138{number:08}" for number in range(60))
    text = " ".join(f"@{mobile}" for mobile in mobiles[1:])
    who = found(text, mobiles=mobiles, members=())
    assert who.mobiles == mobiles[1:51]
    assert reasons(who) == [(mobiles[0], "not_in_text")] + [(mobile, "too_many") for mobile in mobiles[51:]]


@pytest.mark.parametrize(("msgtype", "everyone"), [("text", True), ("markdown", True), ("actionCard", False), ("link", False)])
def test_all_can_be_at_ed_by_text_and_markdown_only(msgtype, everyone):
    """Nothing of it need stand in the text."""
    assert found("请看", msgtype=msgtype, everyone=True).everyone is everyone


def test_an_action_card_at_s_the_user_ids_written_in_its_text():
    """With or without the list, and no mobiles."""
    who = found("@zhang3 @13800138000", msgtype="actionCard", mobiles=("13800138000",), user_ids=("li4",))
    assert who.user_ids == ("zhang3",)
    assert reasons(who) == [("13800138000", "not_possible"), ("li4", "not_in_text")]


@pytest.mark.parametrize("msgtype", ["link", "feedCard"])
def test_links_and_feeds_at_nobody(msgtype):
    """However it is asked for."""
    assert reasons(found("@13800138000", msgtype=msgtype, mobiles=("13800138000",))) == [("13800138000", "not_possible")]


@pytest.mark.parametrize(("mobile", "shown"), [("13800138000", "138****8000"), ("+852-61234567", "+85******4567"), ("1234567", "*******")])
def test_a_masked_number_shows_its_ends(mobile, shown):
    """A short one nothing."""
    assert masked(mobile) == shown


def test_the_text_shows_names_and_masks_strangers():
    """Everything else is escaped."""
    text = "<b>@13800138000</b> @13900139000 @13900139000x @nobody"
    who = found(text, mobiles=("13800138000", "13900139000"))
    assert marked(text, who) == (
        '&lt;b&gt;<span class="at">@张三</span>&lt;/b&gt; <span class="at ignored">@139****9000</span> @13900139000x @nobody'
    )


@given(st.text(alphabet="@<>&\"'*138ab ", max_size=60), st.lists(st.text(alphabet="138ab<.*+(", min_size=1, max_size=8), max_size=4))
def test_marking_adds_no_markup_but_its_own(text, user_ids):
    """Whatever the ids are; members or not, all of them are ids the group may see."""
    who = found(text, user_ids=tuple(dict.fromkeys(user_ids)), members=())
    rest = marked(text, who).replace('<span class="at">', "").replace('<span class="at ignored">', "").replace("</span>", "")
    assert "<" not in rest
    assert ">" not in rest
