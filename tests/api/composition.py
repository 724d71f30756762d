"""The HTTP layer over the real pipeline and a fake model, called in process.

The composition stands here once more, as small as it can be: who reads a test sees all that is behind the client.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from fastapi import FastAPI

from service.api.assets import assets_router, load_assets
from service.api.auth import AuthMiddleware, session_router
from service.api.docs import DocsApi
from service.api.errors import ProblemMiddleware, exception_handlers
from service.api.health import HealthApi, Limits
from service.api.inference import InferenceApi
from service.api.keys import KeyRing
from service.api.middleware import RequestContextMiddleware
from service.api.overview import OverviewApi
from service.api.pages import Pages
from service.api.requests import RequestsApi
from service.api.story import StoryRenderer
from service.hashing import AddressHasher
from service.inference import InferencePipeline
from service.model.fake import FakeModel
from service.requeststore.layered import LayeredRequestStore
from service.requeststore.memory import MemoryRequestStore
from service.requeststore.stack import StackRequestStore
from service.settings import InferenceSettings
from service.telemetry.event import Clock
from service.telemetry.recorder import ListRecorder

BODY_LIMIT = 1_048_576
BATCH_LIMIT = 256


class StoringRecorder(ListRecorder):
    """Keeps every event, and gives it to a store as the real recorder does."""

    def __init__(self, store: MemoryRequestStore) -> None:
        super().__init__()
        self._store = store

    def record(self, event):
        super().record(event)
        self._store.add(event)

    def record_batch(self, event):
        super().record_batch(event)
        self._store.add_batch(event)


@dataclass
class Gate:
    """Holds the model until it is opened; `entered` tells that the model has been asked."""

    entered: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        self.entered.set()
        assert self.opened.wait(20)


@dataclass
class Service:
    """A running service: the ASGI application, a client for it, and what stands behind it."""

    app: Callable[..., Awaitable[None]]
    fastapi: FastAPI
    client: httpx.AsyncClient
    model: FakeModel
    pipeline: InferencePipeline
    recorder: StoringRecorder
    store: MemoryRequestStore
    hasher: AddressHasher

    @property
    def outcomes(self) -> list[tuple[str, str, str | None]]:
        """Request id, outcome and error type of every event, in order."""
        return [(event.request_id, str(event.outcome), event.error_type and str(event.error_type)) for event in self.recorder.events]


@asynccontextmanager
async def serving(
    *,
    model: FakeModel | None = None,
    keys: KeyRing | None = None,
    metrics_need_key: bool = False,
    capture: bool = False,
    public_url: str | None = None,
    degraded: tuple[str, ...] = (),
    body_limit: int = BODY_LIMIT,
    concurrency: int | None = None,
    clock: Clock | None = None,
    routes: Callable[[FastAPI], None] = lambda _: None,
    instrument: Callable[[FastAPI], None] = lambda _: None,
    started: bool = True,
    stack: StackRequestStore | None = None,
    scheme: str = "http",
    **settings: object,
) -> AsyncIterator[Service]:
    """Compose a service, start it, and stop it at the end. `settings` are those of inferences; `stack` stands beside its store."""
    model = model or FakeModel()
    keys = keys or KeyRing()
    clock = clock or Clock()
    inference = InferenceSettings(**settings)
    store = MemoryRequestStore()
    requests = store if stack is None else LayeredRequestStore(store, stack)
    recorder = StoringRecorder(store)
    hasher = AddressHasher(b"k" * 32)
    pipeline = InferencePipeline(model, recorder, settings=inference, hasher=hasher, on_fatal=lambda *_: None, clock=clock, capture=capture)
    assets = load_assets()
    pages = Pages(assets=assets, version="0.1.0", needs_key=bool(keys), searches_everywhere=requests.searches_everywhere)
    renderer = StoryRenderer(public_url)
    app = FastAPI(
        title="MGeo",
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        exception_handlers=exception_handlers(pages.problem),
    )
    # The last one added stands outermost.
    app.add_middleware(AuthMiddleware, keys=keys, metrics_need_key=metrics_need_key, key_form=pages.key_form)
    app.add_middleware(ProblemMiddleware)
    for part in (
        InferenceApi(
            pipeline=pipeline,
            clock=clock,
            body_limit=body_limit,
            batch_limit=BATCH_LIMIT,
            deadline=inference.deadline,
            concurrency=concurrency or inference.queue_size,
        ),
        RequestsApi(
            store=requests,
            hasher=hasher,
            max_address_length=inference.max_address_length,
            body_limit=body_limit,
            renderer=renderer,
            pages=pages,
        ),
        HealthApi(
            not_ready=lambda: pipeline.reason,
            degraded=lambda: degraded,
            model=lambda: model.info if pipeline.ready else None,
            limits=Limits(
                max_address_length=inference.max_address_length,
                strict_length=inference.strict_length,
                batch_limit=BATCH_LIMIT,
                body_limit=body_limit,
                deadline=inference.deadline,
                capture_text="all" if capture else "off",
            ),
            metrics=lambda: (b"mgeo_requests_active 0\n", "text/plain; version=0.0.4; charset=utf-8"),
        ),
        OverviewApi(
            store=requests,
            clock=clock,
            not_ready=lambda: pipeline.reason,
            degraded=lambda: degraded,
            model=lambda: model.info if pipeline.ready else None,
            needs_key=bool(keys),
            public_url=public_url,
            renderer=renderer,
            pages=pages,
        ),
        DocsApi(openapi=app.openapi, pages=pages),
    ):
        app.include_router(part.router())
    app.include_router(session_router(keys=keys, key_form=pages.key_form, public_url=public_url))
    app.include_router(assets_router(assets))
    routes(app)
    instrument(app)
    outer = RequestContextMiddleware(app, clock=clock)
    if started:
        await pipeline.start()
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url=f"{scheme}://mgeo.test") as client:
            yield Service(
                app=outer, fastapi=app, client=client, model=model, pipeline=pipeline, recorder=recorder, store=store, hasher=hasher
            )
    finally:
        if started:
            await pipeline.stop(1.0)


class Caller:
    """A bare ASGI client, for what a well-behaved one cannot do: bodies in pieces, and hanging up.

    `messages` are given one by one to who receives; after the last, `hang_up` decides when the connection closes.
    """

    def __init__(
        self, app, path: str, messages: list[dict], *, method: str = "POST", headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        self.sent: list[dict] = []
        self.taken = 0
        self.hang_up = asyncio.Event()
        self._messages = messages
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": list(headers),
            "client": ("192.0.2.1", 1234),
            "server": ("mgeo.test", 80),
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict:
        self.taken += 1
        if self._messages:
            return self._messages.pop(0)
        await self.hang_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        """The status of the answer."""
        return self.sent[0]["status"]


async def until(condition: Callable[[], object], *, within: float = 5.0) -> None:
    """Wait for a condition, at most `within` seconds."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.001)
