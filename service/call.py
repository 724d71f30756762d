"""A call: what is known of an inference before its addresses are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The arrival of one inference, with which its event begins.

    Attributes:
        request_id: of the inference.
        function: what was called, `match` or `match_batch`.
        arrived_unix_ns: wall clock when the request arrived.
        arrived_monotonic: monotonic seconds at the same moment.
        timeout: seconds from its arrival that the caller will wait; only shortens the deadline of the settings.
        read_until: monotonic seconds when its body had been read; None when it was not, or there was none to read.
    """

    request_id: str
    function: str
    arrived_unix_ns: int
    arrived_monotonic: float
    timeout: float | None = None
    read_until: float | None = None
