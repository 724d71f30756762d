"""A notifier that is killed where it hurts most, for tests.

A process that has everything imported forks one notifier after the other, so that a thousand of them take minutes. Each may be told to kill
itself, as by kill -9, in one of the gaps between two steps.
"""

from __future__ import annotations

import contextlib
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
from collections.abc import Sequence
from pathlib import Path

import httpx

from dingtalk.links import group_digest
from tests.simulator import SECRET, Simulator

DEADLINE = 60.0
GAPS = ("receipt-commit", "commit-200", "send-answer", "answer-record")
ASKING = ("decision-record", "record-commit", "commit-send", "send-answer", "answer-record")
"""When somebody of the rota is asked."""
CALLING = ("decision-call", "call-record")
"""When the phone channel is."""
TAKING = ("post-take", "take-commit", "commit-answer")
"""When somebody takes a group over."""
ANSWER_LOST = {"send-answer", "answer-record"}
"""Those after which a message that arrived is sent again."""
LINK_KEY = b"0123456789abcdef"
SCALE = 0.001


class Forks:
    """A process that forks one notifier after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None, text=True
        )

    def fork(self, order: dict) -> int:
        """Start a notifier; its process id."""
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def ended(self) -> int:
        """Wait for its end; its exit status, negative for a signal."""
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        assert self._process.wait(DEADLINE) == 0
        self._process.stdout.close()


class Crashing:
    """Notifiers on one folder and one port, one after the other; with a phone channel also people of a rota, who can take groups over.

    Args:
        forks: starts them.
        folder: of the outbox.
        simulator: where they tell.
        phone: address of the phone channel.
        rota: names.
        after: seconds until the next is asked; a thousand of them are one here.
    """

    def __init__(
        self, forks: Forks, folder: Path, simulator: Simulator, *, phone: str = "", rota: Sequence[str] = (), after: float = 300.0
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._forks = forks
        self._order = {
            "folder": str(folder),
            "port": self.port,
            "url": simulator.url,
            "token": simulator.token,
            "phone": phone,
            "rota": {"people": list(rota), "after": after, "phone": phone},
        }
        self._pid: int | None = None

    def start(self, gap: str = "", nth: int = 1, *, wait: bool = True) -> None:
        """Fork a notifier and wait until it answers, which one may not live to do; it kills itself at the nth time it is in a gap."""
        self._pid = self._forks.fork({**self._order, "gap": gap, "nth": nth})
        end = time.monotonic() + DEADLINE
        while wait and not self._answers():
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
        os.kill(self._pid, number)

    def ended(self) -> int:
        """Wait for the end of the notifier; its exit status, negative for a signal."""
        status = self._forks.ended()
        self._pid = None
        return status

    def close(self) -> None:
        """End one that a failed test left."""
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                self.kill()
            self.ended()


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


class Person:
    """Somebody with a message before them, who presses until there is an answer."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20)

    def press(self, path: str) -> int | None:
        """Take a group over by the link of a message; the status of the answer, None when there is none."""
        try:
            return self._http.post(path, data={"by": self.name}).status_code
        except httpx.TransportError:
            return None

    def take(self, path: str) -> None:
        """Press until it is answered that it is theirs."""
        end = time.monotonic() + DEADLINE
        while (status := self.press(path)) != 200:
            assert status in {None, 503}
            assert time.monotonic() < end, "nobody could take it"
            threading.Event().wait(0.01)

    def standing(self, receiver: str, group_key: str) -> dict:
        """How a group stands, as the notifier says."""
        return self._http.get(f"/v1/groups/{group_digest(receiver, group_key)}").json()

    def close(self) -> None:
        self._http.close()


def random_wait(seed: random.Random, most: float) -> None:
    """Some time, which the moment of a kill depends on."""
    threading.Event().wait(seed.uniform(0, most))


# The process that forks.


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _notify(order: dict) -> None:
    import asyncio

    import uvicorn

    from dingtalk.app import NotifierServer, create_app
    from dingtalk.boot import this_boot
    from dingtalk.clock import Clock
    from dingtalk.fallback import AppriseFallback
    from dingtalk.links import SignedLinks
    from dingtalk.message import Renderer
    from dingtalk.outbox.store import Outbox
    from dingtalk.renders import BareRenderer
    from dingtalk.robot import RobotClient, robot_http_client
    from tests.notifier import configuration
    from tests.people import PEOPLE, PUBLIC_URL

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

        def _put(self, connection, draft):
            bundle = super()._put(connection, draft)
            if draft.group_key.startswith("notifier:ask:"):
                in_gap("record-commit")
            if draft.group_key == "notifier:ACKNOWLEDGED":
                in_gap("take-commit")
            return bundle

        def asked(self, before, after, *, says=None):
            if says is not None:
                in_gap("decision-record")
            done = super().asked(before, after, says=says)
            if says is not None:
                in_gap("commit-send")
            return done

        def take(self, *args, **values):
            in_gap("post-take")
            taken = super().take(*args, **values)
            in_gap("commit-answer")
            return taken

    class Client(RobotClient):
        async def send(self, *args):
            answer = await super().send(*args)
            in_gap("answer-record")
            return answer

    class Fallback(AppriseFallback):
        async def send(self, *args):
            in_gap("decision-call")
            taken = await super().send(*args)
            in_gap("call-record")
            return taken

    people = {"people": PEOPLE, "rota": order["rota"], "public_url": PUBLIC_URL} if order["phone"] else {}
    config = configuration(
        data_dir=order["folder"],
        robots=[{"name": "r1", "token": order["token"], "secret": SECRET, "url": order["url"], "reserve": 1}],
        organisations=[{"name": "default", "monthly_quota": 1_000_000_000}],
        # What runs on this machine by chance is asked nothing.
        alertmanager_url="",
        prometheus_url="",
        # A minute of 60 ms; what another replica sends is recognised for longer than a test takes.
        scale=SCALE,
        replica_window=1e9,
        **people,
    )
    links = SignedLinks(f"{PUBLIC_URL}/notifier", LINK_KEY) if people else None

    async def serve(store) -> None:
        async with robot_http_client() as http:
            app = create_app(
                config,
                clock=clock,
                renderer=Renderer(config, links=links) if people else BareRenderer(),
                client=Client(http, clock=clock),
                fallback=Fallback(),
                store=store,
                http=http,
                links=links,
            )
            settings = uvicorn.Config(app, host="127.0.0.1", port=order["port"], log_config=None, access_log=False)
            await NotifierServer(settings, webhook=app.state.webhook, worker=app.state.worker).serve()

    clock = Clock()
    folder = Path(order["folder"])
    with contextlib.closing(Store.open(folder, clock=clock, boot=this_boot(clock.monotonic()), max_queue=config.max_queue)) as store:
        asyncio.run(serve(store))


def _know_channels() -> None:
    """Load the plugins of Apprise, which takes it half a second, before the fork too."""
    import apprise

    apprise.Apprise().add("json://127.0.0.1")


def main() -> None:
    """Fork a notifier for each line of orders, and tell its process id and how it ended."""
    import dingtalk.app  # noqa: F401 -- before the fork
    import tests.people  # noqa: F401

    for line in sys.stdin:
        if json.loads(line)["phone"]:
            _know_channels()
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
