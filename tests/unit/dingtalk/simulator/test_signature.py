"""The signature of a call."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote, quote_plus, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingtalk.simulator.signature import SignatureFault, signature, signature_fault

NOW = 1_795_000_000.0
STAMP = "1795000000000"
SECRET = "SECabc"


def fault(*, timestamp: str | None = STAMP, sign: str | None, now: float = NOW, secret: str = SECRET) -> SignatureFault | None:
    return signature_fault(secret=secret, timestamp=timestamp, sign=sign, now=now, tolerance=3600.0)


def test_it_is_the_hmac_of_timestamp_and_secret_in_base64():
    """Compared with the formula of the documentation, written out."""
    by_hand = base64.b64encode(hmac.new(b"SECabc", b"1795000000000\nSECabc", hashlib.sha256).digest()).decode()
    assert signature(STAMP, SECRET) == by_hand
    assert fault(sign=by_hand) is None


@pytest.mark.parametrize("offset", [-3600, -1, 0, 1, 3600])
def test_a_timestamp_within_the_hour_is_taken(offset):
    """Before or after now, the whole hour included."""
    assert fault(sign=signature(STAMP, SECRET), now=NOW + offset) is None


@pytest.mark.parametrize("offset", [-3600.001, 3600.001, -86400, 86400])
def test_a_timestamp_outside_the_hour_is_invalid(offset):
    """However good its sign."""
    assert fault(sign=signature(STAMP, SECRET), now=NOW + offset) is SignatureFault.INVALID_TIMESTAMP


@pytest.mark.parametrize("timestamp", [None, "", "abc", "-1", "1795000000.5", "1795000000", "١٧٩٥", "9" * 5000])
def test_what_is_no_number_of_milliseconds_is_an_invalid_timestamp(timestamp):
    """Seconds are 56 years off; digits of other scripts and endless ones do not get far."""
    assert fault(timestamp=timestamp, sign="x") is SignatureFault.INVALID_TIMESTAMP


@pytest.mark.parametrize("sign", [None, "", "x", "签名", "\ud800"])
def test_an_absent_or_foreign_sign_does_not_match(sign):
    """Whatever its characters."""
    assert fault(sign=sign) is SignatureFault.NO_MATCH


def test_the_sign_of_another_secret_or_timestamp_does_not_match():
    """It covers both."""
    assert fault(sign=signature(STAMP, "SECother")) is SignatureFault.NO_MATCH
    assert fault(sign=signature("1795000000001", SECRET)) is SignatureFault.NO_MATCH


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_sign_encoded_twice_is_never_the_sign(secret):
    """Base64 of 32 bytes ends with `=`, so encoding always changes it."""
    sign = signature(STAMP, secret)
    assert fault(sign=unquote_plus(quote_plus(sign)), secret=secret) is None
    assert fault(sign=unquote_plus(quote_plus(quote(sign, safe=""))), secret=secret) is SignatureFault.NO_MATCH
