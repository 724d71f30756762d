"""`python -m service`: read the settings, print them redacted, run the server until a signal or a fatal error."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import uvicorn

from service.app import create_app
from service.errors import StartupError
from service.listener import BACKLOG, bind, listen
from service.runtime import build
from service.settings import Settings, misspelt_variables
from service.telemetry.sampling import sampling_notice

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

# After the grace of a fatal shutdown, for the last flush; then the process ends in any case.
LAST_FLUSH = 5.0


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT (0), or until the model is beyond repair (the exit code says why).

    Raises:
        StartupError: says which setting and how to mend it.
    """
    _print_settings(settings)
    listener = bind(settings.host, settings.port)
    try:
        ending = _Ending()
        runtime = build(settings, command="serve", on_fatal=ending.fatal)
        if runtime.recording.store.notice:
            sys.stdout.write(f"warning: {runtime.recording.store.notice}\n")

        def ready() -> None:
            try:
                listen(listener)
            except StartupError as error:
                ending.fatal(str(error), error.exit_code)
                raise
            _announce(listener)

        app = create_app(runtime, announce=ready)
        server = _Server(uvicorn_config(app, settings), on_shutdown=runtime.pipeline.stop_accepting)
        ending.stop_with(server, settings.shutdown_grace)
        # uvicorn raises the signal again once it has shut down; by then everything is flushed and there is nothing to kill.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        # Once the end has a reason of its own, which is told below, uvicorn's account of it would only be a traceback more.
        logging.getLogger("uvicorn.error").addFilter(lambda _record: not ending.code)
        try:
            server.run(sockets=[listener])
        except SystemExit:  # uvicorn's way to say that the lifespan did not start
            if not ending.code:
                raise
    finally:
        listener.close()
    if ending.code:
        sys.stderr.write(f"mgeo ends with exit code {ending.code}: {ending.reason}\n")
        sys.stderr.flush()
        # A worker that is stuck in native code cannot be joined; what could be flushed has been.
        os._exit(ending.code)
    return 0 if server.started else 1


class _Server(uvicorn.Server):
    """Tells of the shutdown before it waits for open requests: those it cancels after the grace are then our doing."""

    def __init__(self, config: uvicorn.Config, *, on_shutdown: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_shutdown = on_shutdown

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_shutdown()
        await super().shutdown(sockets)


class _Ending:
    """How the process ends: by a signal, or by a fatal error that any thread may report."""

    def __init__(self) -> None:
        self.code = 0
        self.reason = ""
        self._server: uvicorn.Server | None = None
        self._grace = 0.0

    def stop_with(self, server: uvicorn.Server, grace: float) -> None:
        self._server, self._grace = server, grace
        server.should_exit = bool(self.code)

    def fatal(self, reason: str, code: int) -> None:
        self.reason, self.code = reason, code
        if self._server is not None:
            self._server.should_exit = True
        last = threading.Timer(self._grace + LAST_FLUSH, os._exit, (code,))
        last.daemon = True
        last.start()


def uvicorn_config(app: object, settings: Settings) -> uvicorn.Config:
    """What the product runs on; the benchmarks compare servers on the same."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI callable
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,  # the event is the access log
        log_config=None,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=int(settings.shutdown_grace) or 1,
    )


def _print_settings(settings: Settings) -> None:
    sys.stdout.write("settings:\n")
    for name, value in settings.redacted().items():
        sys.stdout.write(f"  {name} = {value}\n")
    sampling = sampling_notice(os.environ)
    for warning in [*misspelt_variables(), *([sampling] if sampling else [])]:
        sys.stdout.write(f"warning: {warning}\n")
    sys.stdout.flush()


def _announce(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 -- compares, does not bind
    address = f"http://{shown}:{port}"
    sys.stdout.write(
        f"""
MGeo listens on {address}

  try it:    curl -s {address}/v1/match -H 'Content-Type: application/json' \\
               -d '{{"address1": "浙江省杭州市西湖区文三路478号华星时代广场A座", "address2": "杭州市西湖区文三路478号华星时代广场"}}'
  overview:  {address}/
  API:       {address}/docs

""",
    )
    sys.stdout.flush()


def main() -> int:
    """Run with the settings of the environment; a wrong one is one message and its exit code."""
    try:
        return run(Settings.load())
    except StartupError as error:
        sys.stderr.write(f"mgeo cannot start: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
