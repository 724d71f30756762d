"""The number of a message as an address gives it, which may be any text. Pure."""

from __future__ import annotations

MOST = (1 << 63) - 1
"""The largest number that the store can have, or be asked for."""


def message_number(text: str) -> int | None:
    """The number in a text; None for what no message has as its number."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST))):
        return None
    return number if (number := int(text)) <= MOST else None


def nearest(number: int) -> int:
    """The number nearest to one that the store can be asked for."""
    return max(-MOST, min(number, MOST))
