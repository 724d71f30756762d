"""The fallback channels."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from dingtalk.fallback import AppriseFallback, NoFallback
from dingtalk.part import Part

# Apprise looks at images by a module that later Pythons do without; it does without it there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
PART = Part(title="标题", text="**正文** <b>")


@pytest.fixture
def hook():
    """A receiver of Apprise's JSON channel, which answers with `status`."""
    taken = []

    class Handler(BaseHTTPRequestHandler):
        status = 200

        def do_POST(self):
            taken.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(Handler.status)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.taken, server.handler = taken, Handler
    server.address = SecretStr(f"json://127.0.0.1:{server.server_address[1]}/hook")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


async def test_without_channels_nothing_is_told():
    """And nothing is claimed."""
    assert not await NoFallback().send([SecretStr("json://127.0.0.1")], PART)


async def test_one_channel_that_takes_it_is_enough(hook):
    """Another may fail, or be no address at all."""
    pytest.importorskip("apprise")
    assert await AppriseFallback().send([SecretStr("nonsense://"), hook.address], PART)
    (message,) = hook.taken
    assert (message["title"], message["message"]) == ("标题", "**正文** <b>")


async def test_a_channel_that_refuses_has_not_told_it(hook):
    """It is tried again by whoever asked."""
    pytest.importorskip("apprise")
    hook.handler.status = 500
    assert not await AppriseFallback().send([hook.address], PART)
    assert not await AppriseFallback().send([SecretStr("nonsense://")], PART)
    assert not await AppriseFallback().send([], PART)
