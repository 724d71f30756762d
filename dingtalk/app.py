"""The composition root of the notifier: every object built, every route listed, and the server that runs them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from dingtalk.alertmanager import Alertmanager, stack_http_client
from dingtalk.boot import this_boot
from dingtalk.clock import Clock
from dingtalk.fallback import AppriseFallback
from dingtalk.link_key import kept_link_key
from dingtalk.links import SignedLinks
from dingtalk.log import Event, Log
from dingtalk.message import Renderer
from dingtalk.metrics import Metrics
from dingtalk.outbox.store import Outbox
from dingtalk.pages.routes import Pages
from dingtalk.people.api import GroupsApi
from dingtalk.people.desk import Desk, NoSilences
from dingtalk.people.escalations import Escalations
from dingtalk.people.link_pages import LinkPages
from dingtalk.people.page import Page
from dingtalk.reconciling import Reconciling
from dingtalk.robot import RobotClient, robot_http_client
from dingtalk.runbooks import Runbooks
from dingtalk.status import StatusApi
from dingtalk.telemetry import telemetry
from dingtalk.templates import Templates
from dingtalk.traces import NoTraces, OtelTraces
from dingtalk.view import PAGES
from dingtalk.watch.api import WatchApi
from dingtalk.watch.lookout import Lookout
from dingtalk.watch.pulse import Pulse
from dingtalk.watch.upkeep import Upkeep
from dingtalk.webhook import MAX_BYTES, Guard, Webhook
from dingtalk.worker import Worker

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from types import FrameType

    import httpx

    from dingtalk.config import Config
    from dingtalk.fallback import Fallback
    from dingtalk.people.desk import Silences
    from dingtalk.renders import Renders
    from dingtalk.robot import Sends
    from dingtalk.traces import Traces

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
    http: httpx.AsyncClient | None = None,
    traces: Traces | None = None,
    max_bytes: int = MAX_BYTES,
    links: SignedLinks | None = None,
    silences: Silences | None = None,
    runbooks: Runbooks | None = None,
) -> Starlette:
    """Put the notifier together. Its lifespan delivers; whoever opened the store closes it afterwards.

    `app.state` has `worker`, `webhook`, `metrics`, `pulse`, `upkeep` and `lookout`.

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
        http: calls Alertmanager and watchers; made and closed here when it is not given.
        traces: there are none when it is not given.
        max_bytes: of one notification.
        links: the links of messages; without them their pages are not there.
        silences: makes silences; none are made when it is not given.
        runbooks: shown; there are none when they are not given.
    """
    metrics = metrics or Metrics(config)
    log = log or Log(None, clock=clock)
    worker = Worker(
        config,
        outbox=store,
        client=client,
        renderer=renderer,
        fallback=fallback,
        metrics=metrics,
        log=log,
        clock=clock,
        traces=traces,
    )
    guard = Guard(config)
    calls = http or robot_http_client()
    pulse = Pulse(config, http=calls, metrics=metrics, log=log, clock=clock)
    webhook = Webhook(
        config,
        guard=guard,
        outbox=store,
        worker=worker,
        pulse=pulse,
        metrics=metrics,
        log=log,
        clock=clock,
        traces=traces,
        max_bytes=max_bytes,
    )
    notices, wake = worker.notices, worker.wake
    lookout = Lookout(config, outbox=store, notices=notices, wake=wake, log=log, clock=clock) if config.boxes else None
    pages = Pages(config, guard=guard, outbox=store, worker=worker, runbooks=runbooks or Runbooks({}), clock=clock, lookout=lookout)
    api = StatusApi(guard=guard, outbox=store, worker=worker, webhook=webhook, metrics=metrics, lookout=lookout)
    desk = Desk(outbox=store, notices=worker.notices, wake=worker.wake, silences=silences or NoSilences(), log=log, clock=clock)
    groups = GroupsApi(guard=guard, desk=desk)
    link_pages = LinkPages(links=links, desk=desk, page=Page(config, clock), clock=clock).routes() if links is not None else []
    escalations = Escalations(
        config, outbox=store, notices=worker.notices, wake=worker.wake, fallback=fallback, metrics=metrics, log=log, clock=clock
    )

    upkeep = None
    if config.alertmanager_url:
        alertmanager = Alertmanager(config.alertmanager_url, calls)
        upkeep = Upkeep(config, outbox=store, alertmanager=alertmanager, pulse=pulse, notices=notices, wake=wake, log=log, clock=clock)
    watch_api = WatchApi(guard=guard, lookout=lookout, upkeep=upkeep, clock=clock)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 -- Starlette passes it
        delivering = asyncio.create_task(worker.run())
        escalating = asyncio.create_task(escalations.run())
        looking = [asyncio.create_task(one.run()) for one in (upkeep, lookout, reconciling) if one is not None]
        try:
            yield
        finally:
            webhook.close()
            await _cancel(looking)
            await pulse.stop()
            await escalations.stop()
            await worker.stop(seconds=STOP_SECONDS)
            await delivering
            await escalating
            if http is None:
                await calls.aclose()

    app = Starlette(
        routes=[
            Route("/v1/alertmanager/{receiver}", webhook.post, methods=["POST"]),
            Route("/v1/status", api.status),
            Route("/v1/messages", api.messages),
            Route("/v1/messages/{id}/resend", api.resend, methods=["POST"]),
            Route("/livez", api.livez),
            Route("/readyz", api.readyz),
            Route("/metrics", api.metrics),
            *groups.routes(),
            *link_pages,
            *pages.routes(),
            *watch_api.routes(),
        ],
        lifespan=lifespan,
    )
    # It would answer with a whole address, which lacks the prefix that a gateway takes off.
    app.router.redirect_slashes = False
    app.state.worker, app.state.webhook, app.state.metrics = worker, webhook, metrics
    app.state.pulse, app.state.upkeep, app.state.lookout = pulse, upkeep, lookout
    return app


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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
    instance_name: str = "",
) -> None:
    """Run the notifier until SIGTERM or SIGINT.

    Args:
        config: all of it.
        renderer: writes messages; by the configuration when it is not given.
        fallback: tells elsewhere; Apprise when it is not given.
        listener: a bound socket; the configured address when it is not given.
        instance: `service.instance.id` of log and traces.
        instance_name: what people call this process.

    Raises:
        ConfigError: the folder of templates or runbooks cannot be read, or an `OTEL_*` variable is refused.
        StoreUnavailable: the outbox cannot be opened, or the key of links not be kept.
    """
    clock = Clock()
    log = Log(sys.stderr, clock=clock, instance=instance)
    metrics = Metrics(config)
    links = SignedLinks(f"{config.public_url}{PAGES}", kept_link_key(config)) if config.public_url else None
    runbooks = Runbooks.load(config.runbooks)
    writer: Renders = renderer or _renderer(config, links=links, runbooks=runbooks, metrics=metrics, log=log)
    traced = telemetry(os.environ, instance_id=instance, instance_name=instance_name)
    with contextlib.ExitStack() as stack:
        if traced is not None:
            stack.callback(traced.close)
        boot = this_boot(clock.monotonic())
        store = stack.enter_context(contextlib.closing(Outbox.open(config.data_dir, clock=clock, boot=boot, max_queue=config.max_queue)))
        asyncio.run(
            _serve(
                config,
                clock=clock,
                renderer=writer,
                fallback=fallback or AppriseFallback(),
                store=store,
                metrics=metrics,
                log=log,
                links=links,
                runbooks=runbooks,
                traces=NoTraces() if traced is None else OtelTraces(traced.tracer_provider, clock=clock),
                listener=listener,
            )
        )


def _renderer(config: Config, *, links: SignedLinks | None, runbooks: Runbooks, metrics: Metrics, log: Log) -> Renderer:
    def failed(template: str, reason: str) -> None:
        metrics.template_failed()
        log.write(Event.TEMPLATE_FAILED, subject=template, words=reason)

    return Renderer(config, Templates.load(config.templates, on_failure=failed), links=links, first_steps=runbooks.first_steps)


async def _serve(
    config: Config,
    *,
    clock: Clock,
    renderer: Renders,
    fallback: Fallback,
    store: Outbox,
    metrics: Metrics,
    log: Log,
    links: SignedLinks | None,
    runbooks: Runbooks,
    traces: Traces,
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
            links=links,
            runbooks=runbooks,
            silences=Alertmanager(config.alertmanager_url, stack),
            traces=traces,
            http=http,
        )
        server = NotifierServer(
            uvicorn.Config(
                app,
                host=config.host,
                port=config.port,
                log_config=None,
                access_log=False,
                # Else whoever is behind a gateway would be asked for its password, and a header could make anybody this machine.
                proxy_headers=False,
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
