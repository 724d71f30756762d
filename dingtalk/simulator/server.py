"""Runs the simulator until a signal."""

from __future__ import annotations

import errno
import signal
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn

from dingtalk.simulator.app import create_app
from dingtalk.simulator.feed import Feed
from dingtalk.simulator.hang_up import HangUpProtocol
from dingtalk.simulator.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8061

_BACKLOG = 2048
_MOST_CONNECTIONS = 2000
"""Held ones among them; who comes then gets 503."""

_GRACE = 2
"""Seconds that calls in flight have at the end."""


class PortTaken(SettingsError):
    """Another process listens where this one should."""

    exit_code = 73


def serve(
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    config: Path | None = None,
    journal: Path | None = None,
    scale: float | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code.

    Args:
        host: address to listen on.
        port: TCP port; 0 takes a free one.
        config: TOML file with robots and rules; without one there are the robots `critical`, `warning` and `info`.
        journal: file that lets messages survive a restart; wins over the config's.
        scale: factor of the durations; wins over the config's.

    Raises:
        SettingsError: a setting is wrong, or cannot be used here; says which.
        PortTaken: the port is in use.
    """
    settings = Settings.load(config, journal=journal, scale=scale)
    listener = _bind(host, port)
    try:
        feed = Feed()
        server = _Server(_uvicorn_config(create_app(settings, feed=feed, announce=lambda: _announce(listener, settings))), feed)
        # uvicorn raises the signal again once it has shut down; by then there is nothing to kill.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        server.run(sockets=[listener])
    finally:
        listener.close()
    return 0 if server.started else 1


class _Server(uvicorn.Server):
    """Lets those who wait go before it waits for them."""

    def __init__(self, config: uvicorn.Config, feed: Feed) -> None:
        super().__init__(config)
        self._feed = feed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._feed.close()
        await super().shutdown(sockets)


def _uvicorn_config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI callable
        http=HangUpProtocol,
        ws="none",
        lifespan="on",
        # A gateway, or a test, on this machine may say whose call it hands on; nobody else.
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1",
        limit_concurrency=_MOST_CONNECTIONS,
        access_log=False,  # an access log would show the tokens
        log_config=None,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE,
    )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            message = f"port {port}: {host}:{port} is taken by another process; stop it, or choose another port"
            raise PortTaken(message) from error
        message = f"host {host}, port {port}: cannot listen there ({error.strerror})"
        raise SettingsError(message) from error
    return listener


def _announce(listener: socket.socket, settings: Settings) -> None:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 -- compares, does not bind
    names = ", ".join(robot.name for robot in settings.robots)
    sys.stdout.write(f"DingTalk simulator listens on http://{shown}:{port} (robots: {names})\n")
    sys.stdout.flush()
