"""The way out: real spools, real endpoints, and the threads between them."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from service.telemetry.sdk.spool import Spool, SpoolSettings
from service.telemetry.sdk.spool.delivery import Delivery
from service.telemetry.sdk.spool.pause import Pause
from service.telemetry.sdk.spool.sender import Sender
from service.telemetry.sdk.spool.transport import Accepted, Answer
from tests.deadline import until
from tests.e2e.receiver import GrpcReceiver, Receiver
from tests.full_disk import files_up_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from service.telemetry.sdk.spool.transport import Transport

    Connect = Callable[..., tuple[Any, Transport]]


class Clock:
    """The monotonic clock, which may be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Noted(Pause):
    """Keeps what the endpoint asked for."""

    def __init__(self, hints: list[float | None]) -> None:
        super().__init__()
        self.hints = hints

    def failed(self, hint: float | None = None) -> float:
        self.hints.append(hint)
        return super().failed(hint)


class Way:
    """A spool and a sender of spans; ends with the test."""

    def __init__(self, folder: Path) -> None:
        self.losses: Counter[tuple[str, str]] = Counter()
        self.clock = Clock()
        self.hints: list[float | None] = []
        self.refusals: list[tuple[str, str]] = []
        self.spool = Spool(SpoolSettings(folder=folder / "spool"), self.losses)
        self.delivery = Delivery(self.spool, [])

    def lead(self, transport: Transport) -> Sender:
        sender = Sender(
            "traces",
            self.spool,
            transport,
            on_refusal=lambda *refusal: self.refusals.append(refusal),
            monotonic=self.clock,
            pause=Noted(self.hints),
        )
        self.delivery = Delivery(self.spool, [sender])
        self.delivery.start()
        return sender

    def spans(self, *names: str) -> None:
        for name in names:
            request = ExportTraceServiceRequest(resource_spans=[{"scope_spans": [{"spans": [{"name": name}]}]}])
            self.spool.append("traces", request.SerializeToString(), items=1)


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Way]:
    way = Way(tmp_path)
    yield way
    way.delivery.close(0)


def names(receiver: Receiver) -> list[str]:
    return [span.name for span in receiver.spans]


def test_what_is_spooled_arrives_in_order(way: Way, connect: Connect, kind: type[Receiver]) -> None:
    """What was there before, and what comes while it is sending."""
    receiver, transport = connect(kind)
    way.spans("a", "b")
    way.lead(transport)
    way.spans("c")
    until(lambda: names(receiver) == ["a", "b", "c"])
    way.spans("d")

    assert way.delivery.close(20) is True
    assert (names(receiver), way.spool.sent["traces"], way.losses) == (["a", "b", "c", "d"], 4, {})


def test_after_failures_it_goes_on_where_it_was(way: Way, connect: Connect, kind: type[Receiver]) -> None:
    """Nothing is lost, skipped or overtaken, however often it failed."""
    receiver, transport = connect(kind, behaviour=503 if kind is Receiver else 14)
    way.spans("a", "b", "c")
    way.lead(transport)
    until(lambda: receiver.requests >= 2)
    receiver.behaviour = "well"

    until(lambda: names(receiver) == ["a", "b", "c"])
    assert way.losses == {}


def test_a_refused_payload_does_not_hold_up_the_rest(way: Way, connect: Connect, kind: type[Receiver]) -> None:
    """It is counted, and its status told: not what the endpoint says to it, which may quote the payload."""
    receiver, transport = connect(kind, behaviour=400 if kind is Receiver else 3)
    way.spans("poison")
    way.lead(transport)
    until(lambda: way.losses["traces", "refused"] == 1)
    receiver.behaviour = "well"
    way.spans("a")

    until(lambda: names(receiver) == ["a"])
    assert way.refusals == [("traces", "HTTP 400" if kind is Receiver else "INVALID_ARGUMENT")]


def test_what_fails_or_arrives_is_no_refusal(way: Way, connect: Connect, kind: type[Receiver]) -> None:
    """Nobody is told of it."""
    receiver, transport = connect(kind, behaviour=503 if kind is Receiver else 14)
    way.spans("a")
    way.lead(transport)
    until(lambda: receiver.requests >= 1)
    receiver.behaviour = "well"
    until(lambda: names(receiver) == ["a"])
    assert way.refusals == []


def test_trouble_is_told_when_it_lasts_and_until_it_is_over(way: Way, connect: Connect, kind: type[Receiver]) -> None:
    """A hiccup is none; the words name the endpoint, the signals and the kind of failure."""
    receiver, transport = connect(kind, behaviour=503 if kind is Receiver else 14)
    way.spans("a")
    way.lead(transport)
    until(lambda: receiver.requests >= 1)
    assert way.delivery.degraded == []

    way.clock.ahead = 60
    until(lambda: way.delivery.degraded)
    reason = "HTTP 503" if kind is Receiver else "UNAVAILABLE"
    assert way.delivery.degraded == [f"otlp 127.0.0.1:{receiver.port} takes no traces: {reason}"]

    receiver.behaviour = "well"
    until(lambda: way.delivery.degraded == [])
    assert names(receiver) == ["a"]


def test_signals_that_share_their_trouble_share_the_words(way: Way, connect: Connect) -> None:
    """And the disk's trouble comes first."""
    receiver, transport = connect(Receiver, behaviour=404)
    senders = [Sender(signal, way.spool, transport, monotonic=way.clock) for signal in ("traces", "logs")]
    way.delivery = Delivery(way.spool, senders)
    with files_up_to(10):
        way.spans("a")
        way.spool.append("logs", b"", items=1)
    way.delivery.start()
    until(lambda: receiver.requests >= 2)
    way.clock.ahead = 60

    until(lambda: all(sender.trouble for sender in senders))
    full, away = way.delivery.degraded
    assert full.endswith("spool: File too large")
    assert away == f"otlp 127.0.0.1:{receiver.port} takes no traces, logs: HTTP 404"


def test_a_hint_is_heeded_but_does_not_hold_up_the_end(way: Way, connect: Connect, kind: type[Receiver]) -> None:
    """Asked to come again in an hour, it is asked once, and once or twice more at the end."""
    receiver, transport = connect(kind, behaviour=503 if kind is Receiver else 14, retry_after="3600")
    way.spans("a")
    way.lead(transport)
    until(lambda: way.hints)
    assert (receiver.requests, way.hints) == (1, [3600.0])

    began = time.monotonic()
    assert way.delivery.close(20) is False
    assert time.monotonic() - began < 10
    assert (receiver.requests in {2, 3}, way.losses) == (True, {})


def test_the_end_waits_for_a_hanging_endpoint_no_longer_than_it_may(
    way: Way, connect: Connect, kind: type[Receiver], tmp_path: Path
) -> None:
    """What is on its way stays on disk."""
    receiver, transport = connect(kind, behaviour="hanging")
    way.spans("a")
    way.lead(transport)
    until(lambda: receiver.requests == 1)

    began = time.monotonic()
    assert way.delivery.close(0.1) is False
    assert time.monotonic() - began < 5
    assert len(list((tmp_path / "spool").glob("*/traces.*.seg"))) == 1


class Unreliable:
    """A transport with a mistake in it, which then works."""

    endpoint, timeout = "nowhere:1", 10.0

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.asked = 0

    def send(self, payload: bytes, timeout: float) -> Answer:
        self.asked += 1
        if self.asked < 3:
            raise KeyError(payload)
        self.sent.append(payload)
        return Accepted()

    def close(self) -> None:
        """Nothing is open."""


def test_no_mistake_ends_the_thread(way: Way) -> None:
    """The payload is sent again."""
    transport = Unreliable()
    way.spool.append("traces", b"payload", items=1)
    way.lead(transport)

    until(lambda: transport.sent == [b"payload"])
    assert transport.asked == 3


def test_a_way_that_was_never_begun_can_be_closed(way: Way) -> None:
    """As after a start that failed half-way."""
    delivery = Delivery(way.spool, [Sender("traces", way.spool, Unreliable())])

    assert delivery.close(1) is False


def test_a_dead_process_is_inherited_before_anything_is_sent(way: Way, connect: Connect, tmp_path: Path) -> None:
    """Its spans come first, although ours were spooled before we looked."""
    dead = Way(tmp_path)
    dead.spans("old")
    dead.spool.close()
    receiver, transport = connect(GrpcReceiver)
    way.spans("new")
    way.lead(transport)

    until(lambda: names(receiver) == ["old", "new"])
