"""The composition root of the server: every object built, every route and middleware listed, in order.

From the outside in: request context, OpenTelemetry's server span, problem documents, authentication, routes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from starlette.middleware import Middleware

from service.api.assets import assets_router, load_assets
from service.api.auth import AuthMiddleware, session_router
from service.api.docs import DocsApi
from service.api.errors import ProblemMiddleware, exception_handlers
from service.api.health import HealthApi, Limits
from service.api.inference import InferenceApi
from service.api.keys import KeyRing
from service.api.links import StackLinks
from service.api.middleware import RequestContextMiddleware
from service.api.overview import OverviewApi
from service.api.pages import Pages
from service.api.requests import RequestsApi
from service.api.story import StoryRenderer
from service.surroundings.surroundings import Surroundings
from service.telemetry.library_logs import LibraryLogHandler
from service.telemetry.names import EventName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from fastapi import APIRouter
    from opentelemetry.trace import Span
    from starlette.types import ASGIApp, Scope

    from service.runtime import Runtime
    from service.settings import Settings

# Probes and scrapes come every few seconds for ever; a span of each would bury those of requests.
UNTRACED = "/livez,/readyz,/metrics,/static/"
SURROUNDINGS_GRACE = 1.0
"""Seconds that the end waits for a look at a disk or a store; one that hangs ends with the process."""
_SEMCONV = "OTEL_SEMCONV_STABILITY_OPT_IN"
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}(?:/[A-Za-z0-9._-]{1,63})?(?![^ ])")
_NETWORK_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{0,45}")
_OWN_TELEMETRY_OFF = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}


def create_app(runtime: Runtime, *, announce: Callable[[], None] = lambda: None) -> ASGIApp:
    """Put the HTTP API on a runtime. The lifespan starts it, and stops it after the last connection.

    Args:
        runtime: what answers and records.
        announce: called when requests are about to be served.

    Raises:
        StartupError: the API keys cannot be read.
    """
    settings, recording = runtime.settings, runtime.recording
    keys = KeyRing.load(keys=settings.api_keys.get_secret_value() if settings.api_keys is not None else None, file=settings.api_keys_file)
    # Of the server alone: what comes and goes beside it would only say the same again.
    surroundings = Surroundings.of(settings, clock=recording.clock, log=recording.log)
    surroundings.observe(recording.meter)
    assets = load_assets()
    pages = Pages(
        assets=assets,
        version=version("mgeo"),
        needs_key=bool(keys),
        searches_everywhere=runtime.request_store.searches_everywhere,
    )
    app = FastAPI(
        title="MGeo",
        version=version("mgeo"),
        summary="Are two Chinese addresses the same place? Every answer has a story.",
        lifespan=_lifespan(runtime, surroundings, announce),
        # The framework's viewers load themselves from elsewhere; ours is a page like the others.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(ProblemMiddleware),
            Middleware(AuthMiddleware, keys=keys, metrics_need_key=settings.metrics_need_key, key_form=pages.key_form),
        ],
        exception_handlers=exception_handlers(pages.problem),  # type: ignore[arg-type]  # FastAPI wants Any where ours says which
        telemetry=_OWN_TELEMETRY_OFF,  # type: ignore[arg-type]  # a TypedDict; else FastAPI would make a second server span
    )
    for router in _routers(runtime, keys, pages):
        app.include_router(router)
    app.include_router(assets_router(assets))
    app.include_router(DocsApi(openapi=app.openapi, pages=pages).router())
    _use_stable_conventions()
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=recording.telemetry.tracer_provider,
        meter_provider=recording.telemetry.meter_provider,
        excluded_urls=UNTRACED,
        exclude_spans=["receive", "send"],
        server_request_hook=hide_path,
    )
    # Outside the instrumentation, which makes the trace id while it opens its span and so needs the request id before.
    return RequestContextMiddleware(app, clock=recording.clock)


def _routers(runtime: Runtime, keys: KeyRing, pages: Pages) -> Sequence[APIRouter]:
    settings, recording, pipeline = runtime.settings, runtime.recording, runtime.pipeline
    renderer = StoryRenderer(settings.public_url, stack=StackLinks.of(settings))
    return [
        InferenceApi(
            pipeline=pipeline,
            clock=recording.clock,
            body_limit=settings.body_limit,
            batch_limit=settings.batch_limit,
            deadline=settings.deadline,
            concurrency=settings.queue_size,
        ).router(),
        RequestsApi(
            store=runtime.request_store,
            hasher=recording.hasher,
            max_address_length=settings.max_address_length,
            body_limit=settings.body_limit,
            renderer=renderer,
            pages=pages,
        ).router(),
        HealthApi(
            not_ready=lambda: pipeline.reason,
            degraded=recording.degraded,
            model=lambda: runtime.model_info,
            limits=_limits(settings),
            metrics=recording.exposition.render,
        ).router(),
        OverviewApi(
            store=runtime.request_store,
            clock=recording.clock,
            not_ready=lambda: pipeline.reason,
            degraded=recording.degraded,
            model=lambda: runtime.model_info,
            needs_key=bool(keys),
            public_url=settings.public_url,
            renderer=renderer,
            pages=pages,
        ).router(),
        session_router(keys=keys, key_form=pages.key_form, public_url=settings.public_url),
    ]


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_address_length=settings.max_address_length,
        strict_length=settings.strict_length,
        batch_limit=settings.batch_limit,
        body_limit=settings.body_limit,
        deadline=settings.deadline,
        capture_text=settings.capture_text,
    )


def _lifespan(
    runtime: Runtime, surroundings: Surroundings, announce: Callable[[], None]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        settings, recording = runtime.settings, runtime.recording
        handler = LibraryLogHandler(recording.log.library, service=recording.log.service, instance=recording.log.instance)
        logging.getLogger().addHandler(handler)
        try:
            surroundings.start()
            await runtime.start()
            recording.log.event(EventName.SERVICE_STARTED)
            announce()
            yield
        finally:
            try:
                await runtime.stop(settings.shutdown_grace)
                recording.log.event(EventName.SERVICE_STOPPED)
            finally:
                await asyncio.to_thread(surroundings.stop, SURROUNDINGS_GRACE)
                await asyncio.to_thread(recording.close, settings.shutdown_grace)
                logging.getLogger().removeHandler(handler)

    return lifespan


def _use_stable_conventions() -> None:
    """Choose the stable HTTP names; the switch is an environment variable without a parameter."""
    chosen = [word for word in os.environ.get(_SEMCONV, "").split(",") if word.strip() and not word.strip().startswith("http")]
    os.environ[_SEMCONV] = ",".join([*chosen, "http"])


def hide_path(span: Span, scope: Scope) -> None:
    """Take from a server span what a caller may have put an address into.

    That is the path of an unknown route, the query, the agent past its product, and a forwarded address that is none.
    """
    if not span.is_recording():
        return
    attributes = span.attributes or {}  # type: ignore[attr-defined]  # a recording span of the SDK has them
    route = attributes.get("http.route")
    span.set_attribute("url.path", route or "unmatched")
    if attributes.get("url.query"):
        span.set_attribute("url.query", "hidden")
    if attributes.get("user_agent.original"):
        product = _PRODUCT.match(attributes["user_agent.original"])
        span.set_attribute("user_agent.original", product[0] if product else "hidden")
    if not _NETWORK_ADDRESS.fullmatch(attributes.get("client.address") or ""):
        span.set_attribute("client.address", "hidden")
    if route is None:
        span.update_name(str(scope["method"]))
