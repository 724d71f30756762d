"""Request, trace, span and batch ids."""

from __future__ import annotations

import uuid

import pytest

from service.telemetry.ids import (
    batch_span_id_of,
    call_id,
    is_inference_id,
    is_request_id,
    item_id,
    new_request_id,
    new_span_id,
    random_trace_id,
    trace_id_of,
)


def ones(count: int) -> bytes:
    return b"\xff" * count


def zeros(count: int) -> bytes:
    return bytes(count)


def test_a_new_request_id_is_the_example_of_rfc_9562() -> None:
    """Appendix A.6: milliseconds 0x017F22E279B0, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F."""
    random_part = bytes.fromhex("0cc3" + "18c4dc0c0c07398f")

    made = new_request_id(lambda: 0x017F22E279B0 * 1_000_000 + 999_999, lambda count: random_part[-count:])

    assert made == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize(
    ("random_bytes", "expected"),
    [(zeros, "00000000-0001-7000-8000-000000000000"), (ones, "00000000-0001-7fff-bfff-ffffffffffff")],
)
def test_version_and_variant_stand_whatever_the_random_bits(random_bytes: object, expected: str) -> None:
    """Version 7 and the variant of RFC 9562 are neither lost nor overwritten."""
    made = new_request_id(lambda: 1_000_000, random_bytes)  # type: ignore[arg-type]

    assert made == expected
    assert (uuid.UUID(made).version, uuid.UUID(made).variant) == (7, uuid.RFC_4122)


def test_request_ids_of_later_milliseconds_sort_later() -> None:
    """Even when the earlier one drew the highest random bits and the later one the lowest."""
    assert new_request_id(lambda: 1_000_000, ones) < new_request_id(lambda: 2_000_000, zeros)


def test_a_clock_past_the_year_10889_wraps_instead_of_spoiling_the_version() -> None:
    """48 bits of milliseconds is all there is."""
    assert new_request_id(lambda: (1 << 48) * 1_000_000, zeros) == "00000000-0000-7000-8000-000000000000"


def test_a_new_request_id_is_one_a_caller_could_have_sent() -> None:
    """Ours pass our own rule."""
    made = {new_request_id() for _ in range(1000)}

    assert len(made) == 1000
    assert all(is_request_id(text) for text in made)


@pytest.mark.parametrize("text", ["a", "A-Z", "0.9_~-", "x" * 128, "00000000-0001-7000-8000-000000000000"])
def test_unreserved_characters_up_to_128_make_a_request_id(text: str) -> None:
    """The characters RFC 3986 calls unreserved, and nothing about their order."""
    assert is_request_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "x" * 129, "a b", "a:1", "a/b", "a\n", "\na", "a\x00", "é", "浙江", "١", "a%20", "a+b", "\ud800", " a", "a "],
)
def test_anything_else_is_no_request_id(text: str) -> None:
    """Empty, 129 characters, a colon, blanks, line ends, escapes, and letters or digits beyond ASCII."""
    assert not is_request_id(text)


@pytest.mark.parametrize("text", ["a", "a:0", "a:255", "x" * 128, "x" * 128 + ":255"])
def test_an_inference_is_named_by_a_request_id_or_one_with_an_index(text: str) -> None:
    """The index does not count towards the 128 characters."""
    assert is_inference_id(text)


@pytest.mark.parametrize("text", ["", ":1", "a:", "a:-1", "a:1:2", "a:x", "a:1 ", "a:1234567890", "x" * 129 + ":1", "a:٣", "a:１"])
def test_anything_else_names_no_inference(text: str) -> None:
    """No index, two, one that is not of ASCII digits, or a request id that is none."""
    assert not is_inference_id(text)


def test_the_pair_of_a_batch_call_has_the_calls_id_and_its_index() -> None:
    """And leads back to the call."""
    assert item_id("request-1", 12) == "request-1:12"
    assert call_id("request-1:12") == "request-1"
    assert call_id("request-1") == "request-1"


def test_the_trace_id_is_the_blake2b_of_the_request_id() -> None:
    """Whoever holds a request id can compute where its trace is, for instance with `b2sum -l 128`."""
    assert trace_id_of("req-1") == "77a85bff5dd350f1d6d66f116fe042a9"
    assert trace_id_of("0199c7a0-0000-7000-8000-000000000000") == "e0d20d5699b7ae0ace2cc80d401f82b6"


def test_all_pairs_of_a_call_share_its_trace() -> None:
    """The index is no part of what the trace id is made from."""
    assert trace_id_of("req-1:0") == trace_id_of("req-1:255") == "77a85bff5dd350f1d6d66f116fe042a9"


def test_the_span_of_a_batch_is_known_from_its_id() -> None:
    """64 bits of a digest of its own kind, so that it is no prefix of the trace id."""
    assert batch_span_id_of("req-1") == "5c216cd91e9bab0b"
    assert batch_span_id_of("0199c7a0-0000-7000-8000-000000000000") == "afe3c92d486d547b"


def test_random_ids_have_their_length_in_hex_digits() -> None:
    """32 for a trace, 16 for a span, leading zeros included."""
    assert random_trace_id(lambda count: bytes(count - 1) + b"\x0f") == "0000000000000000000000000000000f"
    assert new_span_id(lambda count: bytes(count - 1) + b"\x0f") == "000000000000000f"
    assert (random_trace_id(ones), new_span_id(ones)) == ("f" * 32, "f" * 16)


def test_a_random_id_is_never_the_invalid_one() -> None:
    """All zeros would mean no id at all."""
    assert (random_trace_id(zeros), new_span_id(zeros)) == ("0" * 31 + "1", "0" * 15 + "1")
