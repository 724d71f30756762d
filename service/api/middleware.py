"""The outermost layer: under which id a request runs, in which trace, and when it arrived.

It has to stand outside the OpenTelemetry middleware, because the server span takes its trace id from the request id that
is bound here; what `app.add_middleware` installs would run too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import propagate, trace
from opentelemetry.propagators.textmap import Getter

from service.telemetry.context import bind_request_id
from service.telemetry.ids import is_request_id, new_request_id, trace_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from service.telemetry.event import Clock, StageTiming

    RawHeaders = Sequence[tuple[bytes, bytes]]

_KEY = "request_context"


@dataclass(slots=True, kw_only=True)
class RequestContext:
    """One HTTP request: its ids, its arrival by both clocks, and the stages of its inference once it has ended."""

    request_id: str
    trace_id: str
    arrived_unix_ns: int
    arrived_monotonic: float
    stages: Sequence[StageTiming] = ()


def request_context(scope: Scope) -> RequestContext:
    """The context `RequestContextMiddleware` has put into the scope of a request."""
    context: RequestContext = scope["state"][_KEY]
    return context


class RequestContextMiddleware:
    """Accepts or makes the request id, binds it, and returns it with the trace and the stage timings.

    A given `X-Request-ID` that cannot be one, or several that differ, are replaced; `X-Request-ID-Replaced: 1` says so.
    """

    def __init__(self, app: ASGIApp, *, clock: Clock, make_id: Callable[[], str] = new_request_id) -> None:
        self._app = app
        self._clock = clock
        self._make_id = make_id
        # A request without any of the propagator's headers cannot carry a trace; most have none.
        self._propagated = frozenset(name.lower().encode("latin-1") for name in propagate.get_global_textmap().fields)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request inside its context; anything else passes untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        unix_ns, monotonic = self._clock.unix_ns(), self._clock.monotonic()
        given = [value for name, value in scope["headers"] if name == b"x-request-id"]
        accepted = _acceptable(given)
        request_id = accepted or self._make_id()
        context = RequestContext(
            request_id=request_id,
            trace_id=self._incoming_trace_id(scope["headers"]) or trace_id_of(request_id),
            arrived_unix_ns=unix_ns,
            arrived_monotonic=monotonic,
        )
        scope.setdefault("state", {})[_KEY] = context
        # Free text of the caller's that the SDK would export with every span; the trace itself goes on without it.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"tracestate"]
        replaced = bool(given) and accepted is None

        async def send_with_context(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_response_headers(context, replaced=replaced)]}
            await send(message)

        with bind_request_id(request_id):
            await self._app(scope, receive, send_with_context)

    def _incoming_trace_id(self, headers: RawHeaders) -> str | None:
        if not any(name in self._propagated for name, _ in headers):
            return None
        remote = trace.get_current_span(propagate.extract(headers, getter=_HEADERS)).get_span_context()
        return trace.format_trace_id(remote.trace_id) if remote.is_valid else None


def server_timing(span: trace.SpanContext, stages: Sequence[StageTiming]) -> str:
    """The value of `Server-Timing`: the trace as in `traceparent`, and each stage in milliseconds. Empty without either."""
    metrics = [f"{timing.stage};dur={timing.duration * 1000:.3f}" for timing in stages]
    if span.is_valid:
        trace_id, span_id = trace.format_trace_id(span.trace_id), trace.format_span_id(span.span_id)
        metrics.insert(0, f'trace;desc="00-{trace_id}-{span_id}-{span.trace_flags:02x}"')
    return ", ".join(metrics)


def _acceptable(given: Sequence[bytes]) -> str | None:
    if not given or any(value != given[0] for value in given):
        return None
    text = given[0].decode("latin-1")
    return text if is_request_id(text) else None


def _response_headers(context: RequestContext, *, replaced: bool) -> Iterator[tuple[bytes, bytes]]:
    yield b"x-request-id", context.request_id.encode("ascii")
    if replaced:
        yield b"x-request-id-replaced", b"1"
    # The first message of the answer passes here while the server span is still the current one.
    timing = server_timing(trace.get_current_span().get_span_context(), context.stages)
    if timing:
        yield b"server-timing", timing.encode("ascii")


class _HeaderGetter(Getter["RawHeaders"]):
    """Reads the raw header list of ASGI for the OpenTelemetry propagators."""

    def get(self, carrier: RawHeaders, key: str) -> list[str] | None:
        """Every value of one header, in order."""
        wanted = key.lower().encode("latin-1")
        return [value.decode("latin-1") for name, value in carrier if name == wanted] or None

    def keys(self, carrier: RawHeaders) -> list[str]:
        """The names of all headers."""
        return [name.decode("latin-1") for name, _ in carrier]


_HEADERS = _HeaderGetter()
