"""Checks of what leaves by OTLP: the sampler, and whether the endpoint takes what is sent there."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from cli.doctor.finding import ok, warn
from service.telemetry.sampling import sampling_notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from urllib.parse import SplitResult

    from cli.doctor.finding import Finding

SIGNALS = ("traces", "metrics", "logs")
TIMEOUT = 3.0
MOST_SKEW = 5.0
"""Seconds; more, and spans of two machines no longer stand in their order."""


def check_sampler(environ: Mapping[str, str]) -> Finding:
    """Whether every inference gets its span."""
    notice = sampling_notice(environ)
    if notice is None:
        return ok("sampler", "every inference gets its span")
    return warn("sampler", notice, f"unset {notice.partition(' ')[0]} to keep every span")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where signals go: the URL, whether by HTTP or gRPC, the headers to send, and which signals."""

    url: str
    over_http: bool
    headers: Mapping[str, str]
    signals: tuple[str, ...]

    @property
    def host(self) -> str:
        """The host."""
        return self._parts.hostname or ""

    @property
    def port(self) -> int:
        """The port, by default that of the protocol."""
        default = (443 if self.tls else 80) if self.over_http else 4317
        return self._parts.port or default

    @property
    def path(self) -> str:
        """The path to post to."""
        return self._parts.path or "/"

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self._parts.scheme == "https"

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url if "://" in self.url else f"http://{self.url}")


def endpoints(environ: Mapping[str, str], *, wanted: Callable[[str], bool], over_http: Callable[[str], bool]) -> Iterator[Endpoint]:
    """The endpoints of the standard variables, each once.

    Args:
        environ: the environment.
        wanted: whether a signal leaves at all.
        over_http: whether a signal goes by HTTP.
    """
    found: dict[tuple[str, bool, str], list[str]] = {}
    for signal in SIGNALS:
        own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
        base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        headers = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_HEADERS") or environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
        if not wanted(signal):
            continue
        by_http = over_http(signal)
        url = own or (f"{str(base).rstrip('/')}/v1/{signal}" if by_http else str(base))
        found.setdefault((url, by_http, headers), []).append(signal)
    for (url, by_http, headers), signals in found.items():
        yield Endpoint(url=url, over_http=by_http, headers=_headers(headers), signals=tuple(signals))


def check_otlp(endpoint: Endpoint, *, unix_seconds: Callable[[], float], timeout: float = TIMEOUT) -> Finding:
    """Whether an endpoint takes an empty export within `timeout` seconds, and its clock agrees with ours."""
    what = f"{endpoint.url} ({', '.join(endpoint.signals)})"
    fix = "start the collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT (4317 speaks gRPC, 4318 HTTP); until then it all waits in the spool"
    skew = None
    try:
        if endpoint.over_http:
            skew = _post_nothing(endpoint, unix_seconds, timeout)
        else:
            _open_channel(endpoint, timeout)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # A dead endpoint never stops the service, so it is no failure.
        return warn("otlp", f"{what} does not take telemetry: {str(error) or type(error).__name__}", fix)
    if skew is not None and abs(skew) > MOST_SKEW:
        found = f"{what} answers, but its clock is {skew:+.0f} s from ours"
        return warn("otlp", found, "set both clocks by NTP, or traces of several machines are jumbled")
    return ok("otlp", f"{what} takes an empty export" if endpoint.over_http else f"{what} speaks gRPC")


def _post_nothing(endpoint: Endpoint, unix_seconds: Callable[[], float], timeout: float) -> float | None:
    kind = http.client.HTTPSConnection if endpoint.tls else http.client.HTTPConnection
    connection = kind(endpoint.host, endpoint.port, timeout=timeout)
    try:
        connection.request("POST", endpoint.path, b"", {**endpoint.headers, "Content-Type": "application/x-protobuf"})
        response = connection.getresponse()
        now = unix_seconds()
        if response.status >= 300:
            raise ValueError(f"it answered {response.status} {response.reason}")
        date = response.headers.get("Date")
        # The header has whole seconds, cut off.
        return None if date is None else parsedate_to_datetime(date).timestamp() + 0.5 - now
    finally:
        connection.close()


def _open_channel(endpoint: Endpoint, timeout: float) -> None:
    import grpc  # type: ignore[import-untyped]  # it has no types

    target = f"{endpoint.host}:{endpoint.port}"
    channel = grpc.secure_channel(target, grpc.ssl_channel_credentials()) if endpoint.tls else grpc.insecure_channel(target)
    try:
        grpc.channel_ready_future(channel).result(timeout=timeout)
    except grpc.FutureTimeoutError:
        raise ValueError(f"no gRPC connection within {timeout:g} s") from None
    finally:
        channel.close()


def _headers(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs}
