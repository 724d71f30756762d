"""Pure: the signature of a robot with the security mode 加签."""

from __future__ import annotations

import base64
import hashlib
import hmac


def signed(secret: str, *, now: float) -> dict[str, str]:
    """The two parameters that a signed call carries, not yet encoded for an address: whoever builds the address encodes them, once.

    They are made for each call anew; DingTalk accepts a timestamp for an hour.
    """
    timestamp = str(int(now * 1000))
    digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
    return {"timestamp": timestamp, "sign": base64.b64encode(digest).decode()}
