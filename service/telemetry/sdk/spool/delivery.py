"""The spool and its senders, as one thing that a process opens and closes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.telemetry.sdk.spool.sender import Sender
    from service.telemetry.sdk.spool.spool import Spool


class Delivery:
    """What leaves by OTLP, from the spool to the endpoint."""

    def __init__(self, spool: Spool, senders: Sequence[Sender]) -> None:
        self.spool = spool
        self._senders = senders

    def start(self) -> None:
        """Begin to send, what dead processes have left first."""
        for sender in self._senders:
            sender.start()

    @property
    def degraded(self) -> list[str]:
        """What does not work now, in words; nothing is lost by it while the spool has room."""
        troubles: dict[tuple[str, str], list[str]] = {}
        for sender in self._senders:
            if sender.trouble is not None:
                troubles.setdefault((sender.endpoint, sender.trouble), []).append(sender.signal)
        words = [f"otlp {endpoint} takes no {', '.join(signals)}: {reason}" for (endpoint, reason), signals in troubles.items()]
        return [*([self.spool.degraded] if self.spool.degraded else []), *words]

    def close(self, timeout: float) -> bool:
        """Send what waits, for at most `timeout` seconds; whether nothing is left. The rest stays on disk for the next process."""
        deadline = time.monotonic() + timeout
        # A worker that was forked from us may just have ended and left something.
        self.spool.look_soon()
        for sender in self._senders:
            sender.close(deadline)
        done = [sender.join() for sender in self._senders]
        self.spool.close()
        return all(done)
