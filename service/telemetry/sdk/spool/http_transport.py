"""OTLP over HTTP, on the session of a standard exporter.

The exporter has read the standard variables: endpoint, certificates, headers, compression, timeout. Only its `export` is not
used: it takes objects where we have bytes, gives up after one timeout, and keeps the answer to itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has no types

from service.telemetry.sdk.spool.transport import RESPONSES, Accepted, Failed, Refused, accepted, retry_after, shown_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.telemetry.sdk.spool.transport import Answer

# Of the 4xx, those that are not the payload's fault: an operator may mend the key, the path or the proxy, and time the rest.
_MENDABLE = frozenset({401, 403, 404, 405, 407, 408, 421, 425, 426, 429})


class HttpTransport:
    """Sends over the exporter's session.

    Args:
        signal: `traces`, `metrics` or `logs`.
        exporter: a standard exporter over HTTP of this signal.
        unix_seconds: the clock that dates in `Retry-After` are read by.
    """

    def __init__(self, signal: str, exporter: Any, *, unix_seconds: Callable[[], float] = time.time) -> None:
        # Any: what is used of the exporter has no public names
        self._signal = signal
        self._exporter = exporter
        self._client = exporter._client  # noqa: SLF001 -- see the module's docstring
        self._unix_seconds = unix_seconds

    @property
    def endpoint(self) -> str:
        """Host and port."""
        return shown_endpoint(self._exporter._endpoint)  # noqa: SLF001

    @property
    def timeout(self) -> float:
        """Seconds an attempt may take, by the standard variables."""
        return float(self._client._timeout)  # noqa: SLF001

    def send(self, payload: bytes, timeout: float) -> Answer:
        """Send once; neither the connection nor a silence of the endpoint takes longer than `timeout` seconds."""
        client, url = self._client, self._exporter._endpoint  # noqa: SLF001
        try:
            result = client._transport.request(  # noqa: SLF001
                "POST",
                url,
                headers=client._headers,  # noqa: SLF001
                data=client._compress(payload),  # noqa: SLF001
                timeout=timeout,
            )
        except Exception as error:  # noqa: BLE001 -- whatever a session raises, the payload has not arrived
            return Failed(type(error).__name__)
        if result.status_code is None:
            return Failed(type(result.error).__name__)
        return self._answer(result)

    def _answer(self, result: Any) -> Answer:
        status = int(result.status_code)
        reason = f"HTTP {status}"
        if 200 <= status < 300:
            return self._accepted(result)
        if 400 <= status < 500 and status not in _MENDABLE:
            return Refused(reason)
        return Failed(reason, retry_after(result.headers().get("retry-after"), self._unix_seconds()))

    def _accepted(self, result: Any) -> Accepted:
        try:
            return accepted(self._signal, RESPONSES[self._signal].FromString(result.content()))
        except DecodeError:  # some answer in words; the status has said enough
            return Accepted()

    def close(self) -> None:
        """Close the connections."""
        self._exporter.shutdown()
