"""The signed word of a box, and what the second machine does not believe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dingtalk.errors import ClockDiffers, HeartbeatRefused
from dingtalk.heartbeat import Heartbeat, Verifier, signature

KEY = "a key that both have"
BEAT = Heartbeat(box="gpu-1", sent_at=1000.0, nonce="n-1")


def verify(heartbeat=BEAT, *, key=KEY, now=1001.0, verifier=None, signed=None):
    body = heartbeat if isinstance(heartbeat, bytes) else heartbeat.body()
    return (verifier or Verifier({"gpu-1": KEY})).verify(body, signature(body, key) if signed is None else signed, now=now)


def test_a_heartbeat_comes_as_it_was_sent():
    """With the end of a maintenance, if there is one."""
    assert verify() == BEAT
    quiet = Heartbeat(box="gpu-1", sent_at=1000.0, nonce="n-2", quiet_until=5000.0)
    assert verify(quiet) == quiet
    planned = Heartbeat(box="gpu-1", sent_at=1000.0, nonce="n-3", quiet_until=5000.0, quiet_from=4000.0)
    assert verify(planned) == planned


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": "another"}, "the signature does not fit"),
        ({"signed": ""}, "the signature does not fit"),
        ({"signed": "\xe9"}, "the signature does not fit"),
        ({"heartbeat": Heartbeat(box="gpu-2", sent_at=1000.0, nonce="n")}, "the signature does not fit"),
        ({"now": 1601.0}, "it was sent +601 s ago by its own clock, and 600 s are allowed: set the clocks right"),
        ({"now": 399.0}, "it was sent -601 s ago"),
        ({"heartbeat": b"{}"}, "it is no heartbeat"),
        ({"heartbeat": b"["}, "it is no heartbeat"),
        ({"heartbeat": b"[" * 4000}, "it is no heartbeat"),
        ({"heartbeat": b'{"box":1,"sent_at":1,"nonce":"a"}'}, "it is no heartbeat"),
        ({"heartbeat": b'{"box":"gpu-1","sent_at":"x","nonce":"a"}'}, "it is no heartbeat"),
        ({"heartbeat": b'{"box":"gpu-1","sent_at":NaN,"nonce":"a"}'}, "it is no heartbeat"),
        ({"heartbeat": b'{"box":"gpu-1","sent_at":1000,"nonce":""}'}, "it is no heartbeat"),
        ({"heartbeat": b'{"box":"gpu-1","sent_at":1000,"nonce":"\\ud800"}'}, "it is no heartbeat"),
        ({"heartbeat": b'{"box":"gpu-1","sent_at":1' + b"0" * 400 + b',"nonce":"a"}'}, "it is no heartbeat"),
        ({"heartbeat": b'{"box":"gpu-1","sent_at":1000,"nonce":"a","quiet_until":[]}'}, "it is no heartbeat"),
    ],
)
def test_what_proves_nothing_is_refused_with_the_reason(change, said):
    """And the fix, where the machines' keepers can mend it."""
    with pytest.raises(HeartbeatRefused) as refused:
        verify(**change)
    assert said in str(refused.value)


def test_none_counts_twice():
    """Whoever recorded one cannot make a dead box live."""
    verifier = Verifier({"gpu-1": KEY})
    verify(verifier=verifier)
    with pytest.raises(HeartbeatRefused, match="it was taken before"):
        verify(verifier=verifier, now=1500.0)


def test_what_was_taken_before_a_restart_does_not_count_either():
    """It is told what was taken."""
    verifier = Verifier({"gpu-1": KEY})
    verifier.remember("gpu-1", "n-1", at=990.0)
    with pytest.raises(HeartbeatRefused, match="it was taken before"):
        verify(verifier=verifier)


def test_a_wrong_clock_is_told_apart_when_the_signature_is_right():
    """So that the silence can be explained; a stranger's word explains nothing."""
    with pytest.raises(ClockDiffers) as refused:
        verify(now=2000.0)
    assert (refused.value.box, refused.value.seconds) == ("gpu-1", 1000.0)
    with pytest.raises(HeartbeatRefused) as refused:
        verify(now=2000.0, key="another")
    assert not isinstance(refused.value, ClockDiffers)


def test_what_is_remembered_has_a_bound():
    """What is too old to be taken need not be remembered."""
    verifier = Verifier({"gpu-1": KEY})
    for number in range(2000):
        at = 1000.0 + number * 60
        verify(Heartbeat(box="gpu-1", sent_at=at, nonce=str(number)), verifier=verifier, now=at)
    assert len(verifier._seen) <= 21


@given(place=st.integers(0, len(BEAT.body()) - 1), bit=st.integers(0, 7))
def test_any_changed_bit_is_refused(place, bit):
    """The signature is of the bytes, not of what they mean."""
    body = bytearray(BEAT.body())
    signed = signature(bytes(body), KEY)
    body[place] ^= 1 << bit
    with pytest.raises(HeartbeatRefused):
        verify(bytes(body), signed=signed)
