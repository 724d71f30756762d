"""What the tests of the program share: a loop with a clock of its own, and HTTP servers of their own."""

from __future__ import annotations

import asyncio
import heapq
import os
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn

SETTINGS_PREFIXES = ("MGEO_", "OTEL_")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while there is work, and jumps to the next timer when there is none."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def time(self):
        return self.now

    def _run_once(self):
        while self._scheduled and self._scheduled[0]._cancelled:
            heapq.heappop(self._scheduled)._scheduled = False
            self._timer_cancelled_count -= 1
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0]._when)
        super()._run_once()


@pytest.fixture
def virtual_loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch, tmp_path):
    """No setting of the developer's shell reaches a test, and the default data folder is a fresh one."""
    for name in list(os.environ):
        if name.startswith(SETTINGS_PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MGEO_FREEZE_GC", "false")
    monkeypatch.setenv("MGEO_DATA_DIR", str(tmp_path / "var"))


@contextmanager
def running(app):
    """Serve an ASGI app on a free port of this machine, on a thread; gives its URL."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off", loop="asyncio"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.005)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def serve_app():
    """A function that serves an ASGI app until the test ends."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(running(app))
