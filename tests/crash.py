"""A notifier that is killed where it hurts most, for tests.

A process that has everything imported forks one notifier after the other, so that a thousand of them take minutes. Each may be told to kill
itself, as by kill -9, in one of the gaps between two steps.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DEADLINE = 60.0
GAPS = ("receipt-commit", "commit-200", "send-answer", "answer-record")
OK = b'{"errcode":0,"errmsg":"ok"}'


class RobotServer:
    """DingTalk over HTTP: shows each msgUuid once.

    To test against another server, give `Crashing` something with `url` and `lines`.
    """

    def __init__(self) -> None:
        self.shown: list[tuple[str, str]] = []
        self.calls = 0
        self.on_call = lambda: None
        self._mutex = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer._take(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                try:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(OK)))
                    self.end_headers()
                    self.wfile.write(OK)
                except OSError:
                    self.close_connection = True  # whoever called is dead

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # connections of the dead break off

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/robot/send"

    def _take(self, body: dict) -> None:
        with self._mutex:
            self.calls += 1
            if body["msgUuid"] not in {uuid for uuid, _ in self.shown}:
                self.shown.append((body["msgUuid"], body["text"]["content"]))
        self.on_call()

    def lines(self) -> list[str]:
        with self._mutex:
            return [line for _, text in self.shown for line in text.splitlines()]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Crashing:
    """Notifiers on one folder and one port, one after the other."""

    def __init__(self, folder: Path, robots) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._order = {"folder": str(folder), "port": self.port, "url": robots.url}
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.crash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None, text=True
        )
        self.pid = 0

    def start(self, gap: str = "", nth: int = 1) -> None:
        """Fork a notifier and wait until it answers; it kills itself at the nth time it is in a gap."""
        self._parent.stdin.write(json.dumps({**self._order, "gap": gap, "nth": nth}) + "\n")
        self._parent.stdin.flush()
        self.pid = int(self._parent.stdout.readline())
        end = time.monotonic() + DEADLINE
        while not self._answers():
            assert time.monotonic() < end, "the notifier did not start"
            threading.Event().wait(0.005)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/livez")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def ended(self) -> int:
        """Wait for the end of the notifier; its exit status, negative for a signal."""
        return int(self._parent.stdout.readline())

    def close(self) -> None:
        self._parent.stdin.close()
        self._parent.wait(DEADLINE)
        self._parent.stdout.close()


class Alertmanager:
    """Posts like Alertmanager: again and again until it is answered 200."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.tries = 0

    def post(self, body: bytes) -> None:
        end = time.monotonic() + DEADLINE
        while not self._post(body):
            assert time.monotonic() < end, "the notification was not taken"
            threading.Event().wait(0.01)

    def _post(self, body: bytes) -> bool:
        self.tries += 1
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("POST", "/v1/alertmanager/main", body)
            status = connection.getresponse().status
            assert status in {200, 503}
            return status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def random_wait(seed: random.Random, most: float) -> None:
    """Some time, which the moment of a kill depends on."""
    threading.Event().wait(seed.uniform(0, most))


# The process that forks.


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _notify(order: dict) -> None:
    import asyncio
    import contextlib

    import uvicorn

    from dingtalk.app import NotifierServer, create_app
    from dingtalk.boot import this_boot
    from dingtalk.clock import Clock
    from dingtalk.fallback import NoFallback
    from dingtalk.outbox.store import Outbox
    from dingtalk.renders import BareRenderer
    from dingtalk.robot import RobotClient, robot_http_client
    from tests.notifier import configuration

    count = iter(range(1, 1_000_000))

    def in_gap(gap: str) -> None:
        if order["gap"] == gap and next(count) == order["nth"]:
            _die()

    class Store(Outbox):
        @staticmethod
        def _remember(connection, notification, now):
            Outbox._remember(connection, notification, now)
            in_gap("receipt-commit")

        def receive(self, *args, **values):
            accepted = super().receive(*args, **values)
            in_gap("commit-200")
            return accepted

    class Client(RobotClient):
        async def send(self, *args):
            answer = await super().send(*args)
            in_gap("answer-record")
            return answer

    config = configuration(
        data_dir=order["folder"],
        robots=[{"name": "r1", "token": "t", "url": order["url"], "reserve": 1}],
        organisations=[{"name": "default", "monthly_quota": 1_000_000_000}],
        # A minute of 60 ms; what another replica sends is recognised for longer than a test takes.
        scale=0.001,
        replica_window=1e9,
    )

    async def serve(store) -> None:
        async with robot_http_client() as http:
            app = create_app(
                config, clock=clock, renderer=BareRenderer(), client=Client(http, clock=clock), fallback=NoFallback(), store=store
            )
            settings = uvicorn.Config(app, host="127.0.0.1", port=order["port"], log_config=None, access_log=False)
            await NotifierServer(settings, webhook=app.state.webhook, worker=app.state.worker).serve()

    clock = Clock()
    folder = Path(order["folder"])
    with contextlib.closing(Store.open(folder, clock=clock, boot=this_boot(clock.monotonic()), max_queue=config.max_queue)) as store:
        asyncio.run(serve(store))


def main() -> None:
    """Fork a notifier for each line of orders, and tell its process id and how it ended."""
    import dingtalk.app  # noqa: F401 -- before the fork
    import tests.notifier  # noqa: F401

    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                _notify(json.loads(line))
                status = 0
            except SystemExit:
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
