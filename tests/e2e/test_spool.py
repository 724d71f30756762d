"""A Collector that is away, hangs or answers with errors, and a service that is killed meanwhile: all of it arrives in the end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e import ledger
from tests.e2e.receiver import GrpcReceiver, Receiver, attributes
from tests.e2e.server import Server

pytestmark = pytest.mark.slow

A, B = "浙江省杭州市西湖区文三路478号", "杭州市西湖区文三路478号"
UNAVAILABLE, INTERNAL = 14, 13


@pytest.fixture(params=[Receiver, GrpcReceiver], ids=["http", "grpc"])
def receive(request: pytest.FixtureRequest) -> Iterator[Callable[..., Receiver]]:
    """Make receivers of either protocol; one on the port of another that was closed is that one come back."""
    receivers: list[Receiver] = []

    def receive(*behaviour: Any, **options: Any) -> Receiver:
        receivers.append(request.param(*behaviour, **options))
        return receivers[-1]

    yield receive
    for receiver in receivers:
        receiver.close()


def ask(server: Server, first: int, last: int) -> None:
    """Requests with numbered ids, each answered whatever becomes of its telemetry."""
    for number in range(first, last):
        assert server.match(A, B, X_Request_ID=f"r-{number}").status_code == 200


def arrived(receiver: Receiver) -> list[str]:
    """The request ids of the inference spans, in the order they came."""
    return [attributes(span)["mgeo.request.id"] for span in receiver.spans if span.name == "mgeo.inference"]


def ids(first: int, last: int) -> list[str]:
    return [f"r-{number}" for number in range(first, last)]


def spooled(server: Server, signal: str, request_id: str) -> bool:
    """Whether what tells of this request is on disk."""
    files = (server.data_dir / "spool").rglob(f"{signal}.*.seg")
    return any(request_id.encode() in path.read_bytes() for path in files)


def dropped(server: Server) -> Counter[str]:
    return ledger.scraped(server.get("/metrics").text, "mgeo_telemetry_dropped_total", "reason")


def test_an_endpoint_that_goes_and_comes_back_gets_everything_in_order(start, receive):
    """Requests are answered meanwhile, `/readyz` tells of it and that it is over, and nothing is lost or comes twice."""
    receiver = receive()
    server = start(otel=receiver.variables)
    ask(server, 0, 10)
    server.wait_for(lambda: len(arrived(receiver)) == receiver.inference_logs().total() == 10)
    receiver.close()
    ask(server, 10, 30)
    server.wait_for(lambda: server.get("/readyz").json()["degraded"], within=40)
    assert server.get("/readyz").status_code == 200

    back = receive(port=receiver.port)
    server.wait_for(lambda: len(arrived(back)) == 20, within=60)
    server.wait_for(lambda: server.get("/readyz").json()["degraded"] == [])
    ask(server, 30, 40)
    assert dropped(server) == Counter()
    server.stop()

    assert (arrived(receiver), arrived(back)) == (ids(0, 10), ids(10, 40))
    assert back.inference_logs() == {"success": 30}
    assert back.counted() == back.observed() == {"success": 40}
    assert list((server.data_dir / "spool").iterdir()) == []


@pytest.mark.parametrize("behaviour", ["hanging", "failing"])
def test_an_endpoint_that_misbehaves_for_a_while_loses_nothing(start, receive, behaviour):
    """It takes connections and never answers, or answers that it cannot; requests are answered, also by many at once."""
    receiver = receive("hanging")
    if behaviour == "failing":
        receiver.behaviour = INTERNAL if isinstance(receiver, GrpcReceiver) else 500
    server = start(otel={**receiver.variables, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"})
    callers = [threading.Thread(target=ask, args=(server, first, first + 10)) for first in (0, 10, 20, 30)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    server.wait_for(lambda: receiver.requests > 3)
    ask(server, 40, 50)
    assert arrived(receiver) == []

    receiver.behaviour = "well"
    # Each signal has waits of its own between its attempts; what is left at the end would wait in the spool for the next process.
    server.wait_for(lambda: len(arrived(receiver)) == receiver.inference_logs().total() == 50 and receiver.metrics, within=60)
    assert dropped(server) == Counter()
    server.stop()

    assert sorted(arrived(receiver)) == sorted(ids(0, 50))
    assert receiver.inference_logs() == receiver.counted() == {"success": 50}


def test_what_a_killed_service_had_spooled_is_sent_first_by_the_next(start, receive):
    """In order, with the last metrics of the killed one; its folder is gone afterwards."""
    away = receive()
    variables = away.variables
    away.close()
    killed = start(otel=variables)
    ask(killed, 0, 30)
    killed.wait_for(lambda: spooled(killed, "traces", "r-29") and spooled(killed, "logs", "r-29"))
    killed.kill()

    receiver = receive(port=away.port)
    server = start(otel=variables)
    ask(server, 30, 40)
    server.wait_for(lambda: len(arrived(receiver)) == 40, within=60)
    assert dropped(server) == Counter()
    server.stop()

    assert arrived(receiver) == ids(0, 40)
    assert receiver.inference_logs() == {"success": 40}
    assert list((server.data_dir / "spool").iterdir()) == []
