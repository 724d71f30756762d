"""The encodings of the store's columns."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.requeststore.packing import (
    join_id,
    pack_exception,
    pack_floats,
    pack_hex,
    pack_id,
    pack_members,
    pack_stages,
    pack_text,
    split_id,
    unpack_exception,
    unpack_floats,
    unpack_hex,
    unpack_id,
    unpack_members,
    unpack_stages,
    unpack_text,
)
from service.telemetry.event import BatchMember, ExceptionFacts, Stage, StageTiming
from service.telemetry.ids import trace_id_of
from tests.strategies import batch_events, events, request_ids

UUID = "0193f2a0-1111-7222-8333-444455556666"
UUID_BYTES = bytes.fromhex("0193f2a0111172228333444455556666")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("00f067aa0ba902b7", bytes.fromhex("00f067aa0ba902b7")),
        ("00F067AA0BA902B7", "00F067AA0BA902B7"),
        ("00f067aa0ba902", "00f067aa0ba902"),
        ("00f067aa0ba902bz", "00f067aa0ba902bz"),
        ("", ""),
        (None, None),
    ],
)
def test_hex_of_the_expected_length_is_stored_as_bytes_and_anything_else_as_it_is(text, cell) -> None:
    """Both come back as they went in."""
    assert pack_hex(text, 8) == cell
    assert unpack_hex(cell) == text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        (UUID, UUID_BYTES),
        (UUID.upper(), UUID.upper()),
        ("order-17", "order-17"),
        (UUID.replace("-", ""), UUID.replace("-", "")),
        (None, None),
    ],
)
def test_a_uuid_in_its_usual_form_is_stored_as_bytes_and_any_other_id_as_text(text, cell) -> None:
    """A caller's own spelling is kept."""
    assert pack_id(text) == cell
    assert unpack_id(cell) == text


@pytest.mark.parametrize(
    ("inference_id", "parts"),
    [
        (UUID, (UUID_BYTES, None)),
        (f"{UUID}:0", (UUID_BYTES, 0)),
        ("order-17:255", ("order-17", 255)),
        ("order-17:007", ("order-17:007", None)),
        ("order-17:٣", ("order-17:٣", None)),
        ("order-17:", ("order-17:", None)),
    ],
)
def test_an_id_is_split_into_the_call_and_the_index_of_the_pair(inference_id, parts) -> None:
    """An ending that we would not have written stays part of the text."""
    assert split_id(inference_id) == parts
    assert join_id(*parts) == inference_id


@given(request_ids())
def test_any_id_comes_back(inference_id) -> None:
    """Split and joined."""
    assert join_id(*split_id(inference_id)) == inference_id


@given(st.text(st.characters()))
def test_any_text_comes_back(text) -> None:
    """Lone surrogates and NUL included."""
    assert unpack_text(pack_text(text)) == text


def test_text_that_is_utf8_is_stored_as_text() -> None:
    """So that the sqlite3 program shows it."""
    assert pack_text("西湖") == "西湖"
    assert pack_text("\ud800") == b"\xed\xa0\x80"


@pytest.mark.parametrize(
    ("values", "size"),
    [((0.5, 0.25, 0.25), 12), ((0.1, 0.2, 0.7), 24), ((0.5, 0.25, 0.25, 0.625), 16), ((0.1, 0.2, 0.7, 0.8), 32), ((1e300, 0.0, 0.0), 24)],
)
def test_numbers_of_single_precision_take_half_the_room(values, size) -> None:
    """What a model gives is of single precision; nothing is rounded to make it so."""
    assert len(pack_floats(values)) == size
    assert unpack_floats(pack_floats(values)) == values


def stages(*numbers: tuple[float, float]) -> tuple[StageTiming, ...]:
    return tuple(
        StageTiming(stage=stage, offset=offset, duration=duration) for stage, (offset, duration) in zip(Stage, numbers, strict=False)
    )


@pytest.mark.parametrize(
    ("timings", "size"),
    [
        # A machine up for two weeks: multiples of 2^-32 s, up to a second.
        (stages((0.0, 1000 / 2**32), (1000 / 2**32, 0.5)), 2 + 2 * (1 + 2 * 4)),
        # The same for ten minutes.
        (stages((0.0, 1000 / 2**42), (1000 / 2**42, 0.03125)), 2 + 2 * (1 + 2 * 5)),
        (stages((0.0, 0.1)), 2 + 1 + 16),
        (stages((0.0, 1e300)), 2 + 1 + 16),
        (stages((0.0, 5e-324)), 2 + 1 + 16),
        (stages((0.0, 2.0**40)), 2 + 1 + 16),
        (stages((0.0, 0.0)), 2 + 1 + 2),
        (stages((-0.25, 0.5)), 2 + 1 + 16),
        (stages((0.0, math.inf)), 2 + 1 + 16),
    ],
)
def test_timings_of_one_clock_take_half_the_room_of_doubles(timings, size) -> None:
    """Others take that of doubles; all come back to the last bit."""
    assert len(pack_stages(timings)) == size
    assert unpack_stages(pack_stages(timings)) == timings


def test_no_stages_take_no_room() -> None:
    """A request refused at once has none."""
    assert pack_stages(()) is None
    assert unpack_stages(None) == ()


@given(events())
def test_any_stages_come_back(event) -> None:
    """In their order, and bit by bit."""
    assert unpack_stages(pack_stages(event.stages)) == event.stages


def test_an_exception_is_kept_with_its_frames() -> None:
    """Paths may hold any text."""
    facts = ExceptionFacts(type="ValueError", frames=("/a\nb.py:1 f", "/西湖\ud800.py:2 g"))
    assert unpack_exception(pack_exception(facts)) == facts
    assert unpack_exception(pack_exception(None)) is None


def test_twenty_frames_of_one_folder_take_few_bytes() -> None:
    """A day of errors must not push a week of successes out of the store."""
    frames = tuple(f"/usr/lib/python3.11/site-packages/transformers/models/bert/modeling_bert.py:{n * 37} forward" for n in range(20))
    assert len(pack_exception(ExceptionFacts(type="RuntimeError", frames=frames))) < 250


def test_a_member_of_a_batch_takes_25_bytes() -> None:
    """Its trace follows from its id."""
    member = BatchMember(request_id=UUID, trace_id=trace_id_of(UUID), span_id="00f067aa0ba902b7")
    assert len(pack_members((member,) * 32)) == 32 * 25


@given(batch_events())
def test_any_members_come_back(event) -> None:
    """With callers' ids and traces of their own."""
    assert unpack_members(pack_members(event.members)) == event.members
