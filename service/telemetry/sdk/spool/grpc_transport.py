"""OTLP over gRPC, on the channel of a standard exporter.

The exporter has read the standard variables: endpoint, credentials, headers, compression, timeout. Only its `export` is not
used: it takes objects where we have bytes, gives up after one timeout, and keeps the answer to itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc  # type: ignore[import-untyped]  # it has no types
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # the same
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # the same
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # the same

from service.telemetry.sdk.spool.transport import RESPONSES, Failed, Refused, accepted, shown_endpoint

if TYPE_CHECKING:
    from service.telemetry.sdk.spool.transport import Answer

# Without them a channel waits up to two minutes before it looks whether the endpoint is back.
CHANNEL_OPTIONS = (("grpc.initial_reconnect_backoff_ms", 500), ("grpc.max_reconnect_backoff_ms", 2_000))

_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
# What the payload itself is guilty of. Not among them what an operator may mend (UNAUTHENTICATED, PERMISSION_DENIED, NOT_FOUND,
# UNIMPLEMENTED), nor what a receiver says of its own trouble (INTERNAL, UNKNOWN).
_REFUSALS = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.FAILED_PRECONDITION})
_TOO_LARGE = "larger than max"
_STATUS_DETAILS, _RETRY_INFO = "grpc-status-details-bin", "google.rpc.retryinfo-bin"


class GrpcTransport:
    """Sends over the exporter's channel.

    Args:
        signal: `traces`, `metrics` or `logs`.
        exporter: a standard exporter over gRPC of this signal.
    """

    def __init__(self, signal: str, exporter: Any) -> None:  # Any: what is used of it has no public names
        self._signal = signal
        self._exporter = exporter
        self._call = exporter._channel.unary_unary(  # noqa: SLF001 -- see the module's docstring
            _METHODS[signal], request_serializer=None, response_deserializer=RESPONSES[signal].FromString
        )

    @property
    def endpoint(self) -> str:
        """Host and port."""
        return shown_endpoint(self._exporter._endpoint)  # noqa: SLF001

    @property
    def timeout(self) -> float:
        """Seconds an attempt may take, by the standard variables."""
        return float(self._exporter._timeout)  # noqa: SLF001

    def send(self, payload: bytes, timeout: float) -> Answer:
        """Send once, within `timeout` seconds."""
        try:
            response = self._call(payload, timeout=timeout, metadata=self._exporter._headers)  # noqa: SLF001
        except grpc.RpcError as error:
            return _answer(error)
        except ValueError:  # the channel is closed
            return Failed("closed")
        return accepted(self._signal, response)

    def close(self) -> None:
        """Close the channel; an attempt under way fails."""
        self._exporter.shutdown()


def _answer(error: Any) -> Answer:  # Any: grpc raises calls, whose methods RpcError does not declare
    code = error.code()
    too_large = code is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in (error.details() or "")
    if code in _REFUSALS or too_large:
        return Refused(code.name)
    return Failed(code.name, retry_delay(dict(error.trailing_metadata() or ())))


def retry_delay(metadata: dict[str, Any]) -> float | None:
    """The seconds of a `RetryInfo`, which stands in the status' details, or by itself."""
    try:
        for detail in Status.FromString(metadata.get(_STATUS_DETAILS, b"")).details:
            if detail.Is(RetryInfo.DESCRIPTOR):
                return _seconds(RetryInfo.FromString(detail.value))
        return _seconds(RetryInfo.FromString(metadata[_RETRY_INFO])) if _RETRY_INFO in metadata else None
    except DecodeError:  # what is there is no such message
        return None


def _seconds(info: Any) -> float:
    return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
