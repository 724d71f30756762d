"""The cleaner under any text and any value."""

from __future__ import annotations

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.preprocessing import clean

# Text with far more of the odd characters than chance would give.
ODD = st.sampled_from(list("\x00\x1f\t\r\n\x85\u2028\u200b\u200d\ufeff\u202e\u3000 \xad\u0301\ufe0f文路1a"))
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet=ODD, max_size=60),
    st.builds(lambda head, filler, count, tail: head + filler * count + tail, st.text(ODD), ODD, st.integers(0, 9_000), st.text(ODD)),
)
LIMITS = st.integers(1, 12)


@given(TEXTS, LIMITS)
@example("a" * 5 + "\u0301" * 10, 5)
@example("文" + " " * 4095 + "\r", 3)
def test_cleaning_is_idempotent(text, limit):
    """What came out of the cleaner passes it unchanged."""
    try:
        once = clean(text, field="address1", max_length=limit, strict=False)
    except InvalidInput:
        return
    twice = clean(once.text, field="address1", max_length=limit, strict=True)
    assert once.text == twice.text
    assert not twice.truncated


@given(TEXTS, LIMITS)
def test_what_comes_out_may_go_to_the_model(text, limit):
    """Valid, stripped, not empty, not too long, without control or format characters; the length is that received."""
    try:
        result = clean(text, field="address1", max_length=limit, strict=False)
    except InvalidInput:
        return
    assert 1 <= len(result.text) <= limit
    assert result.text == result.text.strip()
    assert not {unicodedata.category(character) for character in result.text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(text) == result.length


@given(TEXTS, LIMITS)
def test_the_windows_do_not_show(text, limit):
    """The fast way, window by window, gives what removing from the whole text and cutting then gives."""
    try:
        result = clean(text, field="address1", max_length=limit, strict=False)
    except InvalidInput:
        return
    whole = "".join(
        " " if character in "\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029" else character
        for character in text
        if unicodedata.category(character) not in {"Cc", "Cf"} or character in "\t\n\v\f\r\x1c\x1d\x1e\x85"
    ).strip()
    assert (len(whole) > limit) == result.truncated
    assert whole.startswith(result.text)
    if not result.truncated:
        assert whole == result.text


@given(TEXTS, LIMITS)
def test_strict_mode_refuses_exactly_what_the_other_cuts(text, limit):
    """The two modes agree on what is too long."""
    try:
        lenient = clean(text, field="address1", max_length=limit, strict=False).truncated
    except InvalidInput as error:
        lenient = error.error_type
    try:
        strict = clean(text, field="address1", max_length=limit, strict=True).truncated
    except InvalidInput as error:
        strict = error.error_type
    assert (lenient, strict) == (True, "address_too_long") or lenient == strict


@given(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.binary(), st.text(st.characters()), st.lists(st.text())),
    LIMITS,
    st.booleans(),
)
def test_nothing_but_invalid_input_is_ever_raised(value, limit, strict):
    """Whatever a body may hold, lone surrogates included, and no error shows more than field names and numbers."""
    detail = None
    try:
        clean(value, field="address1", max_length=limit, strict=strict)
    except InvalidInput as error:
        detail = error.detail
    assert detail in {
        None,
        "address1 must be a string",
        "address1 has half of a surrogate pair",
        "address1 has no visible character",
        f"address1 has more than {limit} characters",
    }
