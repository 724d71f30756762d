"""The probe of the health checks: 2xx in time is well, everything else has a reason."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from service.probe import ailment, main

ROOT = Path(__file__).parents[2]


class Answers(BaseHTTPRequestHandler):
    """`/204` is answered with 204, and so on; `/garbage` with what is no HTTP."""

    def do_GET(self) -> None:
        if self.path == "/garbage":
            self.wfile.write(b"SSH-2.0-nonsense\r\n")
            return
        self.send_response(int(self.path.strip("/") or 200))
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server that answers with the status in the path."""
    with HTTPServer(("127.0.0.1", 0), Answers) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a port that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.mark.parametrize("path", ["", "/", "/200", "/204"])
def test_an_address_that_answers_2xx_is_well(server: str, path: str) -> None:
    """With a path or without one."""
    assert ailment(server + path) == ""


@pytest.mark.parametrize("status", [301, 404, 500, 503])
def test_any_other_status_is_an_ailment(server: str, status: int) -> None:
    """A redirection too: a health endpoint has none."""
    assert ailment(f"{server}/{status}") == f"{server}/{status}: answered {status}"


def test_a_port_without_a_listener_is_an_ailment() -> None:
    """With the reason the system gives."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

    assert ailment(url) == f"{url}: [Errno 111] Connection refused"


def test_a_program_that_accepts_and_never_answers_is_an_ailment(silent: str) -> None:
    """After the time it has."""
    assert ailment(silent, timeout=0.05) == f"{silent}: timed out"


def test_an_answer_that_is_not_http_is_an_ailment(server: str) -> None:
    """Something else has the port."""
    assert ailment(f"{server}/garbage") == f"{server}/garbage: SSH-2.0-nonsense\r\n"


@pytest.mark.parametrize("url", ["collector:13133", "https://collector/", "http:///path", ""])
def test_only_plain_http_is_asked(url: str) -> None:
    """The programs of the stack speak it inside; a slip in the file is told apart from a sick program."""
    assert ailment(url) == f"{url}: is no http:// address"


def test_a_proxy_of_the_environment_is_not_asked(server: str, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours are asked directly, whatever the builder's environment left in the image."""
    monkeypatch.setenv("http_proxy", silent)

    assert ailment(server) == ""


def test_all_addresses_must_be_well(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And each that is not is told, so that `docker inspect` shows it."""
    assert main([server, f"{server}/503", f"{server}/404"]) == 1
    assert capsys.readouterr().err == f"{server}/503: answered 503\n{server}/404: answered 404\n"


def test_without_an_address_it_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, so that a health check without an address is not taken for a healthy program."""
    assert main([]) == 2
    assert capsys.readouterr().err == "usage: python -m service.probe URL...\n"


def test_the_module_runs_by_itself(server: str) -> None:
    """As the health checks call it; it loads nothing but the standard library."""
    script = "import runpy, sys; sys.argv[0] = 'probe'\ntry: runpy.run_module('service.probe', run_name='__main__')\n"
    script += "except SystemExit as end: print(end.code, sorted(m for m in sys.modules if m in {'torch', 'pydantic', 'fastapi', 'numpy'}))"

    done = subprocess.run([sys.executable, "-c", script, server], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)

    assert (done.stdout, done.stderr) == ("0 []\n", "")
