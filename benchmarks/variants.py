"""The same server with the fake model in several states of telemetry, for pairing: `python -m benchmarks.variants NAME`.

All run on the product's own uvicorn settings, routes, middleware and pipeline; what differs is telemetry alone.
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
from contextlib import asynccontextmanager
from enum import StrEnum
from importlib.metadata import version
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from starlette.middleware import Middleware

from service.__main__ import uvicorn_config  # a copy could drift
from service.api.assets import load_assets
from service.api.auth import AuthMiddleware
from service.api.errors import ProblemMiddleware, exception_handlers
from service.api.inference import InferenceApi
from service.api.keys import KeyRing
from service.api.middleware import RequestContextMiddleware
from service.api.pages import Pages
from service.app import create_app
from service.inference import InferencePipeline
from service.listener import bind, listen
from service.model.fake import FakeModel
from service.runtime import build
from service.settings import Settings
from service.telemetry.event import Clock
from service.telemetry.recorder import NullRecorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.types import ASGIApp

    from service.telemetry.event import InferenceEvent
    from service.telemetry.recorder import Recorder


class Variant(StrEnum):
    """How much telemetry a server has."""

    BARE = "bare"
    """None: no instrumentation, no spans, metrics, log, store or address hashes. The draft and the answer's timings stay."""

    TWIN = "twin"
    """`bare` once more: what the method makes of two equal servers is its noise."""

    OURS = "ours"
    """The product as it ships, with an OTLP endpoint set: span, metrics, log line, row, and all three signals exported."""

    OURS_LOCAL = "ours_local"
    """The product as it ships, without an endpoint: span, metrics, log line, row; nothing is exported."""

    STOCK = "stock"
    """`bare` with FastAPIInstrumentor at its defaults, spans and metrics exported, and one line by the standard library's logging."""

    @property
    def exports(self) -> bool:
        """Whether it is given an OTLP endpoint."""
        return self in {Variant.OURS, Variant.STOCK}


class NullHasher:
    """Hashes nothing: the keyed hash of an address is there for telemetry alone."""

    def hash(self, _cleaned_text: str, /) -> str:
        """An empty text."""
        return ""


class LoggingRecorder(NullRecorder):
    """One line an inference by the standard library, as most services have it."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def record(self, event: InferenceEvent) -> None:
        """Log the event's id, outcome and duration."""
        self._logger.info(
            "inference request_id=%s trace_id=%s status=%s latency_ms=%.3f",
            event.request_id,
            event.trace_id,
            event.outcome.value,
            event.duration * 1000,
        )


def make(variant: Variant, settings: Settings, announce: Callable[[], None]) -> ASGIApp:
    """Build one variant; opens its telemetry.

    Args:
        variant: which.
        settings: of the product; the OTLP endpoint stands in the environment.
        announce: called when requests are about to be served.

    Raises:
        StartupError: the data folder cannot be used.
    """
    if variant in {Variant.OURS, Variant.OURS_LOCAL}:
        return create_app(build(settings, command="serve", model=FakeModel()), announce=announce)
    if variant is Variant.STOCK:
        return _without_telemetry(settings, LoggingRecorder(_stock_log(settings.data_dir / "stock.log")), _instrument, announce)
    return _without_telemetry(settings, NullRecorder(), lambda _app: None, announce)


def _without_telemetry(
    settings: Settings, recorder: Recorder, instrument: Callable[[FastAPI], None], announce: Callable[[], None]
) -> ASGIApp:
    clock = Clock()
    pipeline = InferencePipeline(
        FakeModel(), recorder, settings=settings, hasher=NullHasher(), on_fatal=lambda reason, _code: sys.exit(reason), clock=clock
    )
    keys = KeyRing.load(keys=None, file=None)
    pages = Pages(assets=load_assets(), version=version("mgeo"), needs_key=False)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await pipeline.start()
        gc.collect()
        gc.freeze()
        announce()
        yield
        await pipeline.stop(settings.shutdown_grace)

    app = FastAPI(
        lifespan=lifespan,
        middleware=[Middleware(ProblemMiddleware), Middleware(AuthMiddleware, keys=keys, metrics_need_key=False, key_form=pages.key_form)],
        exception_handlers=exception_handlers(pages.problem),  # type: ignore[arg-type]  # FastAPI wants Any where ours says which
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    api = InferenceApi(
        pipeline=pipeline,
        clock=clock,
        body_limit=settings.body_limit,
        batch_limit=settings.batch_limit,
        deadline=settings.deadline,
        concurrency=settings.queue_size,
    )
    app.include_router(api.router())
    instrument(app)
    return RequestContextMiddleware(app, clock=clock)


def _instrument(app: FastAPI) -> None:
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracer_provider = TracerProvider()
    tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    meter_provider = MeterProvider(metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter())])
    FastAPIInstrumentor.instrument_app(app, tracer_provider=tracer_provider, meter_provider=meter_provider)


def _stock_log(path: Path) -> logging.Logger:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("stock")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return logger


def main(name: str) -> None:
    """Serve one variant on a free port until SIGTERM."""
    settings = Settings.load()
    listener = bind(settings.host, 0)
    port = listener.getsockname()[1]

    def announce() -> None:
        listen(listener)
        sys.stdout.write(f"{name} listens on http://127.0.0.1:{port}\n")
        sys.stdout.flush()

    # uvicorn raises the signal again once it has shut down; the process is to end by itself then.
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.Server(uvicorn_config(make(Variant(name), settings, announce), settings)).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
