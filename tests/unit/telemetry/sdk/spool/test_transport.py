"""What an answer means, from real endpoints over both protocols."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from service.telemetry.sdk.exporters import otlp_exporter, otlp_transport
from service.telemetry.sdk.spool.grpc_transport import retry_delay
from service.telemetry.sdk.spool.transport import Accepted, Failed, Refused, accepted, retry_after, shown_endpoint
from tests.e2e.receiver import GrpcReceiver, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.telemetry.sdk.spool.transport import Transport

    Connect = Callable[..., tuple[Any, Transport]]

TIMEOUT = 20.0
PAYLOAD = ExportTraceServiceRequest(resource_spans=[{"scope_spans": [{"spans": [{"name": "one"}]}]}]).SerializeToString()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_an_accepted_payload_is_there_as_it_was_spooled(
    connect: Connect, kind: type[Receiver], compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte, whether or not it was compressed on the way."""
    if compression != "none":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    receiver, transport = connect(kind)

    assert transport.send(PAYLOAD, TIMEOUT) == Accepted()
    assert receiver.raw == [PAYLOAD]
    assert transport.endpoint == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_each_signal_has_its_own_way(connect: Connect, kind: type[Receiver], signal: str) -> None:
    """An empty request of each is taken."""
    receiver, transport = connect(kind, signal)

    assert (transport.send(b"", TIMEOUT), receiver.raw) == (Accepted(), [b""])


def test_the_time_an_attempt_may_take_is_that_of_the_variables(
    connect: Connect, kind: type[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In seconds; the signal's own wins."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "7")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "3")

    assert [connect(kind, signal)[1].timeout for signal in ("traces", "logs")] == [3.0, 7.0]


def test_an_endpoint_that_never_answers_fails_within_the_attempts_time(connect: Connect, kind: type[Receiver]) -> None:
    """And the next attempt may do better."""
    receiver, transport = connect(kind, behaviour="hanging")

    answer = transport.send(PAYLOAD, 0.2)

    assert answer == Failed("DEADLINE_EXCEEDED" if kind is GrpcReceiver else "ReadTimeout")
    receiver.behaviour = "well"
    assert transport.send(PAYLOAD, TIMEOUT) == Accepted()


@pytest.mark.parametrize(("protocol", "reason"), [("grpc", "UNAVAILABLE"), ("http/protobuf", "ConnectionError")])
def test_nobody_there_is_a_failure_by_name(protocol: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by what the library says, which may quote anything."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    transport = otlp_transport("traces", otlp_exporter("traces"))

    assert transport.send(PAYLOAD, TIMEOUT) == Failed(reason)
    transport.close()


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        *((status, Refused(f"HTTP {status}")) for status in (400, 411, 413, 415, 422)),
        *((status, Failed(f"HTTP {status}")) for status in (304, 401, 403, 404, 405, 408, 429, 500, 501, 502, 503, 504)),
    ],
)
def test_what_a_status_means(connect: Connect, status: int, answer: object) -> None:
    """What the payload is guilty of is refused; what an operator or time may mend is tried again."""
    _, transport = connect(Receiver, behaviour=status)

    assert transport.send(PAYLOAD, TIMEOUT) == answer


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        *((code, Refused(code.name)) for code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)),
        *(
            (code, Failed(code.name))
            for code in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.INTERNAL,
                grpc.StatusCode.UNKNOWN,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                grpc.StatusCode.UNAUTHENTICATED,
                grpc.StatusCode.PERMISSION_DENIED,
                grpc.StatusCode.UNIMPLEMENTED,
            )
        ),
    ],
)
def test_what_a_code_means(connect: Connect, code: grpc.StatusCode, answer: object) -> None:
    """The same over gRPC."""
    _, transport = connect(GrpcReceiver, behaviour=code.value[0])

    assert transport.send(PAYLOAD, TIMEOUT) == answer


def test_a_payload_larger_than_the_receiver_takes_is_refused(connect: Connect) -> None:
    """It would come back for ever, with a code that else means: later."""
    _, transport = connect(GrpcReceiver)

    assert transport.send(bytes(4_194_305), TIMEOUT) == Refused("RESOURCE_EXHAUSTED")


@pytest.mark.parametrize(("kind", "behaviour"), [(Receiver, 429), (Receiver, 503), (GrpcReceiver, 8), (GrpcReceiver, 14)])
def test_when_to_come_again_is_the_endpoints_to_say(connect: Connect, kind: type[Receiver], behaviour: int) -> None:
    """By `Retry-After`, or by a `RetryInfo` in the status."""
    _, transport = connect(kind, behaviour=behaviour, retry_after="30")

    answer = transport.send(PAYLOAD, TIMEOUT)

    assert isinstance(answer, Failed)
    assert answer.after == 30.0


@pytest.mark.parametrize(
    ("metadata", "seconds"),
    [
        ({}, None),
        ({"google.rpc.retryinfo-bin": RetryInfo(retry_delay={"seconds": 2, "nanos": 500_000_000}).SerializeToString()}, 2.5),
        ({"google.rpc.retryinfo-bin": b"\xff"}, None),
        ({"grpc-status-details-bin": b"\xff"}, None),
        ({"grpc-status-details-bin": Status(code=14, message="no hint").SerializeToString()}, None),
    ],
)
def test_a_hint_over_grpc_stands_in_either_place_or_nowhere(metadata: dict[str, bytes], seconds: float | None) -> None:
    """What is no such message says nothing."""
    assert retry_delay(metadata) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Thu, 01 Jan 1970 00:20:00 GMT", 200.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("٣", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    """1,000 s after the epoch, here; what is neither says nothing."""
    assert retry_after(value, 1_000.0) == seconds


def test_what_was_not_taken_of_a_payload_is_told() -> None:
    """Each signal has its own word for it; a warning without a number is none."""
    assert accepted("traces", ExportTraceServiceResponse(partial_success={"rejected_spans": 3})) == Accepted(3)
    assert accepted("logs", ExportLogsServiceResponse(partial_success={"rejected_log_records": 2})) == Accepted(2)
    assert accepted("metrics", ExportMetricsServiceResponse(partial_success={"rejected_data_points": 1})) == Accepted(1)
    assert accepted("logs", ExportLogsServiceResponse(partial_success={"error_message": "slow down"})) == Accepted(0)


def test_a_payload_may_be_taken_in_part(connect: Connect, kind: type[Receiver]) -> None:
    """The answer says how much was not."""
    response = ExportTraceServiceResponse(partial_success={"rejected_spans": 3, "error_message": "too old"})
    _, transport = connect(kind, answer=response.SerializeToString())

    assert transport.send(PAYLOAD, TIMEOUT) == Accepted(3)


def test_an_answer_in_words_has_said_enough_by_its_status(connect: Connect) -> None:
    """Some receivers answer 200 with a page or a word."""
    _, transport = connect(Receiver, answer=b"ok, thank you")

    assert transport.send(PAYLOAD, TIMEOUT) == Accepted()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://collector:4318/v1/traces", "collector:4318"),
        ("https://user:secret@collector.example/otlp", "collector.example"),
        ("collector:4317", "collector:4317"),
        ("user:secret@collector:4317", "collector:4317"),
        ("unix:///run/otel.sock", "unix:///run/otel.sock"),
    ],
)
def test_an_endpoint_is_shown_without_secrets(url: str, shown: str) -> None:
    """Its host and port."""
    assert shown_endpoint(url) == shown


def test_whatever_a_session_raises_is_a_failure_by_name(connect: Connect) -> None:
    """A payload of the wrong type stands for it."""
    _, transport = connect(Receiver)

    assert transport.send(3.5, TIMEOUT) == Failed("TypeError")  # type: ignore[arg-type]


def test_a_closed_way_is_a_failure(connect: Connect, kind: type[Receiver]) -> None:
    """The process is about to end; what is spooled stays spooled."""
    _, transport = connect(kind)
    transport.close()

    assert isinstance(transport.send(PAYLOAD, 1.0), Failed | Accepted)
