"""A receiver of Alertmanager's webhooks that answers each path in its own way, and notes every call."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        at: seconds, by the monotonic clock.
        states: of its alerts, as `name status`.
    """

    at: float
    method: str
    path: str
    states: tuple[str, ...] = ()


class Receiver:
    """Answers `/<status>` with that status, and `/slow` not before Alertmanager has hung up.

    Attributes:
        instead: statuses to answer in the place of others, by path.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.instead: dict[str, int] = {}
        self._closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["content-length"])))
                states = tuple(sorted(f"{alert['labels']['alertname']} {alert['status']}" for alert in payload["alerts"]))
                outer.calls.append(Call(time.monotonic(), "POST", self.path, states))
                if self.path == "/slow" and self.path not in outer.instead:
                    outer._closing.wait(5)
                    self.close_connection = True
                    return
                self._answer(outer.instead.get(self.path) or int(self.path.removeprefix("/")))

            def do_GET(self) -> None:
                outer.calls.append(Call(time.monotonic(), "GET", self.path))
                self._answer(200)

            def _answer(self, status: int) -> None:
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # whoever waited too long has hung up

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def states(self, path: str) -> list[tuple[str, ...]]:
        """What the calls of a path told, in order."""
        return [call.states for call in list(self.calls) if call.path == path]

    def close(self) -> None:
        """Stop."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
