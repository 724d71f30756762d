"""The signature of a call (加签): HMAC-SHA256 over the timestamp and the secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
from enum import StrEnum

_DIGITS = 20  # more cannot be milliseconds of any time that matters, and int() refuses very long ones


class SignatureFault(StrEnum):
    """What is wrong with a signature."""

    INVALID_TIMESTAMP = "invalid_timestamp"
    NO_MATCH = "no_match"


def signature(timestamp: str, secret: str) -> str:
    """The sign of a timestamp (milliseconds since 1970) before URL-encoding."""
    digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def signature_fault(*, secret: str, timestamp: str | None, sign: str | None, now: float, tolerance: float) -> SignatureFault | None:
    """What is wrong with the two query parameters, as they are after one URL-decoding; None when nothing is.

    A sign that was encoded twice still has its percent signs after one decoding, so it does not match.

    Args:
        secret: of the robot.
        timestamp: milliseconds since 1970, as sent.
        sign: as sent.
        now: seconds since 1970.
        tolerance: seconds the timestamp may differ from now.
    """
    if timestamp is None or not timestamp.isascii() or not timestamp.isdecimal() or len(timestamp) > _DIGITS:
        return SignatureFault.INVALID_TIMESTAMP
    if abs(now * 1000 - int(timestamp)) > tolerance * 1000:
        return SignatureFault.INVALID_TIMESTAMP
    expected = signature(timestamp, secret)
    if sign is None or not hmac.compare_digest(expected.encode(), sign.encode("utf-8", "surrogatepass")):
        return SignatureFault.NO_MATCH
    return None
