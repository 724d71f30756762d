"""Reading a body: never more of it than allowed."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from service.api.body import is_json, parse_json, read_body, request_timeout
from service.errors import ClientDisconnected, ErrorType, InvalidInput


class Pieces:
    """Gives a body in pieces, and counts those that were taken."""

    def __init__(self, *pieces: bytes, disconnect: bool = False) -> None:
        self.left = list(pieces)
        self.taken = 0
        self._disconnect = disconnect

    async def __call__(self) -> dict:
        self.taken += 1
        if not self.left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self.left.pop(0), "more_body": bool(self.left) or self._disconnect}


@pytest.mark.parametrize("pieces", [(b"abc",), (b"a", b"", b"bc"), (b"", b"abc")])
async def test_a_body_is_put_together_from_its_pieces(pieces):
    """However it was cut."""
    assert await read_body(Pieces(*pieces), Headers(), limit=3) == b"abc"


async def test_a_message_may_lack_its_body():
    """The field is optional in ASGI."""

    async def receive() -> dict:
        return {"type": "http.request"}

    assert await read_body(receive, Headers(), limit=3) == b""


async def test_a_declared_length_over_the_limit_is_refused_before_anything_is_read():
    """The caller is spared the upload."""
    pieces = Pieces(b"abcd")
    with pytest.raises(InvalidInput) as raised:
        await read_body(pieces, Headers({"content-length": "4"}), limit=3)
    assert (raised.value.error_type, raised.value.detail) == (ErrorType.BODY_TOO_LARGE, "The body may have at most 3 bytes.")
    assert pieces.taken == 0


async def test_a_body_longer_than_declared_is_refused_at_the_piece_that_goes_over():
    """The rest is never taken."""
    pieces = Pieces(b"ab", b"cd", b"ef", b"gh")
    with pytest.raises(InvalidInput):
        await read_body(pieces, Headers({"content-length": "2"}), limit=3)
    assert pieces.taken == 2


@pytest.mark.parametrize("length", ["", "x", "-1", "²", "9" * 5000])
async def test_a_content_length_that_is_no_number_is_not_trusted(length):
    """Counting decides; a number too long to convert is too large."""
    try:
        assert await read_body(Pieces(b"abc"), Headers({"content-length": length}), limit=3) == b"abc"
    except InvalidInput:
        assert length.startswith("999")


async def test_a_disconnect_inside_the_body_ends_the_reading():
    """Half a body is none."""
    with pytest.raises(ClientDisconnected):
        await read_body(Pieces(b"ab", disconnect=True), Headers(), limit=3)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON ; charset=gbk", True),
        ("application/problem+json", True),
        ("text/json", False),
        ("image/svg+json", False),
        ("json", False),
        ("application/jsonp", False),
    ],
)
def test_what_counts_as_json(content_type, expected):
    """The registered type and the structured suffix."""
    assert is_json(content_type) is expected


def test_json_keeps_lone_surrogates_for_the_cleaning_to_judge():
    """They are valid JSON escapes, and the field's fault, not the document's."""
    assert parse_json(b'["\\ud800"]') == ["\ud800"]


@pytest.mark.parametrize(("text", "seconds"), [("2.5", 2.5), ("1", 1.0), (" 3 ", 3.0), ("1e-3", 0.001), (".5", 0.5)])
def test_a_timeout_is_a_positive_number_of_seconds(text, seconds):
    """Whole, decimal or with an exponent."""
    assert request_timeout(Headers({"x-request-timeout": text})) == seconds


def test_without_the_header_there_is_no_timeout():
    """Then the service's own deadline holds."""
    assert request_timeout(Headers()) is None
