"""Bars of block characters, an eighth of a character exact."""

from __future__ import annotations

_EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(share: float, width: int) -> str:
    """A bar for a share in [0, 1] of `width` characters; anything over nought shows at least a sliver."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    if share > 0:
        eighths = max(eighths, 1)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def span_bar(offset: float, share: float, width: int) -> str:
    """A bar that begins `offset` (a share of the whole) from the left. Always `width` characters long, nothing sticks out."""
    begin = min(int(min(max(offset, 0.0), 1.0) * width), width - 1)
    return (" " * begin + bar(share, width)[: width - begin]).ljust(width)
