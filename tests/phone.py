"""A phone channel for tests: it takes what Apprise posts as JSON."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Phone:
    """Takes every call.

    Attributes:
        address: for Apprise.
        calls: what was said.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        calls = self.calls

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                calls.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["message"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # connections of the dead break off

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.address = f"json://127.0.0.1:{self._server.server_address[1]}/phone"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
