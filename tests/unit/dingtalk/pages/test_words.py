"""The words of the pages."""

from __future__ import annotations

from dingtalk.answer import Outcome
from dingtalk.outbox.rows import NO_ROBOT, MessageState, RobotState
from dingtalk.pages import words
from dingtalk.plan import Form, Lane
from dingtalk.watch.silence import BoxState


def test_every_value_that_can_be_shown_has_a_word():
    """One that is added needs one."""
    assert set(words.STATES) == set(MessageState)
    assert set(words.ROBOT_STATES) == set(RobotState)
    assert set(words.BOX_STATES) == set(BoxState)
    assert set(words.LANES) == set(Lane)
    assert set(words.FORMS) == set(Form)
    assert set(words.OUTCOMES) == {*Outcome, NO_ROBOT, "unknown"}
    assert set(words.RECEIPTS) == {"waiting", "planned", "told", "unsaid", "dead"}


def test_an_attempt_under_way_and_an_outcome_of_another_version_are_shown():
    """Rather than a page that fails."""
    assert words.outcome(None) == "发送中"
    assert words.outcome("eaten") == "eaten"
    assert words.robot("fallback") == "备用通道"
    assert words.robot("r1") == "r1"
