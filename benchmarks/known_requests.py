"""Requests whose ids and moments are known to who sends them, so that they can be looked up."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from benchmarks.address_pairs import PAIRS
from service.telemetry.ids import new_request_id, new_span_id, random_trace_id, trace_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable

TRACED_EVERY = 10
"""Every so many requests one comes with a `traceparent` of its caller's, so that its trace id does not follow from its own."""

SAMPLE_SEED = 20
_BODIES = tuple(json.dumps({"address1": first, "address2": second}, ensure_ascii=False).encode() for first, second in PAIRS)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRequest:
    """A `POST /v1/match` with an id of its caller's.

    Attributes:
        request_id: a UUIDv7, as the service itself makes them: it tells when it was made.
        trace_id: where Jaeger has its spans.
        parent_id: the span in the caller's `traceparent`; None without one: then the trace id is the hash of the request id.
        sent_unix_ns: wall clock when it was made.
        body: JSON.
    """

    request_id: str
    trace_id: str
    parent_id: str | None
    sent_unix_ns: int
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Those that are its own."""
        own = {"X-Request-ID": self.request_id, "Content-Type": "application/json"}
        return own if self.parent_id is None else {**own, "traceparent": f"00-{self.trace_id}-{self.parent_id}-01"}

    @property
    def wire(self) -> bytes:
        """As it goes over the wire."""
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        head = f"POST /v1/match HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {len(self.body)}\r\n\r\n"
        return head.encode() + self.body


def known_request(number: int, *, unix_ns: int) -> KnownRequest:
    """Make the request of a number; those before a multiple of `TRACED_EVERY` come in a trace of their caller's."""
    request_id = new_request_id(lambda: unix_ns)
    traced = is_traced(number)
    return KnownRequest(
        request_id=request_id,
        trace_id=random_trace_id() if traced else trace_id_of(request_id),
        parent_id=new_span_id() if traced else None,
        sent_unix_ns=unix_ns,
        body=_BODIES[number % len(_BODIES)],
    )


def is_traced(number: int) -> bool:
    """Whether the request of a number comes with a `traceparent`."""
    return number % TRACED_EVERY == TRACED_EVERY - 1


def sample(numbers: Iterable[int], count: int) -> tuple[int, ...]:
    """So many of the numbers at random, always the same of the same numbers."""
    return tuple(Random(SAMPLE_SEED).sample(list(numbers), count))
