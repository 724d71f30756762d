"""What stands around a payload in a file of the spool."""

from __future__ import annotations

import pytest

from service.telemetry.sdk.spool.frame import HEAD_BYTES, frame, read_head

NOON = 1_770_000_000_000_000_000


def test_a_frame_is_a_head_and_the_payload() -> None:
    """The head tells length, items and time, and whether the payload is the one it was written for."""
    data = frame(b"payload", items=3, unix_ns=NOON)
    head = read_head(data)

    assert head is not None
    assert (head.length, head.items, head.unix_ns, head.size) == (7, 3, NOON, HEAD_BYTES + 7)
    assert data[HEAD_BYTES:] == b"payload"
    assert [head.fits(other) for other in (b"payload", b"Payload", b"payloa", b"payloads", b"")] == [True, False, False, False, False]


@pytest.mark.parametrize("length", range(HEAD_BYTES))
def test_a_torn_head_is_none(length: int) -> None:
    """Wherever the process died."""
    assert read_head(frame(b"payload", items=3, unix_ns=NOON)[:length]) is None


@pytest.mark.parametrize("position", range(HEAD_BYTES))
def test_a_damaged_head_is_none(position: int) -> None:
    """Its length would lead anywhere."""
    data = bytearray(frame(b"payload", items=3, unix_ns=NOON))
    data[position] ^= 1

    assert read_head(bytes(data)) is None


def test_zeros_are_no_head() -> None:
    """As a file system may leave them where a write never came."""
    assert read_head(bytes(HEAD_BYTES)) is None
