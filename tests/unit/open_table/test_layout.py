"""The bytes of a table of open inferences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.errors import Outcome
from service.open_table import layout
from service.open_table.layout import OpenInference, TableContents, header, intent, pack_slot, read_table, slot_offset
from service.requeststore.rows import OUTCOMES

ONE = OpenInference(
    request_id="r-1",
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    span_id="00f067aa0ba902b7",
    parent_span_id="b7ad6b7169203331",
    function="match",
    started_unix_ns=1_795_252_087_654_321_987,
)
NOTHING = dict.fromkeys(Outcome, 0)


def table(*inferences: OpenInference, slots: int = 4) -> bytearray:
    """A table with these inferences open, in its first slots."""
    content = bytearray(header(life="one:7", pid=42, started_unix_ns=7, slots=slots).ljust(slot_offset(slots), b"\0"))
    for slot, inference in enumerate(inferences):
        packed = pack_slot(inference)
        assert packed is not None
        content[slot_offset(slot)] = layout.OPEN
        content[slot_offset(slot) + 4 : slot_offset(slot) + 4 + len(packed)] = packed
    return content


def set_word(content: bytearray, word: int, value: int) -> None:
    content[word * 8 : word * 8 + 8] = value.to_bytes(8, "little")


def test_a_new_table_says_whose_it_is() -> None:
    """Life, process and start; nothing is open, nothing counted."""
    assert read_table(bytes(table())) == TableContents(
        life="one:7", pid=42, started_unix_ns=7, seen_unix_ns=7, counts=NOTHING, inferences=()
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"parent_span_id": None},
        {"request_id": "a" * 128 + ":999999999"},
        {"request_id": "杭州\ud800"},
        {"function": "模块.match"},
        {"function": ""},
    ],
)
def test_an_open_inference_comes_back_as_it_was(changes: dict[str, str]) -> None:
    """Also a root, a pair of a batch with the longest id, and names that are not ASCII."""
    inference = replace(ONE, **changes)
    contents = read_table(bytes(table(ONE, inference)))

    assert contents is not None
    assert contents.inferences == (ONE, inference)


def test_a_long_function_name_is_cut_and_a_long_id_refused() -> None:
    """A cut id would be that of another inference."""
    contents = read_table(bytes(table(replace(ONE, function="函" * 1000))))

    assert contents is not None
    assert contents.inferences[0].function == "函" * 152
    assert pack_slot(replace(ONE, request_id="x" * 257)) is None


def test_a_slot_that_is_not_whole_is_no_inference() -> None:
    """Its checksum tells, whichever byte is not as it was; the others are read."""
    whole = table(ONE, ONE)
    for offset in (4, 8, 20, 40, 48, 52, 54, 58):
        spoilt = bytearray(whole)
        spoilt[slot_offset(0) + offset] ^= 0xFF
        contents = read_table(bytes(spoilt))
        assert contents is not None
        assert contents.inferences == (ONE,), offset


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"mgeo open 2\n".ljust(512, b"\0")])
def test_what_is_no_table_of_this_version_is_not_read(content: bytes) -> None:
    """Nothing is guessed."""
    assert read_table(content) is None


def test_a_header_that_is_not_whole_is_not_read() -> None:
    """Its checksum covers all that is written once."""
    content = table(ONE)
    content[30] ^= 1
    assert read_table(bytes(content)) is None


def test_a_table_that_was_cut_short_has_what_is_left() -> None:
    """A slot that is not there is not open."""
    contents = read_table(bytes(table(ONE, ONE)[: slot_offset(1) + 20]))
    assert contents is not None
    assert contents.inferences == (ONE,)


@pytest.mark.parametrize("counted", [0, 1])
@pytest.mark.parametrize("freed", [False, True])
def test_what_the_intent_says_is_completed(counted: int, freed: bool) -> None:
    """Whether the process died before the count, after it, or after the slot was freed: it is counted once and not open."""
    content = table(ONE, replace(ONE, request_id="r-2"))
    set_word(content, layout.FIRST_COUNT_WORD, 5)
    set_word(content, layout.FIRST_COUNT_WORD + 3, counted)
    set_word(content, layout.INTENT_WORD, intent(total=6, slot=0, code=3))
    if freed:
        content[slot_offset(0)] = layout.FREE
    contents = read_table(bytes(content))

    assert contents is not None
    assert contents.counts == NOTHING | {Outcome.SUCCESS: 5, Outcome.TIMEOUT: 1}
    assert [inference.request_id for inference in contents.inferences] == ["r-2"]


def test_an_intent_without_a_slot_frees_none() -> None:
    """An inference that had none ends too."""
    content = table(ONE)
    set_word(content, layout.INTENT_WORD, intent(total=1, slot=None, code=5))
    contents = read_table(bytes(content))

    assert contents is not None
    assert (contents.counts[Outcome.ERROR], contents.inferences) == (1, (ONE,))


def test_the_outcomes_are_counted_in_the_order_of_the_store() -> None:
    """Both are on disk for good."""
    assert layout.OUTCOMES == OUTCOMES
