"""Pure: the signed word of a box that its whole path of alerts works, and how the second machine judges it.

The notifier sends one for each notification of the alert Watchdog that comes to it through Prometheus and Alertmanager.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from dingtalk.errors import ClockDiffers, HeartbeatRefused

WATCHDOG = "Watchdog"
"""The alert that always fires."""
MAX_AGE = 600.0
"""Seconds by which the clocks of the two machines may differ, a heartbeat's way included."""
MAX_BYTES = 4096
_MAX_NONCES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """One sign of life.

    Attributes:
        box: the name under which the watcher knows the machine.
        sent_at: seconds since 1970, by the box.
        nonce: never the same twice.
        quiet_until: seconds since 1970 up to which the box wants no word said of its silence; None without a maintenance.
        quiet_from: since when; None for now. A planned one is told ahead, since at its beginning the box may be off already.
    """

    box: str
    sent_at: float
    nonce: str
    quiet_until: float | None = None
    quiet_from: float | None = None

    def body(self) -> bytes:
        """What is sent."""
        members: dict[str, Any] = {"box": self.box, "sent_at": self.sent_at, "nonce": self.nonce}
        members |= {
            name: value for name, value in (("quiet_until", self.quiet_until), ("quiet_from", self.quiet_from)) if value is not None
        }
        return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()


def signature(body: bytes, key: str) -> str:
    """What proves that a body comes from who has the key."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


class Verifier:
    """Judges heartbeats; remembers what it took, so that none counts twice.

    Args:
        keys: of each box by its name.
    """

    def __init__(self, keys: dict[str, str]) -> None:
        self._keys = keys
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()

    def verify(self, body: bytes, signed: str, *, now: float) -> Heartbeat:
        """The heartbeat in a body.

        Raises:
            ClockDiffers: it is too old or too new.
            HeartbeatRefused: it is none, is not signed by its box, or was taken before.
        """
        heartbeat = _read(body)
        key = self._keys.get(heartbeat.box)
        # The same work for a box that nobody knows, so that names cannot be found by trying.
        right = hmac.compare_digest(signature(body, key or "nobody's").encode(), signed.encode(errors="replace"))
        if key is None or not right:
            raise HeartbeatRefused("the signature does not fit: give both machines the same key, and the box the name it has here")
        if abs(now - heartbeat.sent_at) > MAX_AGE:
            raise ClockDiffers(
                f"it was sent {now - heartbeat.sent_at:+.0f} s ago by its own clock, and {MAX_AGE:.0f} s are allowed: set the clocks right",
                box=heartbeat.box,
                seconds=now - heartbeat.sent_at,
            )
        self._forget(now)
        if (heartbeat.box, heartbeat.nonce) in self._seen:
            raise HeartbeatRefused("it was taken before")
        self.remember(heartbeat.box, heartbeat.nonce, at=now)
        return heartbeat

    def remember(self, box: str, nonce: str, *, at: float) -> None:
        """Take one as taken: after a restart, what was kept of those before, the oldest first."""
        self._seen[box, nonce] = at

    def _forget(self, now: float) -> None:
        while self._seen and (len(self._seen) >= _MAX_NONCES or next(iter(self._seen.values())) < now - 2 * MAX_AGE):
            self._seen.popitem(last=False)


def _read(body: bytes) -> Heartbeat:
    try:
        members = json.loads(body)
        box, nonce, sent_at = members["box"], members["nonce"], float(members["sent_at"])
        quiet_until, quiet_from = _moment(members.get("quiet_until")), _moment(members.get("quiet_from"))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError):
        raise HeartbeatRefused("it is no heartbeat") from None
    moments = (sent_at, quiet_until or 0.0, quiet_from or 0.0)
    if not (isinstance(box, str) and isinstance(nonce, str) and nonce.isprintable() and nonce and all(map(math.isfinite, moments))):
        raise HeartbeatRefused("it is no heartbeat")
    return Heartbeat(box=box, sent_at=sent_at, nonce=nonce, quiet_until=quiet_until, quiet_from=quiet_from)


def _moment(value: Any) -> float | None:  # Any: JSON
    return None if value is None else float(value)
