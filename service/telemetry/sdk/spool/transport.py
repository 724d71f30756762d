"""How one payload is sent once, and what the answer means."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

RESPONSES: dict[str, Any] = {  # Any: generated messages, which share no type of their own
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}
_REJECTED = {"traces": "rejected_spans", "metrics": "rejected_data_points", "logs": "rejected_log_records"}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The endpoint has it, but for so many items that it will never take."""

    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """The endpoint will never take this payload."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not arrive, or nobody knows: to be sent again, not before `after` seconds when the endpoint asked for that."""

    reason: str
    after: float | None = None


Answer = Accepted | Refused | Failed


class Transport(Protocol):
    """Sends payloads of one signal to one endpoint. For one thread; `close` from any."""

    @property
    def endpoint(self) -> str:
        """Host and port, as a message calls it; no secrets."""
        ...

    @property
    def timeout(self) -> float:
        """Seconds an attempt may take."""
        ...

    def send(self, payload: bytes, timeout: float) -> Answer:
        """Send once, within `timeout` seconds; never raises what the network or the endpoint does."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def accepted(signal: str, response: Any) -> Accepted:
    """What a response message says of the items it did not take."""
    return Accepted(max(int(getattr(response.partial_success, _REJECTED[signal])), 0))


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds that a `Retry-After` header asks for, given as a number or a date; None when it says nothing sensible."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - now, 0.0)
    except ValueError:
        return None


def shown_endpoint(url: str) -> str:
    """Host and port of an endpoint, without what may be secret in its URL."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    return parts.netloc.rpartition("@")[2] or url.rpartition("@")[2]
