"""A link cannot be changed."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dingtalk.errors import LinkRefused
from dingtalk.links import Claim, Purpose, SignedLinks
from tests.alerts import NOW, TEXTS

LINKS = SignedLinks("https://box.example.com", b"0123456789abcdef")
CLAIMS = st.builds(
    Claim,
    purpose=st.sampled_from(Purpose),
    receiver=st.text(max_size=20),
    group=st.text("0123456789abcdef", min_size=12, max_size=12),
    matchers=st.dictionaries(TEXTS, TEXTS, max_size=3),
    expires_at=st.integers(int(NOW) + 1, int(NOW) + 10**6),
)


def is_refused(token: str, purpose: Purpose) -> bool:
    try:
        LINKS.verify(token, purpose, now=NOW)
    except LinkRefused:
        return True
    return False


@given(CLAIMS)
def test_what_was_signed_is_what_is_read(claim):
    """Any labels, in the alphabet of addresses; a token too long for an address is refused as one."""
    token = LINKS.token(claim)
    assert not set(token) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assume(len(token) <= 4_096)
    assert LINKS.verify(token, claim.purpose, now=NOW) == claim


@given(CLAIMS, st.data())
def test_any_changed_byte_is_refused(claim, data):
    """Also a character that decodes to the same bytes."""
    token = LINKS.token(claim)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda character: character != token[place]))
    assert is_refused(token[:place] + other + token[place + 1 :], claim.purpose)
    assert is_refused(token[:place] + token[place + 1 :], claim.purpose)
    assert is_refused(token[:place] + other + token[place:], claim.purpose)
    assert is_refused(token[:place], claim.purpose)


@given(CLAIMS, st.integers(0, 10**7))
def test_a_link_counts_before_it_expires_and_never_after(claim, seconds):
    """By the clock that is passed."""
    token = LINKS.token(claim)
    assume(len(token) <= 4_096)
    if NOW + seconds < claim.expires_at:
        assert LINKS.verify(token, claim.purpose, now=NOW + seconds) == claim
    else:
        with pytest.raises(LinkRefused, match="expired"):
            LINKS.verify(token, claim.purpose, now=NOW + seconds)


@given(TEXTS)
def test_what_nobody_signed_is_refused(token):
    """Whatever it is."""
    assert is_refused(token, Purpose.ACKNOWLEDGE)
