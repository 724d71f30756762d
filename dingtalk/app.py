"""The composition root of the notifier: every object built, every route listed, and the server that runs them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from dingtalk.alertmanager import stack_http_client
from dingtalk.boot import this_boot
from dingtalk.clock import Clock
from dingtalk.fallback import AppriseFallback
from dingtalk.link_key import kept_link_key
from dingtalk.links import SignedLinks
from dingtalk.log import Event, Log
from dingtalk.message import Renderer
from dingtalk.metrics import Metrics
from dingtalk.outbox.store import Outbox
from dingtalk.reconciling import Reconciling
from dingtalk.robot import RobotClient, robot_http_client
from dingtalk.runbooks import Runbooks
from dingtalk.status import StatusApi
from dingtalk.templates import Templates
from dingtalk.view import PAGES
from dingtalk.webhook import MAX_BYTES, Guard, Webhook
from dingtalk.worker import Worker

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from types import FrameType

    from dingtalk.config import Config
    from dingtalk.fallback import Fallback
    from dingtalk.renders import Renders
    from dingtalk.robot import Sends

STOP_SECONDS = 10.0
"""How long the sends under way may take at the end."""
CONNECTIONS = 256
"""Calls at once; further ones are answered 503."""


def create_app(
    config: Config,
    *,
    clock: Clock,
    renderer: Renders,
    client: Sends,
    fallback: Fallback,
    store: Outbox,
    reconciling: Reconciling | None = None,
    metrics: Metrics | None = None,
    log: Log | None = None,
    max_bytes: int = MAX_BYTES,
) -> Starlette:
    """Put the notifier together. Its lifespan delivers; whoever opened the store closes it afterwards.

    `app.state` has `worker`, `webhook` and `metrics`.

    Args:
        config: all of it.
        clock: both clocks.
        renderer: writes messages.
        client: sends.
        fallback: tells elsewhere.
        store: the outbox.
        reconciling: finds what was missed, while the application runs.
        metrics: made here when they are not given.
        log: writes nothing when it is not given.
        max_bytes: of one notification.
    """
    metrics = metrics or Metrics(config)
    log = log or Log(None, clock=clock)
    worker = Worker(config, outbox=store, client=client, renderer=renderer, fallback=fallback, metrics=metrics, log=log, clock=clock)
    guard = Guard(config)
    webhook = Webhook(config, guard=guard, outbox=store, worker=worker, metrics=metrics, log=log, clock=clock, max_bytes=max_bytes)
    api = StatusApi(guard=guard, outbox=store, worker=worker, webhook=webhook, metrics=metrics)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 -- Starlette passes it
        delivering = asyncio.create_task(worker.run())
        comparing = asyncio.create_task(reconciling.run()) if reconciling is not None else None
        try:
            yield
        finally:
            webhook.close()
            if comparing is not None:
                comparing.cancel()
            await worker.stop(seconds=STOP_SECONDS)
            await delivering

    app = Starlette(
        routes=[
            Route("/v1/alertmanager/{receiver}", webhook.post, methods=["POST"]),
            Route("/v1/status", api.status),
            Route("/v1/messages", api.messages),
            Route("/v1/messages/{id:int}/resend", api.resend, methods=["POST"]),
            Route("/livez", api.livez),
            Route("/readyz", api.readyz),
            Route("/metrics", api.metrics),
        ],
        lifespan=lifespan,
    )
    app.state.worker, app.state.webhook, app.state.metrics = worker, webhook, metrics
    return app


class NotifierServer(uvicorn.Server):
    """From the signal on nothing new begins: calls are answered 503, and no message is sent, while the server closes its connections."""

    def __init__(self, config: uvicorn.Config, *, webhook: Webhook, worker: Worker) -> None:
        super().__init__(config)
        self._webhook = webhook
        self._worker = worker

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- of a signal handler
        """Begin the end; a second Ctrl-C hurries it. The signal is not raised again afterwards: the store must be closed then."""
        self._webhook.close()
        self._worker.finish()
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def run(
    config: Config,
    *,
    renderer: Renders | None = None,
    fallback: Fallback | None = None,
    listener: socket.socket | None = None,
    instance: str = "",
) -> None:
    """Run the notifier until SIGTERM or SIGINT.

    Args:
        config: all of it.
        renderer: writes messages; by the configuration when it is not given.
        fallback: tells elsewhere; Apprise when it is not given.
        listener: a bound socket; the configured address when it is not given.
        instance: `service.instance.id` of the log.

    Raises:
        ConfigError: the folder of templates or runbooks cannot be read.
        StoreUnavailable: the outbox cannot be opened, or the key of links not be kept.
    """
    clock = Clock()
    log = Log(sys.stderr, clock=clock, instance=instance)
    metrics = Metrics(config)
    writer: Renders = renderer or _renderer(config, metrics=metrics, log=log)
    with contextlib.closing(
        Outbox.open(config.data_dir, clock=clock, boot=this_boot(clock.monotonic()), max_queue=config.max_queue)
    ) as store:
        asyncio.run(
            _serve(
                config,
                clock=clock,
                renderer=writer,
                fallback=fallback or AppriseFallback(),
                store=store,
                metrics=metrics,
                log=log,
                listener=listener,
            )
        )


def _renderer(config: Config, *, metrics: Metrics, log: Log) -> Renderer:
    def failed(template: str, reason: str) -> None:
        metrics.template_failed()
        log.write(Event.TEMPLATE_FAILED, subject=template, words=reason)

    return Renderer(
        config,
        Templates.load(config.templates, on_failure=failed),
        links=SignedLinks(f"{config.public_url}{PAGES}", kept_link_key(config)) if config.public_url else None,
        first_steps=Runbooks.load(config.runbooks).first_steps,
    )


async def _serve(
    config: Config,
    *,
    clock: Clock,
    renderer: Renders,
    fallback: Fallback,
    store: Outbox,
    metrics: Metrics,
    log: Log,
    listener: socket.socket | None,
) -> None:
    async with robot_http_client() as http, stack_http_client() as stack:
        app = create_app(
            config,
            clock=clock,
            renderer=renderer,
            client=RobotClient(http, clock=clock),
            fallback=fallback,
            store=store,
            reconciling=Reconciling.configured(config, stack, store=store, metrics=metrics, log=log, clock=clock),
            metrics=metrics,
            log=log,
        )
        server = NotifierServer(
            uvicorn.Config(
                app,
                host=config.host,
                port=config.port,
                log_config=None,
                access_log=False,
                limit_concurrency=CONNECTIONS,
                timeout_graceful_shutdown=int(STOP_SECONDS),
                server_header=False,
            ),
            webhook=app.state.webhook,
            worker=app.state.worker,
        )
        log.write(Event.STARTED)
        await server.serve(sockets=[listener] if listener is not None else None)
        log.write(Event.STOPPED)
