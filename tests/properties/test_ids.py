"""Ids, for any clock, any random bits and any text."""

from __future__ import annotations

import string
import uuid

from hypothesis import given
from hypothesis import strategies as st

from service.telemetry.ids import call_id, is_inference_id, is_request_id, item_id, new_request_id, trace_id_of

UNRESERVED = string.ascii_letters + string.digits + "._~-"
request_ids = st.text(UNRESERVED, min_size=1, max_size=128)


@given(milliseconds=st.integers(0, (1 << 48) - 1), nanoseconds=st.integers(0, 999_999), random_part=st.binary(min_size=10, max_size=10))
def test_a_request_id_is_a_uuid_7_of_its_millisecond(milliseconds: int, nanoseconds: int, random_part: bytes) -> None:
    """The time can be read back, whatever is below a millisecond and whatever was drawn."""
    made = uuid.UUID(new_request_id(lambda: milliseconds * 1_000_000 + nanoseconds, lambda count: random_part[:count]))

    assert (made.version, made.variant, made.int >> 80) == (7, uuid.RFC_4122, milliseconds)


@given(
    earlier=st.integers(0, (1 << 48) - 1),
    later=st.integers(0, (1 << 48) - 1),
    bits=st.tuples(st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10)),
)
def test_request_ids_sort_as_their_milliseconds(earlier: int, later: int, bits: tuple[bytes, bytes]) -> None:
    """As text, for that is how stores sort them."""
    if earlier > later:
        earlier, later = later, earlier
    first = new_request_id(lambda: earlier * 1_000_000, lambda _: bits[0])
    second = new_request_id(lambda: later * 1_000_000, lambda _: bits[1])

    assert first < second or earlier == later


@given(text=st.text())
def test_a_text_is_a_request_id_exactly_when_its_characters_and_length_allow(text: str) -> None:
    """The rule of the contract, said a second time in other words."""
    assert is_request_id(text) == (1 <= len(text) <= 128 and all(character in UNRESERVED for character in text))


@given(request_id=request_ids, index=st.integers(0, 999_999_999))
def test_every_pair_of_a_call_leads_back_to_it(request_id: str, index: int) -> None:
    """Its id names an inference, no caller could have sent it, and it lies in the call's trace."""
    made = item_id(request_id, index)

    assert is_inference_id(made)
    assert not is_request_id(made)
    assert call_id(made) == request_id
    assert trace_id_of(made) == trace_id_of(request_id)


@given(first=request_ids, second=request_ids)
def test_different_calls_have_different_traces(first: str, second: str) -> None:
    """128 bits of a digest do not collide in any test."""
    assert (trace_id_of(first) == trace_id_of(second)) == (first == second)


@given(request_id=request_ids)
def test_a_trace_id_is_never_the_invalid_one(request_id: str) -> None:
    """32 lower-case hex digits, not all zeros."""
    made = trace_id_of(request_id)

    assert len(made) == 32
    assert 0 < int(made, 16) < 1 << 128
    assert made == made.lower()
