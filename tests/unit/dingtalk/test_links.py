"""Signed links that expire."""

from __future__ import annotations

import pytest

from dingtalk.errors import LinkRefused
from dingtalk.links import Claim, FakeLinks, Purpose, SignedLinks, group_digest
from tests.alerts import GROUP_KEY, NOW

KEY = b"0123456789abcdef"
HOUR = 3_600.0


@pytest.fixture
def links():
    return SignedLinks("https://box.example.com/notifier/", KEY, lifetime=HOUR)


def token_of(url: str) -> str:
    return url.rsplit("/", 1)[1]


def refusal(links: SignedLinks, token: str, purpose: Purpose = Purpose.SILENCE, now: float = NOW) -> str:
    with pytest.raises(LinkRefused) as refused:
        links.verify(token, purpose, now=now)
    return str(refused.value)


def test_a_link_says_what_it_allows_until_it_expires(links):
    """For whom, which group, which labels."""
    url = links.silence("critical", GROUP_KEY, {"alertname": "延迟", "b": "1"}, now=NOW)
    assert url.startswith("https://box.example.com/notifier/silence/")
    assert links.verify(token_of(url), Purpose.SILENCE, now=NOW + HOUR - 1) == Claim(
        purpose=Purpose.SILENCE,
        receiver="critical",
        group=group_digest("critical", GROUP_KEY),
        matchers={"alertname": "延迟", "b": "1"},
        expires_at=int(NOW + HOUR),
    )
    assert "expired" in refusal(links, token_of(url), now=NOW + HOUR)


def test_a_link_is_good_for_one_purpose(links):
    """Who may look may not silence."""
    for url in (links.acknowledge("critical", GROUP_KEY, now=NOW), links.show("critical", GROUP_KEY, now=NOW)):
        assert "something else" in refusal(links, token_of(url))


def test_another_key_made_another_link(links):
    """Also when it is the empty signature."""
    url = links.silence("critical", GROUP_KEY, {}, now=NOW)
    assert "not made by this notifier" in refusal(SignedLinks("https://box.example.com", b"another key, as long"), token_of(url))
    assert "not made by this notifier" in refusal(links, token_of(url).partition(".")[0] + ".")


@pytest.mark.parametrize("token", ["", "abc", "签名.签名", "a" * 5_000 + ".b", "\ud800.b"])
def test_what_is_no_token_is_refused(links, token):
    """Before anything is computed."""
    assert "incomplete" in refusal(links, token)


def test_what_was_signed_by_another_version_is_refused(links):
    """Its claims are none of these."""
    text = "bm9uZQ"
    assert "incomplete" in refusal(links, f"{text}.{links._signature(text)}")


def test_a_short_key_signs_nothing():
    """It could be guessed."""
    with pytest.raises(ValueError, match="link_key has 5 bytes; give 16 or more"):
        SignedLinks("https://box.example.com", b"short")


def test_groups_are_named_in_twelve_characters():
    """The same key at two receivers is two groups; a key that is no Unicode is one too."""
    assert group_digest("critical", GROUP_KEY) == "d9cd6cddc49b"
    assert group_digest("warning", GROUP_KEY) != group_digest("critical", GROUP_KEY)
    assert len(group_digest("\ud800", "\ud800")) == 12


def test_the_fake_says_what_a_link_is_for():
    """So that a message can be read in a test."""
    links = FakeLinks()
    assert links.acknowledge("critical", GROUP_KEY, now=NOW) == "https://alerts.example.com/notifier/ack/d9cd6cddc49b"
    assert links.silence("critical", GROUP_KEY, {}, now=NOW) == "https://alerts.example.com/notifier/silence/d9cd6cddc49b"
    assert links.show("critical", GROUP_KEY, now=NOW) == "https://alerts.example.com/notifier/show/d9cd6cddc49b"
