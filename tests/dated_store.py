"""A store of which only the time is asked: a real HTTP server that answers with the date a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class DatedStore:
    """Answers every GET with a status and a Date header.

    Args:
        date: gives the header of each answer; None leaves it out.
        status: of each answer; a redirect leads to nobody.
        meanwhile: called while the caller waits.
    """

    def __init__(self, date: Callable[[], str | None], *, status: int = 200, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.asked: list[str] = []
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                store.asked.append(self.path)
                meanwhile()
                self.send_response_only(status)
                header = date()
                if header is not None:
                    self.send_header("Date", header)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """It answers already."""
        return self

    def __exit__(self, *_: object) -> None:
        """It answers nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def http_date(unix: float) -> str:
    """A moment as the header has it, in whole seconds."""
    return formatdate(unix, usegmt=True)
